"""Counting what a plan grants and refusing what it does not (spec 7.8).

Three ways, by what is counted:

    record_usage(...)                      count something that has happened
    enforce_limit_and_record_usage(...)    count and act in one transaction; `action` writes rows only
    reserve(...) -> act -> confirm(...)    for an act with an effect outside; release(...) when it failed for
                                           certain. What is neither is released after 15 minutes.

A limit is named by a capability of the settings, or by its own code. A use belongs to the window of the
call's `now`; its event key to no window, so a retry after midnight counts nothing.
"""

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Final, TypeVar

from django.conf import settings

from billing.models import BillableEntity
from billing.services import standing as standings
from billing.services import transactions, usage, windows
from billing.services.limit_refusals import (
    AmountInvalid,
    EntitlementNotQuota,
    EntitlementUnknown,
    LimitExceeded,
    LimitNotConfigured,
    SubscriptionRequired,
)
from billing.services.reservations import (
    Reservation,
    adopt,
    confirm,
    release,
    release_stale,
    reserve_quota,
)
from billing.services.standing import Standing
from billing.states import UsageState
from settld.core import tenancy
from settld.core.capabilities import capability

__all__ = [
    "LimitExceeded",
    "Reservation",
    "adopt",
    "capability",
    "confirm",
    "count_for_workspace",
    "enforce_limit_and_record_usage",
    "record_usage",
    "release",
    "release_stale",
    "reserve",
    "reserve_for_workspace",
]

MOST_AT_ONCE: Final = 1_000_000_000
T = TypeVar("T")


def record_usage(
    *, entity: BillableEntity, code: str, amount: int, usage_event_key: str = "", now: dt.datetime
) -> None:
    """Count a use that has happened, also beyond the limit; a key that was counted counts nothing.

    Raises AmountInvalid, SubscriptionRequired, EntitlementUnknown or EntitlementNotQuota.
    """
    _require_amount(amount)

    def count() -> None:
        found = standings.of_entity(tenant_id=entity.tenant_id, billable_entity_id=entity.pk, code=code)
        if found is None:
            raise SubscriptionRequired()
        if found.granted is None:
            raise EntitlementUnknown(details={"limitationCode": code})
        if found.granted.quota is None:
            raise EntitlementNotQuota(details={"limitationCode": code})
        use = use_of(found, amount=amount, now=now)
        if not usage_event_key or usage.claim_event(
            use, key=usage_event_key, state=UsageState.COUNTED, now=now
        ):
            usage.add(use, limit=None, now=now)

    transactions.retried(tenant_id=entity.tenant_id, work=count)


def enforce_limit_and_record_usage(
    *,
    entity: BillableEntity,
    action: Callable[[], T],
    capability: str = "",
    limitation_code: str = "",
    amount: int = 1,
    usage_event_key: str = "",
    now: dt.datetime,
) -> T:
    """Count a use and run `action` in one transaction, or refuse; gives what the action gave.

    `action` writes rows and nothing else: an error of its own undoes the count, and a deadlock runs it again.
    Raises LimitExceeded, LimitNotConfigured or AmountInvalid; then it did not run.
    """
    _require_amount(amount)
    code = code_of(capability=capability, limitation_code=limitation_code)
    if not code:
        return action()

    def count_and_act() -> T:
        found = standings.of_entity(tenant_id=entity.tenant_id, billable_entity_id=entity.pk, code=code)
        if limiting := limiting_quota(found, entity_id=entity.pk, code=code, amount=amount):
            use = use_of(limiting, amount=amount, now=now)
            if not usage_event_key or usage.claim_event(
                use, key=usage_event_key, state=UsageState.COUNTED, now=now
            ):
                count_within(limiting, use, now=now)
        return action()

    return transactions.retried(tenant_id=entity.tenant_id, work=count_and_act)


def reserve(
    *,
    entity: BillableEntity,
    capability: str = "",
    limitation_code: str = "",
    amount: int = 1,
    usage_event_key: str = "",
    now: dt.datetime,
) -> Reservation | None:
    """Count a use before an act with an effect outside; LimitExceeded refuses it.

    None: nothing limits it, or the same key is counted already; either way the act may go on. Commits in a
    transaction of its own, so none may be open.
    """
    _require_amount(amount)
    code = code_of(capability=capability, limitation_code=limitation_code)
    if not code:
        return None
    with tenancy.tenant_scope(entity.tenant_id):
        found = standings.of_entity(tenant_id=entity.tenant_id, billable_entity_id=entity.pk, code=code)
    return _reserve(
        found, entity_id=entity.pk, code=code, amount=amount, usage_event_key=usage_event_key, now=now
    )


