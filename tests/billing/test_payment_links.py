"""POST /api/billing/payment-links (7.4; T-159): checked prices, one link per key, whatever happens."""

import dataclasses
import datetime as dt

import pytest

from billing.models import BillingRequest, CatalogItem, PaymentLink, UsageCounter, UsageEvent
from billing.providers.errors import Category
from billing.services import limits, payment_link_usage, payment_links, recovery
from settld.core import clock, tenancy
from tests.billing import checkouts, factories, session_facts
from tests.billing.checkout_provider import problem
from tests.billing.checkouts import dying_at, guardrails
from tests.billing.shop_provider import price, shop
from tests.support.api import body

__all__ = ["guardrails", "shop"]
NOW = factories.NOW
PATH = "/api/billing/payment-links"
LEASE = dt.timedelta(seconds=120)
WINDOW = dt.timedelta(hours=23)
AD_HOC = {"name": "Setup", "amountMinor": 1_500}


@pytest.fixture
def stopped():
    with clock.freeze(NOW) as move:
        yield move


@pytest.fixture
def entity(db, stopped):
    return factories.workspace_entity()


def post(api, key: str | None = "key-1", **changes):
    sent = {"successPath": "/thanks", "lineItems": [AD_HOC]} | changes
    sent = {name: value for name, value in sent.items() if value is not ...}
    return api.post(PATH, sent, headers={} if key is None else {"Idempotency-Key": key})


def code(answer) -> tuple[int, str]:
    return answer.status_code, body(answer).get("code", "")


def request(entity) -> BillingRequest:
    return checkouts.request(entity)


def links(entity) -> list[PaymentLink]:
    with tenancy.tenant_scope(entity.tenant_id):
        return list(PaymentLink.objects.order_by("id"))


def offer(price_id: str = "price_offered", **more) -> CatalogItem:
    values = {"name": "Setup", "currency": "USD", "unit_amount_minor": 1_500} | more
    return CatalogItem.objects.create(provider_price_id=price_id, **values)


# --- What is made ----------------------------------------------------------------------------------------
def test_t159_an_ad_hoc_line_makes_a_price_and_then_a_link(api, entity, shop):
    answer = post(api, lineItems=[AD_HOC | {"quantity": 3}])
    row = request(entity)
    assert answer.status_code == 200
    assert body(answer) == {
        "provider": "stripe",
        "billableEntityId": entity.pk,
        "operationKey": row.operation_key,
        "paymentLink": {"id": "plink_2", "url": "https://buy.example.com/plink_2", "active": True},
    }
    labels = {
        "operation_key": row.operation_key,
        "billable_entity_id": str(entity.pk),
        "idempotency_row_id": str(row.pk),
    }
    of_line = labels | {"line_item_index": "0", "billing_flow": "payment_link_one_off"}
    assert shop.made("price") == [
        {
            "currency": "usd",
            "unit_amount": 1_500,
            "product_data": {"name": "Setup", "metadata": of_line},
            "metadata": of_line,
        }
    ]
    assert shop.keys("price") == [f"{row.provider_idempotency_key}:price:0"]
    of_link = labels | {"checkout_flow": "payment_link", "payment_link_mode": "one_off"}
    assert shop.made("link") == [
        {
            "line_items": [{"price": "price_made_1", "quantity": 3}],
            "after_completion": {
                "type": "redirect",
                "redirect": {"url": "https://app.example.com/thanks"},
            },
            "customer_creation": "always",
            "metadata": of_link,
            "invoice_creation": {"enabled": True, "invoice_data": {"metadata": of_link}},
        }
    ]
    assert shop.keys("link") == [row.provider_idempotency_key]
    assert (row.status, row.provider_session_id) == ("succeeded", "plink_2")
    assert row.provider_request_schema_version == "stripe_payment_link_create_params_v1"
    (link,) = links(entity)
    assert (link.provider_payment_link_id, link.operation_key, link.active) == (
        "plink_2",
        row.operation_key,
        True,
    )
    assert link.line_items_json == [{"name": "Setup", "amountMinor": 1_500, "currency": "USD", "quantity": 3}]


