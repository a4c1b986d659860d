"""What every route of /api/billing/* does before it does anything: spec 7.1, 5.5."""

import dataclasses
import io
import json

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import get_resolver

from billing.api.base import BODY_MAX_BYTES, BillingView
from billing.providers.errors import Category, ProviderProblem
from settld.settings_parsing import RateLimit
from settld.tenants.services import keys
from tests.api.test_openapi import routes
from tests.billing import factories as make
from tests.billing import people
from tests.support.api import OPS_TOKEN, body, refusal

pytestmark = pytest.mark.django_db
KEY = {"Idempotency_Key": "key-1"}
ORDER = {"planCode": "pro", "successPath": "/a", "cancelPath": "/b"}


def every_route():
    """Each method of each route of the room, as (method, path with plausible parameters)."""
    for path, callback in routes(get_resolver().url_patterns):
        view = getattr(callback, "view_class", None)
        if view is None or not issubclass(view, BillingView) or not view.scopes:
            continue
        filled = path.replace("<str:payment_link_id>", "1").replace("<str:scope>", "checkout_open")
        while "<" in filled:
            filled = f"{filled[: filled.index('<')]}1{filled[filled.index('>') + 1 :]}"
        yield from ((method, filled.removeprefix("api/")) for method in view.scopes)


ROUTES = sorted(every_route())
WRITES = [route for route in ROUTES if route[0] != "GET"]


def test_the_room_has_the_routes_of_the_specification():
    wanted = {
        ("GET", "billing/plans"), ("GET", "billing/subscription"), ("POST", "billing/checkout"),
        ("POST", "billing/portal"), ("POST", "billing/payment-links"), ("GET", "billing/payment-methods"),
        ("POST", "billing/payment-methods/sync"), ("GET", "billing/limitations"),
        ("GET", "billing/timeline"), ("POST", "billing/checkout/refresh"), ("GET", "billing/payment-links"),
        ("POST", "billing/payment-links/1/deactivate"), ("GET", "billing/entities"),
        ("POST", "billing/entities"), ("GET", "console/billing/events"), ("GET", "console/billing/plans"),
        ("POST", "console/billing/plans"), ("PATCH", "console/billing/plans/1"),
        ("GET", "console/billing/provider-prices"), ("GET", "console/billing/reports/summary"),
    }  # fmt: skip
    assert wanted <= set(ROUTES)


# --- Who calls ------------------------------------------------------------------------------------
def test_a_stranger_is_401_whatever_they_send():
    for method, path in ROUTES:
        answer = people.Caller().call(method, path, {"unknown": 1})
        assert (answer.status_code, answer.content) == (401, b'{"error":"Authentication required."}'), path


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer nobody"},
        {"authorization": "Bearer unknown.secret"},
        {"authorization": "Bearer \x7f.\xe9"},
        {"authorization": "Bearer ."},
        {"authorization": "Basic abc"},
        {"x-proxy-ops-token": "wrong"},
        {"x-proxy-api-key": "sk_test_1.wrong"},
        {"cookie": "sessionid=forged"},
        {"authorization": f"Bearer {'k' * 129}.s"},
    ],
)
def test_a_wrong_credential_is_no_credential(headers):
    people.api_key("finance_write", key_id="sk_test_1")

    assert people.Caller(headers=headers).get("billing/plans").status_code == 401


def test_a_credential_is_enough_without_a_tenant_beside_it():
    assert people.api_key("ops_read").get("billing/plans").status_code == 200


def test_a_revoked_key_and_a_person_who_may_not_log_in_are_401():
    from settld.core import clock, tenancy

    key, ann = people.api_key("ops_read", key_id="k1"), people.person("ann", tenant_a="owner")
    with tenancy.tenant_scope("tenant_a"):
        keys.revoke(tenant_id="tenant_a", key_id="k1", actor=people.ACTOR, now=clock.now())
    type(ann.user).objects.filter(pk=ann.user.pk).update(is_active=False)

    assert key.get("billing/plans").status_code == 401
    assert ann.get("billing/plans").status_code == 401


