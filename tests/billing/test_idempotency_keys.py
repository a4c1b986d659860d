"""The client's key, the names made of it, and what a request must be before it burns one (section 4)."""

import dataclasses
import datetime as dt
import hashlib
import hmac
from typing import Any

import pytest

from billing.services import idempotency
from billing.states import Action
from settld.core import clock
from tests.billing import checkouts, factories
from tests.billing.checkout_provider import provider
from tests.billing.checkouts import BODY, PATH, guardrails
from tests.support.api import body

__all__ = ["guardrails", "provider"]
NOW = factories.NOW
REPLAYED = "Idempotent-Replayed"


@pytest.fixture
def stopped():
    with clock.freeze(NOW) as move:
        yield move


@pytest.fixture
def entity(db, stopped):
    factories.plan()
    return factories.workspace_entity()


def post(api, key: str | None = "key-1", **changes: Any):
    sent = {name: value for name, value in (BODY | changes).items() if value is not ...}
    return api.post(PATH, sent, headers={} if key is None else {"Idempotency-Key": key})


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "IDEMPOTENCY_KEY_REQUIRED"),
        ("", "IDEMPOTENCY_KEY_REQUIRED"),
        ("   ", "IDEMPOTENCY_KEY_REQUIRED"),
        ("k" * 192, "IDEMPOTENCY_KEY_INVALID"),
        ("clé", "IDEMPOTENCY_KEY_INVALID"),
        ("a\tb", "IDEMPOTENCY_KEY_INVALID"),
    ],
)
def test_t_018_a_missing_blank_long_or_odd_key_is_refused(api, entity, provider, key, code):
    answer = post(api, key)
    assert (answer.status_code, body(answer)["code"]) == (400, code)
    assert body(answer)["details"] == {"code": code}
    if code == "IDEMPOTENCY_KEY_REQUIRED":
        assert body(answer)["error"] == "Idempotency-Key header is required."
    assert (checkouts.requests(entity), provider.creates) == ([], [])


def test_t_018_a_key_is_trimmed_and_may_have_191_characters(api, entity, provider):
    assert post(api, f"  {'k' * 191} ").status_code == 200
    assert post(api, "k" * 191).headers[REPLAYED] == "true"
    assert checkouts.request(entity).client_idempotency_key == "k" * 191


