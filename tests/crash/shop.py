"""One tenant that buys plans, and a Stripe, for stories of checkout billing in which a process dies."""

import dataclasses
import datetime as dt
import json
from typing import Any

from billing.models import BillableEntity
from settld.core import clock
from settld.core.errors import Refusal
from settld.stripe_gateway.services import inbox
from tests.billing import factories as make
from tests.billing.conftest import WEBHOOK_SECRET
from tests.stripe_gateway.signing import signed
from tests.support.api import Api
from tests.support.servers import admin_connection, process_database
from tests.support.simulator import Simulator

BODY = {"planCode": "pro", "successPath": "/done", "cancelPath": "/back"}
CHECKOUT = "/api/billing/checkout"
PAST_EVERY_LEASE = dt.timedelta(seconds=200)  # requests 120 s, events 120 s, outbox 60 s, runs 180 s
NOW = dt.datetime(2026, 3, 2, 8, tzinfo=dt.UTC)


@dataclasses.dataclass
class Shop:
    """What stories use; `wait` sets both clocks."""

    api: Api
    stripe: Simulator
    move: Any
    now: dt.datetime = NOW

    def __post_init__(self) -> None:
        self.wait(dt.timedelta(0))
        price = self.stripe.price(unit_amount=4_900)
        self.plan = make.plan(price_id=price["id"])
        self.entity: BillableEntity = make.workspace_entity(self.api.tenant_id)

    def wait(self, time: dt.timedelta = PAST_EVERY_LEASE) -> None:
        """Let the time pass that the dead held things for."""
        self.now += time
        self.move(self.now)
        self.stripe.control("/_sim/clock", {"now": int(self.now.timestamp())})

    def asks(self, path: str, sent: Any, *, key: str = "") -> tuple[int, Any]:
        """Call our API; the status and the JSON of the answer."""
        headers = {"Idempotency-Key": key} if key else {}
        answer = self.api.call("POST", path, sent, headers=headers)
        return answer.status_code, json.loads(answer.content)

    def checkout(self, key: str = "key-1") -> tuple[int, Any]:
        return self.asks(CHECKOUT, BODY, key=key)

    def sessions(self, **filters: Any) -> list[dict[str, Any]]:
        return list(self.stripe.get("/v1/checkout/sessions", limit=100, **filters)["data"])

    def pays(self) -> dict[str, Any]:
        """A person pays on the only open page."""
        (session,) = self.sessions(status="open")
        return dict(self.stripe.control(f"/_sim/checkout/sessions/{session['id']}/pay", {}))

    def buys(self) -> None:
        """A checkout that was paid; nobody has told us."""
        assert self.checkout("key-0")[0] == 200
        self.pays()

    def events(self, event_type: str = "") -> list[dict[str, Any]]:
        """The provider's events, the oldest first."""
        wanted = {"type": event_type} if event_type else {}
        return list(self.stripe.get("/v1/events", limit=100, **wanted)["data"])[::-1]

    def hears(self, *events: dict[str, Any]) -> None:
        """Take events in at our door, in this order; a refusal is what the provider gets, and goes on."""
        trust = inbox.Trust(secrets=(WEBHOOK_SECRET,), is_live=False)
        for event in events:
            payload = json.dumps(event).encode()
            seal = signed(payload, at=self.now, secret=WEBHOOK_SECRET)
            try:
                inbox.receive(payload=payload, signature=seal, trust=trust, now=clock.now())
            except Refusal as refusal:
                print("refused", event["type"], refusal.code)

    def count(self, table: str, where: str = "true") -> int:
        with admin_connection(process_database()) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0])

    def breaks(self, kind: str, **rule: Any) -> None:
        """Let the calls that create something go wrong until they are mended."""
        self.stripe.fault(kind, times=None, delay_ms=0, **rule)

    def mends(self) -> None:
        from settld.stripe_gateway import circuit

        self.stripe.control("/_sim/faults", {}, method="DELETE")
        circuit.for_address(self.stripe.url).record_answer()
