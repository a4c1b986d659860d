"""Who wants which events; upper rooms register here from AppConfig.ready()."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from settld.stripe_gateway.states import Outcome

if TYPE_CHECKING:  # rooms may import this file before the models are ready
    from settld.stripe_gateway.models import StripeEvent


class Correlation(NamedTuple):
    """Whose event it is, as far as a consumer found out; kept with its consumption also when it fails."""

    tenant_id: str = ""
    billable_entity_id: int | None = None
    operation_key: str = ""


class Consumed(NamedTuple):
    """A consumer's verdict on an event, with a line for whoever reads the inbox later, and whose it is."""

    outcome: Outcome
    detail: str = ""
    tenant_id: str = ""
    billable_entity_id: int | None = None
    operation_key: str = ""

    @property
    def correlation(self) -> Correlation:
        """Give whose event it is."""
        return Correlation(self.tenant_id, self.billable_entity_id, self.operation_key)


Handler = Callable[["StripeEvent"], "Consumed | tuple[Outcome, str]"]


def always() -> bool:
    """Want events whatever the settings say."""
    return True


@dataclass(frozen=True)
class Consumer:
    """One room's interest in Stripe's events; see `register`."""

    name: str
    event_types: frozenset[str]
    handler: Handler
    inline: bool = False
    is_on: Callable[[], bool] = always


_consumers: dict[str, Consumer] = {}


def register(
    *,
    name: str,
    event_types: tuple[str, ...],
    handler: Handler,
    inline: bool = False,
    is_on: Callable[[], bool] = always,
) -> None:
    """Have a handler called, once an event of these types is stored, until it returns.

    The handler runs in a worker after Stripe has its 2xx, outside any transaction and any tenant
    scope: it opens its own. It may run more than once for an event (a worker that died, a redelivery,
    an operator) and must be safe against that. An exception means try again later, and concerns no
    other consumer. The name is stored with every event: renaming a consumer orphans its open work.

    `inline`: the door runs the handler itself, right after the event is stored, and its exception decides
    what Stripe is told; a worker tries again later all the same. While `is_on` says no, events are not
    stored for this consumer. An exception may carry a Correlation (see `correlate`).
    """
    if name in _consumers and _consumers[name].handler is not handler:
        raise ValueError(f"two consumers are called {name}")
    _consumers[name] = Consumer(
        name=name, event_types=frozenset(event_types), handler=handler, inline=inline, is_on=is_on
    )


def interested_in(event_type: str) -> list[Consumer]:
    """Give the consumers of an event type, by name; none means that we do not handle it."""
    wanting = [_consumers[name] for name in sorted(_consumers) if event_type in _consumers[name].event_types]
    return [consumer for consumer in wanting if consumer.is_on()]


def correlate(
    error: BaseException,
    *,
    tenant_id: str = "",
    billable_entity_id: int | None = None,
    operation_key: str = "",
) -> None:
    """Have an exception say whose event it was raised about; what it says already stays."""
    known = correlation_of(error)
    error.correlation = Correlation(  # type: ignore[attr-defined]
        known.tenant_id or tenant_id,
        known.billable_entity_id if known.billable_entity_id is not None else billable_entity_id,
        known.operation_key or operation_key,
    )


def correlation_of(error: BaseException) -> Correlation:
    """Give whose event an exception was raised about; empty when it does not say."""
    known = getattr(error, "correlation", None)
    return known if isinstance(known, Correlation) else Correlation()


def named(name: str) -> Consumer | None:
    """Find a consumer by its name."""
    return _consumers.get(name)
