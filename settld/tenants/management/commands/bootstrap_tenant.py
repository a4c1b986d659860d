"""Make a tenant ready to work on a running deployment, over HTTP."""

import json
import urllib.error
import urllib.request
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

TIMEOUT_SECONDS = 30


class Command(BaseCommand):
    """manage.py bootstrap_tenant --base-url URL --ops-token TOKEN --tenant-id ID [--plan PLAN]"""

    help = __doc__
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--base-url", required=True)
        parser.add_argument("--ops-token", required=True)
        parser.add_argument("--tenant-id", required=True)
        parser.add_argument("--plan", default="free")
        parser.add_argument("--protocol", default="1.0")

    def handle(self, *args: Any, **options: Any) -> None:
        request = urllib.request.Request(  # noqa: S310  (the operator names the deployment)
            f"{options['base_url'].rstrip('/')}/ops/tenants/bootstrap",
            data=json.dumps({"billing": {"plan": options["plan"]}}).encode(),
            headers={
                "content-type": "application/json",
                "x-proxy-ops-token": options["ops_token"],
                "x-proxy-tenant-id": options["tenant_id"],
                "x-settld-protocol": options["protocol"],
            },
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
                self.stdout.write(json.dumps(json.load(answer), indent=2))
        except urllib.error.HTTPError as error:
            raise CommandError(error.read().decode(errors="replace")) from error
        except (urllib.error.URLError, TimeoutError, ValueError) as error:
            raise CommandError(f"cannot reach {options['base_url']}: {error}") from error