def test_t159_a_replay_is_the_same_answer_and_defaults_may_be_spelled_out(api, entity, shop):
    first = post(api)
    again = post(api, lineItems=[AD_HOC | {"quantity": 1, "currency": "usd"}])
    short = post(api, lineItems=..., oneOff=AD_HOC)
    assert again.content == short.content == first.content
    assert again.headers["Idempotent-Replayed"] == short.headers["Idempotent-Replayed"] == "true"
    assert code(post(api, lineItems=[AD_HOC, AD_HOC])) == (409, "idempotency_conflict")
    assert (len(links(entity)), len(shop.made("link"))) == (1, 1)


def test_t159_lines_may_be_mixed_and_each_price_has_the_key_of_its_line(api, entity, shop):
    offer()
    post(api, lineItems=[AD_HOC, {"priceId": "price_offered", "quantity": 2}, AD_HOC | {"name": "More"}])
    key = request(entity).provider_idempotency_key
    assert shop.keys("price") == [f"{key}:price:0", f"{key}:price:2"]
    assert shop.made("link")[0]["line_items"] == [
        {"price": "price_made_1", "quantity": 1},
        {"price": "price_offered", "quantity": 2},
        {"price": "price_made_2", "quantity": 1},
    ]
    assert shop.made("read price") == []


# --- Prices by id ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "found",
    [
        None,
        price("price_x", type="recurring", interval="month", interval_count=1, usage_type="licensed"),
        price("price_x", active=False),
        price("price_x", currency="EUR"),
    ],
    ids=["unknown", "recurring", "inactive", "another currency"],
)
def test_t159_a_price_that_no_link_may_sell_is_refused_before_the_claim(api, entity, shop, found):
    if found is not None:
        shop.prices["price_x"] = found
    answer = post(api, lineItems=[AD_HOC, {"priceId": "price_x"}])
    assert code(answer) == (400, "VALIDATION_ERROR")
    assert list(body(answer)["fieldErrors"]) == ["lineItems[1].priceId"]
    assert body(answer)["details"]["fieldErrors"] == body(answer)["fieldErrors"]
    assert (checkouts.requests(entity), shop.made("price"), shop.made("link")) == ([], [], [])
    shop.prices["price_x"] = price("price_x")
    assert post(api, lineItems=[AD_HOC, {"priceId": "price_x"}]).status_code == 200


@pytest.mark.parametrize(
    ("row", "is_strict", "asks", "status"),
    [
        ({}, True, 0, 200),
        ({}, False, 0, 200),
        ({"is_active": False}, True, 0, 400),
        ({"is_active": False}, False, 1, 200),
        ({"currency": "EUR"}, True, 0, 400),
        (None, True, 0, 400),
        (None, False, 1, 200),
    ],
)
def test_t159_the_catalog_needs_no_call_and_strict_allows_nothing_else(
    api, entity, shop, settings, row, is_strict, asks, status
):
    catalog = "strict" if is_strict else "open"
    settings.BILLING = dataclasses.replace(settings.BILLING, payment_link_catalog=catalog)
    shop.prices["price_x"] = price("price_x")
    if row is not None:
        offer("price_x", **row)
    assert post(api, lineItems=[{"priceId": "price_x"}] * 2).status_code == status
    assert len(shop.made("read price")) == asks


def test_t159_a_provider_that_does_not_answer_about_a_price_burns_no_key(api, entity, shop):
    shop.prices["price_x"] = price("price_x")
    shop.will("read price", problem(Category.TRANSIENT_NETWORK))
    assert code(post(api, lineItems=[{"priceId": "price_x"}])) == (502, "checkout_provider_error")
    assert checkouts.requests(entity) == []
    assert post(api, lineItems=[{"priceId": "price_x"}]).status_code == 200


