"""One contract test per endpoint of section 7.2: T-148 to T-155 (T-156 stands in test_timeline)."""

import datetime as dt

import pytest

from billing.models import Invoice, Payment, PlanPrice, SubscriptionItem
from billing.services import limits
from settld.core import clock, transactions
from tests.billing import factories as make
from tests.billing import history
from tests.billing.checkout_provider import provider
from tests.billing.factories import NOW
from tests.billing.shop_provider import shop
from tests.support.api import body

__all__ = ["provider", "shop"]
KEY = {"Idempotency-Key": "key-1"}
ENTITY = ["id", "entityType", "entityRef", "workspaceId", "ownerUserId", "status", "createdAt", "updatedAt"]
MARK = ["metadataJson", "lastProviderEventCreatedAt", "lastProviderEventId", "createdAt", "updatedAt"]


@pytest.fixture
def entity(db):
    return make.workspace_entity()


def get(api, path):
    answer = api.get(f"/api/billing/{path}")
    assert answer.status_code == 200, answer.content
    return body(answer)


# --- T-148 GET plans ------------------------------------------------------------------------------
def test_t148_plans_are_those_on_sale_and_the_entitys_current_one(api, entity):
    current = make.plan("old", price_id="price_old", is_active=False)
    PlanPrice.objects.filter(plan=current).update(is_active=False)
    on_sale = make.plan("pro", description="All of it", metadata_json={"badge": "new"})
    make.entitlement(on_sale, "seats", "entitlement.boolean.v1", {"enabled": True})
    make.plan("hidden", price_id="price_hidden", is_active=False)
    unsold = make.plan("unsold", price_id="price_unsold")
    PlanPrice.objects.filter(plan=unsold).update(is_active=False)
    seats_only = make.plan("seats", price_id="price_seats")
    PlanPrice.objects.filter(plan=seats_only).delete()
    PlanPrice.objects.create(
        plan=seats_only, provider_price_id="price_seat", billing_component="seat", currency="USD",
        unit_amount_minor=1,
    )  # fmt: skip
    make.subscription(entity, current, make.customer(entity))

    answer = get(api, "plans")
    assert list(answer) == ["plans"]
    assert [plan["code"] for plan in answer["plans"]] == ["pro", "old"]  # active first, then by id
    pro, old = answer["plans"]
    assert pro == {
        "id": on_sale.pk,
        "code": "pro",
        "name": "Pro",
        "description": "All of it",
        "appliesTo": "workspace",
        "corePrice": {
            "provider": "stripe",
            "providerPriceId": "price_pro",
            "providerProductId": "prod_1",
            "interval": "month",
            "intervalCount": 1,
            "currency": "USD",
            "unitAmountMinor": 4_900,
        },
        "isActive": True,
        "metadataJson": {"badge": "new"},
        "createdAt": clock.iso(on_sale.created_at),
        "updatedAt": clock.iso(on_sale.updated_at),
        "entitlements": [
            {
                "id": pro["entitlements"][0]["id"],
                "planId": on_sale.pk,
                "code": "seats",
                "schemaVersion": "entitlement.boolean.v1",
                "valueJson": {"enabled": True},
                "createdAt": pro["entitlements"][0]["createdAt"],
                "updatedAt": pro["entitlements"][0]["updatedAt"],
            }
        ],
    }
    assert (old["isActive"], old["corePrice"]["providerPriceId"]) == (False, "price_old")


# --- T-149 GET subscription -----------------------------------------------------------------------
def test_t149_without_a_subscription_the_primary_customer_and_empty_lists(api, entity):
    make.customer(entity, "cus_2", is_primary=False)
    assert get(api, "subscription") == {
        "billableEntity": get(api, "subscription")["billableEntity"],
        "subscription": None, "customer": None, "items": [], "invoices": [], "payments": [],
    }  # fmt: skip
    make.customer(entity, "cus_1", email="payer@example.com")
    customer = get(api, "subscription")["customer"]
    assert list(customer) == [
        "id", "billableEntityId", "provider", "providerCustomerId", "email", "metadataJson", "createdAt",
        "updatedAt",
    ]  # fmt: skip
    assert (customer["providerCustomerId"], customer["email"]) == ("cus_1", "payer@example.com")


