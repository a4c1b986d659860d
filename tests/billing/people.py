"""People and credentials that call the billing API, as it meets them."""

import json
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpResponse
from django.test import Client

from billing.models import BillableEntity, EntityGrant, Organization, OrganizationMembership
from billing.services import organizations
from settld.core import tenancy, transactions
from settld.core.principals import Actor
from settld.tenants.models import Membership, User
from settld.tenants.services import keys
from tests.billing import factories as make
from tests.billing.factories import NOW

ACTOR = Actor.system("tests")


@dataclass
class Caller:
    """One caller of /api/...: headers of every call, and where the answers are read."""

    headers: dict[str, str] = field(default_factory=dict)
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))
    user: User | None = None

    def call(self, method: str, path: str, data: Any = None, **headers: str) -> HttpResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = b"" if data is None else json.dumps(data).encode()
        return self.client.generic(
            method, f"/api/{path}", content, content_type="application/json", headers=self.headers | named
        )

    def get(self, path: str, **headers: str) -> HttpResponse:
        return self.call("GET", path, **headers)

    def post(self, path: str, data: Any = None, **headers: str) -> HttpResponse:
        return self.call("POST", path, {} if data is None else data, **headers)

    def patch(self, path: str, data: Any, **headers: str) -> HttpResponse:
        return self.call("PATCH", path, data, **headers)


def user(username: str, *, platform_role: str = "", **roles: str) -> User:
    """A person, with a role in each tenant named."""
    made = User.objects.create(
        username=username, platform_role=platform_role, is_staff=bool(platform_role), date_joined=NOW
    )
    for tenant_id, role in roles.items():
        make.tenant(tenant_id)
        with tenancy.tenant_scope(tenant_id), transactions.atomic():
            Membership.objects.create(
                tenant_id=tenant_id, user=made, role=role, created_at=NOW, updated_at=NOW
            )
    return made


def person(username: str, *, platform_role: str = "", **roles: str) -> Caller:
    """The browser of somebody who has logged in."""
    who = user(username, platform_role=platform_role, **roles)
    client = Client(raise_request_exception=False)
    client.force_login(who)
    return Caller(client=client, user=who)


def api_key(*scopes: str, tenant_id: str = make.TENANT, key_id: str | None = None) -> Caller:
    """A program with a key of a tenant, which it shows as a bearer token and nothing else."""
    make.tenant(tenant_id)
    with tenancy.tenant_scope(tenant_id), transactions.atomic():
        made = keys.create(
            tenant_id=tenant_id, scopes=sorted(scopes), key_id=key_id, expires_at=None, description="",
            actor=ACTOR, now=NOW,
        )  # fmt: skip
    return Caller(headers={"authorization": f"Bearer {made.token}"})


def organization(*members: tuple[User, str], name: str = "Guild") -> Organization:
    """An organization of people with their roles."""
    made = organizations.insert(Organization(name=name))
    for who, role in members:
        OrganizationMembership.objects.create(organization=made, user=who, role=role)
    return made


def organization_entity(of: Organization) -> BillableEntity:
    """The entity of an organization."""
    with tenancy.tenant_scope(of.tenant_id), transactions.atomic():
        return BillableEntity.objects.create(
            tenant_id=of.tenant_id,
            entity_type="organization",
            entity_ref=f"organization:{of.pk}",
            organization=of,
        )


def external_entity(tenant_id: str = make.TENANT, *, name: str = "crm:42", **more: Any) -> BillableEntity:
    """The entity of somebody outside whom a tenant registered."""
    make.tenant(tenant_id)
    with tenancy.tenant_scope(tenant_id), transactions.atomic():
        return BillableEntity.objects.create(
            tenant_id=tenant_id, entity_type="external", entity_ref=f"external:{name}", **more
        )


def grant(on: BillableEntity, principal_id: str, **more: Any) -> EntityGrant:
    """A person's grant on an external entity, unless told otherwise."""
    values = {"principal_type": "user", "principal_id": principal_id} | more
    with tenancy.tenant_scope(on.tenant_id), transactions.atomic():
        return EntityGrant.objects.create(tenant_id=on.tenant_id, billable_entity=on, **values)


def deactivate(entity: BillableEntity) -> None:
    """Make an entity one that may only be read."""
    with tenancy.tenant_scope(entity.tenant_id), transactions.atomic():
        BillableEntity.objects.filter(pk=entity.pk).update(status="inactive")
