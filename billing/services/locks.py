"""The one order of locks, and the one helper that takes the first of them (section 5.1, INV-3, INV-4).

webhook event row -> billable entity -> its subscriptions -> its requests -> its checkout sessions ->
customers, items, invoices, payments, payment methods -> remediations -> outbox. One entity per transaction.
The entity's lock is the mutex: an empty set of rows locks nothing in PostgreSQL. It is FOR NO KEY UPDATE, so
that the foreign-key checks of concurrent child inserts (KEY SHARE) do not wait for it.
"""

from django.conf import settings
from django.db import connection

from billing import clock
from billing.models import BillableEntity, BillingRequest, CheckoutSession, Subscription
from billing.states import Writer
from settld.core import clock as process_clock
from settld.core import rows

LOCK_TIMEOUT = "5s"


class EntityGone(Exception):
    """No such entity in the tenant of the scope; entities are never deleted, so the id was wrong."""


def lock_entity(*, entity_id: int, writer: Writer | None = None) -> BillableEntity:
    """Take the mutex of an entity for the rest of the open transaction; the tenant's scope is entered.

    `writer` names us to the trigger of subscriptions. Another entity locked by the same transaction is a
    mistake and raises RuntimeError. Waits five seconds at most, then OperationalError (lock_not_available).
    """
    if not connection.in_atomic_block:
        raise RuntimeError("a lock outside a transaction holds nothing")
    # The deferred rule of requests (INV-15) compares with our clock, which a test may have stopped.
    stopped = clock.now().isoformat() if process_clock.is_frozen() else ""
    with connection.cursor() as cursor:  # one round trip says it all; the lock itself follows at once
        cursor.execute(
            "SELECT current_setting('billing.locked_entity', true), set_config('lock_timeout', %s, true),"
            " set_config('billing.locked_entity', %s, true), set_config('billing.writer', %s, true),"
            " set_config('billing.now', %s, true), set_config('billing.grace_seconds', %s, true)",
            [
                LOCK_TIMEOUT,
                str(entity_id),
                writer.value if writer else "",
                stopped,
                str(settings.BILLING.expires_at_grace_seconds),
            ],
        )
        held = cursor.fetchone()[0]
    if held and held != str(entity_id) and _is_real_transaction():
        raise RuntimeError(f"entity {held} is locked already; one entity per transaction")
    entity = rows.first(BillableEntity, "id = %s FOR NO KEY UPDATE", [entity_id])
    if entity is None:
        raise EntityGone(entity_id)
    return entity


def lock_subscriptions(entity: BillableEntity) -> list[Subscription]:
    """Lock and read the entity's subscriptions, by id."""
    found = Subscription.objects.filter(tenant_id=entity.tenant_id, billable_entity=entity)
    return list(found.order_by("id").select_for_update(no_key=True, of=("self",)))


def lock_request(entity: BillableEntity, request_id: int) -> BillingRequest | None:
    """Lock and read one request of the entity."""
    found = BillingRequest.objects.filter(tenant_id=entity.tenant_id, billable_entity=entity, pk=request_id)
    return found.select_for_update(no_key=True, of=("self",)).first()


def lock_sessions(entity: BillableEntity) -> list[CheckoutSession]:
    """Lock and read the checkout sessions of the entity that can still change, by id.

    Finished sessions and those of payment links, of which there may be many, are locked by who needs one.
    """
    found = CheckoutSession.objects.filter(tenant_id=entity.tenant_id, billable_entity=entity)
    return list(
        found.filter(status__in=_OPEN_ENDED).order_by("id").select_for_update(no_key=True, of=("self",))
    )


_OPEN_ENDED = ("open", "completed_pending_subscription", "recovery_verification_pending")


def _is_real_transaction() -> bool:
    """A test's own frame holds the setting of what was rolled into it; only a real transaction is judged."""
    return not any(getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)
