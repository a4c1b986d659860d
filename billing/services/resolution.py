"""Whose an object of the provider is (spec/checkout-billing.md 8.3; spec/README.md ruling 6).

Everything that the object says about its owner is looked up in the directory of provider identifiers; what
resolves must agree. Other consumers of the one Stripe account mark their objects with labels of their own.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from django.conf import settings

from billing.guardrail_codes import Guardrail
from billing.models import BillableEntity
from billing.providers.facts import Labels
from billing.services import guardrails, refs
from billing.services.refs import Owner
from billing.states import RefKind
from settld.core import tenancy
from settld.core.errors import Conflict
from settld.stripe_gateway import consumers

OUR_LABELS: Final = frozenset(
    {
        "operation_key",
        "billable_entity_id",
        "idempotency_row_id",
        "checkout_type",
        "checkout_flow",
        "billing_flow",
        "payment_link_mode",
    }
)
# By these the other consumers of this deployment know what is theirs: tenant plans, prepaid credit.
TENANT_LABEL: Final = "tenantId"
WALLET_PURPOSE: Final = "wallet_"
BIGGEST_ID: Final = 2**63 - 1


class CorrelationMismatch(Conflict):
    """An object that leads to no entity, or to more than one; nothing was written."""

    code = "CHECKOUT_SESSION_CORRELATION_MISMATCH"
    message = "The object does not match what is known of its owner."


@dataclass(frozen=True, kw_only=True)
class Traces:
    """What an object says about whose it is; what it does not say is None."""

    metadata: Labels
    customer_id: str | None = None
    subscription_id: str | None = None
    session_id: str | None = None
    payment_link_id: str | None = None

    @property
    def operation_key(self) -> str | None:
        """Give the operation that the object says it came from."""
        return self.metadata.get("operation_key") or None


@dataclass(frozen=True)
class Resolved:
    """Whose an object is, and the operation that it names."""

    owner: Owner
    operation_key: str | None

    @contextlib.contextmanager
    def correlated(self) -> Iterator[None]:
        """Have log lines, and an exception that leaves, say whose event this is."""
        tenant_id, entity_id = self.owner
        with structlog.contextvars.bound_contextvars(
            operation_key=self.operation_key, billable_entity_id=entity_id
        ):
            try:
                yield
            except Exception as error:
                consumers.correlate(
                    error,
                    tenant_id=tenant_id,
                    billable_entity_id=entity_id,
                    operation_key=self.operation_key or "",
                )
                raise


def labels_of(thing: Mapping[str, Any]) -> Labels:
    """Read the labels of an object whose shape is not known to be one of ours yet."""
    found = thing.get("metadata")
    if not isinstance(found, Mapping):
        return {}
    return {str(key): value for key, value in found.items() if isinstance(value, str)}


def resolve(traces: Traces, *, provider_event_id: str | None) -> Resolved | None:
    """Find the one entity that all traces lead to; None for an object that is no business of ours.

    Not ours is what carries another consumer's label and no operation key, unless its own id is in our
    directory, and, in a shared account (`BILLING_STRIPE_ACCOUNT_SHARED`), what leads nowhere and has none of
    our labels. Raises CorrelationMismatch (409) when traces disagree or none leads anywhere. No lock is
    held: who writes by the answer claims the identifiers again, under the entity's lock.
    """
    if _is_anothers(traces):
        return None
    owners = _owners(traces)
    if len(owners) == 1:
        return Resolved(owners.pop(), traces.operation_key)
    if not owners and is_strangers(traces.metadata):
        return None
    reason = "its traces lead to different entities" if owners else "nothing local is known of it"
    raise mismatch(reason, operation_key=traces.operation_key, provider_event_id=provider_event_id)


def is_strangers(metadata: Labels) -> bool:
    """Tell whether an object may be somebody else's: the account is shared, and no label of ours is on it."""
    return bool(settings.BILLING.stripe_account_shared) and OUR_LABELS.isdisjoint(metadata)


def knows_operation(entity: BillableEntity, operation_key: str | None) -> bool:
    """Tell whether an operation key is one that this entity began."""
    found = refs.find(kind=RefKind.OPERATION_KEY, ref=operation_key)
    return found == Owner(entity.tenant_id, entity.pk)


def mismatch(
    reason: str,
    *,
    operation_key: str | None,
    provider_event_id: str | None,
    entity: BillableEntity | None = None,
) -> CorrelationMismatch:
    """Say that an object does not match, and give the refusal to raise."""
    guardrails.emit(
        Guardrail.CHECKOUT_CORRELATION_MISMATCH,
        operation_key=operation_key,
        provider_event_id=provider_event_id,
        billable_entity_id=None if entity is None else entity.pk,
        reason=reason,
    )
    error = CorrelationMismatch(details={"operationKey": operation_key, "reason": reason})
    consumers.correlate(error, operation_key=operation_key or "")
    return error


def _is_anothers(traces: Traces) -> bool:
    is_marked = bool(traces.metadata.get(TENANT_LABEL)) or traces.metadata.get("purpose", "").startswith(
        WALLET_PURPOSE
    )
    if traces.operation_key is not None or not is_marked:
        return False
    return not refs.find_all(
        (RefKind.SUBSCRIPTION, traces.subscription_id),
        (RefKind.CHECKOUT_SESSION, traces.session_id),
        (RefKind.PAYMENT_LINK, traces.payment_link_id),
    )


def _owners(traces: Traces) -> set[Owner]:
    sources = refs.find_all(
        (RefKind.CUSTOMER, traces.customer_id),
        (RefKind.SUBSCRIPTION, traces.subscription_id),
        (RefKind.CHECKOUT_SESSION, traces.session_id),
        (RefKind.PAYMENT_LINK, traces.payment_link_id),
        (RefKind.OPERATION_KEY, traces.operation_key),
    )
    found = set(sources.values())
    entity_id = traces.metadata.get("billable_entity_id")
    if {str(owner.billable_entity_id) for owner in found} == {entity_id}:
        return found  # it says the same; to look the entity up would cost a read across tenants
    named = _entity_named(entity_id)
    return found if named is None else found | {named}


def _entity_named(text: str | None) -> Owner | None:
    """Find the entity whose id an object carries; an id that is none leads nowhere."""
    if not text or not text.isascii() or not text.isdigit() or int(text) > BIGGEST_ID:
        return None
    with tenancy.platform_scope(reason="billing.webhook.resolve"):
        row = BillableEntity.objects.filter(pk=int(text)).values_list("tenant_id", "id").first()
    return None if row is None else Owner(*row)
