"""Who acts in a history and what each may do at any time; a move that finds nothing to do is not offered."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from billing.states import CURRENT_SUBSCRIPTION
from settld.stripe_gateway.models import StripeEvent
from tests.billing.exploration import moves
from tests.billing.exploration.search import Move
from tests.billing.exploration.snapshot import EVENTS, JOBS, REMEDIATIONS, Snapshot
from tests.billing.exploration.stage import Stage

KEYS: Final = ("key-1", "key-2", "key-3")
CRASHES: Final = {
    "dies after the claim": "billing.checkout.claimed",
    "dies after the call": "billing.checkout.dispatched",
    "dies before the commit": "billing.checkout.before_commit",
    "dies after the commit": "billing.checkout.after_commit",
}
POST_CRASHES: Final = {
    "dies with an event stored": "billing.webhook.stored",
    "dies before an event's commit": "billing.webhook.before_commit",
    "dies after an event's commit": "billing.webhook.after_commit",
}
# What the provider does to the next call that creates something: the fault, and how often.
FAULTS: Final = {
    "saved 500": {"kind": "status_500_after", "times": 1},
    "500 and nothing done": {"kind": "status_500_before", "times": 10, "saved": False},
    "too many requests": {"kind": "status_429", "times": 10},
    "half an answer": {"kind": "malformed_2xx", "times": 10},
}


class Actors:
    """People, the provider with its post, our loops, and death; all on one stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    # --- The letters of small histories ------------------------------------------------------------------
    def letters(self, known: Snapshot) -> dict[str, Move]:
        """What can happen where the story stands, for histories that are tried exhaustively."""
        stage = self.stage
        offered: dict[str, Move] = {
            "checkout": lambda: moves.start_checkout(stage, key="key-1"),
            "second checkout": lambda: moves.start_checkout(stage, key="key-2"),
            "checkout, dies after the claim": lambda: self.dies("key-3", "billing.checkout.claimed"),
            "checkout, dies after the call": lambda: self.dies("key-3", "billing.checkout.dispatched"),
            "checkout, no answer": lambda: self.unanswered("key-1"),
            "recovery": self.recovery,
            "reconciliation": self.reconciliation,
        }
        told = {row["event"] for row in known.rows(EVENTS)}
        waits = [event["id"] not in told for event in stage.events(*moves.HANDLED)]
        if any(waits):
            offered |= {"post": lambda: self.post(0), "post the newest": lambda: self.post(-1)}
        if not all(waits):
            offered["post again"] = self.post_again
        if self.pages():
            offered |= {"pay": self.pay, "return": lambda: moves.refresh(stage)}
        if self.live():
            offered |= {"cancel": self.cancel, "a second subscription": self.subscribe_again}
        if self.is_owed(known):
            offered["workers"] = lambda: moves.work_off(stage)
        return offered

    # --- The letters of long histories -------------------------------------------------------------------
    def many_letters(self) -> dict[str, Move]:
        """Every move of long histories, by name; each may be tried at any time."""
        stage = self.stage
        offered: dict[str, Move] = {}
        for key in KEYS:
            offered[f"checkout {key}"] = lambda key=key: moves.start_checkout(stage, key=key)
            offered[f"checkout {key}, another plan"] = lambda key=key: moves.start_checkout(
                stage, key=key, plan="team"
            )
            for words, point in CRASHES.items():
                offered[f"checkout {key}, {words}"] = lambda key=key, point=point: self.dies(key, point)
            for words, rule in FAULTS.items():
                offered[f"checkout {key}, {words}"] = lambda key=key, rule=rule: self.faulty(key, rule)
            for before, after in ((10, 0), (0, 10), (1, 0), (0, 1), (1, 1)):
                offered[f"checkout {key}, {before} lost there and {after} back"] = (
                    lambda key=key, before=before, after=after: self.bad_line(key, before, after)
                )
        for words, act in self.rivals().items():
            for key in KEYS[:2]:
                offered[f"checkout {key}, while {words}"] = lambda key=key, act=act: self.overtaken(key, act)
        for seconds in (1, 61, 130, 1_000, 7_200, 86_400):
            offered[f"{seconds} s pass"] = lambda seconds=seconds: stage.pass_by(seconds)
        for scope in moves.LOOPS:
            offered[f"loop {scope}"] = lambda scope=scope: moves.reconcile(stage, [scope])
        for index in (0, 1, -1, -2):
            offered[f"post {index}"] = lambda index=index: self.post(index)
        for words, point in POST_CRASHES.items():
            offered[f"post, {words}"] = lambda point=point: self.post(0, dies_at=point)
        return offered | {
            "post again": self.post_again,
            "post everything backwards": self.post_backwards,
            "pay": self.pay,
            "pay the newest page": lambda: self.pay(-1),
            "return": lambda: moves.refresh(stage),
            "recover": lambda: moves.recover(stage),
            "recovery": self.recovery,
            "recovery, no answer": self.recovery_unanswered,
            "reconciliation": self.reconciliation,
            "workers": lambda: moves.work_off(stage),
            "workers, no answer": self.workers_unanswered,
            "cancel": self.cancel,
            "cancel the newest": lambda: self.cancel(-1),
            "a second subscription": self.subscribe_again,
            "portal": self.change_plan,
            "the provider touches it": self.touch,
        }

    # --- People ------------------------------------------------------------------------------------------
    def dies(self, key: str, point: str) -> None:
        with self.stage.dying_at(point):
            moves.start_checkout(self.stage, key=key)
        self.stage.settle()

    def unanswered(self, key: str) -> None:
        self.bad_line(key, 0, 10)

    def bad_line(self, key: str, before: int, after: int) -> None:
        self.over_a_bad_line(lambda: moves.start_checkout(self.stage, key=key), before=before, after=after)

    def over_a_bad_line(self, act: Callable[[], object], *, before: int = 0, after: int = 0) -> None:
        lost = self.stage.lost
        lost.before, lost.after = before, after
        try:
            act()
        finally:
            lost.before = lost.after = 0
            self.stage.circuit.until.clear()  # what a breaker does is told in its own tests
            self.stage.circuit.failures.clear()

    def faulty(self, key: str, rule: Mapping[str, Any]) -> None:
        self.stage.control("POST", "/_sim/faults", rules=[{"method": "POST", **rule}])
        try:
            moves.start_checkout(self.stage, key=key)
        finally:
            self.stage.control("DELETE", "/_sim/faults")
            self.stage.circuit.until.clear()
            self.stage.circuit.failures.clear()

    def rivals(self) -> dict[str, Move]:
        """What may happen between the provider's answer and our writing it down (T-055, T-070 to T-072)."""
        return {
            "it is recovered": self.recovery,
            "recovery has no answer": self.recovery_unanswered,
            "it is paid": self.pay,
            "it is paid and told": lambda: (self.pay(), self.post_backwards()),
            "another subscription begins": lambda: (self.subscribe_again(), self.post_backwards()),
        }

    def overtaken(self, key: str, act: Callable[[], object]) -> None:
        with self.stage.meanwhile("billing.checkout.dispatched", act):
            moves.start_checkout(self.stage, key=key, is_undisturbed=False)

    def pages(self) -> list[str]:
        return [row["id"] for row in self.stage.objects("checkout.session") if row["status"] == "open"]

    def pay(self, index: int = 0) -> None:
        if pages := self.pages():
            moves.pay(self.stage, pages[index])

    def live(self) -> list[dict[str, Any]]:
        found = self.stage.objects("subscription")
        return [row for row in found if row["status"] in CURRENT_SUBSCRIPTION]

    def cancel(self, index: int = 0) -> None:
        if found := self.live():
            self.stage.stripe("DELETE", f"/v1/subscriptions/{found[index]['id']}")

    def change_plan(self) -> None:
        """Somebody takes the other plan in the provider's portal."""
        for row in self.live()[:1]:
            item = row["items"]["data"][0]
            prices = [
                plan.prices.get().provider_price_id for plan in (self.stage.plan, self.stage.other_plan)
            ]
            (wanted,) = [price for price in prices if price != item["price"]["id"]]
            self.stage.stripe("POST", f"/v1/subscription_items/{item['id']}", {"price": wanted})

    def touch(self) -> None:
        if self.live():
            moves.touch_subscription(self.stage)

    def subscribe_again(self) -> None:
        """Somebody makes one by hand for the same customer, with the labels of the first; once is enough."""
        found = self.live()
        if len(found) == 1:
            self.stage.control(
                "POST",
                "/_sim/subscriptions",
                customer=found[0]["customer"],
                price=found[0]["items"]["data"][0]["price"]["id"],
                metadata=found[0]["metadata"],
            )

    # --- The provider's post -----------------------------------------------------------------------------
    def _known(self) -> set[str]:
        return set(StripeEvent.objects.values_list("provider_event_id", flat=True))

    def waiting(self) -> list[dict[str, Any]]:
        """Events that have never reached us, the oldest first."""
        known = self._known()
        return [event for event in self.stage.events(*moves.HANDLED) if event["id"] not in known]

    def told(self) -> list[dict[str, Any]]:
        """Events that have reached us before, the newest first."""
        known = self._known()
        return [event for event in reversed(self.stage.events(*moves.HANDLED)) if event["id"] in known]

    def post(self, index: int, *, dies_at: str | None = None) -> None:
        waiting = self.waiting()
        if not waiting:
            return
        event = waiting[index] if -len(waiting) <= index < len(waiting) else waiting[0]
        if dies_at is None:
            self.stage.deliver(event)
            return
        with self.stage.dying_at(dies_at):
            self.stage.deliver(event)
        self.stage.settle()

    def post_again(self) -> None:
        for event in self.told()[:1]:
            self.stage.deliver(event)

    def post_backwards(self) -> None:
        for event in reversed(self.stage.events(*moves.HANDLED)):
            self.stage.deliver(event)

    # --- Our loops ---------------------------------------------------------------------------------------
    def recovery(self) -> None:
        self.stage.pass_by(130)
        moves.recover(self.stage)

    def recovery_unanswered(self) -> None:
        self.stage.pass_by(130)
        self.over_a_bad_line(lambda: moves.recover(self.stage), after=10)

    def reconciliation(self) -> None:
        self.stage.pass_by(1_000)
        moves.reconcile(self.stage)

    def is_owed(self, known: Snapshot) -> bool:
        waits = ("pending", "failed", "leased", "in_progress")
        return any(row["status"] in waits for table in (JOBS, REMEDIATIONS) for row in known.rows(table))

    def workers_unanswered(self) -> None:
        self.over_a_bad_line(lambda: moves.work_off(self.stage), after=10)
