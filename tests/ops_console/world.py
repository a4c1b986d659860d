"""A small tenant to look at: made over the API, seen by people with roles."""

import dataclasses
from typing import Any
from urllib.parse import quote

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from settld.closing.services import worker
from settld.core import clock, tenancy
from settld.core.principals import Actor
from settld.tenants.models import User
from settld.tenants.services import memberships, tenants
from tests.support.api import Api, body

PERIOD = "2026-01"
PASSWORD = "correct horse battery"
WAYS = {
    "initiated": (),
    "submitted": ("submit",),
    "confirmed": ("submit", "confirmed"),
    "failed": ("submit", "failed"),
    "reversed": ("submit", "confirmed", "reversed"),
    "cancelled": ("cancel",),
}


@dataclasses.dataclass
class World:
    """One tenant."""

    api: Api
    closed: set[str] = dataclasses.field(default_factory=set)

    @property
    def tenant_id(self) -> str:
        return self.api.tenant_id

    def close(self, period: str = PERIOD) -> None:
        """Close a month."""
        if period not in self.closed:
            assert self.api.post("/ops/month-close", {"month": period}).status_code == 202
            worker.close_requested(tenant_id=self.tenant_id)
            self.closed.add(period)

    def statement(self, party: str, *, cents: int = 10_000, period: str = PERIOD, **more: Any) -> None:
        """Owe a party something for a closed month."""
        self.close(period)
        sent = {"partyRole": "operator", "payoutCents": cents} | more
        answer = self.api.put(f"/ops/party-statements/{quote(party, safe='')}/{period}", sent)
        assert answer.status_code == 200, answer.content

    def payout(
        self, party: str, *, cents: int = 10_000, period: str = PERIOD, state: str = "initiated", **sent: Any
    ) -> dict[str, Any]:
        """Make a payout and bring it into a state; gives the API's operation."""
        self.statement(party, cents=cents, period=period)
        answer = self.api.post(f"/ops/payouts/{quote(party, safe='')}/{period}/enqueue", sent)
        assert answer.status_code == 201, answer.content
        operation = body(answer)["moneyRailOperation"]
        for step in WAYS[state]:
            self.take(operation, step)
        return self.read(operation)

    def take(self, operation: dict[str, Any], step: str) -> None:
        """Do one thing to a payout."""
        base = f"/ops/money-rails/{operation['providerId']}"
        if step in ("submit", "cancel"):
            path = f"{base}/operations/{quote(operation['operationId'], safe=':')}/{step}"
            answer = self.api.post(path, {})
        else:
            event = {"operationId": operation["operationId"], "eventType": step, "eventId": f"evt_{step}"}
            answer = self.api.post(f"{base}/events/ingest", event)
        assert answer.status_code == 200, answer.content

    def read(self, operation: dict[str, Any]) -> dict[str, Any]:
        """Give a payout as the API shows it now."""
        operation_id = quote(operation["operationId"], safe=":")
        path = f"/ops/money-rails/{operation['providerId']}/operations/{operation_id}"
        fresh: dict[str, Any] = body(self.api.get(path))["operation"]
        return fresh

    def controls(self, **controls: Any) -> None:
        """Set the tenant's money-rail controls."""
        assert self.api.put("/ops/finance/billing/plan", {"moneyRails": controls}).status_code == 200

    def person(self, role: str, *, name: str = "") -> Client:
        """Log somebody in who has a role here."""
        return login(make_person(name or role, {self.tenant_id: role}))


def make_person(name: str, roles: dict[str, str], *, platform_role: str = "") -> User:
    """Make somebody with a role in each of some tenants."""
    now = clock.now()
    user = User.objects.create_user(username=name, password=PASSWORD, platform_role=platform_role)
    for tenant_id, role in roles.items():
        tenants.ensure(tenant_id=tenant_id, source="tests", now=now)
        memberships.upsert(tenant_id=tenant_id, user=user, role=role, actor=Actor.system("tests"), now=now)
    return user


def login(user: User) -> Client:
    """Give a browser without scripts in which somebody is logged in."""
    client = Client(raise_request_exception=False)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def queries_of(client: Client, address: str) -> int:
    """Count the queries of one page, without the scope that a test's own transaction has to announce."""
    client.get(address)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return sum("set_config" not in query["sql"] for query in captured.captured_queries)


def page_of(operation: dict[str, Any]) -> str:
    """Name the console's page of a payout."""
    return f"/console/payouts/{operation['providerId']}/{quote(operation['operationId'], safe=':')}"


def count_rows(model: Any, tenant_id: str, **filters: Any) -> int:
    """Count a tenant's rows."""
    with tenancy.tenant_scope(tenant_id):
        return int(model.objects.filter(tenant_id=tenant_id, **filters).count())
