"""What a run did, tenant by tenant, and how its result words it. Source: spec/money-rails.md 6."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Final

from reconciliation.services.items import Item
from settld.core import clock
from settld.maintenance.states import RunScope

ITEMS_FAILED: Final = "MONEY_RAIL_RECONCILE_ITEMS_FAILED"


@dataclass
class Covered:
    """What a run did for one tenant."""

    tenant_id: str
    started_at: dt.datetime
    runtime_ms: int = 0
    items: list[Item] = field(default_factory=list)
    provider_items: list[Item] = field(default_factory=list)

    @property
    def is_ok(self) -> bool:
        """Tell whether every item came to an end."""
        return all(item.status != "error" for item in [*self.items, *self.provider_items])

    @property
    def mismatch_count(self) -> int:
        """Count the differing rows of all its reports."""
        return sum(item.mismatch_count for item in [*self.items, *self.provider_items])


def summarise(covered: list[Covered]) -> dict[str, int]:
    """Count what a run did, by the spec's names; the provider side is counted beside it."""
    every = [item for done in covered for item in done.items]
    reports = [item for item in every if item.status in ("pass", "fail")]
    failed = [item for item in every if item.status == "error"]
    return {
        "tenantCount": len(covered),
        "attempted": len(reports) + len(failed),
        "reconciled": len(reports),
        "passCount": sum(item.status == "pass" for item in reports),
        "failCount": sum(item.status == "fail" for item in reports),
        "skippedNoInputs": sum(item.status == "skipped" for item in every),
        "errored": len(failed),
        "artifactsPersisted": sum(item.has_artifact for item in reports),
        "deliveriesCreated": sum(item.deliveries for item in reports),
    }


def for_one_tenant(pulled: dict[str, Any] | None) -> dict[str, Any] | None:
    """Tell a tenant how reading went, without what the statement holds of others: counts, and a provider's
    words, which may name somebody else's transfer.
    """
    return pulled and {name: pulled[name] for name in ("status", "complete", "code")}


def result(
    *,
    tenant_id: str | None,
    inputs: dict[str, Any],
    covered: list[Covered],
    pulled: dict[str, Any] | None,
    started_at: dt.datetime,
    runtime_ms: int,
) -> dict[str, Any]:
    """Word what a run did as the spec does; `providerSide` is there when there was something to tell of it.

    `inputs` is the order as audit and result name it, `pulled` how reading the statement went.
    """
    is_ok = all(done.is_ok for done in covered)
    provider_items = [item.row for done in covered for item in done.provider_items]
    told = {
        "ok": is_ok,
        "scope": (RunScope.TENANT if tenant_id else RunScope.GLOBAL).value,
        "tenantId": tenant_id,
        **inputs,
        "startedAt": clock.iso(started_at),
        "completedAt": clock.iso(started_at + dt.timedelta(milliseconds=runtime_ms)),
        "runtimeMs": runtime_ms,
        "summary": summarise(covered),
        "results": [item.row for done in covered for item in done.items],
    }
    if pulled is not None or provider_items:
        told["providerSide"] = {"statement": pulled, "results": provider_items}
    return told if is_ok else told | {"code": ITEMS_FAILED}
