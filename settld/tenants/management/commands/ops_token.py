"""Manage stored ops tokens: create, list, rotate, revoke."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from settld.core import clock
from settld.core.errors import Refusal
from settld.core.principals import Actor
from settld.tenants.models import OpsToken
from settld.tenants.services import ops_tokens

ACTOR = Actor.system("command:ops_token")


class Command(BaseCommand):
    """manage.py ops_token create|list|rotate|revoke"""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser("create")
        create.add_argument("name")
        create.add_argument("--scopes", required=True, help="comma-separated")
        create.add_argument("--tenants", default="", help="comma-separated; none means every tenant")
        create.add_argument("--expires-at", default="", help="ISO 8601 with an offset")
        verbs.add_parser("list")
        for verb in ("rotate", "revoke"):
            verbs.add_parser(verb).add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            answer = getattr(self, f"_{options['verb']}")(options)
        except (Refusal, ValueError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(answer, indent=2))

    def _create(self, options: dict[str, Any]) -> dict[str, Any]:
        token, raw = ops_tokens.create(
            name=options["name"],
            scopes=[scope.strip() for scope in options["scopes"].split(",") if scope.strip()],
            tenant_ids=[tenant.strip() for tenant in options["tenants"].split(",") if tenant.strip()],
            expires_at=clock.parse_iso(options["expires_at"]) if options["expires_at"] else None,
            actor=ACTOR,
            now=clock.now(),
        )
        return _as_json(token) | {"token": raw}

    def _list(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        return [_as_json(token) for token in OpsToken.objects.order_by("name")]

    def _rotate(self, options: dict[str, Any]) -> dict[str, Any]:
        token, raw = ops_tokens.rotate(name=options["name"], actor=ACTOR, now=clock.now())
        return _as_json(token) | {"token": raw}

    def _revoke(self, options: dict[str, Any]) -> dict[str, Any]:
        return _as_json(ops_tokens.revoke(name=options["name"], actor=ACTOR, now=clock.now()))


def _as_json(token: OpsToken) -> dict[str, Any]:
    return {
        "name": token.name,
        "scopes": token.scopes,
        "tenantIds": token.tenant_ids,
        "expiresAt": clock.iso(token.expires_at),
        "revokedAt": clock.iso(token.revoked_at),
        "createdAt": clock.iso(token.created_at),
    }