def reserve_for_workspace(
    *, tenant_id: str, capability: str, usage_event_key: str, now: dt.datetime
) -> Reservation | None:
    """Reserve one use for a tenant's own entity; without an entity or subscription it costs one read."""
    code = code_of(capability=capability)
    if not code:
        return None
    with tenancy.tenant_scope(tenant_id):
        found = standings.of_workspace(tenant_id=tenant_id, code=code)
    entity_id = found.billable_entity_id if found else 0
    return _reserve(found, entity_id=entity_id, code=code, amount=1, usage_event_key=usage_event_key, now=now)


def count_for_workspace(*, tenant_id: str, capability: str, usage_event_key: str, now: dt.datetime) -> None:
    """Count one use that has happened for a tenant's own entity, whatever the limit; its key counts once."""
    code = code_of(capability=capability)
    if not code:
        return
    with tenancy.tenant_scope(tenant_id):
        found = standings.of_workspace(tenant_id=tenant_id, code=code)
    if found is not None and found.granted is not None and found.granted.quota is not None:
        confirm(Reservation(use_of(found, amount=1, now=now), usage_event_key, is_ours=True), now=now)


def _reserve(
    found: Standing | None,
    *,
    entity_id: int,
    code: str,
    amount: int,
    usage_event_key: str,
    now: dt.datetime,
) -> Reservation | None:
    limiting = limiting_quota(found, entity_id=entity_id, code=code, amount=amount)
    if limiting is None:
        return None
    use = use_of(limiting, amount=amount, now=now)
    return reserve_quota(
        use,
        key=usage_event_key or uuid.uuid4().hex,
        count=lambda: count_within(limiting, use, now=now),
        now=now,
    )


# --- Steps ----------------------------------------------------------------------------------------
def code_of(*, capability: str = "", limitation_code: str = "") -> str:
    """Name the limit: the code itself, or the one that the settings give the capability; empty for none."""
    return limitation_code or settings.BILLING.capabilities.get(capability, "")


def limiting_quota(found: Standing | None, *, entity_id: int, code: str, amount: int) -> Standing | None:
    """Give the standing whose quota must be asked, None when nothing stands in the way, or refuse."""
    reason = ""
    if found is None:
        reason = "subscription_required" if settings.BILLING.deny_without_subscription else ""
    elif found.granted is None:
        if settings.BILLING.require_configured_limit:
            raise LimitNotConfigured(details={"limitationCode": code})
    elif found.granted.values is not None:
        raise LimitNotConfigured(details={"limitationCode": code})
    elif found.granted.enabled is False:
        reason = "feature_disabled"
    elif found.granted.quota is not None:
        return found
    if reason:
        raise LimitExceeded.without_quota(
            reason=reason, limitation_code=code, billable_entity_id=entity_id, amount=amount
        )
    return None


def use_of(found: Standing, *, amount: int, now: dt.datetime) -> usage.Use:
    """Name a use of a quota, in the window of `now`."""
    if found.granted is None or found.granted.quota is None:
        raise ValueError("only a quota is counted")
    return usage.Use(
        tenant_id=found.tenant_id,
        billable_entity_id=found.billable_entity_id,
        entitlement_code=found.granted.code,
        window=windows.of(found.granted.quota.interval, now=now),
        amount=amount,
    )


def count_within(found: Standing, use: usage.Use, *, now: dt.datetime) -> None:
    """Count a use, or raise LimitExceeded when a hard quota would be passed."""
    quota = found.granted.quota if found.granted else None
    if quota is None or usage.add(use, limit=quota.limit if quota.is_hard else None, now=now):
        return
    raise LimitExceeded.by_quota(
        limitation_code=use.entitlement_code,
        billable_entity_id=use.billable_entity_id,
        amount=use.amount,
        quota=quota,
        used=usage.used(use),
        window=use.window,
        now=now,
    )


def _require_amount(amount: int) -> None:
    if type(amount) is not int or not 1 <= amount <= MOST_AT_ONCE:
        raise AmountInvalid()