# --- Names -----------------------------------------------------------------------------------------
def _hmac(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


VECTORS = {
    "operation": "3a70f801225708eb6e56ba88c1d4fb6f570fcece4314b8942b255ef79621773d",
    "provider": "2fa8366a1c7c9e8d9286dd48257d3c428432afd1edeff0ac413ccd1d3bc1cf84",
}


def test_t_028_keys_are_derived_as_the_specification_says(billing_on):
    """T-028: vectors, made outside of the product and written out."""
    operation = idempotency.operation_key(action=Action.CHECKOUT, entity_id=42, client_key="key-1")
    name = idempotency.provider_key(action=Action.CHECKOUT, operation_key=operation)
    assert {"operation": operation, "provider": name} == VECTORS
    assert operation == _hmac(billing_on.operation_key_secret, "checkout|42|key-1")
    assert idempotency.price_key(name, index=3) == f"{name}:price:3"


@pytest.mark.parametrize(
    "other",
    [{"action": Action.PORTAL}, {"entity_id": 43}, {"client_key": "key-2"}],
    ids=["action", "entity", "key"],
)
def test_t_028_each_part_of_a_name_counts(other):
    named = {"action": Action.CHECKOUT, "entity_id": 42, "client_key": "key-1"} | other
    assert idempotency.operation_key(**named) != VECTORS["operation"]


def test_t_028_without_a_secret_no_key_is_made(settings):
    settings.BILLING = dataclasses.replace(settings.BILLING, operation_key_secret="")
    with pytest.raises(RuntimeError):
        idempotency.operation_key(action=Action.CHECKOUT, entity_id=42, client_key="key-1")


def test_t_028_another_secret_changes_new_rows_only(entity, provider, settings):
    with checkouts.dying_at("billing.checkout.claimed"):
        checkouts.start(entity)
    row = checkouts.request(entity)
    settings.BILLING = dataclasses.replace(
        settings.BILLING, operation_key_secret="rotated", provider_idempotency_key_secret="rotated, too"
    )
    with clock.freeze(NOW + dt.timedelta(seconds=200)):
        assert checkouts.told(entity) == (200, "")
    after = checkouts.request(entity)
    assert (after.operation_key, after.provider_idempotency_key) == (
        row.operation_key,
        row.provider_idempotency_key,
    )
    assert provider.creates[0][1] == row.provider_idempotency_key
    other = factories.workspace_entity("tenant_b")
    checkouts.start(other)
    assert checkouts.request(other).operation_key == _hmac("rotated", f"checkout|{other.pk}|key-1")


@pytest.mark.parametrize(
    ("explicit", "omitted"),
    [
        ({"checkoutType": "subscription"}, {}),
        ({"checkoutType": None}, {}),
        ({"oneOff": None}, {}),
        ({"planCode": " PRO "}, {}),
        ({"successPath": " /done "}, {}),
    ],
)
def test_t_029_an_explicit_default_is_an_omitted_one(api, entity, provider, explicit, omitted):
    assert post(api, **explicit).status_code == 200
    second = post(api, **omitted)
    assert (second.status_code, second.headers.get(REPLAYED)) == (200, "true")


@pytest.mark.parametrize(
    "explicit",
    [{"quantity": 1}, {"currency": "USD"}, {"currency": "usd"}, {"quantity": None}, {"currency": None}],
)
@pytest.mark.parametrize("word", ["one_off", "one-off", "oneoff", "payment"])
def test_t_029_an_explicit_default_of_a_one_off_is_an_omitted_one(api, entity, provider, explicit, word):
    thing = {"name": "Setup", "amountMinor": 1_500}
    assert post(api, planCode=..., checkoutType=word, oneOff=thing | explicit).status_code == 200
    second = post(api, planCode=..., checkoutType="one_off", oneOff=thing)
    assert second.headers.get(REPLAYED) == "true"


def _thing(**changes: Any) -> dict[str, Any]:
    """A one-off checkout, and what is wrong with its thing."""
    what = {
        name: value for name, value in ({"name": "x", "amountMinor": 1} | changes).items() if value is not ...
    }
    return {"checkoutType": "one_off", "planCode": ..., "oneOff": what}


BAD = {
    "unknown key": {"colour": "red"},
    "provider id": {"customer": "cus_1"},
    "unknown inner key": _thing(vat=1),
    "no plan": {"planCode": ...},
    "long plan": {"planCode": "p" * 121},
    "plan of a wrong type": {"planCode": 7},
    "unknown type": {"checkoutType": "gift"},
    "a thing with a plan": {"oneOff": {"name": "x", "amountMinor": 1}},
    "a plan with a thing": _thing() | {"planCode": "pro"},
    "no thing": {"checkoutType": "one_off", "planCode": ...},
    "no name": _thing(name=...),
    "long name": _thing(name="n" * 161),
    "no amount": _thing(amountMinor=...),
    "zero": _thing(amountMinor=0),
    "too much": _thing(amountMinor=100_000_000),
    "too many": _thing(quantity=10_001),
    "none of it": _thing(quantity=0),
    "a fraction": _thing(amountMinor=1.5),
    "a bool": _thing(amountMinor=True),
    "huge": _thing(amountMinor=10**40),
    "other currency": _thing(currency="EUR"),
    "no path": {"successPath": ...},
    "another site": {"successPath": "//evil.example"},
    "an address": {"cancelPath": "https://evil.example"},
    "a NUL": {"planCode": "pro\x00"},
    "a list": {"planCode": ["pro"]},
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_t_030_a_request_that_is_refused_for_its_shape_does_not_burn_the_key(api, entity, provider, bad):
    answer = post(api, **bad)
    assert (answer.status_code, body(answer)["code"]) == (400, "VALIDATION_ERROR")
    assert body(answer)["error"] == "Validation failed."
    assert body(answer)["fieldErrors"] == body(answer)["details"]["fieldErrors"] != {}
    assert checkouts.requests(entity) == []
    assert post(api).status_code == 200


def test_t_030_neither_does_a_refusal_of_the_caller_or_of_a_selector(api, entity, provider):
    headers = {"Idempotency-Key": "key-1"}
    assert api.with_token("").post(PATH, BODY, headers=headers).status_code == 401
    assert api.with_token("tok_read").post(PATH, BODY, headers=headers).status_code == 403
    odd = api.post(PATH, BODY, headers=headers | {"x-billable-entity-id": "x"})
    unknown = api.post(PATH, BODY, headers=headers | {"x-billable-entity-id": "999999999"})
    assert (odd.status_code, unknown.status_code) == (400, 403)
    assert checkouts.requests(entity) == []
    assert post(api).status_code == 200
