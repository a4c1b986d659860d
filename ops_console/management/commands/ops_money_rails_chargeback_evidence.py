"""Reverse a payout on a live server and write evidence of its debt: exit 0 pass, 2 failed, 1 no evidence."""

from django.core.management.base import CommandParser

from ops_console.evidence.drills import chargeback, flags
from ops_console.evidence.drills.command import DrillCommand, Outcome
from ops_console.evidence.drills.errors import DrillStopped


class Command(DrillCommand):
    """manage.py ops_money_rails_chargeback_evidence --ops-token TOKEN --operation-id ID …"""

    help = __doc__

    def add_flags(self, parser: CommandParser) -> None:
        flags.add(parser, "--operation-id", required=True, help="the payout to reverse")
        flags.add(parser, "--party-id", help="default: the operation's party")
        flags.add(parser, "--period", flags.period, help="look at the debt of this payout period only")
        flags.add(parser, "--reason-code", default="chargeback")
        flags.add(parser, "--event-id", help="default: made from the operation's id")
        flags.add(parser, "--at", flags.instant, help="when it happened; default: now")
        flags.add(parser, "--payout-period", flags.period, help="afterwards try to enqueue this payout")
        flags.add(parser, "--payout-party-id", help="whose payout to try; default: the party")
        flags.add(parser, "--expect-outstanding-cents", flags.cents)
        flags.add(parser, "--expect-payout-code", help="how the payout must be answered")
        flags.add(parser, "--idempotency-prefix", default="ops_chargeback_evidence")

    def perform(self, setting: flags.Setting) -> Outcome:
        given = setting.given
        operation_id = flags.required(given["operation_id"], flag="--operation-id")
        if given["expect_payout_code"] is not None and given["payout_period"] is None:
            raise DrillStopped("--expect-payout-code needs --payout-period")
        wanted = chargeback.Wanted(
            operation_id=operation_id,
            party_id=given["party_id"],
            period=given["period"],
            reason_code=flags.required(given["reason_code"], flag="--reason-code"),
            event_id=given["event_id"] or chargeback.default_event_id(operation_id),
            at=given["at"] or setting.now,
            payout_period=given["payout_period"],
            payout_party_id=given["payout_party_id"],
            expect_outstanding_cents=given["expect_outstanding_cents"],
            expect_payout_code=given["expect_payout_code"],
            idempotency_prefix=chargeback.require_prefix(given["idempotency_prefix"]),
        )
        return chargeback.Drill(setting, wanted).perform()
