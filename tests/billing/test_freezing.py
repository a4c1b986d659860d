"""What the provider will be asked is written down once, before it is asked (5.2; T-032 to T-039)."""

import datetime as dt

import pytest
from django.db import IntegrityError, transaction

from billing.models import BillingRequest, PlanPrice
from billing.services import freezing
from billing.states import Action
from settld.core import clock, hashing, tenancy
from settld.stripe_gateway import skew
from tests.billing import checkouts, factories
from tests.billing.checkout_provider import provider
from tests.billing.checkouts import guardrails

__all__ = ["guardrails", "provider"]
pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 3, 10, 12, 0, 5, 678_000, tzinfo=dt.UTC)
FROZEN_AT = int(NOW.timestamp())


@pytest.fixture(autouse=True)
def _stopped():
    skew.forget()
    with clock.freeze(NOW):
        yield
    skew.forget()


@pytest.fixture
def entity():
    factories.plan()
    return factories.workspace_entity()


def test_t_032_a_session_expires_a_day_after_freezing_and_that_is_the_upper_bound(entity, provider):
    checkouts.start(entity)
    row = checkouts.request(entity)
    assert row.provider_request_frozen_at == NOW.replace(microsecond=0)
    assert row.provider_request_params_json["expires_at"] == FROZEN_AT + 86_400
    assert row.provider_checkout_session_expires_at_upper_bound.timestamp() == FROZEN_AT + 86_400
    assert row.provider_idempotency_replay_deadline_at.timestamp() == FROZEN_AT + 82_800
    assert provider.creates == [(row.provider_request_params_json, row.provider_idempotency_key)]


@pytest.mark.parametrize(
    ("ahead", "taken_off", "is_told"),
    [(-40, 0, False), (0, 0, False), (1, 2, True), (7, 8, True), (298, 299, True), (299, 300, True),
     (300, 300, True), (5_000, 300, True)],
)  # fmt: skip
def test_t_033_a_clock_that_runs_ahead_is_taken_off_the_expiry(
    entity, provider, guardrails, ahead, taken_off, is_told
):
    skew.assume(ahead)
    checkouts.start(entity)
    row = checkouts.request(entity)
    assert row.provider_request_params_json["expires_at"] == FROZEN_AT + 86_400 - taken_off
    assert row.provider_checkout_session_expires_at_upper_bound.timestamp() == (
        FROZEN_AT + 86_400 - taken_off
    )
    assert row.provider_idempotency_replay_deadline_at.timestamp() == FROZEN_AT + 82_800
    assert ("BILLING_PROVIDER_CLOCK_SKEW" in guardrails) == is_told


@pytest.mark.parametrize(
    ("database_ahead", "measured", "taken_off"), [(0, 3, 4), (5, 0, 6), (5, 3, 9), (-5, 3, 4), (400, 0, 300)]
)
def test_t_033_a_database_whose_clock_runs_ahead_of_ours_is_taken_off_as_well(
    entity, guardrails, database_ahead, measured, taken_off
):
    """5.2, INV-31: freezing goes by the database's clock, what was measured against Stripe's is our own."""
    skew.assume(measured)
    now = NOW + dt.timedelta(seconds=database_ahead)
    frozen_at = int(now.replace(microsecond=0).timestamp())
    assert freezing.session_expiry(now, request=factories.request(entity)) == frozen_at + 86_400 - taken_off


@pytest.mark.parametrize(
    "expires_at",
    [None, "soon", True, 1.5, 0, FROZEN_AT, FROZEN_AT - 1, FROZEN_AT + 86_401],
)
def test_t_034_without_a_usable_expiry_nothing_is_sent(entity, provider, guardrails, monkeypatch, expires_at):
    monkeypatch.setattr(freezing, "session_expiry", lambda now, request: expires_at)
    assert checkouts.told(entity) == (409, "checkout_configuration_invalid")
    row = checkouts.request(entity)
    assert (row.status, row.provider_request_params_json, provider.creates) == ("failed", None, [])
    assert "BILLING_CATALOG_INVALID" in guardrails
    assert checkouts.sessions(entity) == []


