"""A month with use in it, recorded by metering's own verbs."""

import datetime as dt
from typing import Any

from settld.core import tenancy, transactions
from settld.metering.services import usage

NOW = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
TENANT = "tenant_a"


def runs(count: int, *, now: dt.datetime = NOW, tenant_id: str = TENANT) -> None:
    """Verified runs, each an event of its own; the hard limit is not asked."""
    with tenancy.tenant_scope(tenant_id), transactions.atomic():
        for number in range(count):
            usage.record(
                tenant_id=tenant_id, event_type="verified_run",
                event_key=f"verified_run:run_{number}:{now:%H%M%S}", occurred_at=now, run_id=f"run_{number}",
                source_type="agent_run_event", source_id=f"run_{number}", now=now,
            )  # fmt: skip


def volume(name: str, cents: int, currency: str = "USD", *, now: dt.datetime = NOW, **more: Any) -> None:
    """A settlement that released something."""
    with tenancy.tenant_scope(more.get("tenant_id", TENANT)), transactions.atomic():
        usage.record_settled_volume(
            **{"tenant_id": TENANT} | more, run_id="run_1", settlement_id=name, resolution_event_id="ev",
            released_cents=cents, currency=currency, source_type="agent_run_settlement", now=now,
        )  # fmt: skip


def case(name: str, *, now: dt.datetime = NOW) -> None:
    """An arbitration case that was opened."""
    with tenancy.tenant_scope(TENANT), transactions.atomic():
        usage.record_arbitration_usage(
            tenant_id=TENANT, case_id=name, run_id="run_1", dispute_id=None, source_type="arbitration_case",
            now=now,
        )  # fmt: skip