def test_t159_a_replay_does_not_ask_for_the_price_again(api, entity, shop):
    shop.prices["price_x"] = price("price_x")
    first = post(api, lineItems=[{"priceId": "price_x"}])
    shop.prices["price_x"] = price("price_x", active=False)
    assert post(api, lineItems=[{"priceId": "price_x"}]).content == first.content
    assert len(shop.made("read price")) == 1


# --- The body --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"successPath": ...}, "successPath"),
        ({"successPath": "/\\evil.example"}, "successPath"),
        ({"lineItems": ...}, "lineItems"),
        ({"oneOff": AD_HOC}, "lineItems"),
        ({"lineItems": []}, "lineItems"),
        ({"lineItems": [AD_HOC] * 21}, "lineItems"),
        ({"lineItems": "x"}, "lineItems"),
        ({"lineItems": [{}]}, "lineItems[0].name"),
        ({"lineItems": [{"name": "x"}]}, "lineItems[0].amountMinor"),
        ({"lineItems": [AD_HOC | {"amountMinor": 0}]}, "lineItems[0].amountMinor"),
        ({"lineItems": [AD_HOC | {"amountMinor": 100_000_000}]}, "lineItems[0].amountMinor"),
        ({"lineItems": [AD_HOC | {"amountMinor": 15.0}]}, "lineItems[0].amountMinor"),
        ({"lineItems": [AD_HOC | {"amountMinor": True}]}, "lineItems[0].amountMinor"),
        ({"lineItems": [AD_HOC | {"quantity": 0}]}, "lineItems[0].quantity"),
        ({"lineItems": [AD_HOC | {"quantity": 10_001}]}, "lineItems[0].quantity"),
        ({"lineItems": [AD_HOC | {"currency": "EUR"}]}, "lineItems[0].currency"),
        ({"lineItems": [AD_HOC | {"name": "x" * 161}]}, "lineItems[0].name"),
        ({"lineItems": [AD_HOC | {"priceId": "price_1"}]}, "lineItems[0].name"),
        ({"lineItems": [{"priceId": "p" * 192}]}, "lineItems[0].priceId"),
        ({"lineItems": [{"priceId": "../customers"}]}, "lineItems[0].priceId"),
        ({"lineItems": [AD_HOC | {"product": "prod_1"}]}, "lineItems[0].product"),
        ({"lineItems": ..., "oneOff": {"name": "x"}}, "oneOff.amountMinor"),
        ({"customer": "cus_1"}, "customer"),
    ],
)
def test_t159_a_bad_body_is_named_and_burns_no_key(api, entity, shop, sent, field):
    answer = post(api, **sent)
    assert code(answer) == (400, "VALIDATION_ERROR")
    assert field in body(answer)["fieldErrors"]
    assert (checkouts.requests(entity), shop.calls) == ([], [])


# --- Certainty -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("verb", ["price", "link"])
@pytest.mark.parametrize(
    ("outcome", "told", "status"),
    [
        (problem(Category.INVALID_REQUEST, 400), (502, "checkout_provider_error"), "failed"),
        (problem(Category.AUTH, 401), (502, "checkout_provider_error"), "failed"),
        (problem(Category.PERMISSION, 403, chain=(500,)), (409, "request_in_progress"), "pending"),
        (
            problem(Category.INVALID_REQUEST, 400, provider_type="idempotency_error"),
            (409, "checkout_configuration_invalid"),
            "failed",
        ),
        (problem(Category.INVALID_REQUEST, is_local=True), (409, "checkout_configuration_invalid"), "failed"),
        (problem(Category.TRANSIENT_PROVIDER, 503), (409, "request_in_progress"), "pending"),
        (problem(Category.TRANSIENT_NETWORK), (409, "request_in_progress"), "pending"),
        (RuntimeError("what is this"), (409, "request_in_progress"), "pending"),
    ],
)
def test_t159_every_outcome_is_told_by_the_table_and_again_the_same(
    api, entity, shop, verb, outcome, told, status
):
    shop.will(verb, outcome)
    first, again = post(api), post(api)
    assert code(first) == code(again) == told
    assert request(entity).status == status
    assert links(entity) == []
    if status == "failed":
        assert first.content == again.content