def test_t_034_an_absent_expiry_fails_closed_as_well(entity):
    with factories.locked(entity):
        row = BillingRequest(action=Action.CHECKOUT)
        with pytest.raises(freezing.NotFreezable):
            freezing.freeze(row, params={"mode": "subscription"}, now=NOW)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("provider_request_params_json", {"expires_at": 1}),
        ("provider_request_hash", "0" * 64),
        ("provider_request_schema_version", "v2"),
        ("provider_sdk_name", "other"),
        ("provider_sdk_version", "99.0.0"),
        ("provider_api_version", "2020-01-01"),
        ("provider_request_frozen_at", NOW + dt.timedelta(seconds=9)),
        ("provider_idempotency_replay_deadline_at", NOW + dt.timedelta(seconds=9)),
        ("provider_checkout_session_expires_at_upper_bound", NOW + dt.timedelta(seconds=9)),
        ("provider_request_params_json", None),
        ("provider_request_frozen_at", None),
    ],
)
def test_t_035_what_is_frozen_is_written_once(entity, column, value):
    with clock.freeze(NOW):
        row = factories.request(entity, **_frozen(entity))
    with factories.locked(entity), pytest.raises(IntegrityError) as refusal, transaction.atomic():
        BillingRequest.objects.filter(pk=row.pk).update(**{column: value})
    assert refusal.value.__cause__.diag.constraint_name in ("request_frozen", "request_frozen_whole")


def _frozen(entity) -> dict:
    params = {"expires_at": FROZEN_AT + 86_400}
    return {
        "provider_request_params_json": params,
        "provider_request_hash": hashing.canonical_hash(params),
        "provider_request_schema_version": "stripe_checkout_session_create_params_v1",
        "provider_sdk_name": "stripe-python",
        "provider_sdk_version": "15.0.1",
        "provider_api_version": "2026-10-28.endive",
        "provider_request_frozen_at": NOW.replace(microsecond=0),
        "provider_idempotency_replay_deadline_at": NOW + dt.timedelta(hours=23),
        "provider_checkout_session_expires_at_upper_bound": dt.datetime.fromtimestamp(
            FROZEN_AT + 86_400, dt.UTC
        ),
    }


def test_t_036_a_row_says_who_froze_it(entity, provider):
    checkouts.start(entity)
    row = checkouts.request(entity)
    assert (row.provider_sdk_name, row.provider_sdk_version, row.provider_api_version) == (
        provider.sdk_name,
        provider.sdk_version,
        provider.api_version,
    )
    assert row.provider_request_schema_version == "stripe_checkout_session_create_params_v1"
    assert row.provider_request_hash == hashing.canonical_hash(row.provider_request_params_json)


@pytest.mark.parametrize(
    ("action", "schema"),
    [
        (Action.CHECKOUT, "stripe_checkout_session_create_params_v1"),
        (Action.PORTAL, "stripe_billing_portal_session_create_params_v1"),
        (Action.PAYMENT_LINK, "stripe_payment_link_create_params_v1"),
    ],
)
def test_t_036_each_action_has_its_schema(action, schema):
    assert freezing.schema_version(BillingRequest(action=action, provider="stripe")) == schema


def test_t_037_what_becomes_of_plan_and_price_does_not_change_a_replay(entity, provider):
    with pytest.raises(checkouts.Died), checkouts.failpoints.watched(_die_when_claimed):
        checkouts.start(entity)
    frozen = checkouts.request(entity).provider_request_params_json
    price = PlanPrice.objects.get()
    PlanPrice.objects.update(is_active=False)
    PlanPrice.objects.create(
        plan=price.plan, provider_price_id="price_dearer", currency="USD", unit_amount_minor=9_900
    )
    price.plan.name, price.plan.is_active = "Renamed", False
    price.plan.save()

    with clock.freeze(NOW + dt.timedelta(minutes=10)):
        assert checkouts.again(entity) == "succeeded"
    assert provider.creates == [(frozen, checkouts.request(entity).provider_idempotency_key)]
    assert frozen["line_items"] == [{"price": "price_pro", "quantity": 1}]


def _die_when_claimed(point: str) -> None:
    if point == "billing.checkout.claimed":
        raise checkouts.Died(point)


def test_t_038_a_subscription_asks_for_one_monthly_price_and_no_customer_creation(entity, provider):
    checkouts.start(entity)
    (params, _key) = provider.creates[0]
    row = checkouts.request(entity)
    assert params == {
        "mode": "subscription",
        "line_items": [{"price": "price_pro", "quantity": 1}],
        "success_url": "https://app.example.com/done",
        "cancel_url": "https://app.example.com/back",
        "client_reference_id": str(entity.pk),
        "metadata": _metadata(entity, row, "subscription") | {"plan_code": "pro", "plan_version": "1"},
        "subscription_data": {
            "metadata": _metadata(entity, row, "subscription") | {"plan_code": "pro", "plan_version": "1"}
        },
        "expires_at": FROZEN_AT + 86_400,
    }


