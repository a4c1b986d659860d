"""The order of the provider's facts, by its own clock alone (spec/checkout-billing.md 8.4; INV-31, INV-32).

A row remembers the newest event and the newest look (snapshot) that it holds. An event from before either is
stale. One of the same second as either cannot be placed by the clock, so the provider is asked how the thing
is now. What it answers counts only if nobody has written the row since before it was asked: the database
counts each write of a row, and we compare that revision under the lock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

from billing.models import Invoice, Subscription
from billing.models.fields import Watermarked
from billing.provider_time import ProviderTime
from billing.providers.errors import ProviderProblem
from billing.providers.facts import Answer
from settld.core import failpoints
from settld.core.errors import Unavailable
from settld.stripe_gateway.models import StripeEvent

F = TypeVar("F")
T = TypeVar("T")
MOST_REPEATS: Final = 3
RANKS: Final = {
    "customer.subscription.created": 1,
    "customer.subscription.updated": 2,
    "customer.subscription.paused": 3,
    "customer.subscription.resumed": 3,
    "customer.subscription.deleted": 4,
    "invoice.payment_failed": 1,
    "invoice.paid": 2,
}


@dataclass(frozen=True)
class EventStamp:
    """Which event tells a fact, and when it happened by the provider's clock."""

    event_id: str
    event_type: str
    created: ProviderTime

    @property
    def rank(self) -> int:
        """Give how late in the life of a thing an event of this type comes, where clocks cannot tell."""
        return RANKS.get(self.event_type, 0)


class Verdict(StrEnum):
    """What an event is to a row."""

    APPLY = "apply"
    STALE = "stale"
    RESOLVE = "resolve"


class ObjectNeeded(Exception):
    """Under the lock the row needs a look at the provider that we have not made, or made too early."""


class Unsettled(Unavailable):
    """Others kept writing the row between our looks at the provider and our lock; a later try will do."""

    code = "BILLING_WEBHOOK_UNSETTLED"
    message = "The object kept changing while its event was applied."


@dataclass(frozen=True)
class Fetched(Generic[F]):
    """A look at the provider: what it answered or what went wrong, and the row's revision from before it."""

    revision: int | None
    answer: Answer[F] | None = None
    problem: ProviderProblem | None = None


@dataclass(frozen=True)
class Decision(Generic[F]):
    """What to write: these facts, with the clock of the look that gave them; no facts for a stale event.

    `is_uncertain` flags the row for the next reconciliation: the provider could not be asked.
    """

    facts: F | None
    snapshot_at: ProviderTime | None = None
    is_uncertain: bool = False


def decide(row: Watermarked | None, event: EventStamp) -> Verdict:
    """Place an event against what a row holds; nothing but provider time is compared."""
    if row is None:
        return Verdict.APPLY
    seen, looked = row.last_provider_event_created_at, row.last_provider_snapshot_at
    known = ProviderTime.stored(seen) if seen is not None else None
    snapshot = ProviderTime.stored(looked) if looked is not None else None
    if (known is not None and event.created < known) or (snapshot is not None and event.created < snapshot):
        return Verdict.STALE
    if snapshot == event.created:
        return Verdict.RESOLVE
    if known == event.created and row.last_provider_event_id != event.event_id:
        return Verdict.RESOLVE
    return Verdict.APPLY


def settle(
    row: Subscription | Invoice | None,
    event: EventStamp,
    *,
    payload: F,
    fetched: Fetched[F] | None,
    is_final: bool,
) -> Decision[F]:
    """Decide under the lock what an event writes; raises ObjectNeeded when that takes another look.

    Where the provider could not be asked, the later kind of event wins and then the greater id; a row in a
    final state (`is_final`) yields to nothing but an event that is final, too.
    """
    verdict = decide(row, event)
    if verdict is Verdict.STALE:
        return Decision(None)
    if verdict is Verdict.APPLY or row is None:
        return Decision(payload)
    if fetched is None or fetched.revision != row.revision:
        raise ObjectNeeded()
    if fetched.answer is not None:
        return Decision(fetched.answer.facts, snapshot_at=fetched.answer.provider_time)
    wins = _standing(event.rank, event.event_id) > _standing(
        _rank_of(row, is_final=is_final), row.last_provider_event_id
    )
    return Decision(payload if wins else None, is_uncertain=True)


def resolved(
    *,
    look: Callable[[], tuple[Verdict, int | None]],
    fetch: Callable[[], Answer[F]],
    apply: Callable[[Fetched[F] | None], T],
) -> T:
    """Look, ask the provider where the look says so, apply under the lock; again when that was overtaken.

    `look` reads without a lock and gives the verdict with the row's revision; `fetch` runs outside of any
    transaction; `apply` is one transaction and raises ObjectNeeded. Unsettled after the third repeat.
    """
    for _ in range(1 + MOST_REPEATS):
        verdict, revision = look()
        fetched = _ask(fetch, revision) if verdict is Verdict.RESOLVE else None
        failpoints.hit("billing.webhook.prefetched")
        try:
            return apply(fetched)
        except ObjectNeeded:
            continue
    raise Unsettled()


def stamp(
    row: Watermarked,
    *,
    event: EventStamp | None,
    snapshot_at: ProviderTime | None,
    is_uncertain: bool = False,
) -> None:
    """Move a row's watermarks up to what is being written; the caller saves.

    Of two events of one second the greater id stays; where rank decided, the winner's stays, for the next
    one to be compared with.
    """
    if event is not None:
        known = (row.last_provider_event_created_at, row.last_provider_event_id or "")
        if is_uncertain or known[0] is None or (event.created.at, event.event_id) > known:
            row.last_provider_event_created_at, row.last_provider_event_id = event.created.at, event.event_id
    if snapshot_at is not None and (
        row.last_provider_snapshot_at is None or snapshot_at.at > row.last_provider_snapshot_at
    ):
        row.last_provider_snapshot_at = snapshot_at.at


def flag(row: Subscription | Invoice) -> None:
    """Have the next reconciliation look at a row of which we could not tell which of two facts is newer."""
    row.needs_reconciliation = True
    row.save(update_fields=["needs_reconciliation"])


def is_outdated(row: Watermarked | None, snapshot_at: ProviderTime | None) -> bool:
    """Tell whether a look at the provider is older than what a row holds."""
    if row is None or snapshot_at is None:
        return False
    newest = [at for at in (row.last_provider_event_created_at, row.last_provider_snapshot_at) if at]
    return any(snapshot_at < ProviderTime.stored(at) for at in newest)


def _ask(fetch: Callable[[], Answer[F]], revision: int | None) -> Fetched[F]:
    try:
        return Fetched(revision, answer=fetch())
    except ProviderProblem as problem:
        return Fetched(revision, problem=problem)


def _standing(rank: int, event_id: str | None) -> tuple[int, bytes]:
    return rank, (event_id or "").encode()


def _rank_of(row: Watermarked, *, is_final: bool) -> int:
    """Give the rank of the event that a row holds; a final state counts as the last event of a life."""
    stored = StripeEvent.objects.filter(provider_event_id=row.last_provider_event_id or "").first()
    rank = RANKS.get(stored.event_type, 0) if stored is not None else 0
    return max(rank, max(RANKS.values())) if is_final else rank
