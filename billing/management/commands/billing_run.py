"""Do by hand what beat does by itself (spec/checkout-billing.md 9.2); prints one JSON object."""

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing import clock
from billing.services import gauges, limits, outbox, reconciliation, recovery, remediation_work, retention
from billing.states import Scope

WORKS = ("outbox", "remediation", "recover", "reconcile", "gauges", "retention")
DRY = ("reconcile", "retention")


class Command(BaseCommand):
    """manage.py billing_run <work> [--scope S] [--limit N] [--dry-run]"""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("work", choices=WORKS)
        parser.add_argument("--scope", choices=Scope.values, help="what `reconcile` compares")
        parser.add_argument("--limit", type=int, help="at most so many jobs, requests or rows")
        parser.add_argument("--dry-run", action="store_true", help="look and count, write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.BILLING.enabled:
            raise CommandError("checkout billing is off (BILLING_ENABLED)")
        work, limit = options["work"], options["limit"]
        if limit is not None and limit < 1:
            raise CommandError("--limit must be at least 1")
        if options["dry_run"] and work not in DRY:
            raise CommandError(f"--dry-run goes with {' and '.join(DRY)} only")
        if (work == "reconcile") != (options["scope"] is not None):
            raise CommandError("--scope goes with reconcile, which needs it")
        done = self._do(work, scope=options["scope"], limit=limit, is_dry=options["dry_run"])
        self.stdout.write(json.dumps({"work": work, **done}))
        if done.get("status") in ("failed", "fenced"):
            raise CommandError(f"the run {done['status']}: {done.get('reason')}")

    def _do(self, work: str, *, scope: str | None, limit: int | None, is_dry: bool) -> dict[str, Any]:
        match work:
            case "outbox":
                return {"tried": outbox.tick(limit=limit or 25)}
            case "remediation":
                return {"tried": remediation_work.tick(limit=limit or 10)}
            case "recover":
                return {"ends": recovery.recover_pending(limit or 50)}
            case "reconcile":
                return reconciliation.run(Scope(str(scope)), limit=limit, dry_run=is_dry).as_json()
            case "gauges":
                measured = gauges.measure()
                return {"measured": measured, "released": limits.release_stale(now=clock.now())}
        return {"dryRun": is_dry, "rows": retention.run(dry_run=is_dry)}