def test_t_038_a_one_off_asks_for_a_payment_with_an_invoice_and_a_customer(entity, provider):
    checkouts.start(entity, what=checkouts.one_off())
    (params, _key) = provider.creates[0]
    metadata = _metadata(entity, checkouts.request(entity), "one_off")
    assert params == {
        "mode": "payment",
        "line_items": [
            {
                "price_data": {"currency": "usd", "unit_amount": 1_500, "product_data": {"name": "Setup"}},
                "quantity": 2,
            }
        ],
        "success_url": "https://app.example.com/done",
        "cancel_url": "https://app.example.com/back",
        "client_reference_id": str(entity.pk),
        "metadata": metadata,
        "invoice_creation": {"enabled": True, "invoice_data": {"metadata": metadata}},
        "customer_creation": "always",
        "expires_at": FROZEN_AT + 86_400,
    }


@pytest.mark.parametrize("what", [checkouts.order(), checkouts.one_off()], ids=["subscription", "one_off"])
@pytest.mark.parametrize(
    ("customer", "is_named"),
    [
        ({}, True),
        ({"is_primary": False}, False),
        ({"provider_deleted_at": NOW}, False),
        ({"is_primary": False, "origin": "payment_link"}, False),
    ],
    ids=["primary", "not_primary", "deleted", "payer_of_a_link"],
)
def test_t_038_the_primary_customer_pays_if_there_is_one(entity, provider, what, customer, is_named):
    factories.customer(entity, **customer)
    checkouts.start(entity, what=what)
    params = provider.creates[0][0]
    assert params.get("customer") == ("cus_1" if is_named else None)
    assert ("customer_creation" in params) == (params["mode"] == "payment" and not is_named)
    assert "ui_mode" not in params


@pytest.mark.parametrize("what", [checkouts.order(), checkouts.one_off()], ids=["subscription", "one_off"])
def test_t_039_the_metadata_lead_back_to_us_from_everything_that_is_made(entity, provider, what):
    checkouts.start(entity, what=what)
    params, row = provider.creates[0][0], checkouts.request(entity)
    inner = (
        params["subscription_data"]
        if params["mode"] == "subscription"
        else params["invoice_creation"]["invoice_data"]
    )
    assert params["metadata"] == inner["metadata"]
    assert all(isinstance(value, str) and value for value in params["metadata"].values())
    assert params["metadata"].items() >= _metadata(entity, row, what.flow.value).items()


def _metadata(entity, row: BillingRequest, kind: str) -> dict[str, str]:
    return {
        "operation_key": row.operation_key,
        "billable_entity_id": str(entity.pk),
        "idempotency_row_id": str(row.pk),
        "checkout_type": kind,
        "checkout_flow": kind,
    }


def test_a_deadline_that_a_claim_has_set_stays_when_the_parameters_come_later(entity):
    """7.4: the prices of a payment link are made between the claim and the freezing."""
    deadline = NOW + dt.timedelta(hours=23)
    with clock.freeze(NOW):
        row = factories.request(
            entity, action="payment_link", provider_idempotency_replay_deadline_at=deadline
        )
    with factories.locked(entity):
        freezing.freeze(row, params={"line_items": []}, now=NOW + dt.timedelta(minutes=9))
    with tenancy.tenant_scope(entity.tenant_id):
        row.refresh_from_db()
    assert row.provider_idempotency_replay_deadline_at == deadline
    assert freezing.is_whole(row)
    assert freezing.is_intact(row)


def test_parameters_without_a_canonical_form_are_not_frozen(entity):
    with factories.locked(entity), pytest.raises(freezing.NotFreezable):
        row = BillingRequest(action=Action.PORTAL, provider="stripe")
        freezing.freeze(row, params={"customer": "\ud800"}, now=NOW)


def test_stored_parameters_that_were_changed_are_found_out(entity, provider):
    checkouts.start(entity)
    row = checkouts.request(entity)
    assert freezing.is_intact(row)
    row.provider_request_params_json["line_items"][0]["quantity"] = 2
    assert not freezing.is_intact(row)


def test_the_session_of_an_expiry_in_the_database_is_what_the_parameters_say(entity):
    """INV-13: the bound is the frozen expiry, or the row is refused."""
    params = {"expires_at": FROZEN_AT + 100}
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        factories.request(entity, **(_frozen(entity) | {"provider_request_params_json": params}))
    assert refusal.value.__cause__.diag.constraint_name == "request_bound_is_frozen"
