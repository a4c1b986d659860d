"""Run both money-rail drills and bind their evidence: exit 0 pass, 2 failed, 1 usage or key error."""

from dataclasses import replace
from typing import Any

from django.core.management.base import CommandParser

from ops_console.evidence.drills import flags, packet
from ops_console.evidence.drills.command import DrillCommand, Outcome
from ops_console.evidence.drills.errors import DrillStopped
from ops_console.evidence.drills.sealing import require_writable
from settld.core import clock


class Command(DrillCommand):
    """manage.py ops_design_partner_run_packet --ops-token TOKEN --chargeback-operation-id ID …"""

    help = __doc__

    def add_flags(self, parser: CommandParser) -> None:
        flags.add(parser, "--period", flags.period, help="default: the current UTC month")
        flags.add(parser, "--reconcile-persist", flags.switch, default=True)
        flags.add(parser, "--reconcile-expect-status", flags.verdict, default="pass")
        flags.add(parser, "--reconcile-artifact-path", help="where that evidence is, or goes")
        flags.add(parser, "--skip-reconcile-run", flags.switch, default=False)
        flags.add(parser, "--chargeback-operation-id", help="needed unless that run is skipped")
        flags.add(parser, "--chargeback-party-id")
        flags.add(parser, "--chargeback-reason-code", default="chargeback")
        flags.add(parser, "--chargeback-event-id")
        flags.add(parser, "--chargeback-at", flags.instant)
        flags.add(parser, "--chargeback-payout-period", flags.period)
        flags.add(parser, "--expect-chargeback-outstanding-cents", flags.cents)
        flags.add(parser, "--expect-chargeback-payout-code")
        flags.add(parser, "--chargeback-artifact-path", help="where that evidence is, or goes")
        flags.add(parser, "--skip-chargeback-run", flags.switch, default=False)
        flags.add(parser, "--artifacts-dir", default="artifacts/ops", help="where files without a path go")

    def perform(self, setting: flags.Setting) -> Outcome:
        given = setting.given
        if not given["skip_chargeback_run"] and not (given["chargeback_operation_id"] or "").strip():
            raise DrillStopped("--chargeback-operation-id is needed unless --skip-chargeback-run is true")
        if given["expect_chargeback_payout_code"] and not given["chargeback_payout_period"]:
            raise DrillStopped("--expect-chargeback-payout-code needs --chargeback-payout-period")
        period = given["period"] or clock.period_of(clock.now())
        folder, now = given["artifacts_dir"], setting.now
        out = setting.out or packet.default_path("packet", folder=folder, period=period, now=now)
        wanted = packet.Wanted(
            period=period,
            reconcile=_part(setting, "reconcile", _reconcile_flags(given), period=period),
            chargeback=_part(setting, "chargeback", _chargeback_flags(given), period=period),
            reconcile_expect_status=given["reconcile_expect_status"],
            inputs=_inputs(setting, period=period),
        )
        for path in (out, wanted.reconcile.path, wanted.chargeback.path):
            require_writable(path)
        return packet.Packet(replace(setting, out=out), wanted).perform()


def _part(setting: flags.Setting, name: str, own: dict[str, Any], *, period: str) -> packet.Part:
    given, caller = setting.given, setting.caller
    is_skipped = given[f"skip_{name}_run"]
    path = given[f"{name}_artifact_path"]
    if path is None and not is_skipped:
        path = packet.default_path(name, folder=given["artifacts_dir"], period=period, now=setting.now)
    shared = {
        "--base-url": caller.base_url,
        "--tenant-id": caller.tenant_id,
        "--provider-id": setting.provider_id,
        "--period": period,
        "--captured-at": setting.captured_at if setting.has_fixed_clock else None,
        "--signing-key-file": given["signing_key_file"],
        "--signature-key-id": given["signature_key_id"],
    }
    return packet.Part(name, path, is_skipped, shared | own)


def _reconcile_flags(given: dict[str, Any]) -> dict[str, str | None]:
    return {
        "--persist": "true" if given["reconcile_persist"] else "false",
        "--expect-status": given["reconcile_expect_status"],
    }


def _chargeback_flags(given: dict[str, Any]) -> dict[str, str | None]:
    outstanding = given["expect_chargeback_outstanding_cents"]
    return {
        "--operation-id": given["chargeback_operation_id"],
        "--party-id": given["chargeback_party_id"],
        "--reason-code": given["chargeback_reason_code"],
        "--event-id": given["chargeback_event_id"],
        "--at": clock.iso(given["chargeback_at"]),
        "--payout-period": given["chargeback_payout_period"],
        "--expect-outstanding-cents": None if outstanding is None else str(outstanding),
        "--expect-payout-code": given["expect_chargeback_payout_code"],
    }


def _inputs(setting: flags.Setting, *, period: str) -> dict[str, Any]:
    given, caller = setting.given, setting.caller
    return {
        "baseUrl": caller.base_url,
        "tenantId": caller.tenant_id,
        "providerId": setting.provider_id,
        "period": period,
        "reconcileExpectStatus": given["reconcile_expect_status"],
        "reconcilePersist": given["reconcile_persist"],
        "chargebackOperationId": given["chargeback_operation_id"],
        "chargebackPartyId": given["chargeback_party_id"],
        "chargebackReasonCode": given["chargeback_reason_code"],
        "chargebackPayoutPeriod": given["chargeback_payout_period"],
        "expectChargebackOutstandingCents": given["expect_chargeback_outstanding_cents"],
        "expectChargebackPayoutCode": given["expect_chargeback_payout_code"],
    }
