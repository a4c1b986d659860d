"""Reading the body of a subscription's PUT (settld-billing-and-finance 1.5)."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from billing.plans.catalog import CATALOG
from billing.plans.models.config import INSTANTS, SUBSCRIPTION_COLUMNS
from settld.api.fields import Body

INVALID: Final = "invalid billing subscription payload"
TEXTS: Final = (
    "provider", "customerId", "subscriptionId", "priceId", "lastEventId", "lastEventType"
)  # fmt: skip
LEAST_MILLISECONDS: Final = 10**12

Columns = dict[str, Any]


@dataclass(frozen=True)
class SubscriptionChange:
    """What a caller wants. `base_plan` None keeps the base plan; `columns` None keeps the record.

    `columns` replaces the whole record; all None clears it.
    """

    base_plan: str | None
    columns: Columns | None


def read_change(values: dict[str, Any], *, now: dt.datetime) -> SubscriptionChange:
    """Read a PUT: the record under `subscription`, null to clear it, or its fields flat.

    In the flat form `plan` is the base plan's and the record's.
    """
    body = Body(values, message=INVALID)
    base_plan = body.choice("plan", tuple(CATALOG))
    if "subscription" in values:
        record = body.object("subscription")
        return SubscriptionChange(base_plan, _cleared() if record is None else _columns(record, now=now))
    is_flat = any(key in values for key in SUBSCRIPTION_COLUMNS if key != "plan")
    return SubscriptionChange(base_plan, _columns(values, now=now) if is_flat else None)


def _cleared() -> Columns:
    return dict.fromkeys(SUBSCRIPTION_COLUMNS.values()) | {"subscription_cancels_at_period_end": False}


def _columns(values: dict[str, Any], *, now: dt.datetime) -> Columns:
    body = Body(values, message=INVALID)
    status = body.text("status")
    read: dict[str, Any] = {key: body.text(key) for key in TEXTS}
    read |= {key: _instant(body, key) for key in INSTANTS}
    read |= {
        "status": status.lower() if status else None,
        "plan": body.choice("plan", tuple(CATALOG)),
        "cancelAtPeriodEnd": body.boolean("cancelAtPeriodEnd", default=False),
        "updatedAt": read["updatedAt"] or now,
        "metadata": body.object("metadata"),
    }
    return {column: read[key] for key, column in SUBSCRIPTION_COLUMNS.items()}


def _instant(body: Body, key: str) -> dt.datetime | None:
    """Read an instant: ISO with an offset, seconds since 1970, or (above 10^12) milliseconds."""
    value = body.values.get(key)
    if isinstance(value, str) and not (value.isascii() and value.strip().isdigit()):
        return body.instant(key)
    number = body.integer(key, least=0)
    if number is None:
        return None
    milliseconds = number if number > LEAST_MILLISECONDS else number * 1000
    try:
        return dt.datetime.fromtimestamp(milliseconds // 1000, dt.UTC) + dt.timedelta(
            milliseconds=milliseconds % 1000
        )
    except (OverflowError, ValueError, OSError) as error:
        raise body.fault(f"{key} must be an instant before the year 10000") from error
