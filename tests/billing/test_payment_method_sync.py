"""Syncing payment methods by hand and daily, and reading them (7.5, 7.2; T-172)."""

import datetime as dt

import pytest

from billing.models import Customer, PaymentMethod, PaymentMethodSync
from billing.provider_time import ProviderTime
from billing.providers.errors import Category
from billing.services import payment_methods
from settld.core import clock, tenancy
from tests.billing import factories, payloads
from tests.billing.checkout_provider import problem
from tests.billing.shop_provider import NOW_SECONDS, shop
from tests.support.api import body

__all__ = ["shop"]
NOW = factories.NOW
PATH = "/api/billing/payment-methods"


@pytest.fixture
def stopped():
    with clock.freeze(NOW) as move:
        yield move


@pytest.fixture
def entity(db, stopped):
    return factories.workspace_entity()


@pytest.fixture
def payer(entity, shop):
    shop.hold_customer("cus_1")
    return factories.customer(entity)


def card(method_id="pm_1", *, month=12, year=2034, **more):
    return payloads.payment_method(
        method_id, card={"brand": "visa", "last4": "4242", "exp_month": month, "exp_year": year}, **more
    )


def bank(method_id, kind, **of_kind):
    return payloads.payment_method(method_id, type=kind, card=None, **{kind: of_kind})


def default(method_id):
    return {"invoice_settings": {"default_payment_method": method_id}}


def stored(entity) -> dict[str, tuple[str, bool]]:
    """Status and default of every method, by its id at the provider."""
    with tenancy.tenant_scope(entity.tenant_id):
        rows = PaymentMethod.objects.order_by("provider_payment_method_id")
        return {row.provider_payment_method_id: (row.status, row.is_default) for row in rows}


def row(entity, method_id="pm_1") -> PaymentMethod:
    with tenancy.tenant_scope(entity.tenant_id):
        return PaymentMethod.objects.get(provider_payment_method_id=method_id)


def syncs(entity) -> list[tuple[str, str]]:
    with tenancy.tenant_scope(entity.tenant_id):
        return list(PaymentMethodSync.objects.order_by("id").values_list("event_type", "status"))


def sync(entity, **more):
    return payment_methods.sync(
        tenant_id=entity.tenant_id, entity_id=entity.pk, **({"now": clock.now()} | more)
    )


# --- By hand -----------------------------------------------------------------------------------------------
def test_t172_a_sync_takes_over_every_method_and_the_default(api, entity, payer, shop):
    shop.hold_customer(
        "cus_1",
        card("pm_1"),
        bank("pm_2", "us_bank_account", bank_name="STRIPE TEST BANK", last4="6789"),
        bank("pm_3", "sepa_debit", bank_code="37040044", last4="3000"),
        bank("pm_4", "link", email="payer@example.com"),
        email="new@example.com",
        **default("pm_3"),
    )
    answer = api.post(f"{PATH}/sync", {})
    assert answer.status_code == 200
    told = body(answer)
    assert (told["syncStatus"], told["fetchedCount"], told["syncedAt"]) == (
        "succeeded",
        4,
        "2026-03-10T12:00:00.000Z",
    )
    assert [
        (m["providerPaymentMethodId"], m["type"], m["brand"], m["last4"], m["isDefault"])
        for m in told["paymentMethods"]
    ] == [
        ("pm_3", "sepa_debit", "37040044", "3000", True),
        ("pm_4", "link", None, None, False),
        ("pm_2", "us_bank_account", "STRIPE TEST BANK", "6789", False),
        ("pm_1", "card", "visa", "4242", False),
    ]
    assert body(api.get(PATH)) == {
        "billableEntity": told["billableEntity"],
        "paymentMethods": told["paymentMethods"],
    }
    shown = told["paymentMethods"][3]
    assert set(shown) == {
        "id", "billableEntityId", "billingCustomerId", "provider", "providerPaymentMethodId", "type",
        "brand", "last4", "expMonth", "expYear", "isDefault", "status", "lastProviderSyncedAt",
        "metadataJson", "createdAt", "updatedAt",
    }  # fmt: skip
    assert (shown["expMonth"], shown["expYear"], shown["status"]) == (12, 2034, "active")
    assert syncs(entity) == [("manual_sync", "succeeded")]
    with tenancy.tenant_scope(entity.tenant_id):
        assert Customer.objects.get().email == "new@example.com"


