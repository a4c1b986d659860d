"""What the acceptance journeys share: one deployment, a tenant for each test, hands to induce failures."""

import dataclasses
import datetime as dt
import hashlib
import hmac
import json
import time
from typing import Any

from settld.core import ids
from tests.journeys.conftest import Client, eventually, operation_path
from tests.support.deployment import Deployment
from tests.support.http import Answer, Server
from tests.support.servers import admin_connection, process_database

PLAN = "/ops/finance/billing/plan"
ACCOUNT = "acct_alpha"
SIGNING_SECRET = "whsec_alpha_rail"
PROVIDERS = [
    {"providerId": "stub_default", "mode": "sandbox"},
    {"providerId": "stub_signed", "mode": "sandbox", "webhookSecret": SIGNING_SECRET},
    {"providerId": "stripe_sim", "mode": "production"},
    {"providerId": "bank_wire", "mode": "production"},
]
SETTINGS = {"PROXY_MONEY_RAIL_PROVIDERS": json.dumps(PROVIDERS)}
REAL = {"realMoneyEnabled": True}
WISHES = {"stripe_sim": {"counterpartyRef": f"stripe_connect:{ACCOUNT}"}}


@dataclasses.dataclass
class Stripe:
    """A look at the provider, and the provider's own doings."""

    server: Server

    def control(self, path: str, body: Any) -> Any:
        answer = self.server.send("POST", f"/_sim/{path}", content=json.dumps(body).encode(), headers={})
        assert answer.status == 200, answer.raw
        return answer.json

    def transfers(self, tenant_id: str) -> list[dict[str, Any]]:
        """What was paid for a tenant."""
        headers = {"authorization": "Bearer sk_test_alpha"}
        rows = self.server.send("GET", "/v1/transfers?limit=100", headers=headers).json["data"]
        return [row for row in rows if row["metadata"].get("settld_tenant_id") == tenant_id]


class Tenant(Client):
    """One tenant's caller with the words of the acceptance list."""

    deployment: Deployment

    def rules(self, **rules: Any) -> None:
        self("PUT", PLAN, {"moneyRails": rules})

    def close(self, period: str, **owed: int) -> None:
        """State what parties are owed for a month, and close it."""
        for party, cents in owed.items():
            statement = {"partyRole": "operator", "payoutCents": cents}
            self("PUT", f"/ops/party-statements/{party}/{period}", statement)
        self("POST", "/ops/month-close", {"month": period}, expect=202)
        path = f"/ops/month-close?month={period}"
        eventually(lambda: self("GET", path).json["monthClose"]["status"], lambda status: status == "CLOSED")

    def ask(self, party: str, period: str, provider: str = "stub_default", **options: Any) -> Answer:
        """Ask for a payout."""
        wish = {"moneyRailProviderId": provider} | WISHES.get(provider, {})
        return self("POST", f"/ops/payouts/{party}/{period}/enqueue", wish, **options)

    def enqueue(self, party: str, period: str, provider: str = "stub_default") -> dict[str, Any]:
        return dict(self.ask(party, period, provider, expect=201).json["moneyRailOperation"])

    def refuses(self, party: str, period: str, provider: str, code: str) -> dict[str, Any]:
        answer = self.ask(party, period, provider, expect=409)
        assert answer.json["code"] == code, answer.json
        return dict(answer.json["details"])

    def submit(self, operation: dict[str, Any], **options: Any) -> Answer:
        return self("POST", f"{operation_path(operation)}/submit", {}, **options)

    def tell(self, operation: dict[str, Any], *event_types: str) -> dict[str, Any]:
        """Have the provider report."""
        for event_type in event_types:
            news = {
                "operationId": operation["operationId"],
                "eventType": event_type,
                "eventId": f"e_{event_type}",
            }
            self("POST", f"/ops/money-rails/{operation['providerId']}/events/ingest", news)
        return self.operation(operation)

    def pay(self, party: str, period: str, provider: str = "stub_default") -> dict[str, Any]:
        """Enqueue, submit, confirm; over Stripe the confirmation comes by its signed event."""
        operation = self.enqueue(party, period, provider)
        self.submit(operation)
        if provider == "stripe_sim":
            return dict(self.await_state(operation, "confirmed"))
        return self.tell(operation, "confirmed")

    def groups(self, period: str, provider: str = "stub_default") -> dict[str, list[str]]:
        """Name the mismatches of a month by group; groups without any are left out."""
        report = self.reconcile(period, provider)
        found = report["mismatches"].items()
        return {group: [row["operationId"] for row in rows] for group, rows in found if rows}

    def debt(self, party: str, provider: str = "stripe_sim") -> dict[str, Any]:
        """Give a party's exposure."""
        path = f"/ops/finance/money-rails/chargebacks?providerId={provider}&partyId={party}"
        [row] = self("GET", path).json["parties"]
        return dict(row)

    def audits(self, action: str) -> list[dict[str, Any]]:
        rows = self("GET", "/ops/audit?limit=1000").json["audit"]
        return [row for row in rows if row["action"] == action]

    def periods(self) -> list[str]:
        query = "SELECT DISTINCT period FROM party_statement WHERE tenant_id = %s ORDER BY 1"
        with admin_connection(process_database()) as connection:
            return [row[0] for row in connection.execute(query, [self.tenant_id]).fetchall()]


def signature(raw: bytes, *, at: float | None = None, secret: str = SIGNING_SECRET) -> str:
    """Sign as a provider signs."""
    stamp = int(time.time() if at is None else at)
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + raw, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


# --- Failures that no route of the product can bring about ------------------------------------------
def spoil(query: str, *parameters: Any) -> None:
    """Write past every guard of the database, as a failing disk or a careless hand would."""
    with admin_connection(process_database()) as connection, connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        assert connection.execute(query, parameters).rowcount == 1, query


def spoil_copy(table: str, where: str, name: str, **changed: Any) -> None:
    """Add a row that is like another."""
    changes = json.dumps({"id": str(ids.uuid7())} | changed)
    spoil(
        f"INSERT INTO {table} SELECT (jsonb_populate_record(original, %s::jsonb)).* "
        f"FROM {table} original WHERE {where} = %s",
        changes,
        name,
    )


def let_time_pass(operation: dict[str, Any], minutes: int) -> None:
    """Move a send back by some minutes; whoever held it is gone."""
    spoil(
        "UPDATE dispatch_attempt a SET first_sent_at = first_sent_at - %s, lease_expires_at = now() - "
        "interval '1 second', next_check_at = now() - interval '1 second' "
        "FROM money_rail_operation o WHERE o.id = a.operation_id AND o.operation_id = %s",
        dt.timedelta(minutes=minutes),
        operation["operationId"],
    )