def test_t149_the_snapshot_has_the_columns_that_are_shown_and_no_other(api, entity):
    history.of(entity)
    subscription_id = get(api, "subscription")["subscription"]["id"]
    with make.locked(entity):
        SubscriptionItem.objects.create(
            tenant_id=entity.tenant_id, subscription_id=subscription_id,
            provider_subscription_item_id="si_1", provider_price_id="price_pro", quantity=1,
        )  # fmt: skip
    answer = get(api, "subscription")

    assert list(answer) == ["billableEntity", "subscription", "customer", "items", "invoices", "payments"]
    assert list(answer["billableEntity"]) == ENTITY
    assert list(answer["subscription"]) == [
        "id", "billableEntityId", "planId", "billingCustomerId", "provider", "providerSubscriptionId",
        "status", "providerSubscriptionCreatedAt", "currentPeriodEnd", "trialEnd", "canceledAt",
        "cancelAtPeriodEnd",
        "endedAt", "isCurrent", *MARK,
    ]  # fmt: skip
    assert list(answer["items"][0]) == [
        "id", "subscriptionId", "provider", "providerSubscriptionItemId", "billingPlanPriceId",
        "billingComponent", "usageType", "quantity", "isActive", *MARK,
    ]  # fmt: skip
    assert list(answer["invoices"][0]) == [
        "id", "subscriptionId", "billableEntityId", "billingCustomerId", "provider", "providerInvoiceId",
        "status", "amountDueMinor", "amountPaidMinor", "amountRemainingMinor", "currency", "issuedAt",
        "dueAt", "paidAt", *MARK,
    ]  # fmt: skip
    assert list(answer["payments"][0]) == [
        "id", "invoiceId", "provider", "providerPaymentId", "type", "status", "amountMinor", "currency",
        "paidAt", *MARK,
    ]  # fmt: skip
    assert answer["subscription"]["providerSubscriptionCreatedAt"] == "2026-03-10T12:00:00.000Z"
    assert answer["subscription"]["lastProviderEventId"] == "evt_1"
    assert answer["payments"][0]["amountMinor"] == 4_900


def test_t149_invoices_are_the_25_newest_of_the_subscription_with_their_payments(api, entity):
    history.of(entity)
    history.more_invoices(entity, 30)
    with make.locked(entity):
        first = Invoice.objects.get(provider_invoice_id="in_more_29")
        Payment.objects.create(
            tenant_id=entity.tenant_id, invoice=first, provider_payment_id="pi_new", type="card",
            status="failed", amount_minor=1, currency="USD",
        )  # fmt: skip
        Invoice.objects.create(  # of no subscription
            tenant_id=entity.tenant_id, billable_entity=entity, billing_customer=first.billing_customer,
            provider_invoice_id="in_alone", status="open", amount_due_minor=1, amount_paid_minor=0,
            amount_remaining_minor=1, currency="USD", issued_at=NOW + dt.timedelta(days=1),
        )  # fmt: skip
    answer = get(api, "subscription")

    shown = [invoice["providerInvoiceId"] for invoice in answer["invoices"]]
    assert shown == [f"in_more_{number}" for number in range(29, 4, -1)]
    assert [payment["providerPaymentId"] for payment in answer["payments"]] == ["pi_new"]


def test_t149_a_subscription_that_has_ended_is_not_shown(api, entity):
    make.subscription(entity, make.plan(), make.customer(entity), status="canceled", is_current=False)
    assert get(api, "subscription")["subscription"] is None


def test_t149_the_snapshot_is_of_one_instant_and_writes_nothing(live_db, api):
    """By construction: somebody ends the subscription between our statements; we see none of it."""
    import threading

    from django.db import InternalError, connection

    from billing.models import Subscription
    from settld.core import tenancy

    entity = make.workspace_entity()
    history.of(entity)

    def meanwhile():
        try:
            with make.locked(entity):
                Subscription.objects.update(status="canceled", is_current=False)
                Invoice.objects.update(status="void")
        finally:
            connection.close()

    with tenancy.tenant_scope(entity.tenant_id), transactions.snapshot():
        assert Subscription.objects.get().is_current
        rival = threading.Thread(target=meanwhile)
        rival.start()
        rival.join(timeout=10)
        assert not rival.is_alive()
        assert Subscription.objects.get().is_current
        assert Invoice.objects.get().status == "paid"
        with pytest.raises(InternalError, match="read-only"):
            Invoice.objects.update(status="draft")
    assert get(api, "subscription")["subscription"] is None


# --- T-150 to T-154: what others do, in its shape -------------------------------------------------
def test_t150_a_checkout_answers_in_its_shape(api, entity, provider):
    make.plan()
    answer = api.post(
        "/api/billing/checkout", {"planCode": "pro", "successPath": "/a", "cancelPath": "/b"}, headers=KEY
    )
    told = body(answer)
    assert answer.status_code == 200
    assert set(told) == {"provider", "billableEntityId", "operationKey", "checkoutType", "checkoutSession"}
    assert (told["provider"], told["billableEntityId"], told["checkoutType"]) == (
        "stripe", entity.pk, "subscription",
    )  # fmt: skip
    assert len(told["operationKey"]) == 64
    assert set(told["checkoutSession"]) == {
        "providerCheckoutSessionId", "status", "providerStatus", "checkoutUrl", "expiresAt", "customerId",
        "subscriptionId",
    }  # fmt: skip


