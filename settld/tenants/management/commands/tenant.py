"""Manage tenants: create, show, set status, second factor, retention days and quotas."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from settld.core import clock
from settld.core.errors import Refusal
from settld.core.principals import Actor
from settld.tenants.models import Tenant
from settld.tenants.models.tenant import TenantStatus
from settld.tenants.services import limits, tenants

ACTOR = Actor.system("command:tenant")


class Command(BaseCommand):
    """manage.py tenant create|show|set TENANT ..."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser("create")
        create.add_argument("tenant_id")
        create.add_argument("--name", default="")
        verbs.add_parser("show").add_argument("tenant_id")
        change = verbs.add_parser("set")
        change.add_argument("tenant_id")
        change.add_argument("--name")
        change.add_argument("--status", choices=TenantStatus.values)
        change.add_argument("--require-second-factor", choices=("on", "off"))
        change.add_argument(
            "--retention", action="append", default=[], metavar="KEY=DAYS",
            help=f"one of {', '.join(limits.RETENTION_KEYS)}; 0 is for good, nothing the default",
        )  # fmt: skip
        change.add_argument("--quota", action="append", default=[], metavar="KIND=LIMIT")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            answer = getattr(self, f"_{options['verb']}")(options)
        except Refusal as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(_as_json(answer), indent=2))

    def _create(self, options: dict[str, Any]) -> Tenant:
        return tenants.create(
            tenant_id=options["tenant_id"], name=options["name"], actor=ACTOR, now=clock.now()
        )

    def _show(self, options: dict[str, Any]) -> Tenant:
        return tenants.require_known(tenant_id=options["tenant_id"])

    def _set(self, options: dict[str, Any]) -> Tenant:
        retention = _numbers(options["retention"])
        if unknown := set(retention) - set(limits.RETENTION_KEYS):
            raise CommandError(f"unknown retention: {', '.join(sorted(unknown))}")
        second_factor = options["require_second_factor"]
        return tenants.change(
            tenant_id=options["tenant_id"],
            wish=tenants.Change(
                name=options["name"],
                status=options["status"],
                requires_second_factor=None if second_factor is None else second_factor == "on",
                retention=retention,
                quotas=_numbers(options["quota"]),
            ),
            actor=ACTOR,
            now=clock.now(),
        )


def _numbers(entries: list[str]) -> dict[str, int | None]:
    numbers: dict[str, int | None] = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not (key and equals) or (value and not (value.isascii() and value.isdigit() and len(value) <= 15)):
            raise CommandError(f"{entry} must look like name=number, or name= for the default")
        numbers[key] = int(value) if value else None
    return numbers


def _as_json(tenant: Tenant) -> dict[str, Any]:
    return {
        "tenantId": tenant.tenant_id,
        "name": tenant.name,
        "status": tenant.status,
        "source": tenant.source,
        "requiresSecondFactor": tenant.requires_second_factor,
        "retention": limits.retention(wishes=tenant.retention),
        "quotas": limits.quotas(wishes=tenant.quotas),
    }