@pytest.mark.parametrize("header", ["X-CSRFToken", "csrf-token", "x-csrf-token", "x-xsrf-token"])
def test_a_browsers_write_needs_a_token_in_any_of_four_headers(header):
    ann = people.person("ann", tenant_a="owner")
    browser = Client(enforce_csrf_checks=True, raise_request_exception=False)
    browser.force_login(ann.user)
    token = "a" * 32
    browser.cookies[django_settings.CSRF_COOKIE_NAME] = token
    caller = people.Caller(client=browser)

    refused = caller.post("billing/payment-methods/sync")
    assert refusal(refused) == (403, "CSRF_FAILED")
    wrong = caller.post("billing/payment-methods/sync", **{header: "b" * 32})
    assert refusal(wrong) == (403, "CSRF_FAILED")
    assert caller.post("billing/payment-methods/sync", **{header: token}).status_code == 200
    assert caller.get("billing/plans").status_code == 200


def test_a_bearer_needs_no_csrf_token_even_beside_a_login():
    ann, key = people.person("ann", tenant_a="viewer"), people.api_key("finance_write")
    browser = Client(enforce_csrf_checks=True, raise_request_exception=False)
    browser.force_login(ann.user)

    answer = people.Caller(headers=key.headers, client=browser).post("billing/payment-methods/sync")
    assert answer.status_code == 200


def test_the_buckets_of_the_other_planes_are_charged(settings):
    key, ann = people.api_key("ops_read"), people.person("ann", tenant_a="owner")
    one_a_minute = RateLimit(rpm=1, burst=1)
    settings.RATE_LIMITS = {"ip": one_a_minute, "tenant": one_a_minute, "api_key": None}

    for caller, first in ((key, 200), (ann, 200), (people.Caller(), 401)):
        caller.headers |= {"x-real-ip": "10.0.0.1"}
        assert caller.get("billing/plans").status_code == first
        answer = caller.get("billing/plans")
        assert refusal(answer) == (429, "RATE_LIMITED")
        assert int(answer["retry-after"]) >= 1
    assert body(answer)["details"] == {"code": "RATE_LIMITED"}


# --- Off, and unknown -----------------------------------------------------------------------------
def test_t110_while_billing_is_off_nothing_is_there(settings):
    settings.BILLING = dataclasses.replace(settings.BILLING, enabled=False)
    callers = (people.Caller(), people.api_key("finance_write"), people.person("ann", platform_role="admin"))

    for method, path in [*ROUTES, ("GET", "billing/nothing"), ("GET", "console/billing")]:
        for caller in callers:
            answer = caller.call(method, path, {})
            assert (answer.status_code, answer.content) == (404, b'{"error":"Not found."}'), path


@pytest.mark.parametrize(
    "path", ["billing", "billing/", "billing/nothing", "billing/plans/", "console/billing/x"]
)
def test_an_unknown_path_is_404_for_callers_and_401_for_strangers(path):
    answer = people.api_key("ops_read").get(path)
    assert (answer.status_code, answer.content) == (404, b'{"error":"Not found."}')
    assert people.Caller().get(path).status_code == 401


@pytest.mark.parametrize("method", ["DELETE", "PUT", "OPTIONS", "TRACE", "NOPE"])
def test_an_unknown_method_is_404(method):
    answer = people.api_key("finance_write").call(method, "billing/checkout", {})
    assert (answer.status_code, answer.content) == (404, b'{"error":"Not found."}')


# --- Bodies ---------------------------------------------------------------------------------------
def post_raw(path, raw, content_type="application/json", **headers):
    key = people.api_key("finance_write")
    return key.client.generic(
        "POST", f"/api/{path}", raw, content_type=content_type, headers=key.headers | headers
    )


MALFORMED = {
    "truncated": b"{",
    "text": b'"text"',
    "list": b"[]",
    "null": b"null",
    "bytes": b"\xff\xfe",
    "nan": b'{"a":NaN}',
    "infinite": b'{"a":1e999}',
    "long number": b'{"a":' + b"9" * 5_000 + b"}",
    "deep": b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "nul": b'{"planCode":"\\u0000"}',
    "surrogate": b'{"planCode":"\\ud800"}',
    "nul key": b'{"\\u0000":1}',
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED)
def test_a_body_that_is_no_json_object_is_400(raw):
    answer = post_raw("billing/checkout", raw)

    assert refusal(answer) == (400, "VALIDATION_ERROR")
    assert list(body(answer)["fieldErrors"]) == ["body"]
    assert body(answer)["details"]["fieldErrors"] == body(answer)["fieldErrors"]
    assert body(answer)["error"] == "Validation failed."


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_may_have_64_kib_and_not_a_byte_more(chunked):
    key = people.api_key("finance_write")

    def send(size):
        raw = json.dumps(ORDER).encode()
        raw += b" " * (size - len(raw))
        if not chunked:
            return key.client.generic(
                "POST", "/api/billing/checkout", raw, content_type="application/json", headers=key.headers
            )
        return key.client.generic(
            "POST", "/api/billing/checkout", b"", headers=key.headers,
            **{
                "CONTENT_LENGTH": "", "CONTENT_TYPE": "application/json", "HTTP_TRANSFER_ENCODING": "chunked",
                "wsgi.input": io.BytesIO(raw), "wsgi.input_terminated": True,
            },
        )  # fmt: skip

    assert refusal(send(BODY_MAX_BYTES)) == (400, "IDEMPOTENCY_KEY_REQUIRED")
    assert refusal(send(BODY_MAX_BYTES + 1)) == (413, "BODY_TOO_LARGE")