def test_t151_a_portal_session_answers_in_its_shape(api, entity, shop):
    make.subscription(entity, make.plan(), make.customer(entity))
    answer = body(api.post("/api/billing/portal", {"returnPath": "/a"}, headers=KEY))
    assert set(answer) == {"provider", "portalSession"}
    assert set(answer["portalSession"]) == {"id", "url"}


def test_t152_a_payment_link_answers_in_its_shape(api, entity, shop):
    sent = {"successPath": "/a", "oneOff": {"name": "Setup", "amountMinor": 1_500}}
    answer = body(api.post("/api/billing/payment-links", sent, headers=KEY))
    assert set(answer) == {"provider", "billableEntityId", "operationKey", "paymentLink"}
    assert set(answer["paymentLink"]) == {"id", "url", "active"}


def test_t153_payment_methods_answer_in_their_shape(api, entity):
    answer = get(api, "payment-methods")
    assert list(answer) == ["billableEntity", "paymentMethods"]
    assert list(answer["billableEntity"]) == ENTITY


def test_t154_a_sync_answers_in_its_shape(api, entity, shop):
    answer = body(api.post("/api/billing/payment-methods/sync"))
    assert set(answer) == {"billableEntity", "paymentMethods", "syncedAt", "syncStatus", "fetchedCount"}
    assert (answer["syncStatus"], answer["fetchedCount"], answer["paymentMethods"]) == ("skipped", 0, [])


# --- T-155 GET limitations ------------------------------------------------------------------------
def test_t155_without_a_subscription_nothing_limits(api, entity):
    with clock.freeze(NOW):
        answer = get(api, "limitations")
    assert list(answer) == ["billableEntity", "subscription", "generatedAt", "limitations"]
    assert (answer["subscription"], answer["limitations"]) == (None, [])
    assert answer["generatedAt"] == "2026-03-10T12:00:00.000Z"


def test_t155_limitations_are_told_by_kind_and_in_order_of_their_codes(api, entity):
    plan = make.plan()
    quota = {"limit": 2, "interval": "month", "enforcement": "soft"}
    make.entitlement(plan, "regions", "entitlement.string_list.v1", {"values": [" eu ", "us"]})
    make.entitlement(plan, "calls", "entitlement.quota.v1", quota)
    make.entitlement(plan, "export", "entitlement.boolean.v1", {"enabled": False})
    make.subscription(entity, plan, make.customer(entity))

    def calls(used, now=NOW):
        with clock.freeze(now):
            calls, export, regions = get(api, "limitations")["limitations"]
        assert export == {
            "code": "export", "schemaVersion": "entitlement.boolean.v1", "type": "boolean",
            "valueJson": {"enabled": False}, "enabled": False,
        }  # fmt: skip
        assert regions == {
            "code": "regions", "schemaVersion": "entitlement.string_list.v1", "type": "string_list",
            "valueJson": {"values": [" eu ", "us"]}, "values": ["eu", "us"],
        }  # fmt: skip
        assert (calls["type"], calls["valueJson"]) == ("quota", quota)
        assert calls["quota"]["used"] == used
        return {name: calls["quota"][name] for name in ("remaining", "reached", "exceeded")}

    assert calls(0) == {"remaining": 2, "reached": False, "exceeded": False}
    limits.record_usage(entity=entity, code="calls", amount=2, now=NOW)
    assert calls(2) == {"remaining": 0, "reached": True, "exceeded": False}
    limits.record_usage(entity=entity, code="calls", amount=1, now=NOW)
    assert calls(3) == {"remaining": 0, "reached": True, "exceeded": True}
    assert calls(0, NOW + dt.timedelta(days=30)) == {"remaining": 2, "reached": False, "exceeded": False}
    with clock.freeze(NOW):
        told = get(api, "limitations")["limitations"][0]["quota"]
    assert told | {"used": 0, "remaining": 0, "reached": False, "exceeded": False} == {
        "interval": "month", "enforcement": "soft", "limit": 2, "used": 0, "remaining": 0, "reached": False,
        "exceeded": False, "windowStartAt": "2026-03-01T00:00:00.000Z",
        "windowEndAt": "2026-04-01T00:00:00.000Z",
    }  # fmt: skip
