"""API keys and bootstrap: platform-operations 3.3 and 3.5."""

import datetime as dt

import pytest

from settld.core import clock, tenancy
from settld.tenants.models import AuthKey, Tenant
from tests.support.api import Api, body, refusal

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({}, "scopes[] is required"),
        ({"scopes": []}, "scopes[] is required"),
        ({"scopes": "ops_read"}, "scopes[] is required"),
        ({"scopes": ["nonsense"]}, "unknown scope"),
        ({"scopes": ["ops_read"], "keyId": "a b"}, "invalid keyId"),
        ({"scopes": ["ops_read"], "keyId": 5}, "keyId must be a string"),
        (
            {"scopes": ["ops_read"], "expiresAt": "soon"},
            "expiresAt must be an ISO 8601 date-time with an offset",
        ),
        ({"scopes": ["ops_read"], "expiresAt": "2001-01-01T00:00:00Z"}, "expiresAt must be in the future"),
    ],
)
def test_a_faulty_key_request_is_400_and_makes_nothing(api, payload, error):
    answer = api.post("/ops/api-keys", payload)
    assert (answer.status_code, body(answer)["error"]) == (400, error)
    assert body(api.get("/ops/api-keys"))["apiKeys"] == []


def test_a_key_is_shown_once_and_its_hash_never(api):
    answer = api.post("/ops/api-keys", {"scopes": [" ops_write", "ops_read", "ops_read"], "keyId": "k1"})
    made = body(answer)
    assert answer["cache-control"] == "no-store"
    assert made["token"] == f"k1.{made['secret']}"
    assert made["scopes"] == ["ops_read", "ops_write"]
    listed = body(api.get("/ops/auth-keys"))
    assert listed["authKeys"] == listed["apiKeys"]
    assert made["secret"] not in str(listed)
    assert "hash" not in str(listed).lower()


def test_an_existing_key_id_is_a_conflict_even_when_revoked(api):
    api.post("/ops/api-keys", {"scopes": ["ops_read"], "keyId": "k1"})
    api.post("/ops/api-keys/k1/revoke")
    assert refusal(api.post("/ops/api-keys", {"scopes": ["ops_read"], "keyId": "k1"})) == (
        409,
        "AUTH_KEY_EXISTS",
    )
    assert (
        api.as_tenant("tenant_b").post("/ops/api-keys", {"scopes": ["ops_read"], "keyId": "k1"}).status_code
        == 201
    )


def test_a_key_grants_only_what_it_holds(api):
    key = body(api.post("/ops/api-keys", {"scopes": ["ops_write"]}))["token"]
    caller = Api("tenant_a", token="")
    answer = caller.post("/ops/api-keys", {"scopes": ["finance_read"]}, headers={"x-proxy-api-key": key})
    assert refusal(answer) == (403, "SCOPE_ESCALATION_FORBIDDEN")
    answer = caller.post("/ops/api-keys", {"scopes": ["ops_read"]}, headers={"x-proxy-api-key": key})
    assert answer.status_code == 201
    assert refusal(api.post("/ops/api-keys", {"scopes": ["governance_global_read"]}))[0] == 403


def test_rotation_and_revocation_refuse_what_makes_no_sense(api):
    api.post("/ops/api-keys", {"scopes": ["ops_read"], "keyId": "k1"})
    assert refusal(api.post("/ops/api-keys/none/rotate")) == (404, "NOT_FOUND")
    assert refusal(api.post("/ops/api-keys/none/revoke")) == (404, "NOT_FOUND")
    assert refusal(api.post("/ops/api-keys/k1/rotate", {"graceSeconds": 86401})) == (400, "SCHEMA_INVALID")
    assert api.post("/ops/api-keys/k1/rotate").status_code == 201
    assert refusal(api.post("/ops/api-keys/k1/rotate")) == (409, "AUTH_KEY_NOT_ACTIVE")
    first = body(api.post("/ops/api-keys/k1/revoke"))["authKey"]["revokedAt"]
    assert body(api.post("/ops/api-keys/k1/revoke"))["authKey"]["revokedAt"] == first
    assert refusal(api.post("/ops/api-keys/k1/rotate")) == (409, "AUTH_KEY_REVOKED")


def test_an_expired_key_rotates_only_with_a_new_expiry(api):
    soon = clock.iso(clock.now() + dt.timedelta(seconds=5))
    api.post("/ops/api-keys", {"scopes": ["ops_read"], "keyId": "k1", "expiresAt": soon})
    with clock.freeze(clock.now() + dt.timedelta(seconds=10)):
        assert refusal(api.post("/ops/api-keys/k1/rotate")) == (409, "AUTH_KEY_EXPIRED")
        assert api.post("/ops/api-keys/k1/rotate", {"expiresAt": None}).status_code == 201