# --- Crashes ---------------------------------------------------------------------------------------------
POINTS = [
    "billing.payment_link.claimed",
    "billing.payment_link.price_made",
    "billing.payment_link.before_freeze_commit",
    "billing.payment_link.frozen",
    "billing.payment_link.dispatched",
    "billing.payment_link.before_commit",
]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("by", ["same key", "worker"])
def test_t159_a_crash_anywhere_ends_in_one_link_of_the_same_prices(api, entity, shop, stopped, point, by):
    with dying_at(point):
        post(api, lineItems=[AD_HOC, AD_HOC | {"name": "More"}])
    assert (request(entity).status, links(entity)) == ("pending", [])
    stopped(NOW + LEASE)
    if by == "worker":
        assert recovery.recover_pending(limit=5) == {"succeeded": 1}
    answer = post(api, lineItems=[AD_HOC, AD_HOC | {"name": "More"}])
    assert answer.status_code == 200
    key = request(entity).provider_idempotency_key
    assert set(shop.saved) == {key, f"{key}:price:0", f"{key}:price:1"}
    assert [line["price"] for line in shop.made("link")[-1]["line_items"]] == [
        shop.saved[f"{key}:price:{index}"][1].id for index in (0, 1)
    ]
    (link,) = links(entity)
    assert body(answer)["paymentLink"]["id"] == link.provider_payment_link_id


@pytest.mark.parametrize("point", ["billing.payment_link.price_made", "billing.payment_link.frozen"])
@pytest.mark.parametrize(("late", "is_over"), [(-1, False), (0, True), (1, True)])
def test_t159_the_deadline_counts_from_the_claim(api, entity, shop, stopped, point, late, is_over):
    with dying_at(point):
        post(api)
    before = len(shop.calls)
    stopped(NOW + WINDOW + dt.timedelta(seconds=late))
    answer = post(api)
    if is_over:
        assert code(answer) == (409, "checkout_recovery_window_elapsed")
        assert (request(entity).status, len(shop.calls)) == ("expired", before)
    else:
        assert answer.status_code == 200


@pytest.mark.parametrize("fault", ["no deadline", "no lines", "another hash"])
def test_t159_what_cannot_be_rebuilt_fails_and_nothing_is_sent(entity, shop, fault):
    frozen = {
        "provider_request_params_json": {"line_items": []},
        "provider_request_hash": "0" * 64,
        "provider_request_schema_version": "v1",
        "provider_sdk_name": shop.sdk_name,
        "provider_sdk_version": shop.sdk_version,
        "provider_api_version": shop.api_version,
        "provider_request_frozen_at": NOW,
    }
    values = {} if fault == "no deadline" else {"provider_idempotency_replay_deadline_at": NOW + WINDOW}
    row = factories.request(
        entity,
        action="payment_link",
        pending_lease_expires_at=NOW,
        normalized_request_json={"successPath": "/x"},
        **(values | (frozen if fault == "another hash" else {})),
    )
    answer = payment_links.recover(
        tenant_id=row.tenant_id, entity_id=entity.pk, request_id=row.pk, is_same_key_retry=True
    )
    assert (answer.status, answer.body["code"]) == (409, "checkout_configuration_invalid")
    assert shop.calls == []


def test_t159_a_slow_maker_renews_its_lease_and_is_not_overtaken(api, entity, shop, stopped):
    def dawdle(verb: str) -> None:
        stopped(clock.now() + dt.timedelta(seconds=50))

    shop.before_answer = dawdle
    assert post(api, lineItems=[AD_HOC | {"name": str(n)} for n in range(5)]).status_code == 200
    assert clock.now() > NOW + 2 * LEASE
    assert request(entity).lease_version > 2


def test_t159_who_was_overtaken_answers_from_the_row_and_leaves_one_link(
    api, entity, shop, stopped, guardrails
):
    inner = []

    def overtake(verb: str) -> None:
        if verb == "price" and not inner:
            inner.append(None)
            stopped(NOW + LEASE)
            inner[0] = post(api)

    shop.before_answer = overtake
    outer = post(api)
    assert outer.content == inner[0].content
    assert "BILLING_IDEMPOTENCY_LEASE_FENCED" in guardrails
    assert len(links(entity)) == 1


