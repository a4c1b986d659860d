"""One deployment in one process: the real simulator by function call, a virtual clock, and the way back."""

import contextlib
import dataclasses
import datetime as dt
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import SplitResult, unquote, urlencode

from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client

from billing.models import BillableEntity, Plan, PlanPrice
from billing.providers.errors import ProviderProblem
from billing.services import transactions
from settld.core import clock, failpoints
from settld.core.errors import Refusal
from settld.stripe_gateway import calls, circuit, client, skew
from settld.stripe_gateway.circuit import ProcessMemory
from settld.stripe_gateway.services import inbox
from settld.stripe_gateway.transport import Answer, Transport
from settld.stripe_simulator import api, timers
from settld.stripe_simulator.control import door
from settld.stripe_simulator.store import Selection
from settld.stripe_simulator.webhooks.signing import signature_header
from settld.stripe_simulator.wire import Answer as Answered
from settld.stripe_simulator.wire import Request
from settld.stripe_simulator.world import Settings, World
from tests.billing import factories as make
from tests.billing.conftest import WEBHOOK_SECRET

TENANT = "tenant_a"
TOKEN = "tok_exploration"
# Our clock is a fraction ahead of the provider's, which knows whole seconds only: a time of ours that strays
# into a watermark shows (INV-31).
START = dt.datetime(2026, 3, 2, 8, 0, 0, 437_000, tzinfo=dt.UTC)
KEPT_IN_MEMORY = ("_counters", "_moved")


class Death(BaseException):
    """The process ends here; nothing of ours catches it."""


@dataclasses.dataclass
class Lost:
    """How many of the next calls are lost on the way to the provider, or their answers on the way back."""

    before: int = 0
    after: int = 0


