"""`BillingInvoiceDraft.v1`: the lines of a month's invoice, each with the events it rests on (section 7)."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from billing.plans.catalog import rate_json
from billing.plans.estimate import Estimate
from settld.core import clock
from settld.core.hashing import canonical_hash
from settld.core.money import exact
from settld.metering.models import UsageEvent
from settld.metering.queries import Usage
from settld.metering.states import BILLED_CURRENCY, EventType

SCHEMA: Final = "BillingInvoiceDraft.v1"
SOURCE_MEMBERS: Final = ("eventKey", "eventType", "amountCents", "quantity", "occurredAt", "eventHash")
Row = dict[str, Any]


@dataclass(frozen=True)
class Digest:
    """A month's events as they are hashed, in order of key, type, time and hash."""

    rows: Sequence[Row]
    hash: str

    def of(self, event_type: EventType) -> list[Row]:
        """Give the rows of one kind."""
        return [row for row in self.rows if row["eventType"] == event_type]


def digest(events: Sequence[UsageEvent]) -> Digest:
    """Hash a month's events, which come in order."""
    rows = [
        {
            "eventKey": event.event_key,
            "eventType": str(event.event_type),
            "quantity": event.quantity,
            "amountCents": event.amount_cents or 0,
            "currency": event.currency,
            "occurredAt": clock.iso(event.occurred_at),
            "sourceType": str(event.source_type),
            "sourceId": event.source_id,
            "eventHash": event.event_hash,
        }
        for event in events
    ]
    return Digest(rows, canonical_hash(rows))


def draft(
    *, period: str, cutoff_at: dt.datetime, usage: Usage, estimate: Estimate, sources: Digest
) -> dict[str, Any]:
    """Write the invoice. Its lines add up to the estimate's total, which is asserted."""
    lines = [*_arbitration(usage, estimate, sources), *_volume(usage, estimate, sources)]
    lines += [*_subscription(period, estimate), *_overage(estimate, sources)]
    subtotal = sum(amount for amount, _ in lines)
    if subtotal != estimate.total_cents:
        raise RuntimeError(f"the invoice's lines add up to {subtotal}, not to {estimate.total_cents}")
    return {
        "schemaVersion": SCHEMA,
        "period": period,
        "generatedAt": clock.iso(cutoff_at),
        "currency": BILLED_CURRENCY,
        "eventCount": len(sources.rows),
        "eventsDigest": sources.hash,
        "lineItems": [line for _, line in lines],
        "subtotalCents": exact(subtotal),
        "totalEstimatedCents": exact(estimate.total_cents),
    }


# --- Lines, by code -------------------------------------------------------------------------------
Line = tuple[int, dict[str, Any]]


def _arbitration(usage: Usage, estimate: Estimate, sources: Digest) -> list[Line]:
    cases = usage.arbitration_cases
    if cases == 0:
        return []
    unit = {"unitAmountCents": estimate.plan.arbitration_case_fee_cents}
    text = f"Arbitration case fee ({cases} cases)"
    rows = sources.of(EventType.ARBITRATION_USAGE)
    return [_line("ARBITRATION_USAGE_FEE", text, cases, unit, estimate.arbitration_fee_cents, rows)]


def _volume(usage: Usage, estimate: Estimate, sources: Digest) -> list[Line]:
    if usage.settled_volume_cents == 0:
        return []
    bps = estimate.plan.settled_volume_fee_bps
    text = f"Settlement volume fee ({bps} bps)"
    rows = [row for row in sources.of(EventType.SETTLED_VOLUME) if row["currency"] in (None, BILLED_CURRENCY)]
    volume, fee = usage.settled_volume_cents, estimate.volume_fee_cents
    return [_line("SETTLED_VOLUME_FEE", text, volume, {"unitAmountBps": bps}, fee, rows)]


def _subscription(period: str, estimate: Estimate) -> list[Line]:
    fee = estimate.plan.subscription_cents
    if fee == 0:
        return []
    text = f"Subscription base fee for {period}"
    return [_line("SUBSCRIPTION_BASE", text, 1, {"unitAmountCents": fee}, fee, None)]


def _overage(estimate: Estimate, sources: Digest) -> list[Line]:
    units = estimate.overage_units
    if units == 0:
        return []
    unit = {"unitAmountCents": rate_json(estimate.plan.verified_run_overage_millicents)}
    text = f"Verified run overage ({units} units)"
    rows = sources.of(EventType.VERIFIED_RUN)
    return [_line("VERIFIED_RUN_OVERAGE", text, units, unit, estimate.overage_cents, rows)]


def _line(
    code: str,
    description: str,
    quantity: int,
    unit: dict[str, Any],
    amount_cents: int,
    rows: list[Row] | None,
) -> Line:
    """Write one line; a line without rows rests on no events."""
    hashed = [{member: row[member] for member in SOURCE_MEMBERS} for row in rows or ()]
    return amount_cents, {
        "code": code,
        "description": description,
        "quantity": exact(quantity),
        **unit,
        "amountCents": exact(amount_cents),
        "currency": BILLED_CURRENCY,
        "sourceEventCount": len(hashed),
        "sourceEventDigest": None if rows is None else canonical_hash(hashed),
        "sourceEventKeys": [row["eventKey"] for row in hashed],
    }
