"""The one order of locks, and the one helper that takes the first of them (section 5.1, INV-3, INV-4).

webhook event row -> billable entity -> its subscriptions -> its requests -> its checkout sessions ->
customers, items, invoices, payments, payment methods -> remediations -> outbox. One entity per transaction.
The entity's lock is the mutex: an empty set of rows locks nothing in PostgreSQL. It is FOR NO KEY UPDATE, so
that the foreign-key checks of concurrent child inserts (KEY SHARE) do not wait for it.
"""

from collections.abc import Sequence

from django.conf import settings
from django.db import connection

from billing import clock
from billing.models import BillableEntity, BillingRequest, CheckoutSession, Subscription
from billing.states import Action, Writer
from settld.core import clock as process_clock
from settld.core import rows

LOCK_TIMEOUT = "5s"
# In one round trip with the lock, and before it: how long to wait, and what the triggers compare with.
_SETTINGS = (
    "current_setting('billing.locked_entity',true),set_config('lock_timeout',%s,true),"
    "set_config('billing.locked_entity',%s,true),set_config('billing.writer',%s,true),"
    "set_config('billing.now',%s,true),set_config('billing.grace_seconds',%s,true)"
)


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
    given = [
        LOCK_TIMEOUT,
        str(entity_id),
        writer.value if writer else "",
        stopped,
        str(settings.BILLING.expires_at_grace_seconds),
        entity_id,
    ]
    (held, *_), entity = rows.first_after(BillableEntity, _SETTINGS, "id = %s FOR NO KEY UPDATE", given)
    if held and held != str(entity_id) and _is_real_transaction():
        raise RuntimeError(f"entity {held} is locked already; one entity per transaction")
    if entity is None:
        raise EntityGone(entity_id)
    return entity


def lock_subscriptions(entity: BillableEntity) -> list[Subscription]:
    """Lock and read the entity's subscriptions, by id."""
    return rows.every(Subscription, f"{_OF_ENTITY} {_IN_ORDER}", [entity.tenant_id, entity.pk])


def lock_request(entity: BillableEntity, request_id: int) -> BillingRequest | None:
    """Lock and read one request of the entity."""
    given = [entity.tenant_id, entity.pk, request_id]
    return rows.first(BillingRequest, f"{_OF_ENTITY} AND id = %s FOR NO KEY UPDATE", given)


def lock_request_of(
    entity: BillableEntity, operation_key: str, *, actions: Sequence[Action]
) -> BillingRequest | None:
    """Lock and read the entity's request of an operation, if it is one of these actions."""
    places = ", ".join(["%s"] * len(actions))
    return rows.first(
        BillingRequest,
        f"{_OF_ENTITY} AND operation_key = %s AND action IN ({places}) {_IN_ORDER}",
        [entity.tenant_id, entity.pk, operation_key, *(action.value for action in actions)],
    )


def lock_sessions(entity: BillableEntity) -> list[CheckoutSession]:
    """Lock and read the checkout sessions of the entity that can still change, by id.

    Finished sessions and those of payment links, of which there may be many, are locked by who needs one.
    """
    return rows.every(
        CheckoutSession,
        f"{_OF_ENTITY} AND status IN (%s, %s, %s) {_IN_ORDER}",
        [entity.tenant_id, entity.pk, *_OPEN_ENDED],
    )


_OPEN_ENDED = ("open", "completed_pending_subscription", "recovery_verification_pending")
_OF_ENTITY = "tenant_id = %s AND billable_entity_id = %s"
_IN_ORDER = "ORDER BY id FOR NO KEY UPDATE"


def _is_real_transaction() -> bool:
    """A test's own frame holds the setting of what was rolled into it; only a real transaction is judged."""
    return not any(getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)