class Stage:
    """Where a story plays. Everything between `branch()` and its end is undone."""

    def __init__(self, *, folder: Path, seed: int, move: Any) -> None:
        self.world = World(directory=folder, seed=seed, settings=Settings())
        self.world.base_url = "http://127.0.0.1:1"
        self.world.store.execute("BEGIN")
        self.now = START
        self._move = move
        self.circuit = ProcessMemory()
        self.dies_at: str | None = None
        self._meanwhile: dict[str, Callable[[], object]] = {}
        self.lost = Lost()
        self.calls: list[str] = []
        self.http = Client(raise_request_exception=False)
        self._level = 0
        self._told: set[str] = set()
        self._tell_the_time()
        self.plan, self.other_plan = self._sell("pro", 4_900), self._sell("team", 9_900)
        self.tenant = TENANT
        self.entity: BillableEntity = make.workspace_entity(TENANT)

    def _sell(self, code: str, amount: int) -> Plan:
        price = self.stripe("POST", "/v1/prices", {
            "currency": "usd", "unit_amount": str(amount), "recurring[interval]": "month",
            "product_data[name]": code,
        })  # fmt: skip
        plan = Plan.objects.create(code=code, plan_family_code=code, name=code)
        PlanPrice.objects.create(
            plan=plan, provider_price_id=price["id"], currency="USD", unit_amount_minor=amount
        )
        return plan

    def begin_elsewhere(self, tenant_id: str) -> None:
        """Go on with another tenant, who has nothing yet."""
        self.tenant, self.entity = tenant_id, make.workspace_entity(tenant_id)
        self.new_events()

    # --- Time and the way back ---------------------------------------------------------------------------
    def pass_by(self, seconds: float) -> None:
        """Let time pass for everybody."""
        self.now += dt.timedelta(seconds=seconds)
        self._tell_the_time()
        if seconds:
            with self.world.transaction():
                timers.run_due(self.world)

    def _tell_the_time(self) -> None:
        self._move(self.now)
        self.world.clock.freeze(int(self.now.timestamp()))

    @contextlib.contextmanager
    def branch(self) -> Iterator[None]:
        """Undo, at the end of the block, all that happened in it, here and at the provider."""
        store, mark, faults = self.world.store, f"branch_{self._level}", self.world.faults
        kept = {name: type(getattr(store, name))(getattr(store, name)) for name in KEPT_IN_MEMORY}
        then, lost, calls_made = self.now, dataclasses.replace(self.lost), len(self.calls)
        told, rules = set(self._told), list(faults.rules)
        self._level += 1
        store.execute(f"SAVEPOINT {mark}")
        savepoint = transaction.savepoint()
        try:
            yield
        finally:
            transaction.savepoint_rollback(savepoint)
            store.execute(f"ROLLBACK TO {mark}")
            store.execute(f"RELEASE {mark}")
            self._level -= 1
            for name, value in kept.items():
                setattr(store, name, value)
            self.now, self.lost, self.dies_at = then, lost, None
            self._told, faults.rules = told, rules
            del self.calls[calls_made:]
            self.circuit.until.clear()
            self.circuit.failures.clear()
            skew.forget()
            self._tell_the_time()

    def settle(self) -> None:
        """Have the database judge what it judges at a commit, and forget what one transaction remembers."""
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            cursor.execute(
                "SELECT set_config('billing.locked_entity', '', true), set_config('billing.writer', '', true)"
            )

    @contextlib.contextmanager
    def dying_at(self, point: str) -> Iterator[None]:
        """Let the work in the block end at a failpoint, as a killed process would."""
        self.dies_at = point
        try:
            yield
        except Death:
            pass
        finally:
            self.dies_at = None

    @contextlib.contextmanager
    def meanwhile(self, point: str, act: Callable[[], object]) -> Iterator[None]:
        """Let something else happen as soon as the work in the block comes by a failpoint."""
        self._meanwhile[point] = act
        try:
            yield
        finally:
            self._meanwhile.pop(point, None)

    def visit(self, point: str) -> None:
        """Come by a failpoint."""
        if act := self._meanwhile.pop(point, None):
            act()
        if point == self.dies_at:
            raise Death(point)

    # --- The provider ------------------------------------------------------------------------------------
    def exchange(self, method: str, url: SplitResult, headers: dict[str, str], body: str | None) -> Answer:
        """Stand in for the socket."""
        path = unquote(url.path)
        self.calls.append(f"{method} {path}")
        if self.lost.before:
            self.lost.before -= 1
            raise ConnectionResetError("lost on the way there")
        outcome = api.answer(self.world, self._request(method, path, url.query, headers, body or ""))
        if self.lost.after:
            self.lost.after -= 1
            raise ConnectionResetError("lost on the way back")
        if not isinstance(outcome, Answered):
            raise ConnectionResetError("reset by peer")
        date = dt.datetime.fromtimestamp(self.world.clock.now(), dt.UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        return Answer(outcome.status, {"Date": date} | outcome.headers, outcome.body)

    def _request(self, method: str, path: str, query: str, headers: dict[str, str], body: str) -> Request:
        return Request(
            method=method,
            path=path,
            query=query,
            headers={name.lower(): value for name, value in headers.items()},
            body=body.encode(),
        )

    def stripe(self, method: str, path: str, form: dict[str, str] | None = None) -> Any:
        """Call the provider's API as somebody else with a key would."""
        headers = {"authorization": "Bearer sk_test_somebody"}
        outcome = api.answer(self.world, self._request(method, path, "", headers, urlencode(form or {})))
        assert isinstance(outcome, Answered), outcome
        body = json.loads(outcome.body)
        assert outcome.status == 200, body
        return body

    def control(self, method: str, path: str, /, **body: Any) -> Any:
        """Use the simulator's control door."""
        answer = door.answer(self.world, self._request(method, path, "", {}, json.dumps(body)))
        found = json.loads(answer.body)
        assert answer.status == 200, (path, found)
        return found

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """Everything of a kind that the provider has, the oldest first."""
        return self.world.store.select(Selection(kind=kind), limit=10_000)[::-1]

    def events(self, *types: str) -> list[dict[str, Any]]:
        """The provider's events of these types, or all, the oldest first."""
        return [event for event in self.objects("event") if not types or event["type"] in types]

    def new_events(self) -> list[dict[str, Any]]:
        """What happened at the provider since this was last asked."""
        found = [event for event in self.events() if event["id"] not in self._told]
        self._told |= {event["id"] for event in found}
        return found

    # --- Our doors ---------------------------------------------------------------------------------------
    def call(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> HttpResponse:
        """Call our API as the tenant's machine."""
        headers = {"x-proxy-tenant-id": self.tenant, "x-proxy-ops-token": TOKEN}
        if key is not None:
            headers["Idempotency-Key"] = key
        content = b"" if body is None else json.dumps(body).encode()
        answer = self.http.generic(method, path, content, content_type="application/json", headers=headers)
        self.settle()
        return answer

    def deliver(self, event: dict[str, Any]) -> int:
        """Give a signed event to our inbox, as the intake does; the status that the provider would get.

        What the intake would answer with 500 is raised: nothing of that kind may happen.
        """
        payload = json.dumps(event).encode()
        seal = signature_header(payload=payload, secret=WEBHOOK_SECRET, timestamp=int(self.now.timestamp()))
        trust = inbox.Trust(secrets=(WEBHOOK_SECRET,), is_live=False)
        try:
            inbox.receive(payload=payload, signature=seal, trust=trust, now=self.now)
        except Refusal as refusal:
            return refusal.status
        except ProviderProblem:
            return 503
        finally:
            if self.dies_at is None:
                self.settle()
        return 200


@contextlib.contextmanager
def staged(*, folder: Path, settings: Any, seed: int = 1) -> Iterator[Stage]:
    """Set a stage up inside a test's own transaction."""
    settings.OPS_TOKENS = {TOKEN: frozenset({"ops_write", "finance_write"})}
    with clock.freeze(START) as move:
        stage = Stage(folder=folder, seed=seed, move=move)

        class Wire(Transport):
            def _exchange(
                self, method: str, url: SplitResult, headers: dict[str, str], body: str | None
            ) -> Answer:
                return stage.exchange(method, url, headers, body)

        changed = [
            (client, "Transport", Wire),
            (calls, "pause", lambda _seconds: None),
            (calls, "random", Random(seed)),
            (circuit, "_memory", lambda _url: stage.circuit),
            (transactions, "pause", lambda _seconds: None),
        ]
        before = [(module, name, getattr(module, name)) for module, name, _ in changed]
        for module, name, value in changed:
            setattr(module, name, value)
        client._connect.cache_clear()
        silence = logging.root.manager.disable
        logging.disable(logging.CRITICAL)  # thousands of stories say nothing that a test looks at
        try:
            with failpoints.watched(stage.visit):
                yield stage
        finally:
            logging.disable(silence)
            for module, name, value in before:
                setattr(module, name, value)
            client._connect.cache_clear()
            stage.world.store.execute("ROLLBACK")
            stage.world.store.close()