def test_t159_who_pays_before_we_know_the_link_is_linked_to_it_afterwards(api, entity, shop, stopped):
    with dying_at("billing.payment_link.dispatched"):
        post(api)
    row = request(entity)
    told = session_facts.facts(
        entity, "complete", flow="payment_link", key=row.operation_key, payment_link="plink_2"
    )
    paid = session_facts.merge(entity, told, key=row.operation_key, flow="payment_link")
    assert (paid.status, paid.payment_link_id) == ("completed_reconciled", None)
    stopped(NOW + LEASE)
    assert post(api).status_code == 200
    (link,) = links(entity)
    assert [session.payment_link_id for session in checkouts.sessions(entity)] == [link.pk]


# --- The plan's limit --------------------------------------------------------------------------------------
LIMIT = "payment_links_created_monthly"


@pytest.fixture
def limited(entity):
    plan = factories.plan()
    factories.subscription(entity, plan, factories.customer(entity))
    quota = {"limit": 2, "interval": "month", "enforcement": "hard"}
    factories.entitlement(plan, LIMIT, "entitlement.quota.v1", quota)
    return entity


def used(entity) -> tuple[int, list[str]]:
    with tenancy.tenant_scope(entity.tenant_id):
        counters = UsageCounter.objects.filter(entitlement_code=LIMIT).values_list("usage_count", flat=True)
        return sum(counters), sorted(UsageEvent.objects.values_list("state", flat=True))


def test_t159_t170_links_are_counted_once_each_and_refused_beyond_the_limit(api, limited, shop):
    for key in ("key-1", "key-1", "key-2", "key-2"):
        assert post(api, key).status_code == 200
    refused = post(api, "key-3")
    assert code(refused) == (429, "BILLING_LIMIT_EXCEEDED")
    assert body(refused)["details"]["limitationCode"] == LIMIT
    assert int(refused.headers["Retry-After"]) > 0
    assert (used(limited), len(links(limited)), len(checkouts.requests(limited))) == (
        (2, ["counted", "counted"]),
        2,
        2,
    )
    assert post(api, "key-1").headers["Idempotent-Replayed"] == "true"


def test_t159_t170_a_link_that_was_not_made_is_not_counted(api, limited, shop):
    shop.will("link", problem(Category.INVALID_REQUEST, 400))
    assert code(post(api)) == (502, "checkout_provider_error")
    assert used(limited) == (0, [])


def test_t159_t170_an_unknown_outcome_stays_reserved_until_recovery_finds_the_link(
    api, limited, shop, stopped
):
    shop.will("link", problem(Category.TRANSIENT_NETWORK))
    assert code(post(api)) == (409, "request_in_progress")
    assert used(limited) == (1, ["reserved"])
    stopped(NOW + dt.timedelta(hours=1))
    limits.release_stale(now=clock.now())
    assert used(limited) == (0, [])
    for key in ("key-2", "key-3"):
        post(api, key)
    assert recovery.recover_pending(limit=5) == {"succeeded": 1}
    assert used(limited) == (3, ["counted"] * 3)  # it exists, so it counts, whatever the limit says now


def rival_while_reserving(api, monkeypatch) -> list:
    """Have the same request sent by somebody else once ours has reserved; gives what he was answered."""
    reserve, answers = payment_link_usage.reserve, []
    monkeypatch.setattr(payment_link_usage, "reserve", lambda **sent: with_rival(**sent))

    def with_rival(**sent):
        made = reserve(**sent)
        if made is not None and made.is_ours:
            answers.append(post(api))
        return made

    return answers


