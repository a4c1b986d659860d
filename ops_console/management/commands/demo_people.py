"""`manage.py demo_people`: the logins of the demo."""

import os
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from ops_console.demo.agents_cast import CEDAR
from ops_console.demo.cast import TROUPES
from ops_console.demo.people import PEOPLE, Person
from settld.core import clock, tenancy
from settld.core.principals import Actor
from settld.tenants.models import Membership, User
from settld.tenants.services import memberships, tenants


class Command(BaseCommand):
    """Make the demo's people members of the demo's tenants; a second run changes nothing."""

    help = "Make the demo's logins. SETTLD_DEMO_PASSWORD is their password."

    def handle(self, *args: Any, **options: Any) -> None:
        """Make who is missing, and renew a password that has changed."""
        password = os.environ.get("SETTLD_DEMO_PASSWORD", "")
        if not password:
            raise CommandError("SETTLD_DEMO_PASSWORD is not set: give the demo's people a password")
        if settings.IS_PRODUCTION:
            raise CommandError("production has no demo people: make real ones")
        for troupe in (*TROUPES, CEDAR):
            tenants.ensure(tenant_id=troupe.tenant_id, source="demo", name=troupe.name, now=clock.now())
        for person in PEOPLE:
            user = _user(person, password)
            for troupe in (*TROUPES, CEDAR):
                _join(user, person, troupe.tenant_id)
        self.stdout.write(f"logins: {', '.join(person.username for person in PEOPLE)}")


def _user(person: Person, password: str) -> User:
    user: User
    user, _ = get_user_model().objects.get_or_create(
        username=person.username,
        defaults={
            "first_name": person.first_name,
            "last_name": person.last_name,
            "platform_role": person.platform_role,
            "is_staff": bool(person.platform_role),
        },
    )
    if not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
    return user


def _join(user: User, person: Person, tenant_id: str) -> None:
    with tenancy.tenant_scope(tenant_id):
        held = Membership.objects.filter(tenant_id=tenant_id, user=user, status="active").first()
    if held is None or held.role != person.role:
        memberships.upsert(
            tenant_id=tenant_id, user=user, role=person.role, actor=Actor.system("demo"), now=clock.now()
        )
