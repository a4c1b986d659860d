"""Stories of one payout: made, sent, told about, called off, found out, settled by a person."""

import datetime as dt
from typing import Any

from moneyrails.services import doubt
from settld.core import clock
from settld.stripe_gateway import circuit
from settld.stripe_gateway.services import consumption
from tests.crash.desk import PERIOD, Desk, path_of, wish

DAY = dt.timedelta(hours=24)
UNKNOWN = "/ops/money-rails/unknown-outcomes"


class Story:
    """`begin`, then `act` dies; `effects` counts what happened; `again` is the caller, or the next tick."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.begin()

    def begin(self) -> None:
        raise NotImplementedError

    def act(self) -> Any:
        raise NotImplementedError

    def again(self) -> Any:
        return self.act()

    def effects(self) -> int:
        raise NotImplementedError

    def is_whole(self) -> None:
        """What must be true besides the one effect."""


class Enqueue(Story):
    def begin(self) -> None:
        self.desk.closed("p1")

    def act(self) -> Any:
        path = f"/ops/payouts/p1/{PERIOD}/enqueue"
        self.made = self.desk.does("POST", path, wish("stripe_sim"), key="e1")
        return self.made

    def effects(self) -> int:
        traces = ("money_rail_operation", "payout_outcome", "exposure_counter")
        [count] = {self.desk.count(table) for table in traces}
        assert self.desk.count("ops_audit", "action = 'PAYOUT_ENQUEUED'") == count
        return count

    def is_whole(self) -> None:
        operation = self.made["moneyRailOperation"]
        self.desk.does("POST", f"{path_of(operation)}/submit")
        self.desk.is_paid_once(operation)


class Submit(Story):
    def begin(self) -> None:
        self.operation = self.desk.payout()

    def act(self) -> Any:
        return self.desk.does("POST", f"{path_of(self.operation)}/submit", {}, key="s1")

    def effects(self) -> int:
        return self.desk.transfers()

    def is_whole(self) -> None:
        self.desk.is_paid_once(self.operation)


class RefusedSubmit(Submit):
    """The provider said no: written down, the next attempt may go; not written down, a person must look."""

    def begin(self) -> None:
        super().begin()
        self.desk.stripe.account("acct_party1", preset="restricted")

    def effects(self) -> int:
        return self.desk.count("dispatch_attempt", "status IN ('rejected', 'not_sent')")

    def again(self) -> Any:
        desk = self.desk
        desk.stripe.account("acct_party1", preset="verified")
        if not self.effects():
            answer = desk.api.post(f"{path_of(self.operation)}/submit", {}, key="s1")
            assert answer.status_code == 502, answer.content  # the provider repeats its first answer
            _settle_as_not_sent(desk, self.operation)
        self.act()


class Recovery(Submit):
    """A worker finds out what became of a send whose answer was lost before it arrived."""

    def begin(self) -> None:
        super().begin()
        _breaks(self.desk, self.operation, "reset_before")
        self.desk.waits()

    def act(self) -> Any:
        return doubt.recover_due(now=clock.now())


class Ingest(Story):
    def begin(self) -> None:
        self.operation = self.desk.payout(provider="stub_default")
        self.desk.tell(self.operation, "submitted")

    def act(self) -> Any:
        news = {"operationId": self.operation["operationId"], "eventType": "confirmed", "eventId": "evt_1"}
        return self.desk.does("POST", "/ops/money-rails/stub_default/events/ingest", news, key="i1")

    def effects(self) -> int:
        events = self.desk.count("provider_event", "event_id = 'evt_1' AND outcome = 'applied'")
        assert (self.desk.state(self.operation) == "confirmed") == bool(events)
        return events


class RefusedIngest(Ingest):
    """What comes too early is kept, refused, and applied when its turn has come."""

    def begin(self) -> None:
        self.operation = self.desk.payout(provider="stub_default")

    def act(self) -> Any:
        news = {"operationId": self.operation["operationId"], "eventType": "confirmed", "eventId": "evt_1"}
        answer = self.desk.api.post("/ops/money-rails/stub_default/events/ingest", news)
        assert answer.status_code == 409
        return answer

    def effects(self) -> int:
        return self.desk.count("provider_event", "event_id = 'evt_1' AND outcome = 'rejected'")

    def is_whole(self) -> None:
        self.desk.tell(self.operation, "submitted")
        Ingest.act(self)
        assert self.desk.state(self.operation) == "confirmed"


class Consume(Submit):
    """A worker takes the provider's own word for a transfer."""

    def begin(self) -> None:
        super().begin()
        super().act()
        self.desk.hears(self.desk.event("transfer.created"))

    def act(self) -> Any:
        return consumption.consume_due(owner="crash", limit=10, budget_seconds=60)

    def effects(self) -> int:
        return self.desk.count("money_rail_operation", "state = 'confirmed'")

    def is_whole(self) -> None:
        assert self.desk.count("billing_webhook_event_consumptions", "status <> 'done'") == 0
        assert self.desk.count("provider_event", "outcome = 'applied' AND event_type = 'confirmed'") == 1
        self.desk.is_paid_once(self.operation)