@pytest.mark.parametrize("known", ["nobody", "a payer of a link", "one that was deleted"])
def test_t172_without_a_primary_customer_there_is_nothing_to_sync(api, entity, shop, known):
    if known == "a payer of a link":
        factories.customer(entity, origin="payment_link", is_primary=False)
    if known == "one that was deleted":
        factories.customer(entity, provider_deleted_at=NOW)
    told = body(api.post(f"{PATH}/sync", {}))
    assert (told["syncStatus"], told["fetchedCount"], told["paymentMethods"]) == ("skipped", 0, [])
    assert (syncs(entity), shop.calls) == ([("manual_sync", "skipped")], [])


@pytest.mark.parametrize("verb", ["read customer", "list methods"])
def test_t172_when_either_call_fails_nothing_is_written_but_that(api, entity, payer, shop, verb):
    """Also the default stays: it used to be lost when its lookup failed (section 15)."""
    shop.hold_customer("cus_1", card("pm_1"), **default("pm_1"))
    sync(entity)
    before = row(entity).updated_at
    shop.hold_customer("cus_1", card("pm_2"), **default("pm_2"))
    shop.will(verb, problem(Category.TRANSIENT_PROVIDER, 500))
    answer = api.post(f"{PATH}/sync", {})
    assert (answer.status_code, body(answer)["code"]) == (502, "payment_method_sync_failed")
    assert stored(entity) == {"pm_1": ("active", True)}
    assert row(entity).updated_at == before
    assert syncs(entity)[-1] == ("manual_sync", "failed")
    with tenancy.tenant_scope(entity.tenant_id):
        assert "transient_provider" in PaymentMethodSync.objects.last().error_text


def test_t172_what_is_not_listed_any_more_is_detached_and_may_come_back(entity, payer, shop):
    shop.hold_customer("cus_1", card("pm_1"), card("pm_2"), **default("pm_1"))
    sync(entity)
    shop.clock += 60
    shop.hold_customer("cus_1", card("pm_2"), **default("pm_2"))
    sync(entity)
    assert stored(entity) == {"pm_1": ("detached", False), "pm_2": ("active", True)}
    shop.clock += 60
    shop.hold_customer("cus_1", card("pm_1"), card("pm_2"))
    sync(entity)
    assert stored(entity) == {"pm_1": ("active", False), "pm_2": ("active", False)}


@pytest.mark.parametrize(("told_at", "after"), [(-1, "detached"), (0, "detached"), (1, "active")])
def test_t172_what_was_told_after_the_listing_began_is_left_alone(entity, payer, shop, told_at, after):
    """The row says attached at a later second than the listing that does not have it."""
    shop.hold_customer("cus_1", card("pm_1"))
    shop.clock = NOW_SECONDS - 500
    sync(entity)
    with tenancy.tenant_scope(entity.tenant_id):
        PaymentMethod.objects.update(
            last_provider_event_created_at=ProviderTime(NOW_SECONDS + told_at).at,
            last_provider_event_id="evt_1",
        )
    shop.clock = NOW_SECONDS
    shop.hold_customer("cus_1")
    sync(entity)
    assert stored(entity)["pm_1"][0] == after


@pytest.mark.parametrize("months", [(13, 2034), (0, 2034), (12, 1999), (None, None)])
def test_t172_what_could_not_be_stored_is_left_out(entity, payer, shop, months):
    shop.hold_customer(
        "cus_1",
        payloads.payment_method(
            "pm_1",
            card={"brand": "b" * 200, "last4": "12345", "exp_month": months[0], "exp_year": months[1]},
        ),
    )
    sync(entity)
    found = row(entity)
    assert (len(found.brand), found.last4) == (80, None)
    assert found.exp_month in (None, 12)
    assert found.exp_year in (None, 2034)


