"""The cancellation of duplicate subscriptions: owing one, working due ones off (section 8.6, 9.1)."""

import datetime as dt
from typing import Final

from billing.models import BillableEntity, Remediation, Subscription
from billing.services import rows
from billing.states import RemediationStatus

ACTION: Final = "cancel_duplicate_subscription"
NOT_NEEDED: Final = "not_needed"


def require(
    *,
    entity: BillableEntity,
    canonical: Subscription,
    duplicate: Subscription,
    operation_key: str | None,
    provider_event_id: str | None,
    now: dt.datetime,
) -> bool:
    """Owe the cancellation of a duplicate, once; True when this call owes it, or owes it again.

    In the caller's transaction, with the entity, its subscriptions and its sessions locked. One that ended as
    `not_needed` is owed again: the choice has changed. One that is waiting, in progress, succeeded or given
    up stays as it is (T-124); one that waits learns which subscription survives now.
    """
    if canonical.provider_subscription_id == duplicate.provider_subscription_id:
        raise ValueError("the survivor is never cancelled")
    survivor = {
        "canonical_provider_subscription_id": canonical.provider_subscription_id,
        "canonical_subscription": canonical,
    }
    owed = Remediation(
        tenant_id=entity.tenant_id,
        billable_entity=entity,
        provider=duplicate.provider,
        operation_key=operation_key,
        provider_event_id=provider_event_id,
        duplicate_provider_subscription_id=duplicate.provider_subscription_id,
        action=ACTION,
        next_attempt_at=now,
        metadata_json={},
        **survivor,
    )
    identity = ("tenant_id", "provider", "duplicate_provider_subscription_id", "action")
    if rows.insert_once(owed, target=identity):
        return True
    known = (
        Remediation.objects.select_for_update(no_key=True, of=("self",))
        .filter(
            tenant_id=entity.tenant_id,
            billable_entity=entity,
            provider=duplicate.provider,
            duplicate_provider_subscription_id=duplicate.provider_subscription_id,
            action=ACTION,
        )
        .get()
    )
    if known.status in (RemediationStatus.PENDING, RemediationStatus.FAILED):
        if known.canonical_provider_subscription_id != canonical.provider_subscription_id:
            Remediation.objects.filter(pk=known.pk).update(**survivor)
        return False
    if known.status != RemediationStatus.SUCCEEDED or known.metadata_json.get("outcome") != NOT_NEEDED:
        return False
    Remediation.objects.filter(pk=known.pk).update(
        status=RemediationStatus.PENDING,
        attempt_count=0,
        next_attempt_at=now,
        resolved_at=None,
        error_text=None,
        lease_version=known.lease_version + 1,
        metadata_json={},
        **survivor,
    )
    return True


def tick(*, limit: int = 10) -> int:
    """Work off due cancellations, at most `limit`; see remediation_work."""
    from billing.services import remediation_work  # it needs the projection, which owes cancellations here

    return remediation_work.tick(limit=limit)
