"""Whom a log line is about: every billing line carries the three correlation ids while they are known."""

from collections.abc import Iterator
from contextlib import contextmanager

from structlog.contextvars import bound_contextvars


@contextmanager
def correlated(
    *,
    operation_key: str | None = None,
    provider_event_id: str | None = None,
    billable_entity_id: int | None = None,
) -> Iterator[None]:
    """Have every log line inside carry these ids; what is not known here stays as it was outside.

    Source: spec/checkout-billing.md 11.
    """
    told = {
        "operation_key": operation_key,
        "provider_event_id": provider_event_id,
        "billable_entity_id": billable_entity_id,
    }
    with bound_contextvars(**{name: value for name, value in told.items() if value}):
        yield
