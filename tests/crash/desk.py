"""One tenant, its callers and a Stripe, for stories in which a process dies; our clock moves when told."""

import dataclasses
import datetime as dt
import json
from typing import Any
from urllib.parse import quote

from moneyrails.services import checks, controls
from settld.core import tenancy
from settld.stripe_gateway.services import inbox
from tests.stripe_gateway.signing import SECRET, signed
from tests.support import factories
from tests.support.api import Api, body
from tests.support.employees import employ
from tests.support.servers import admin_connection, process_database
from tests.support.simulator import Simulator

PLAN = "/ops/finance/billing/plan"
PERIOD = "2026-01"
PAST_EVERY_LEASE = dt.timedelta(seconds=130)


@dataclasses.dataclass
class Desk:
    """What stories use; `move` sets the clock."""

    api: Api
    stripe: Simulator
    move: Any
    now: dt.datetime = factories.NOW

    @property
    def tenant_id(self) -> str:
        return self.api.tenant_id

    def waits(self, time: dt.timedelta = PAST_EVERY_LEASE) -> None:
        """Let the time pass that the dead held things for."""
        self.now += time
        self.move(self.now)

    def does(self, method: str, path: str, sent: Any = None, *, key: str = "", by: Api | None = None) -> Any:
        """Call and give the JSON of a 2xx."""
        answer = (by or self.api).call(method, path, {} if sent is None else sent, key=key or None)
        assert 200 <= answer.status_code < 300, (method, path, answer.status_code, answer.content[:2000])
        return body(answer)

    def rules(self, **rules: Any) -> None:
        with tenancy.tenant_scope(self.tenant_id):
            controls.replace(tenant_id=self.tenant_id, payload=rules, now=self.now)

    def closed(self, party: str, cents: int = 10_000) -> None:
        with tenancy.tenant_scope(self.tenant_id):
            factories.closed(party, PERIOD, cents)

    def payout(self, party: str = "p1", provider: str = "stripe_sim") -> dict[str, Any]:
        """An initiated payout."""
        self.closed(party)
        path = f"/ops/payouts/{party}/{PERIOD}/enqueue"
        return dict(self.does("POST", path, wish(provider))["moneyRailOperation"])

    def tell(self, operation: dict[str, Any], *event_types: str) -> None:
        for event_type in event_types:
            news = {
                "operationId": operation["operationId"],
                "eventType": event_type,
                "eventId": f"e_{event_type}",
            }
            self.does("POST", f"/ops/money-rails/{operation['providerId']}/events/ingest", news)

    def state(self, operation: dict[str, Any]) -> str:
        return str(self.does("GET", path_of(operation))["operation"]["state"])

    def person(self, name: str) -> Api:
        """Somebody with a key that they made themselves."""
        made = employ(name, [self.tenant_id], now=self.now)
        return KeyApi(self.tenant_id, made[self.tenant_id])

    def hears(self, event: dict[str, Any]) -> None:
        """Take one of Stripe's events in; nobody has worked on it yet."""
        payload = json.dumps(event).encode()
        trust = inbox.Trust(secrets=(SECRET,), is_live=False)
        inbox.receive(payload=payload, signature=signed(payload, at=self.now), trust=trust, now=self.now)

    def event(self, event_type: str) -> dict[str, Any]:
        """The newest event of a type that the provider has."""
        return dict(self.stripe.get("/v1/events", type=event_type, limit=1)["data"][0])

    def transfers(self) -> int:
        return len(self.stripe.transfers())

    def count(self, table: str, where: str = "true") -> int:
        with admin_connection(process_database()) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0])

    def is_paid_once(self, operation: dict[str, Any]) -> None:
        """One transfer, movement and audit; books, provider and counters agree."""
        assert self.state(operation) in ("submitted", "confirmed")
        [transfer] = self.stripe.transfers()
        assert transfer["amount"] == operation["amountCents"]
        named = f"provider_ref = '{transfer['id']}' AND kind = 'transfer'"
        assert self.count("movement", named) == self.count("movement") == 1
        assert self.count("ops_audit", "action = 'MONEY_RAIL_OPERATION_SUBMITTED'") == 1
        assert self.count("dispatch_attempt", "status IN ('dispatching', 'in_doubt', 'indeterminate')") == 0
        if self.state(operation) == "submitted":
            self.tell(operation, "confirmed")
        report = self.does("GET", f"/ops/finance/money-rails/reconcile?period={PERIOD}&providerId=stripe_sim")
        assert report["status"] == "pass", report["mismatches"]

    def keeps_its_sums(self) -> None:
        assert checks.check_tenant(self.tenant_id) == []
        assert self.does("GET", "/ops/audit/verify")["ok"] is True


class KeyApi(Api):
    """A caller with an API key."""

    def call(self, *args: Any, headers: dict[str, str] | None = None, **options: Any) -> Any:
        own = {"x-proxy-api-key": self.token, "x-proxy-ops-token": ""}
        return super().call(*args, headers=own | (headers or {}), **options)


def wish(provider: str) -> dict[str, Any]:
    sent = {"moneyRailProviderId": provider}
    return sent | ({"counterpartyRef": factories.CONNECTED} if provider == "stripe_sim" else {})


def path_of(operation: dict[str, Any]) -> str:
    return f"/ops/money-rails/{operation['providerId']}/operations/{quote(operation['operationId'], safe='')}"
