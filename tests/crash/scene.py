"""A deployment with one web process that lives and others that are sent to die, and a tenant on it."""

import contextlib
import dataclasses
import http.client
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from moneyrails.services import checks, doubt, submission
from moneyrails.services.dispatch import SubmitFailed
from settld.closing.management.commands import bench_seed
from settld.core import clock, tenancy
from settld.core.principals import Actor
from settld.launcher import commands
from settld.launcher.ports import free_port
from settld.stripe_gateway.outcomes import ProviderInDoubt
from tests.support.deployment import Deployment
from tests.support.http import Answer, Server
from tests.support.servers import admin_connection, process_database

PERIOD = "2026-01"
PROVIDER = "stripe_sim"
ACCOUNT = "acct_crash"
CENTS = 12_500


class BrokenLine:
    """A rail on which nothing arrives and nobody knows."""

    def create_transfer(self, order: Any) -> Any:
        raise ProviderInDoubt({"message": "the line broke", "category": "network_error"})

    find_transfers = create_transfer


@dataclasses.dataclass
class Scene:
    """One tenant's payouts on that deployment."""

    deployment: Deployment
    server: Server
    tenant_id: str

    # --- Calls ---------------------------------------------------------------------------------
    def __call__(self, method: str, path: str, body: Any = None, *, key: str = "", expect: int = 200) -> Any:
        answer = self.send(method, path, body, key=key)
        assert answer.status == expect, (method, path, answer.status, answer.raw[:2000])
        return answer.json

    def send(self, method: str, path: str, body: Any = None, *, key: str = "") -> Answer:
        content = b"" if body is None else json.dumps(body).encode()
        return self.server.send(method, path, content=content, headers=self.headers(key))

    def headers(self, key: str) -> dict[str, str]:
        sent = {
            "x-proxy-ops-token": self.deployment.ops_token,
            "x-proxy-tenant-id": self.tenant_id,
            "content-type": "application/json",
        }
        return sent | ({"x-idempotency-key": key} if key else {})

    @contextlib.contextmanager
    def doomed(self, point: str) -> Iterator[Callable[..., None]]:
        """A web server whose worker dies at a point, and each worker that is started for it.

        Yields a POST that must get no answer.
        """
        port = free_port()
        self.deployment.lines["doomed"] = commands.web(host="127.0.0.1", port=port, workers=1)
        self.deployment.start("doomed", SETTLD_FAILPOINTS=f"{point}=kill")

        def dies(path: str, body: Any, *, key: str = "") -> None:
            self.deployment._await(f"http://127.0.0.1:{port}/healthz", "doomed")
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("POST", path, json.dumps(body), self.headers(key))
            with pytest.raises((http.client.HTTPException, ConnectionError)):
                connection.getresponse()
            connection.close()

        try:
            yield dies
        finally:
            self.deployment.kill("doomed")

    # --- The world before and after ----------------------------------------------------------------
    def closed_statement(self, party_id: str) -> None:
        """What a close of the month would leave for a party."""
        order = bench_seed.read(
            {
                "tenantId": self.tenant_id, "period": PERIOD, "payoutCents": CENTS, "partyRole": "operator",
                "items": [{"partyId": party_id, "period": PERIOD}],
            }
        )  # fmt: skip
        bench_seed.seed(order, now=clock.now())

    def enqueued(self, party_id: str) -> dict[str, Any]:
        """An initiated payout over the Stripe rail."""
        self.closed_statement(party_id)
        body = {"moneyRailProviderId": PROVIDER, "counterpartyRef": f"stripe_connect:{ACCOUNT}"}
        made = self("POST", f"/ops/payouts/{party_id}/{PERIOD}/enqueue", body, expect=201)
        return dict(made["moneyRailOperation"])

    def operation(self, operation: dict[str, Any]) -> dict[str, Any]:
        return dict(self("GET", operation_path(operation))["operation"])

    def transfers(self, operation: dict[str, Any]) -> list[dict[str, Any]]:
        """What Stripe has for an operation."""
        parts = urlsplit(self.deployment.simulator_url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        query = f"limit=100&transfer_group={quote(operation['idempotencyKey'], safe='')}"
        connection.request("GET", f"/v1/transfers?{query}", headers={"authorization": "Bearer sk_test_crash"})
        return list(json.loads(connection.getresponse().read())["data"])

    def account(self, **state: Any) -> None:
        """Make or change the account that payouts go to."""
        stripe = Server(self.deployment.simulator_url)
        content = json.dumps(state).encode()
        answer = stripe.send("POST", f"/_sim/accounts/{ACCOUNT}", content=content, headers={})
        assert answer.status == 200, answer.raw

    def left_in_doubt(self, operation: dict[str, Any]) -> None:
        """Submit over a line that breaks before Stripe hears of it."""
        with tenancy.tenant_scope(self.tenant_id), pytest.raises(SubmitFailed):
            submission.submit(
                tenant_id=self.tenant_id, provider_id=PROVIDER, operation_id=operation["operationId"],
                actor=Actor.system("crash_test"), now=clock.now(), rail=BrokenLine(),
            )  # fmt: skip

    def expire_leases(self, operation: dict[str, Any] | None = None) -> None:
        """Let the time pass that a dead process holds things for, for one operation or all."""
        which = operation["operationId"] if operation else "%"
        with admin_connection(process_database()) as connection:
            connection.execute(
                "UPDATE dispatch_attempt a SET next_check_at = now() - interval '1 s',"
                " lease_expires_at = CASE WHEN lease_expires_at IS NOT NULL THEN now() - interval '1 s' END"
                " FROM money_rail_operation o WHERE o.id = a.operation_id AND o.operation_id LIKE %s"
                " AND a.next_check_at IS NOT NULL",
                [which],
            )
            connection.execute(
                "UPDATE outbox_job SET lease_expires_at = now() - interval '1 s'"
                " WHERE lease_expires_at IS NOT NULL"
            )

    def let_the_provider_forget(self, operation: dict[str, Any]) -> None:
        """Move the first send back beyond the time for which the provider remembers its key."""
        self.expire_leases(operation)
        with admin_connection(process_database()) as connection:
            connection.execute(
                "UPDATE dispatch_attempt a SET first_sent_at = first_sent_at - interval '24 h'"
                " FROM money_rail_operation o WHERE o.id = a.operation_id AND o.operation_id = %s",
                [operation["operationId"]],
            )

    def tick(self, *, dies_at: str = "") -> None:
        """The worker's loops, once, in a process of their own."""
        done = self.deployment.manage(
            "moneyrails_tick", "--once", SETTLD_FAILPOINTS=f"{dies_at}=kill" if dies_at else ""
        )
        assert done.returncode == (-9 if dies_at else 0), (dies_at, done.returncode, done.stdout, done.stderr)

    def recover_here(self) -> dict[str, int]:
        """The dispatch recovery in this process, pointed at the deployment's Stripe."""
        return doubt.recover_due(now=clock.now())

    def eventually(self, is_so: Callable[[], bool], *, seconds: float = 150) -> None:
        """Wait for what other processes do in their own time."""
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline, "it never came to be"
            time.sleep(0.1)

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with admin_connection(process_database()) as connection:
            return connection.execute(query, parameters).fetchall()

    def is_whole(self, operation: dict[str, Any]) -> None:
        """One transfer, one movement, one audit, one counted exposure; confirmed, it reconciles.

        A tick drains Stripe's inbox too, so the signed event may have confirmed it already.
        """
        fresh = self.operation(operation)
        transfers = self.transfers(operation)
        assert [one["amount"] for one in transfers] == [CENTS], (fresh, transfers)
        assert fresh["state"] in ("submitted", "confirmed")
        assert fresh["providerRef"] == transfers[0]["id"]
        audits = self.rows(
            "SELECT count(*) FROM ops_audit WHERE action = 'MONEY_RAIL_OPERATION_SUBMITTED'"
            " AND target_id = %s",
            operation["operationId"],
        )
        movements = self.rows(
            "SELECT m.kind, m.provider_ref FROM movement m"
            " JOIN money_rail_operation o ON o.id = m.operation_id WHERE o.operation_id = %s",
            operation["operationId"],
        )
        assert (audits, movements) == ([(1,)], [("transfer", transfers[0]["id"])])

    def confirm(self, operation: dict[str, Any]) -> None:
        if self.operation(operation)["state"] == "confirmed":
            return
        news = {"operationId": operation["operationId"], "eventType": "confirmed", "eventId": "evt_done"}
        assert self("POST", f"/ops/money-rails/{PROVIDER}/events/ingest", news)["applied"] is True

    def agrees(self) -> None:
        """Books, provider and counters say the same."""
        path = f"/ops/finance/money-rails/reconcile?period={PERIOD}&providerId={PROVIDER}"
        report = self("GET", path)
        assert report["status"] == "pass", report["mismatches"]
        assert checks.check_tenant(self.tenant_id) == []


def operation_path(operation: dict[str, Any]) -> str:
    return f"/ops/money-rails/{operation['providerId']}/operations/{quote(operation['operationId'], safe='')}"
