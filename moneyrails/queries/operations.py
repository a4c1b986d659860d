"""Finding operations and what hangs on them."""

from dataclasses import dataclass

from django.db.models import QuerySet

from moneyrails.models import DispatchAttempt, Operation
from settld.core.errors import NotFound


class OperationNotFound(NotFound):
    """This tenant has no such operation at this provider."""

    message = "money rail operation not found"


@dataclass(frozen=True)
class OperationFilter:
    """What a list may be narrowed by; None is any."""

    state: str | None = None
    party_id: str | None = None
    period: str | None = None
    direction: str | None = None


def get(*, tenant_id: str, provider_id: str, operation_id: str) -> Operation:
    """Give one operation, unlocked; OperationNotFound when there is none."""
    found = Operation.objects.filter(
        tenant_id=tenant_id, provider_id=provider_id, operation_id=operation_id
    ).first()
    if found is None:
        raise OperationNotFound()
    return found


def lock(*, tenant_id: str, provider_id: str, operation_id: str) -> Operation:
    """Give one operation with its row locked until commit."""
    found = (
        Operation.objects.select_for_update()
        .filter(tenant_id=tenant_id, provider_id=provider_id, operation_id=operation_id)
        .first()
    )
    if found is None:
        raise OperationNotFound()
    return found


def listing(*, tenant_id: str, provider_id: str, wanted: OperationFilter) -> QuerySet[Operation]:
    """List a provider's operations by id, in code point order."""
    rows = Operation.objects.filter(tenant_id=tenant_id, provider_id=provider_id)
    named = {name: value for name, value in vars(wanted).items() if value is not None}
    return rows.filter(**named).order_by("operation_id")


def latest_attempt(operation: Operation) -> DispatchAttempt | None:
    """Give the newest attempt of an operation."""
    return operation.attempts.order_by("-attempt").first()


def lock_latest_attempt(operation: Operation) -> DispatchAttempt | None:
    """Give the newest attempt with its row locked; the caller holds the operation's lock."""
    return operation.attempts.select_for_update().order_by("-attempt").first()
