"""Rows of checkout billing as the product would have written them, for tests that begin in the middle."""

import contextlib
import datetime as dt
import secrets
from collections.abc import Iterator
from typing import Any

from billing.models import (
    BillableEntity,
    BillingRequest,
    CheckoutSession,
    Customer,
    Entitlement,
    Plan,
    PlanPrice,
    Subscription,
)
from billing.services import locks, refs
from billing.states import RefKind, Writer
from settld.core import tenancy, transactions

NOW = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
TENANT = "tenant_a"


@contextlib.contextmanager
def locked(
    entity: BillableEntity, *, writer: Writer | None = Writer.SUBSCRIPTION_PROJECTION
) -> Iterator[None]:
    """A transaction of the entity's tenant that holds the entity's lock."""
    with tenancy.tenant_scope(entity.tenant_id), transactions.atomic():
        locks.lock_entity(entity_id=entity.pk, writer=writer)
        yield


def tenant(tenant_id: str = TENANT) -> str:
    """A tenant that may act."""
    from settld.tenants.models import Tenant

    Tenant.objects.get_or_create(
        tenant_id=tenant_id, defaults={"name": tenant_id, "created_at": NOW, "updated_at": NOW}
    )
    return tenant_id


def workspace_entity(tenant_id: str = TENANT, **more: Any) -> BillableEntity:
    """The entity of a workspace."""
    tenant(tenant_id)
    with tenancy.tenant_scope(tenant_id), transactions.atomic():
        found = BillableEntity.objects.filter(tenant_id=tenant_id, workspace_id=tenant_id).first()
        if found is not None:
            return found
        return BillableEntity.objects.create(
            tenant_id=tenant_id, entity_type="workspace", workspace_id=tenant_id, **more
        )


def plan(code: str = "pro", *, price_id: str = "price_pro", amount: int = 4_900, **more: Any) -> Plan:
    """A plan with one sellable price."""
    made = Plan.objects.create(code=code, plan_family_code=code, name=code.title(), **more)
    PlanPrice.objects.create(
        plan=made,
        provider_price_id=price_id,
        provider_product_id="prod_1",
        currency="USD",
        unit_amount_minor=amount,
    )
    return made


def entitlement(of: Plan, code: str, schema_version: str, value: Any) -> Entitlement:
    """Something that a plan grants."""
    return Entitlement.objects.create(plan=of, code=code, schema_version=schema_version, value_json=value)


def customer(entity: BillableEntity, provider_customer_id: str = "cus_1", **more: Any) -> Customer:
    """A customer of an entity, primary unless told otherwise, known to the directory."""
    values = {"origin": "checkout", "is_primary": True} | more
    with tenancy.tenant_scope(entity.tenant_id), transactions.atomic():
        refs.claim(kind=RefKind.CUSTOMER, ref=provider_customer_id, entity=entity)
        return Customer.objects.create(
            tenant_id=entity.tenant_id,
            billable_entity=entity,
            provider_customer_id=provider_customer_id,
            **values,
        )


def subscription(
    entity: BillableEntity,
    of_plan: Plan,
    payer: Customer,
    provider_subscription_id: str = "sub_1",
    **more: Any,
) -> Subscription:
    """A subscription, current and active unless told otherwise."""
    values = {"status": "active", "is_current": True, "provider_subscription_created_at": NOW} | more
    with locked(entity):
        refs.claim(kind=RefKind.SUBSCRIPTION, ref=provider_subscription_id, entity=entity)
        return Subscription.objects.create(
            tenant_id=entity.tenant_id,
            billable_entity=entity,
            plan=of_plan,
            billing_customer=payer,
            provider_subscription_id=provider_subscription_id,
            **values,
        )


def request(entity: BillableEntity, **more: Any) -> BillingRequest:
    """A pending checkout request whose lease runs, known to the directory."""
    key = secrets.token_hex(32)
    values = {
        "action": "checkout",
        "client_idempotency_key": f"key-{key[:8]}",
        "request_fingerprint_hash": "f" * 64,
        "normalized_request_json": {},
        "operation_key": key,
        "provider_idempotency_key": secrets.token_hex(32),
        "pending_lease_expires_at": NOW + dt.timedelta(seconds=120),
        "expires_at": NOW + dt.timedelta(days=30),
    } | more
    with locked(entity):
        refs.claim(kind=RefKind.OPERATION_KEY, ref=values["operation_key"], entity=entity)
        return BillingRequest.objects.create(tenant_id=entity.tenant_id, billable_entity=entity, **values)


def session(entity: BillableEntity, **more: Any) -> CheckoutSession:
    """A checkout session, open for a day unless told otherwise, known to the directory."""
    values = {
        "flow": "subscription",
        "status": "open",
        "operation_key": secrets.token_hex(32),
        "expires_at": NOW + dt.timedelta(days=1),
    } | more
    with locked(entity):
        if session_id := values.get("provider_checkout_session_id"):
            refs.claim(kind=RefKind.CHECKOUT_SESSION, ref=session_id, entity=entity)
        refs.claim(kind=RefKind.OPERATION_KEY, ref=values["operation_key"], entity=entity)
        return CheckoutSession.objects.create(tenant_id=entity.tenant_id, billable_entity=entity, **values)
