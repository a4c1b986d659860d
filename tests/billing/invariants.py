"""One row of everything, and raw SQL run against it as the application's role."""

import datetime as dt
from dataclasses import dataclass

from django.db import IntegrityError, connection, transaction

from billing.models import (
    BillableEntity,
    BillingRequest,
    CheckoutSession,
    Customer,
    Invoice,
    Plan,
    PlanPrice,
    Remediation,
    Subscription,
)
from settld.core import tenancy
from tests.billing import factories as make
from tests.billing.factories import NOW, TENANT

FOREIGN = "tenant_b"


@dataclass
class World:
    """One row of everything, of one tenant, and an entity of another."""

    entity: BillableEntity
    plan: Plan
    price: PlanPrice
    customer: Customer
    subscription: Subscription
    invoice: Invoice
    request: BillingRequest
    session: CheckoutSession
    remediation: Remediation
    foreign: BillableEntity


def make_world() -> World:
    entity, foreign = make.workspace_entity(), make.workspace_entity(FOREIGN)
    plan = make.plan()
    payer = make.customer(entity)
    kept = make.subscription(entity, plan, payer)
    with make.locked(entity):
        invoice = Invoice.objects.create(
            tenant_id=TENANT, billable_entity=entity, billing_customer=payer, subscription=kept,
            provider_invoice_id="in_1", status="paid", amount_due_minor=100, amount_paid_minor=100,
            amount_remaining_minor=0, currency="USD",
        )  # fmt: skip
        remediation = Remediation.objects.create(
            tenant_id=TENANT, billable_entity=entity, canonical_provider_subscription_id="sub_1",
            duplicate_provider_subscription_id="sub_2",
        )  # fmt: skip
    frozen = int(NOW.timestamp())
    request = make.request(
        entity,
        provider_request_params_json={"expires_at": frozen + 86_400},
        provider_request_hash="a" * 64,
        provider_request_schema_version="stripe_checkout_session_create_params_v1",
        provider_sdk_name="stripe-python",
        provider_sdk_version="16.1.0",
        provider_api_version="2026-10-28.endive",
        provider_request_frozen_at=NOW,
        provider_idempotency_replay_deadline_at=NOW + dt.timedelta(seconds=82_800),
        provider_checkout_session_expires_at_upper_bound=NOW + dt.timedelta(days=1),
    )
    session = make.session(
        entity, operation_key=request.operation_key, idempotency_row=request,
        provider_checkout_session_id="cs_1",
    )  # fmt: skip
    return World(
        entity=entity, plan=plan, price=plan.prices.get(), customer=payer, subscription=kept,
        invoice=invoice, request=request, session=session, remediation=remediation, foreign=foreign,
    )  # fmt: skip


def attempt(sql: str, *parameters: object, lock: object = "", writer: str = "subscription_projection") -> str:
    """Run SQL as the application would, in the tenant's scope; the rule that refused it, "" for none."""
    try:
        with tenancy.tenant_scope(TENANT), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('billing.locked_entity', %s, true),"
                " set_config('billing.writer', %s, true),"
                " set_config('billing.now', %s, true)",
                [str(lock), writer, NOW.isoformat()],
            )
            cursor.execute(sql, parameters)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            transaction.set_rollback(True)
    except IntegrityError as error:
        return str(error.__cause__.diag.constraint_name)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    return ""


def copy(table: str, row_id: int, **changes: object) -> tuple[str, list[object]]:
    """SQL that inserts the same row again, but for some columns."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND"
            " column_name <> 'id'",
            [table],
        )
        columns = [name for (name,) in cursor.fetchall()]
    values = ", ".join("%s" if name in changes else f'"{name}"' for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    return (
        f'INSERT INTO "{table}" ({names}) SELECT {values} FROM "{table}" WHERE id = {row_id}',
        [changes[name] for name in columns if name in changes],
    )


def copied(table: str, row_id: int, *, lock: object = "", **changes: object) -> str:
    sql, parameters = copy(table, row_id, **changes)
    return attempt(sql, *parameters, lock=lock)


def make_bare_request(world: World, **changes: object) -> BillingRequest:
    """The world's request without a session: what there was is done, another is pending."""
    with make.locked(world.entity):
        BillingRequest.objects.filter(pk=world.request.pk).update(
            status="failed", failure_code="checkout_provider_error", pending_lease_expires_at=None
        )
    frozen = {
        name: getattr(world.request, name)
        for name in (
            "provider_request_params_json", "provider_request_hash", "provider_request_schema_version",
            "provider_sdk_name", "provider_sdk_version", "provider_api_version", "provider_request_frozen_at",
            "provider_idempotency_replay_deadline_at", "provider_checkout_session_expires_at_upper_bound",
        )
    }  # fmt: skip
    return make.request(world.entity, **(frozen | changes))
