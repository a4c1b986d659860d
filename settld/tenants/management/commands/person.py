"""Manage people: create, list, role, activate, deactivate, password, reset-second-factor."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django_otp.plugins.otp_totp.models import TOTPDevice

from settld.core import clock
from settld.core.errors import Refusal
from settld.core.principals import Actor
from settld.tenants.models import User
from settld.tenants.services import people

ACTOR = Actor.system("command:person")


class Command(BaseCommand):
    """manage.py person create|list|role|activate|deactivate|password|reset-second-factor"""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser("create", help="make a login; a password is made and shown once")
        create.add_argument("username")
        create.add_argument("--email", default="")
        create.add_argument("--platform-role", default="", choices=people.PLATFORM_ROLES)
        create.add_argument("--password-stdin", action="store_true", help="read the password from stdin")
        verbs.add_parser("list")
        role = verbs.add_parser("role", help="make platform staff, or with '' an ordinary person")
        role.add_argument("username")
        role.add_argument("platform_role", choices=people.PLATFORM_ROLES)
        for verb in ("activate", "deactivate", "reset-second-factor"):
            verbs.add_parser(verb).add_argument("username")
        password = verbs.add_parser("password", help="give a new password, shown once")
        password.add_argument("username")
        password.add_argument("--password-stdin", action="store_true", help="read the password from stdin")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            answer = getattr(self, f"_{options['verb'].replace('-', '_')}")(options)
        except Refusal as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(answer, indent=2))

    def _create(self, options: dict[str, Any]) -> dict[str, Any]:
        given = _given(options)
        user, password = people.create(
            username=options["username"], email=options["email"], password=given,
            platform_role=options["platform_role"], actor=ACTOR, now=clock.now(),
        )  # fmt: skip
        return _as_json(user) | ({} if given else {"password": password})

    def _list(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        return [_as_json(user) for user in User.objects.order_by("username")]

    def _role(self, options: dict[str, Any]) -> dict[str, Any]:
        return _as_json(
            people.set_platform_role(
                username=options["username"], platform_role=options["platform_role"],
                actor=ACTOR, now=clock.now(),
            )
        )  # fmt: skip

    def _activate(self, options: dict[str, Any]) -> dict[str, Any]:
        return _as_json(
            people.set_active(username=options["username"], is_active=True, actor=ACTOR, now=clock.now())
        )

    def _deactivate(self, options: dict[str, Any]) -> dict[str, Any]:
        return _as_json(
            people.set_active(username=options["username"], is_active=False, actor=ACTOR, now=clock.now())
        )

    def _password(self, options: dict[str, Any]) -> dict[str, Any]:
        given = _given(options)
        user, password = people.reset_password(
            username=options["username"], password=given, actor=ACTOR, now=clock.now()
        )
        return _as_json(user) | ({} if given else {"password": password})

    def _reset_second_factor(self, options: dict[str, Any]) -> dict[str, Any]:
        return _as_json(
            people.reset_second_factor(username=options["username"], actor=ACTOR, now=clock.now())
        )


def _given(options: dict[str, Any]) -> str | None:
    """Read a password from stdin; never from the command line, which other people's `ps` shows."""
    if not options["password_stdin"]:
        return None
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise CommandError("stdin holds no password")
    return password


def _as_json(user: User) -> dict[str, Any]:
    return {
        "username": user.username,
        "email": user.email,
        "platformRole": user.platform_role or None,
        "isActive": user.is_active,
        "hasSecondFactor": TOTPDevice.objects.filter(user=user, confirmed=True).exists(),
    }
