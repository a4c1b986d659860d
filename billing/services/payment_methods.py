"""How an entity pays: synced by hand and daily, and kept up by events (spec/checkout-billing.md 7.5)."""

import datetime as dt
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from billing import clock
from billing.models import BillableEntity, Customer, PaymentMethod
from billing.providers.errors import ProviderProblem
from billing.services import customers, locks, payment_method_rows, payment_method_sync, transactions
from billing.services.payment_method_events import apply_event
from billing.services.payment_method_sync import MANUAL, Look, look, record, write
from billing.states import PROVIDER, PaymentMethodStatus, SyncStatus
from settld.core import failpoints, tenancy
from settld.core.errors import Refusal
from settld.stripe_gateway.profiles import Profile

__all__ = [
    "CustomerDue",
    "Look",
    "PaymentMethodSyncFailed",
    "Synced",
    "apply_event",
    "due",
    "expire_cards",
    "look",
    "record",
    "sync",
    "sync_all_due",
    "sync_daily",
    "write",
]
DAILY = "daily_sync"
log = structlog.get_logger(__name__)


class PaymentMethodSyncFailed(Refusal):
    """The provider did not tell all; nothing was written but a line about it."""

    status = 502
    code = "payment_method_sync_failed"
    message = "The payment methods could not be synced; try again."


@dataclass(frozen=True)
class Synced:
    """How a sync ended; `skipped` when the entity pays as nobody."""

    status: SyncStatus
    synced_at: dt.datetime
    fetched_count: int


class CustomerDue(NamedTuple):
    """A customer whose methods the daily loop looks at."""

    id: int
    tenant_id: str
    billable_entity_id: int
    provider_customer_id: str


def sync(
    *,
    tenant_id: str,
    entity_id: int,
    event_type: str = MANUAL,
    profile: Profile = "worker",
    now: dt.datetime,
) -> Synced:
    """Bring the methods of the entity's primary customer up to what the provider has.

    Raises PaymentMethodSyncFailed (502) when any of the calls failed. Opens its own transactions, so it
    runs in none.
    """
    with tenancy.tenant_scope(tenant_id):
        entity = BillableEntity.objects.get(tenant_id=tenant_id, pk=entity_id)
        customer = customers.primary_of(entity)
    if customer is None:
        _record(entity, SyncStatus.SKIPPED, event_type=event_type, now=now)
        return Synced(SyncStatus.SKIPPED, now, 0)
    customer_id = customer.provider_customer_id
    try:
        seen = look(customer_id, profile=profile)
    except ProviderProblem as problem:
        log.warning(
            "billing_payment_method_sync_failed", billable_entity_id=entity.pk, **problem.as_details()
        )
        _record(
            entity,
            SyncStatus.FAILED,
            event_type=event_type,
            provider_customer_id=customer_id,
            error=f"{problem.category}: {problem.message}",
            now=now,
        )
        raise PaymentMethodSyncFailed() from problem
    failpoints.hit("billing.payment_methods.dispatched")

    def work() -> Synced:
        locked = locks.lock_entity(entity_id=entity.pk)
        is_written = write(entity=locked, seen=seen, now=now)
        status = SyncStatus.SUCCEEDED if is_written else SyncStatus.SKIPPED
        count = seen.fetched_count if is_written else 0
        record(
            entity=locked,
            status=status,
            event_type=event_type,
            provider_customer_id=customer_id,
            fetched_count=count,
            now=now,
        )
        failpoints.hit("billing.payment_methods.before_commit")
        return Synced(status, now, count)

    return transactions.retried(tenant_id=entity.tenant_id, work=work)


def due(*, after_id: int = 0, limit: int = 100) -> list[CustomerDue]:
    """List primary customers of all tenants by id, those after one; every one of them is due daily."""
    with tenancy.platform_scope(reason="billing.payment_methods.due"):
        rows = Customer.objects.filter(
            id__gt=after_id, provider=PROVIDER, is_primary=True, provider_deleted_at=None
        )
        values = rows.order_by("id").values_list(
            "id", "tenant_id", "billable_entity_id", "provider_customer_id"
        )
        return [CustomerDue(*row) for row in values[:limit]]


def expire_cards(*, entity: BillableEntity, now: dt.datetime) -> int:
    """Mark the active cards of an entity whose last month is over (UTC); gives how many.

    Inside the caller's transaction, the entity locked. For the daily loop, also where the provider did not
    answer: what a card says of itself needs no provider.
    """
    active = PaymentMethod.objects.filter(
        tenant_id=entity.tenant_id,
        billable_entity=entity,
        status=PaymentMethodStatus.ACTIVE,
        exp_year__isnull=False,
    )
    past = [
        row.pk
        for row in active.order_by("id").select_for_update(no_key=True, of=("self",))
        if payment_method_rows.is_past_its_month(row.exp_year, row.exp_month, now=now)
    ]
    return PaymentMethod.objects.filter(tenant_id=entity.tenant_id, pk__in=past).update(
        status=PaymentMethodStatus.EXPIRED
    )


def sync_all_due(*, limit: int | None = None) -> dict[str, int]:
    """Sync every primary customer and expire cards; one entity's trouble does not keep the others.

    Gives how many were `synced`, `failed` and how many cards `expired`. Runs in no transaction.
    """
    ends = {"synced": 0, "failed": 0, "expired": 0}
    after_id = 0
    while limit is None or ends["synced"] + ends["failed"] < limit:
        batch = due(after_id=after_id)
        if not batch:
            break
        for customer in batch if limit is None else batch[: limit - ends["synced"] - ends["failed"]]:
            after_id = customer.id
            try:
                ends["expired"] += sync_daily(
                    tenant_id=customer.tenant_id, entity_id=customer.billable_entity_id, now=clock.now()
                )
                ends["synced"] += 1
            except Exception as error:  # the next entity has a right to its turn
                ends["failed"] += 1
                if not isinstance(error, PaymentMethodSyncFailed):
                    log.exception(
                        "billing_payment_method_sync_broke", billable_entity_id=customer.billable_entity_id
                    )
    return ends


def sync_daily(*, tenant_id: str, entity_id: int, now: dt.datetime) -> int:
    """Sync one entity and expire its cards, which happens also where the provider does not answer.

    Gives how many cards expired. Raises PaymentMethodSyncFailed, the cards expired all the same.
    """

    def work() -> int:
        return expire_cards(entity=locks.lock_entity(entity_id=entity_id), now=now)

    expired = transactions.retried(tenant_id=tenant_id, work=work)
    sync(tenant_id=tenant_id, entity_id=entity_id, event_type=DAILY, now=now)
    return expired


def _record(
    entity: BillableEntity,
    status: SyncStatus,
    *,
    event_type: str,
    provider_customer_id: str | None = None,
    error: str | None = None,
    now: dt.datetime,
) -> None:
    def work() -> None:
        payment_method_sync.record(
            entity=locks.lock_entity(entity_id=entity.pk),
            status=status,
            event_type=event_type,
            provider_customer_id=provider_customer_id,
            error=error,
            now=now,
        )

    transactions.retried(tenant_id=entity.tenant_id, work=work)
