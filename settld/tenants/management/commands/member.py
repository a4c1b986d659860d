"""Manage who belongs to a tenant: add (or change the role), remove, list."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from settld.core import clock, tenancy
from settld.core.errors import Refusal
from settld.core.principals import Actor
from settld.tenants.models import Membership
from settld.tenants.roles import Role
from settld.tenants.services import memberships, people, tenants

ACTOR = Actor.system("command:member")


class Command(BaseCommand):
    """manage.py member add TENANT USERNAME ROLE | remove TENANT USERNAME | list TENANT"""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        add = verbs.add_parser("add", help="give a person a role, or change it")
        add.add_argument("tenant_id")
        add.add_argument("username")
        add.add_argument("role", choices=Role.values)
        remove = verbs.add_parser("remove")
        remove.add_argument("tenant_id")
        remove.add_argument("username")
        verbs.add_parser("list").add_argument("tenant_id")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            tenants.require_known(tenant_id=options["tenant_id"])
            answer = getattr(self, f"_{options['verb']}")(options)
        except Refusal as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(answer, indent=2))

    def _add(self, options: dict[str, Any]) -> dict[str, Any]:
        return _as_json(
            memberships.upsert(
                tenant_id=options["tenant_id"], user=people.find(username=options["username"]),
                role=options["role"], actor=ACTOR, now=clock.now(),
            )
        )  # fmt: skip

    def _remove(self, options: dict[str, Any]) -> dict[str, Any]:
        user = people.find(username=options["username"])
        with tenancy.tenant_scope(options["tenant_id"]):
            held = Membership.objects.filter(tenant_id=options["tenant_id"], user=user).first()
        if held is None:
            raise CommandError(f"{user.username} is no member of {options['tenant_id']}")
        return _as_json(
            memberships.upsert(
                tenant_id=options["tenant_id"], user=user, role=held.role, status="removed",
                actor=ACTOR, now=clock.now(),
            )
        )  # fmt: skip

    def _list(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        with tenancy.tenant_scope(options["tenant_id"]):
            members = Membership.objects.filter(tenant_id=options["tenant_id"]).select_related("user")
            return [_as_json(member) for member in members.order_by("user__username")]


def _as_json(member: Membership) -> dict[str, Any]:
    return {
        "tenantId": member.tenant_id,
        "username": member.user.username,
        "role": member.role,
        "status": member.status,
    }