def test_t172_a_customer_that_the_provider_deleted_pays_for_nobody(entity, payer, shop):
    shop.hold_customer("cus_1", card("pm_1"), **default("pm_1"))
    sync(entity)
    shop.clock += 5
    shop.customers["cus_1"] = {"id": "cus_1", "object": "customer", "deleted": True}
    sync(entity)
    assert stored(entity) == {"pm_1": ("detached", False)}
    with tenancy.tenant_scope(entity.tenant_id):
        customer = Customer.objects.get()
    assert (customer.is_primary, customer.provider_deleted_at is None) == (False, False)
    assert sync(entity).status == "skipped"


def test_t172_a_method_of_another_customer_stays_with_it(entity, payer, shop):
    shop.hold_customer("cus_1", card("pm_1"))
    sync(entity)
    stranger = factories.workspace_entity("tenant_a")
    other = factories.customer(stranger, "cus_2", is_primary=False)
    with tenancy.tenant_scope(entity.tenant_id):
        Customer.objects.filter(pk=payer.pk).update(is_primary=False)
        Customer.objects.filter(pk=other.pk).update(is_primary=True)
    shop.hold_customer("cus_2", card("pm_1", customer="cus_2"))
    sync(entity)
    assert row(entity).billing_customer_id == payer.pk


def test_t172_reading_shows_at_most_fifty_of_the_primary_customer(api, entity, payer, shop):
    shop.hold_customer("cus_1", *(card(f"pm_{n:03d}") for n in range(60)), **default("pm_000"))
    sync(entity)
    told = body(api.get(PATH))["paymentMethods"]
    assert [m["providerPaymentMethodId"] for m in told[:2]] == ["pm_000", "pm_059"]
    assert len(told) == 50
    with tenancy.tenant_scope(entity.tenant_id):
        Customer.objects.update(is_primary=False)
    assert body(api.get(PATH))["paymentMethods"] == []


def test_t172_a_sync_takes_no_fields(api, entity, payer, shop):
    answer = api.post(f"{PATH}/sync", {"customer": "cus_9"})
    assert (answer.status_code, list(body(answer)["fieldErrors"])) == (400, ["customer"])
    assert shop.calls == []


# --- The month of a card ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("now", "status"),
    [
        (dt.datetime(2026, 2, 28, 23, 59, 59, tzinfo=dt.UTC), "active"),
        (dt.datetime(2026, 2, 28, 23, 30, tzinfo=dt.timezone(dt.timedelta(hours=-1))), "expired"),
        (dt.datetime(2026, 3, 1, tzinfo=dt.UTC), "expired"),
        (dt.datetime(2026, 3, 1, 0, 30, tzinfo=dt.timezone(dt.timedelta(hours=1))), "active"),
    ],
)
@pytest.mark.parametrize("how", ["sync", "daily"])
def test_t172_a_card_expires_after_its_last_month_in_utc(entity, payer, shop, now, status, how):
    shop.hold_customer("cus_1", card(month=2, year=2026))
    if how == "sync":
        sync(entity, now=now)
    else:
        sync(entity, now=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        assert stored(entity) == {"pm_1": ("active", False)}
        with factories.locked(entity):
            assert payment_methods.expire_cards(entity=entity, now=now) == (status == "expired")
    assert stored(entity)["pm_1"][0] == status


def test_t172_the_daily_loop_visits_every_primary_customer_and_one_failure_keeps_nobody_else(
    shop, db, stopped
):
    entities = [factories.workspace_entity(f"tenant_{letter}") for letter in "abc"]
    for number, each in enumerate(entities):
        factories.customer(each, f"cus_{number}")
        shop.hold_customer(f"cus_{number}", card(f"pm_{number}", month=3, year=2026))
    factories.customer(entities[0], "cus_9", is_primary=False)
    assert payment_methods.sync_all_due() == {"synced": 3, "failed": 0, "expired": 0}
    stopped(dt.datetime(2026, 4, 1, tzinfo=dt.UTC))
    shop.will("read customer", problem(Category.TRANSIENT_NETWORK))
    assert payment_methods.sync_all_due() == {"synced": 2, "failed": 1, "expired": 2}
    # The card of the first expired although the provider did not answer: its month is over all the same.
    assert [stored(each) for each in entities] == [
        {f"pm_{number}": ("expired", False)} for number in range(3)
    ]
    assert syncs(entities[0]) == [("daily_sync", "succeeded"), ("daily_sync", "failed")]
    assert payment_methods.sync_all_due(limit=1)["synced"] == 1
