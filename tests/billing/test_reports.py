"""The report adds up: revenue per month, invoice totals, in each currency, to the minor unit."""

import datetime as dt

import pytest

from billing.models import Invoice, Payment, PlanPrice, Subscription, SubscriptionItem
from billing.services import reports
from tests.billing import factories
from tests.billing.workers import NOW, frozen


@pytest.fixture
def entity(db):
    return factories.workspace_entity()


def summary(**asked):
    with frozen():
        return reports.summary(**asked)


def price(plan, price_id: str, **more) -> PlanPrice:
    values = {"billing_component": "seat", "currency": "USD", "unit_amount_minor": 1_000} | more
    return PlanPrice.objects.create(plan=plan, provider_price_id=price_id, **values)


def item(entity, row: Subscription, of: PlanPrice, number: int, **more) -> None:
    with factories.locked(entity):
        SubscriptionItem.objects.create(
            tenant_id=entity.tenant_id,
            subscription=row,
            provider_subscription_item_id=f"si_{number}",
            billing_plan_price=of,
            **{"quantity": 1} | more,
        )


def mrr(entity) -> dict[str, int]:
    return {row["currency"]: row["mrrMinor"] for row in summary()["currencies"]}


@pytest.fixture
def subscribed(entity):
    plan = factories.plan()
    return plan, factories.subscription(entity, plan, factories.customer(entity))


@pytest.mark.parametrize(
    ("interval", "count", "quantity", "expected"),
    [
        ("month", 1, 1, 1_000),
        ("month", 1, 7, 7_000),
        ("month", 3, 1, 333),
        ("year", 1, 1, 83),
        ("year", 1, 6, 500),
        ("week", 1, 3, 13_000),
        ("day", 1, 1, 30_417),
        ("month", 1, None, 1_000),
    ],
)
def test_what_a_subscription_is_worth_a_month(entity, subscribed, interval, count, quantity, expected):
    plan, row = subscribed
    item(entity, row, price(plan, "p", interval=interval, interval_count=count), 1, quantity=quantity)

    assert mrr(entity) == {"USD": expected}


def test_worth_is_rounded_once_and_kept_apart_by_currency(entity, subscribed):
    """Three thirds are one; 0.5 rounds up; yen are not dollars."""
    plan, row = subscribed
    for number in range(3):
        item(entity, row, price(plan, f"p{number}", interval="month", interval_count=3), number)
    item(entity, row, price(plan, "y", currency="JPY", interval="year", unit_amount_minor=6), 9)

    assert mrr(entity) == {"USD": 1_000, "JPY": 1}


@pytest.mark.parametrize(
    ("subscription", "of_item", "of_price"),
    [
        ({"status": "incomplete"}, {}, {}),
        ({"status": "trialing"}, {}, {}),
        ({"status": "unpaid"}, {}, {}),
        ({"is_current": False}, {}, {}),
        ({}, {"is_active": False}, {}),
        ({}, {}, {"usage_type": "metered", "billing_component": "metered"}),
    ],
)
def test_what_earns_nothing_now_is_not_counted(entity, subscription, of_item, of_price):
    plan = factories.plan()
    row = factories.subscription(entity, plan, factories.customer(entity), **subscription)
    item(entity, row, price(plan, "p", **of_price), 1, **of_item)

    assert mrr(entity) == {}


def invoice(entity, number: int, status: str, *, at: dt.datetime = NOW, failed: bool = False, **more) -> None:
    from billing.models import Customer

    with factories.locked(entity):
        payer = Customer.objects.filter(billable_entity=entity).first()
        is_paid = status == "paid"
        values = {
            "currency": "USD",
            "amount_due_minor": number,
            "amount_paid_minor": number if is_paid else 0,
            "amount_remaining_minor": 0 if is_paid else number,
            "issued_at": at,
            "paid_at": at if is_paid else None,
        } | more
        made = Invoice.objects.create(
            tenant_id=entity.tenant_id,
            billable_entity=entity,
            billing_customer=payer,
            provider_invoice_id=f"in_{number}",
            status=status,
            **values,
        )
        if failed:
            Payment.objects.create(
                tenant_id=entity.tenant_id,
                invoice=made,
                provider_payment_id=f"pi_{number}",
                type="payment_intent",
                status="failed",
                amount_minor=number,
                currency="USD",
            )


def months(**asked):
    return {
        (row["currency"], month["month"]): {word: month[word] for word in ("paid", "failed", "open")}
        for row in summary(**asked)["currencies"]
        for month in row["invoices"]
    }


def test_invoices_are_added_up_by_month_and_fate(entity):
    factories.customer(entity)
    february = NOW - dt.timedelta(days=20)
    invoice(entity, 1, "paid")
    invoice(entity, 2, "paid")
    invoice(entity, 4, "paid", at=february)
    invoice(entity, 8, "open")
    invoice(entity, 16, "open", failed=True)
    invoice(entity, 32, "uncollectible", at=february)
    invoice(entity, 64, "void")
    invoice(entity, 128, "draft")
    invoice(entity, 256, "paid", currency="EUR")
    invoice(entity, 512, "paid", failed=True)

    assert months() == {
        ("USD", "2026-03"): {"paid": 515, "failed": 16, "open": 8},
        ("USD", "2026-02"): {"paid": 4, "failed": 32, "open": 0},
        ("EUR", "2026-03"): {"paid": 256, "failed": 0, "open": 0},
    }


def test_a_month_begins_and_ends_in_utc_and_only_the_wanted_ones_are_told(entity):
    factories.customer(entity)
    first = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    invoice(entity, 1, "paid", at=first)
    invoice(entity, 2, "paid", at=first - dt.timedelta(microseconds=1))
    invoice(entity, 4, "paid", at=dt.datetime(2025, 12, 31, 23, tzinfo=dt.UTC))

    assert set(months(months=1)) == {("USD", "2026-03")}
    assert set(months(months=2)) == {("USD", "2026-03"), ("USD", "2026-02")}
    assert set(months(months=3)) == {("USD", "2026-03"), ("USD", "2026-02")}
    assert ("USD", "2025-12") in months(months=4)


@pytest.mark.parametrize(
    ("session", "blocks"),
    [
        ({"status": "open", "expires_at": NOW - dt.timedelta(seconds=90)}, False),  # the grace of 6.1
        ({"status": "open", "expires_at": NOW - dt.timedelta(seconds=89)}, True),
        ({"status": "open", "expires_at": None}, True),
        ({"status": "completed_pending_subscription", "expires_at": NOW}, True),
        ({"status": "recovery_verification_pending", "expires_at": NOW}, False),
        ({"status": "recovery_verification_pending", "expires_at": NOW + dt.timedelta(seconds=1)}, True),
        ({"status": "expired"}, False),
        ({"status": "open", "flow": "one_off"}, False),
    ],
)
def test_blocked_checkouts_are_those_that_block_now(entity, session, blocks):
    factories.session(entity, **session)

    assert sum(summary()["blockedCheckouts"].values()) == int(blocks)


def test_every_tenant_is_in_the_report(db):
    for name in ("tenant_a", "tenant_b"):
        entity = factories.workspace_entity(name)
        factories.customer(entity, f"cus_{name}")
        invoice(entity, 3, "paid")

    assert months() == {("USD", "2026-03"): {"paid": 6, "failed": 0, "open": 0}}