class Cancel(Story):
    def begin(self) -> None:
        self.operation = self.desk.payout()

    def act(self) -> Any:
        return self.desk.does("POST", f"{path_of(self.operation)}/cancel", {}, key="c1")

    def effects(self) -> int:
        return self.desk.count("ops_audit", "action = 'MONEY_RAIL_OPERATION_CANCELLED'")

    def is_whole(self) -> None:
        assert self.desk.state(self.operation) == "cancelled"
        assert self.desk.count("exposure_counter", "amount_cents <> 0") == 0
        assert self.desk.transfers() == 0


# --- Outcomes that nobody knows -------------------------------------------------------------------------
class AskProvider(Submit):
    """The money left, its answer was lost, and somebody asks the provider."""

    def begin(self) -> None:
        super().begin()
        _breaks(self.desk, self.operation, "reset_after")
        self.path = f"{_outcome(self.desk)}/ask"

    def act(self) -> Any:
        return self.desk.does("POST", self.path, {}, key="a1")

    def effects(self) -> int:
        return self.desk.count("money_rail_operation", "state = 'submitted'")


class Replay(Submit):
    """The money did not leave, and somebody has the same key sent again."""

    def begin(self) -> None:
        super().begin()
        _breaks(self.desk, self.operation, "reset_before")
        self.path = f"{_outcome(self.desk)}/replay"

    def act(self) -> Any:
        return self.desk.does("POST", self.path, {}, key="r1")

    def again(self) -> Any:
        if not self.effects():
            return self.act()
        return doubt.recover_due(now=clock.now())


class Settle(Submit):
    """Nobody can know any more, and a second person settles it as not sent."""

    def begin(self) -> None:
        super().begin()
        _breaks(self.desk, self.operation, "reset_before")
        _let_the_provider_forget(self.desk, self.operation)
        self.path = f"{_outcome(self.desk)}/settle"
        self.second = self.desk.person("second")

    def act(self) -> Any:
        verdict = {"outcome": "not_sent", "reason": "nothing at the bank"}
        return self.desk.does("POST", self.path, verdict, key="n1", by=self.second)

    def effects(self) -> int:
        settled = self.desk.count("dispatch_attempt", "status = 'not_sent'")
        assert self.desk.count("ops_audit", "action = 'MONEY_RAIL_DISPATCH_RESOLVED'") == settled
        return settled

    def is_whole(self) -> None:
        self.desk.does("POST", f"{path_of(self.operation)}/submit", {}, key="s2")
        self.desk.is_paid_once(self.operation)


def _breaks(desk: Desk, operation: dict[str, Any], kind: str) -> None:
    """Submit over a line that breaks each time."""
    desk.stripe.fault(kind, times=None, path="/v1/transfers")
    answer = desk.api.post(f"{path_of(operation)}/submit", {}, key="broken")
    assert answer.status_code == 502, answer.content
    desk.stripe.control("/_sim/faults", {}, method="DELETE")
    circuit.for_address(desk.stripe.url).record_answer()


def _let_the_provider_forget(desk: Desk, operation: dict[str, Any]) -> None:
    desk.waits(DAY)
    answer = desk.api.post(f"{path_of(operation)}/submit", {}, key="late")
    assert answer.status_code == 409, answer.content
    assert b"MONEY_RAIL_SUBMIT_INDETERMINATE" in answer.content


def _outcome(desk: Desk) -> str:
    [row] = desk.does("GET", UNKNOWN)["unknownOutcomes"]
    return f"{UNKNOWN}/{row['attemptId']}"


def _settle_as_not_sent(desk: Desk, operation: dict[str, Any]) -> None:
    _let_the_provider_forget(desk, operation)
    verdict = {"outcome": "not_sent", "reason": "it was refused", "evidence": "the provider's log"}
    desk.does("POST", f"{_outcome(desk)}/settle", verdict, by=desk.person("second"))
