"""Write evidence of one money-rail reconciliation: exit 0 as expected, 2 not so, 1 no evidence."""

from django.core.management.base import CommandParser

from ops_console.evidence.drills import flags, reconcile
from ops_console.evidence.drills.command import DrillCommand, Outcome
from settld.core import clock


class Command(DrillCommand):
    """manage.py ops_money_rails_reconcile_evidence --ops-token TOKEN [--period YYYY-MM] …"""

    help = __doc__

    def add_flags(self, parser: CommandParser) -> None:
        flags.add(parser, "--period", flags.period, help="default: the current UTC month")
        flags.add(parser, "--persist", flags.switch, default=True, help="also store the report (true)")
        flags.add(parser, "--expect-status", flags.verdict, help="pass or fail; any other is exit 2")

    def perform(self, setting: flags.Setting) -> Outcome:
        given = setting.given
        return reconcile.perform(
            setting,
            period=given["period"] or clock.period_of(clock.now()),
            persist=given["persist"],
            expect_status=given["expect_status"],
        )
