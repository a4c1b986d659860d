"""What came back from Stripe, and what every send of a call was told."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final

from settld.core.redaction import REDACTED

INDETERMINATE_BELOW_500: Final = frozenset({408, 409, 425})


@dataclass(frozen=True)
class Attempt:
    """One HTTP request of a call: the status it got, None when no answer came.

    `category` is `succeeded` or one of outcomes.Category; `is_replayed` says that Stripe repeated an
    answer that it had saved under the idempotency key.
    """

    status: int | None
    category: str
    request_id: str | None = None
    is_replayed: bool = False

    @property
    def is_indeterminate(self) -> bool:
        """Tell whether this request may have had its effect although nobody told us so.

        No answer, a yes that could not be used, a 5xx, or a 409: another request holds the key. A rate
        limit is certain, nothing was carried out.
        """
        if self.status is None or self.status >= 500 or self.status in INDETERMINATE_BELOW_500:
            return True
        return self.status < 400 and self.category != "succeeded"


@dataclass(frozen=True)
class Reply:
    """A usable yes: the plain JSON object, without client secrets, and how it came.

    `provider_time` is the `Date` header, Stripe's clock to the second; None when it sent none.
    """

    body: dict[str, Any] = field(repr=False)
    status: int
    provider_time: dt.datetime | None
    is_replayed: bool
    request_id: str | None
    attempts: tuple[Attempt, ...]


def date_of(headers: Mapping[str, str]) -> dt.datetime | None:
    """Read Stripe's clock from an answer's headers; None when they tell no time."""
    try:
        told = parsedate_to_datetime(headers.get("Date") or "")
        return told.astimezone(dt.UTC) if told.tzinfo is not None else told.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        return None


def is_replayed(headers: Mapping[str, str]) -> bool:
    """Tell whether Stripe repeated a saved answer."""
    return (headers.get("Idempotent-Replayed") or "").strip().lower() == "true"


def retry_after_seconds(headers: Mapping[str, str]) -> int | None:
    """Read how long Stripe asks us to wait, in whole seconds; None when it does not say."""
    told = (headers.get("Retry-After") or "").strip()
    return int(told) if told.isascii() and told.isdigit() and len(told) <= 6 else None


def without_client_secrets(value: Any) -> Any:
    """Copy JSON with every client secret blanked: we never hand one out, so we never hold one."""
    if isinstance(value, dict):
        return {
            key: REDACTED if key == "client_secret" and inner else without_client_secrets(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [without_client_secrets(item) for item in value]
    return value