def test_a_body_that_is_not_json_is_415():
    assert refusal(post_raw("billing/checkout", b"a=1", "application/x-www-form-urlencoded"))[0] == 415


# --- The order of checks --------------------------------------------------------------------------
def test_the_schema_comes_before_the_key_the_key_before_paths_and_paths_before_the_entity():
    viewer = people.person("ann", tenant_a="viewer", tenant_b="viewer")
    bad_paths = ORDER | {"successPath": "https://evil.example"}

    def code(sent, **headers):
        return refusal(viewer.post("billing/checkout", sent, **headers))

    assert code({"x": 1}) == (400, "VALIDATION_ERROR")
    assert code(bad_paths) == (400, "IDEMPOTENCY_KEY_REQUIRED")
    assert code(bad_paths, **KEY) == (400, "VALIDATION_ERROR")
    assert code(ORDER, **KEY) == (409, "BILLING_WORKSPACE_SELECTION_REQUIRED")
    assert code(ORDER, x_workspace_slug="tenant_a", **KEY) == (403, "BILLING_PERMISSION_REQUIRED")


def test_every_fault_of_a_body_is_named_at_once():
    answer = people.api_key("finance_write").post(
        "billing/checkout", {"planCode": 5, "successPath": None, "y": 1}
    )

    assert body(answer)["fieldErrors"] == {
        "planCode": "planCode must be a string.",
        "successPath": "successPath is required.",
        "cancelPath": "cancelPath is required.",
        "y": "Unknown field.",
    }


# --- Errors nobody foresaw ------------------------------------------------------------------------
def test_an_unforeseen_error_is_a_500_without_its_text(monkeypatch, settings):
    from billing.queries import catalog

    monkeypatch.setattr(catalog, "offered_to", lambda *_a, **_kw: 1 / 0)
    answer = people.api_key("ops_read").get("billing/plans", x_request_id="r1")
    assert answer.status_code == 500
    assert body(answer) == {
        "error": "internal error",
        "code": "INTERNAL_ERROR",
        "details": {"code": "INTERNAL_ERROR", "requestId": "r1"},
    }


# --- Hostile input on every route -----------------------------------------------------------------
HUGE = 10**40
HOSTILE_VALUES = [
    None,
    True,
    0,
    -1,
    1.5,
    HUGE,
    "",
    "\x7f\\\t",
    "x" * 5_000,
    [],
    [[]],
    {},
    {"a": {"b": []}},
    [None],
]
FIELDS = [
    "planCode", "checkoutType", "oneOff", "successPath", "cancelPath", "returnPath", "lineItems",
    "entityType", "organizationId", "code", "name", "description", "isActive", "metadataJson", "corePrice",
    "entitlements", "providerPriceId", "tenantId", "namespace", "externalId", "status", "principalType",
    "principalId", "canManage", "expiresAt", "dryRun", "limit", "scope",
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), WRITES, ids=[" ".join(route) for route in WRITES])
def test_hostile_bodies_are_refused_clearly_on_every_route(method, path, api):
    make.tenant()
    caller = people.Caller(headers={"x-proxy-ops-token": OPS_TOKEN, "x-proxy-tenant-id": "tenant_a"})

    for value in HOSTILE_VALUES:
        answer = caller.call(method, path, dict.fromkeys(FIELDS, value), **KEY)
        assert 400 <= answer.status_code < 500, (value, answer.content)
        assert set(body(answer)) <= {"error", "code", "details", "fieldErrors"}