def test_a_replayed_key_request_has_no_secret_and_makes_no_second_key(api):
    first = body(api.post("/ops/api-keys", {"scopes": ["ops_read"]}, key="k"))
    answer = api.post("/ops/api-keys", {"scopes": ["ops_read"]}, key="k")
    assert answer["x-idempotent-replay"] == "true"
    assert body(answer) == first | {"secret": None, "token": None}
    assert len(body(api.get("/ops/api-keys"))["apiKeys"]) == 1


# --- Bootstrap ------------------------------------------------------------------------------------
def test_bootstrap_makes_tenant_key_and_instructions_that_work(api, client):
    answer = api.as_tenant("acme").post(
        "/ops/tenants/bootstrap",
        {"name": "Acme", "contactEmail": "Ops@Acme.test", "billing": {"plan": "GROWTH"}},
    )
    made = body(answer)["bootstrap"]
    assert answer.status_code == 201
    assert made["apiBaseUrl"] == "http://testserver"
    assert made["env"] == {
        "SETTLD_TENANT_ID": "acme",
        "SETTLD_BASE_URL": "http://testserver",
        "SETTLD_API_KEY": made["apiKey"]["token"],
    }
    assert made["exportCommands"].splitlines()[0] == "export SETTLD_TENANT_ID='acme'"
    assert made["apiKey"]["scopes"] == [
        "audit_read",
        "finance_read",
        "finance_write",
        "ops_read",
        "ops_write",
    ]
    assert made["billing"]["plan"] == "growth"
    tenant = Tenant.objects.get(tenant_id="acme")
    assert (tenant.name, tenant.contact_email) == ("Acme", "ops@acme.test")
    answer = Api("acme", token="").get("/ops/audit", headers={"x-proxy-api-key": made["apiKey"]["token"]})
    actions = [row["action"] for row in body(answer)["audit"]]
    assert [action for action in actions if action.startswith(("TENANT", "API_KEY"))] == [
        "TENANT_BOOTSTRAP",
        "API_KEY_CREATE",
    ]


@pytest.mark.parametrize(
    "payload",
    [
        {"apiKey": {"scopes": []}},
        {"apiKey": {"scopes": [1]}},
        {"scopes": ["nonsense"]},
        {"apiKey": 5},
        {"billing": {"plan": "gold"}},
        {"billing": {"hardLimitEnforced": "true"}},
        {"apiKey": {"keyId": "a b"}},
        {"apiKey": {"expiresAt": "2001-01-01T00:00:00Z"}},
        {"contactEmail": "nobody"},
        {"description": "x" * 501},
    ],
)
def test_any_fault_in_a_bootstrap_is_one_400_and_writes_nothing(api, payload):
    answer = api.as_tenant("acme").post("/ops/tenants/bootstrap", payload)
    assert (answer.status_code, body(answer)["error"]) == (400, "invalid tenant bootstrap payload")
    assert body(answer)["details"]["message"]
    with tenancy.tenant_scope("acme"):
        assert not AuthKey.objects.exists()


def test_bootstrap_again_makes_another_key_and_keeps_the_tenant(api):
    acme = api.as_tenant("acme")
    acme.post("/ops/tenants/bootstrap", {"billing": {"plan": "growth"}})
    again = body(acme.post("/ops/tenants/bootstrap"))["bootstrap"]
    assert again["billing"]["plan"] == "growth"
    assert len(body(acme.get("/ops/api-keys"))["apiKeys"]) == 2
    assert body(acme.post("/ops/tenants/bootstrap", {"createApiKey": False}))["bootstrap"]["apiKey"] is None


def test_a_replayed_bootstrap_nulls_the_secret_everywhere(api):
    acme = api.as_tenant("acme")
    first = body(acme.post("/ops/tenants/bootstrap", key="b"))["bootstrap"]
    again = body(acme.post("/ops/tenants/bootstrap", key="b"))["bootstrap"]
    assert again["apiKey"] == first["apiKey"] | {"secret": None, "token": None}
    assert again["env"]["SETTLD_API_KEY"] is None
    assert first["apiKey"]["secret"] not in str(again)


def test_an_api_key_may_not_set_billing_by_bootstrap(api):
    token = body(api.as_tenant("acme").post("/ops/tenants/bootstrap"))["bootstrap"]["apiKey"]["token"]
    caller = Api("acme", token="")
    headers = {"x-proxy-api-key": token}
    assert refusal(caller.post("/ops/tenants/bootstrap", {"plan": "growth"}, headers=headers)) == (
        403,
        "FORBIDDEN",
    )
    assert caller.post("/ops/tenants/bootstrap", headers=headers).status_code == 201


def test_a_tenant_id_of_another_form_is_refused_for_new_tenants(api):
    assert refusal(api.as_tenant("a b").post("/ops/tenants/bootstrap")) == (400, "SCHEMA_INVALID")
