"""Who wants which events; upper rooms register here from AppConfig.ready()."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from settld.stripe_gateway.states import Outcome

if TYPE_CHECKING:  # rooms may import this file before the models are ready
    from settld.stripe_gateway.models import StripeEvent


class Consumed(NamedTuple):
    """A consumer's verdict on an event, with a line for whoever reads the inbox later."""

    outcome: Outcome
    detail: str = ""


Handler = Callable[["StripeEvent"], tuple[Outcome, str]]


@dataclass(frozen=True)
class Consumer:
    """One room's interest in Stripe's events."""

    name: str
    event_types: frozenset[str]
    handler: Handler


_consumers: dict[str, Consumer] = {}


def register(*, name: str, event_types: tuple[str, ...], handler: Handler) -> None:
    """Have a handler called, once an event of these types is stored, until it returns.

    The handler runs in a worker after Stripe has its 2xx, outside any transaction and any tenant
    scope: it opens its own. It may run more than once for an event (a worker that died, a redelivery,
    an operator) and must be safe against that. An exception means try again later, and concerns no
    other consumer. The name is stored with every event: renaming a consumer orphans its open work.
    """
    if name in _consumers and _consumers[name].handler is not handler:
        raise ValueError(f"two consumers are called {name}")
    _consumers[name] = Consumer(name=name, event_types=frozenset(event_types), handler=handler)


def interested_in(event_type: str) -> list[Consumer]:
    """Give the consumers of an event type, by name; none means that we do not handle it."""
    return [_consumers[name] for name in sorted(_consumers) if event_type in _consumers[name].event_types]


def named(name: str) -> Consumer | None:
    """Find a consumer by its name."""
    return _consumers.get(name)