PARAMETERS = [
    "page", "pageSize", "source", "operationKey", "providerEventId", "cursor", "workspaceId", "userId",
    "billableEntityId", "workspaceSlug", "active", "limit",
]  # fmt: skip
HOSTILE_TEXTS = [
    "%00", "-1", "9" * 40, "x" * 3_000, "%ff%fe", "1.5", "%F0%9F%92%B0", "[]", "'", "%5C", "null",
]  # fmt: skip


SOUND = {
    "billing/checkout": ORDER,
    "billing/portal": {"returnPath": "/a"},
    "billing/payment-links": {"successPath": "/a", "oneOff": {"name": "x", "amountMinor": 1}},
    "billing/entities": {"entityType": "organization", "organizationId": 1},
    "console/billing/plans": {
        "code": "pro", "name": "Pro", "description": "x", "isActive": True, "metadataJson": {},
        "corePrice": {"providerPriceId": "price_1"}, "entitlements": [],
    },
    "console/billing/catalog-items": {"providerPriceId": "price_1", "name": "x"},
    "console/billing/entities": {"tenantId": "tenant_a", "namespace": "crm", "externalId": "1"},
    "console/billing/entities/1/grants": {
        "principalType": "user", "principalId": "1", "canManage": True, "expiresAt": "2999-01-01T00:00:00Z",
    },
}  # fmt: skip


@pytest.mark.parametrize("path", SOUND)
def test_one_hostile_field_in_a_sound_body_never_ends_in_a_500(path, api, monkeypatch):
    from billing.providers import base

    def away():
        raise ProviderProblem("away", category=Category.TRANSIENT_NETWORK)

    monkeypatch.setattr(base, "active", away)
    make.tenant()
    caller = people.Caller(headers={"x-proxy-ops-token": OPS_TOKEN, "x-proxy-tenant-id": "tenant_a"})

    for name in SOUND[path]:
        for number, value in enumerate(HOSTILE_VALUES):
            answer = caller.post(path, SOUND[path] | {name: value}, Idempotency_Key=f"{name}-{number}")
            assert answer.status_code < 500 or answer.status_code == 502, (name, value, answer.content)


@pytest.mark.parametrize(("method", "path"), [r for r in ROUTES if r[0] == "GET"])
def test_hostile_queries_never_end_in_a_500(method, path, api, monkeypatch):
    from billing.services import provider_prices

    monkeypatch.setattr(provider_prices, "newest", lambda **_kw: [])
    make.tenant()
    caller = people.Caller(headers={"x-proxy-ops-token": OPS_TOKEN, "x-proxy-tenant-id": "tenant_a"})

    reads_them = path in ("billing/timeline", "console/billing/events", "console/billing/provider-prices")
    for text in HOSTILE_TEXTS:
        for query in (f"{name}={text}" for name in (PARAMETERS if reads_them else PARAMETERS[-4:])):
            answer = caller.get(f"{path}?{query}")
            assert answer.status_code < 500, (query, answer.content)


@pytest.mark.parametrize(
    "name", ["x_billable_entity_id", "x_workspace_slug", "Idempotency_Key", "x_surface_id"]
)
def test_hostile_headers_never_end_in_a_500(name):
    key = people.api_key("finance_write")

    for value in ("\x00", "\xff", "9" * 60, "a" * 20_000, "\t", "' OR 1=1", "\u00e9"):
        for answer in (
            key.get("billing/subscription", **{name: value}),
            key.post("billing/portal", {"returnPath": "/a"}, **{name: value}),
        ):
            assert answer.status_code < 500, answer.content


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("POST", "billing/payment-links/{}/deactivate", {}),
        ("PATCH", "console/billing/plans/{}", {"corePrice": {"providerPriceId": "price_1"}}),
        ("PATCH", "console/billing/catalog-items/{}", {"isActive": False}),
        ("PATCH", "console/billing/entities/{}", {"status": "inactive"}),
        ("GET", "console/billing/entities/{}/grants", None),
        ("POST", "console/billing/entities/{}/grants/1/revoke", {}),
        ("POST", "console/billing/entities/1/grants/{}/revoke", {}),
    ],
)
def test_hostile_identifiers_in_paths_are_404(method, path, sent, api):
    make.tenant()
    caller = people.Caller(headers={"x-proxy-ops-token": OPS_TOKEN, "x-proxy-tenant-id": "tenant_a"})

    for identifier in ("0", "9" * 25, "9" * 5_000, "%00", "%F0%9F%92%B0", "..", "1%2F2", "-1", "null"):
        assert caller.call(method, path.format(identifier), sent).status_code == 404, identifier
