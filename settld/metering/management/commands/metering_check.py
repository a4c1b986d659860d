"""Prove that usage counters equal the events they stand for, and that no event was changed."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from settld.metering.services import checks


class Command(BaseCommand):
    """Prints each difference as a line of JSON; exits 2 when there is one."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant-id", help="check one tenant only")

    def handle(self, *args: Any, **options: Any) -> None:
        tenants = [options["tenant_id"]] if options["tenant_id"] else checks.tenants()
        problems = [problem for tenant_id in tenants for problem in checks.check_tenant(tenant_id)]
        for problem in problems:
            self.stdout.write(json.dumps(problem, sort_keys=True))
        self.stdout.write(
            json.dumps({"ok": not problems, "tenants": len(tenants), "problems": len(problems)})
        )
        if problems:
            raise SystemExit(2)