def test_inv42_t170_who_lost_the_key_to_a_rival_leaves_the_rivals_use_counted(
    api, limited, shop, monkeypatch
):
    """The rival claims and sends between our reserving and our claiming; its link may exist, so it counts."""
    answers = rival_while_reserving(api, monkeypatch)
    shop.will("link", problem(Category.TRANSIENT_NETWORK))
    assert code(post(api)) == (409, "request_in_progress")
    assert code(answers[0]) == (409, "request_in_progress")
    assert used(limited) == (1, ["reserved"])


@pytest.mark.parametrize(("script", "counted"), [(True, (0, [])), (False, (1, ["counted"]))])
def test_t170_the_rival_that_acts_ends_the_use_that_we_reserved(
    api, limited, shop, monkeypatch, script, counted
):
    answers = rival_while_reserving(api, monkeypatch)
    if script:
        shop.will("link", problem(Category.INVALID_REQUEST, 400))
    answer = post(api)
    assert answer.content == answers[0].content
    assert used(limited) == counted


# --- The list, and switching off ---------------------------------------------------------------------------
def off(api, link_id):
    return api.post(f"{PATH}/{link_id}/deactivate", {})


def test_t159_links_are_listed_the_newest_first(api, entity, shop):
    for key in ("key-1", "key-2"):
        post(api, key)
    answer = body(api.get(PATH))
    first, second = links(entity)
    assert answer["billableEntity"]["id"] == entity.pk
    assert [row["id"] for row in answer["paymentLinks"]] == [second.pk, first.pk]
    assert answer["paymentLinks"][1] == {
        "id": first.pk,
        "billableEntityId": entity.pk,
        "provider": "stripe",
        "providerPaymentLinkId": "plink_2",
        "operationKey": first.operation_key,
        "url": "https://buy.example.com/plink_2",
        "active": True,
        "lineItemsJson": first.line_items_json,
        "deactivatedAt": None,
        "createdAt": "2026-03-10T12:00:00.000Z",
        "updatedAt": "2026-03-10T12:00:00.000Z",
    }


def test_t159_a_link_is_switched_off_once(api, entity, shop, stopped):
    post(api)
    (link,) = links(entity)
    stopped(NOW + dt.timedelta(hours=1))
    for _ in range(2):
        answer = off(api, link.pk)
        assert answer.status_code == 200
        row = body(answer)["paymentLink"]
        assert (row["active"], row["deactivatedAt"]) == (False, "2026-03-10T13:00:00.000Z")
    assert shop.made("switch") == [("plink_2", False)]
    assert post(api).status_code == 200  # the stored answer is what was first answered


def test_t159_a_link_that_the_provider_forgot_is_off_and_a_failure_leaves_it_on(api, entity, shop, stopped):
    post(api)
    (link,) = links(entity)
    shop.will("switch", problem(Category.TRANSIENT_PROVIDER, 500))
    stopped(NOW + dt.timedelta(minutes=1))
    assert code(off(api, link.pk)) == (502, "checkout_provider_error")
    assert links(entity)[0].active is True
    shop.will("switch", problem(Category.NOT_FOUND, 404, provider_code="resource_missing"))
    assert off(api, link.pk).status_code == 200
    assert links(entity)[0].active is False
    first, second = shop.keys("switch")
    assert first != second  # a saved failure would be repeated under the same key for a day


def test_t159_a_crash_after_the_provider_switched_off_is_retried_under_the_same_key(api, entity, shop):
    post(api)
    (link,) = links(entity)
    with dying_at("billing.payment_link_end.dispatched"):
        off(api, link.pk)
    assert off(api, link.pk).status_code == 200
    assert len(set(shop.keys("switch"))) == 1


@pytest.mark.parametrize("link_id", ["0", "999999", "x", "9" * 30, "-1"])
def test_t159_no_such_link(api, entity, shop, link_id):
    assert code(off(api, link_id)) == (404, "payment_link_not_found")


def test_t159_another_entitys_link_is_no_such_link(api, entity, shop):
    stranger = factories.workspace_entity("tenant_b")
    theirs = session_facts.payment_link(stranger, "plink_9")
    assert code(off(api, theirs.pk)) == (404, "payment_link_not_found")
    assert shop.calls == []
