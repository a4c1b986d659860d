"""Prove that audit chains are whole: exit 0 intact, 2 broken, 1 error."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from settld.audit.models import OpsAuditHead
from settld.audit.services.verify import verify
from settld.core import tenancy


class Command(BaseCommand):
    """manage.py audit_verify [--tenant ID | --all]"""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--tenant", default="tenant_default")
        which.add_argument("--all", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        tenants = [options["tenant"]]
        if options["all"]:
            with tenancy.platform_scope(reason="audit_verify --all: list chains"):
                tenants = list(OpsAuditHead.objects.order_by("tenant_id").values_list("tenant_id", flat=True))
        is_whole = True
        for tenant_id in tenants:
            with tenancy.tenant_scope(tenant_id):
                verdict = verify(tenant_id=tenant_id)
            is_whole = is_whole and verdict.ok
            self.stdout.write(
                json.dumps(
                    {
                        "tenantId": tenant_id,
                        "ok": verdict.ok,
                        "rows": verdict.rows,
                        "headHash": verdict.head_hash,
                        "firstBadSeq": verdict.first_bad_seq,
                        "reason": verdict.reason,
                    }
                )
            )
        if not is_whole:
            sys.exit(2)
