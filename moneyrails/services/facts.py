"""A provider's statement about one operation, before anything is done with it (spec 2.3)."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from moneyrails.rails.providers import Provider
from moneyrails.states import OperationState
from settld.core import clock
from settld.core.errors import Invalid

EVENT_TYPES = tuple(state.value for state in OperationState if state != OperationState.INITIATED)


class InvalidEvent(Invalid):
    """Type and status do not name one event."""

    message = "invalid provider event"

    def __init__(self, problem: str) -> None:
        super().__init__(details={"message": problem})


@dataclass(frozen=True)
class Fact:
    """What happened, by the provider's account; empty texts were not given."""

    event_type: str
    at: dt.datetime
    event_id: str = ""
    provider_ref: str = ""
    reason_code: str = ""
    provider_status: str = ""
    payload: dict[str, Any] | None = field(default=None, repr=False)
    source: str = "ingest"

    @property
    def dedupe_key(self) -> str:
        """Name the fact; the same name again is the same fact."""
        return f"{self.event_type}\n{self.event_id or clock.iso(self.at)}"


def event_type_of(provider: Provider, *, event_type: str, provider_status: str) -> str:
    """Tell which event a type and a status name together; raises InvalidEvent."""
    mapped = provider.status_map.get(provider_status, "") if provider_status else ""
    if not event_type and not provider_status:
        raise InvalidEvent("eventType or providerStatus is required")
    if event_type and event_type not in EVENT_TYPES:
        raise InvalidEvent(f"eventType must be one of {', '.join(EVENT_TYPES)}")
    if not event_type and not mapped:
        raise InvalidEvent(f"unmapped providerStatus: {provider_status}")
    if event_type and mapped and event_type != mapped:
        raise InvalidEvent("eventType does not match providerStatus mapping")
    return event_type or mapped
