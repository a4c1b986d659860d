"""Counting payment links against the plan: reserved before one is made, certain once it is (spec 7.8).

The use is named by the operation, so that a retry, a recovery or a replay counts nothing more.
"""

import datetime as dt
from typing import Final

from billing.models import BillableEntity
from billing.services import idempotency, limits
from billing.services.limits import LimitExceeded, Reservation
from billing.states import Action
from settld.core import tenancy

CAPABILITY: Final = "payment_links.create"


def reserve(*, entity: BillableEntity, client_key: str, now: dt.datetime) -> Reservation | None:
    """Count one link that is about to be made; LimitExceeded (429) when the plan has none left.

    None when nothing limits it. Runs in no transaction.
    """
    key = idempotency.operation_key(action=Action.PAYMENT_LINK, entity_id=entity.pk, client_key=client_key)
    return _reserve(entity, key, now=now)


def count_recovered(*, tenant_id: str, entity_id: int, operation_key: str, now: dt.datetime) -> None:
    """Make the use of a link certain that only recovery found made; it exists, so no limit can refuse it."""
    with tenancy.tenant_scope(tenant_id):
        entity = BillableEntity.objects.get(tenant_id=tenant_id, pk=entity_id)
    try:
        limits.confirm(_reserve(entity, operation_key, now=now), now=now)
    except LimitExceeded as full:
        if full.details.get("reason") == "quota_exceeded":
            code = limits.code_of(capability=CAPABILITY)
            limits.record_usage(
                entity=entity, code=code, amount=1, usage_event_key=_event_key(operation_key), now=now
            )


def _reserve(entity: BillableEntity, operation_key: str, *, now: dt.datetime) -> Reservation | None:
    return limits.reserve(
        entity=entity, capability=CAPABILITY, usage_event_key=_event_key(operation_key), now=now
    )


def _event_key(operation_key: str) -> str:
    return f"{CAPABILITY}:{operation_key}"
