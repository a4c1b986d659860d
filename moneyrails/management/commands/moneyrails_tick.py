"""Run the money rails' loops once, in this process: month close, dispatch recovery, Stripe's inbox."""

import json
import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from moneyrails.services import doubt
from settld.closing.services import worker
from settld.core import clock
from settld.stripe_gateway.services import consumption

INBOX_SECONDS = 60.0


class Command(BaseCommand):
    """Does what beat would have workers do, now and to the end; prints what came of it."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="run one tick (the only way to run)")
        parser.add_argument("--limit", type=int, default=50, help="attempts to recover at most")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["once"]:
            raise CommandError("say --once; beat is what runs it again and again")
        now = clock.now()
        closed = worker.close_requested(now=now)
        recovered = doubt.recover_due(now=now, limit=options["limit"])
        consumed = consumption.consume_due(
            owner=f"moneyrails_tick:{os.getpid()}", limit=options["limit"], budget_seconds=INBOX_SECONDS
        )
        self.stdout.write(
            json.dumps(
                {"monthsClosed": closed, "dispatchesRecovered": recovered, "providerEventsConsumed": consumed}
            )
        )
