"""Finding operations and what hangs on them."""

from dataclasses import dataclass

from django.db.models import QuerySet

from moneyrails.models import DispatchAttempt, Operation
from settld.core import rows
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


_NAMED = "tenant_id = %s AND provider_id = %s AND operation_id = %s"
_NEWEST = "tenant_id = %s AND operation_id = %s ORDER BY attempt DESC LIMIT 1"


def get(*, tenant_id: str, provider_id: str, operation_id: str) -> Operation:
    """Give one operation, unlocked; OperationNotFound when there is none."""
    found = rows.first(Operation, _NAMED, [tenant_id, provider_id, operation_id])
    if found is None:
        raise OperationNotFound()
    return found


def get_with_attempt(
    *, tenant_id: str, provider_id: str, operation_id: str
) -> tuple[Operation, DispatchAttempt | None]:
    """Give one operation and its newest attempt, unlocked; OperationNotFound when there is none."""
    found = rows.first_with(
        Operation,
        _NAMED,
        DispatchAttempt,
        "tenant_id = own.tenant_id AND operation_id = own.id ORDER BY attempt DESC LIMIT 1",
        [tenant_id, provider_id, operation_id],
    )
    if found is None:
        raise OperationNotFound()
    return found


def lock(*, tenant_id: str, provider_id: str, operation_id: str) -> Operation:
    """Give one operation with its row locked until commit."""
    found = rows.first(Operation, f"{_NAMED} FOR UPDATE", [tenant_id, provider_id, operation_id])
    if found is None:
        raise OperationNotFound()
    return found


def listing(*, tenant_id: str, provider_id: str, wanted: OperationFilter) -> QuerySet[Operation]:
    """List a provider's operations by id, in code point order."""
    found = Operation.objects.filter(tenant_id=tenant_id, provider_id=provider_id)
    named = {name: value for name, value in vars(wanted).items() if value is not None}
    return found.filter(**named).order_by("operation_id")


def latest_attempt(operation: Operation) -> DispatchAttempt | None:
    """Give the newest attempt of an operation."""
    return rows.first(DispatchAttempt, _NEWEST, [operation.tenant_id, operation.pk])


def lock_latest_attempt(operation: Operation) -> DispatchAttempt | None:
    """Give the newest attempt with its row locked; the caller holds the operation's lock."""
    return rows.first(DispatchAttempt, f"{_NEWEST} FOR UPDATE", [operation.tenant_id, operation.pk])
