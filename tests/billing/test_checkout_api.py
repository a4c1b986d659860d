"""POST /api/billing/checkout: what it takes, what it answers, and in which order it refuses (T-150)."""

import pytest
from django.test import Client

from settld.core import clock
from tests.billing import checkouts, factories, people
from tests.billing.checkout_provider import provider
from tests.billing.checkouts import BODY, PATH
from tests.support.api import body

__all__ = ["provider"]
pytestmark = pytest.mark.django_db
NOW = factories.NOW
KEY = {"Idempotency-Key": "key-1"}
THING = {"checkoutType": "one_off", "oneOff": {"name": "Setup", "amountMinor": 1_500, "quantity": 2}}
PATHS = {"successPath": "/done?tab=1", "cancelPath": "/back#top"}


@pytest.fixture(autouse=True)
def _stopped():
    with clock.freeze(NOW):
        yield


@pytest.fixture
def entity():
    factories.plan()
    return factories.workspace_entity()


@pytest.mark.parametrize("sent", [BODY, THING | PATHS], ids=["subscription", "one_off"])
def test_t_150_the_answer_of_a_checkout(api, entity, provider, sent):
    answer = api.post(PATH, sent, headers=KEY)
    kind = sent.get("checkoutType", "subscription")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    assert body(answer) == {
        "provider": "stripe",
        "billableEntityId": entity.pk,
        "operationKey": checkouts.request(entity).operation_key,
        "checkoutType": kind,
        "checkoutSession": {
            "providerCheckoutSessionId": "cs_1",
            "status": "open",
            "providerStatus": "open",
            "checkoutUrl": "https://pay.example.com/cs_1",
            "expiresAt": "2026-03-11T12:00:00.000Z",
            "customerId": None,
            "subscriptionId": None,
        },
    }


def test_t_150_paths_are_joined_with_the_public_address(api, entity, provider):
    api.post(PATH, BODY | PATHS, headers=KEY)
    params = provider.creates[0][0]
    assert params["success_url"] == "https://app.example.com/done?tab=1"
    assert params["cancel_url"] == "https://app.example.com/back#top"


ORDER = [
    ("nobody", 401, None),
    ("a strange body", 400, "VALIDATION_ERROR"),
    ("no key", 400, "IDEMPOTENCY_KEY_REQUIRED"),
    ("a strange path", 400, "VALIDATION_ERROR"),
    ("a strange entity", 403, "BILLING_ENTITY_FORBIDDEN"),
    ("nothing", 200, None),
]


@pytest.mark.parametrize("first", range(len(ORDER)), ids=[name for name, *_ in ORDER])
def test_t_150_what_is_wrong_is_told_in_order(api, entity, provider, first):
    """7.1: 401, then the body, the key, the paths, the entity, the claim; later faults are not reached."""
    wrong = {name for name, *_ in ORDER[first:]}
    sent = dict(BODY)
    headers = {}
    if "a strange body" in wrong:
        sent["colour"] = "red"
    if "no key" not in wrong:
        headers |= KEY
    if "a strange path" in wrong:
        sent["successPath"] = "//evil.example"
    if "a strange entity" in wrong:
        headers["x-billable-entity-id"] = "999999999"
    caller = api.with_token("" if "nobody" in wrong else api.token)
    answer = caller.post(PATH, sent, headers=headers)
    _name, status, code = ORDER[first]
    assert (answer.status_code, body(answer).get("code")) == (status, code)
    if "a strange path" in wrong and status == 400 and "no key" not in wrong:
        assert body(answer)["fieldErrors"] == {
            "successPath": "successPath must be a relative path starting with '/'."
        }


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'"x"', 400),
        (b"\xff\xfe", 400),
        (b'{"planCode": NaN}', 400),
        (b"{" + b" " * 65_536 + b"}", 413),
        (b"", 400),
    ],
    ids=["torn", "a list", "a text", "no text", "NaN", "large", "none"],
)
def test_t_150_a_body_that_is_no_object_of_a_sane_size(api, entity, provider, raw, status):
    answer = api.post(PATH, raw=raw, headers=KEY)
    assert answer.status_code == status
    assert checkouts.requests(entity) == []


def test_t_150_a_person_needs_the_right_and_a_token_of_the_page(entity, provider):
    owner = people.user("ann", tenant_a="owner")
    browser = Client(enforce_csrf_checks=True, raise_request_exception=False)
    browser.force_login(owner)
    without = browser.post(PATH, BODY, content_type="application/json", headers=KEY)
    assert (without.status_code, checkouts.requests(entity)) == (403, [])
    member = people.person("bob", tenant_a="viewer")
    answer = member.post("billing/checkout", BODY, Idempotency_Key="key-1")
    assert (answer.status_code, body(answer)["code"]) == (403, "BILLING_PERMISSION_REQUIRED")
    answer = people.person("eve", tenant_a="finance").post("billing/checkout", BODY, Idempotency_Key="key-1")
    assert answer.status_code == 200


def test_t_150_an_inactive_entity_buys_nothing(api, entity, provider):
    people.deactivate(entity)
    answer = api.post(PATH, BODY, headers=KEY)
    assert (answer.status_code, body(answer)["code"]) == (409, "BILLING_ENTITY_INACTIVE")
    assert checkouts.requests(entity) == []


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_t_150_there_is_no_other_verb(api, entity, method):
    assert api.call(method, PATH, BODY, headers=KEY).status_code == 404


def test_a_person_without_a_workspace_buys_for_himself(provider):
    """3.5: the personal entity is made on first use, and its tenant with it."""
    factories.plan()
    answer = people.person("dan").post("billing/checkout", BODY, Idempotency_Key="key-1")
    assert answer.status_code == 200
    assert provider.creates[0][0]["client_reference_id"] == str(body(answer)["billableEntityId"])
