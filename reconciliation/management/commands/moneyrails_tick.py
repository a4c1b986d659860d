"""Run the money rails' loops once, here: month close, dispatches, Stripe's inbox, reconciliation."""

import json
import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from moneyrails.services import doubt
from reconciliation.services import scheduler
from settld.closing.services import worker
from settld.core import clock
from settld.maintenance.services import MaintenanceAlreadyRunning
from settld.stripe_gateway.services import consumption

INBOX_SECONDS = 60.0
SHOWN = ("ok", "skipped", "reason", "nextEligibleAt", "code", "runtimeMs", "summary")


class Command(BaseCommand):
    """Does what beat would have workers do, now and to the end; prints what came of it."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="run one tick (the only way to run)")
        parser.add_argument("--limit", type=int, default=50, help="attempts to recover at most")
        parser.add_argument(
            "--force", action="store_true", help="reconcile even if the interval has not elapsed"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["once"]:
            raise CommandError("say --once; beat is what runs it again and again")
        closed = worker.close_requested(now=clock.now())
        recovered = doubt.recover_due(now=clock.now(), limit=options["limit"])
        consumed = consumption.consume_due(
            owner=f"moneyrails_tick:{os.getpid()}", limit=options["limit"], budget_seconds=INBOX_SECONDS
        )
        self.stdout.write(
            json.dumps(
                {
                    "monthsClosed": closed,
                    "dispatchesRecovered": recovered,
                    "providerEventsConsumed": consumed,
                    "reconciliation": _reconcile(force=options["force"]),
                }
            )
        )


def _reconcile(*, force: bool) -> dict[str, Any]:
    """Give a tick's answer without its single results, or say that a run is at work."""
    try:
        result = scheduler.run(scheduler.Order.scheduled(force=force))
    except MaintenanceAlreadyRunning as refusal:
        return {"ok": False, "code": refusal.code}
    return {name: result[name] for name in SHOWN if name in result}
