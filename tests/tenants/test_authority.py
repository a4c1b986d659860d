"""Nobody hands on more than they hold: platform-operations 2.1, 2.2, 3.3, 3.4, 3.5."""

import pytest
from django.test import Client

from settld.api import metrics
from settld.core import clock, tenancy
from settld.core.errors import Conflict
from settld.core.principals import Actor
from settld.tenants.models import AuthKey, Tenant, User
from settld.tenants.services import memberships, ops_tokens
from tests.support.api import Api, body, refusal

pytestmark = pytest.mark.django_db
BOOTSTRAP = "/ops/tenants/bootstrap"


@pytest.fixture
def operator_key(api):
    return body(api.post("/ops/api-keys", {"scopes": ["ops_write"]}))["token"]


def by_key(token, path, data=None):
    return Api("tenant_a", token="").post(path, data, headers={"x-proxy-api-key": token})


def test_rotating_a_stronger_key_is_no_way_to_its_scopes_3_3(api, operator_key):
    api.post("/ops/api-keys", {"scopes": ["finance_write"], "keyId": "strong"})
    assert refusal(by_key(operator_key, "/ops/api-keys/strong/rotate")) == (
        403,
        "SCOPE_ESCALATION_FORBIDDEN",
    )
    with tenancy.tenant_scope("tenant_a"):
        assert AuthKey.objects.get(key_id="strong").status == "active"
    assert api.post("/ops/api-keys/strong/rotate").status_code == 201


def test_a_key_rotates_itself_3_3(operator_key):
    answer = by_key(operator_key, f"/ops/api-keys/{operator_key.partition('.')[0]}/rotate")
    assert (answer.status_code, body(answer)["scopes"]) == (201, ["ops_write"])


def logged_in(*, role=None, platform_role=""):
    now = clock.now()
    Tenant.objects.get_or_create(tenant_id="tenant_a", defaults={"created_at": now, "updated_at": now})
    user = User.objects.create_user("ada", password="correct horse battery", platform_role=platform_role)
    if role:
        memberships.upsert(tenant_id="tenant_a", user=user, role=role, actor=Actor("t"), now=now)
    client = Client(raise_request_exception=False)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return Api("tenant_a", token="", client=client)


def test_a_member_does_not_bootstrap_and_platform_staff_does_3_5():
    assert refusal(logged_in(role="owner").post(BOOTSTRAP)) == (403, "FORBIDDEN")
    User.objects.update(platform_role="operator")
    staff = logged_in_again()
    assert staff.post(BOOTSTRAP, {"billing": {"plan": "growth"}}).status_code == 201


def logged_in_again():
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.get(), backend="django.contrib.auth.backends.ModelBackend")
    return Api("tenant_a", token="", client=client)


def test_a_login_without_any_membership_is_403_2_5():
    caller = logged_in()
    assert refusal(caller.client.get("/ops/audit")) == (403, "FORBIDDEN")


def test_bootstrap_makes_a_tenant_where_writes_may_not_2_2(api, settings):
    settings.IMPLICIT_TENANTS = False
    acme = api.as_tenant("acme")
    assert refusal(acme.post("/ops/api-keys", {"scopes": ["ops_read"]})) == (404, "TENANT_NOT_FOUND")
    assert acme.post(BOOTSTRAP).status_code == 201
    assert Tenant.objects.get(tenant_id="acme").source == "bootstrap"
    assert acme.post("/ops/api-keys", {"scopes": ["ops_read"]}).status_code == 201


def test_a_refused_bootstrap_leaves_no_tenant_3_5_1(api):
    assert refusal(api.as_tenant("acme").post(BOOTSTRAP, {"plan": "gold"}))[0] == 400
    assert not Tenant.objects.filter(tenant_id="acme").exists()


def test_a_refused_write_makes_no_tenant_2_1(api):
    acme = api.as_tenant("acme")
    acme.with_token("tok_read").post("/ops/api-keys", {"scopes": ["ops_read"]})
    acme.post("/ops/nothing/here")
    acme.call("DELETE", "/ops/api-keys")
    acme.post("/ops/api-keys", raw=b"{")
    acme.post("/ops/api-keys", {"scopes": ["ops_read"]}, headers={"x-settld-protocol": "9.9"})
    assert not Tenant.objects.filter(tenant_id="acme").exists()


def test_a_bootstrap_of_a_suspended_tenant_is_403_2_3(api):
    api.as_tenant("acme").post(BOOTSTRAP)
    Tenant.objects.update(status="suspended")
    assert refusal(api.as_tenant("acme").post(BOOTSTRAP)) == (403, "TENANT_SUSPENDED")


def test_the_audit_of_a_bootstrap_names_the_key_and_holds_no_secret_3_5_1(api):
    made = body(api.as_tenant("acme").post(BOOTSTRAP))["bootstrap"]["apiKey"]
    rows = body(api.as_tenant("acme").get("/ops/audit?action=TENANT_BOOTSTRAP"))["audit"]
    assert rows[0]["details"]["apiKeyId"] == made["keyId"]
    assert made["secret"] not in str(rows)


@pytest.fixture
def limited(db):
    _, raw = ops_tokens.create(
        name="few", scopes=["ops_read", "ops_write"], tenant_ids=["tenant_a"], expires_at=None,
        actor=Actor("t"), now=clock.now(),
    )  # fmt: skip
    return raw


def test_a_token_of_a_few_tenants_reads_no_platform_wide_metrics_3_4(api, limited):
    assert refusal(api.with_token(limited).get("/metrics?scope=platform")) == (403, "FORBIDDEN")
    assert api.with_token(limited).get("/metrics").status_code == 200
    answer = api.with_token(limited).post("/ops/api-keys", {"scopes": ["finance_read"]})
    assert answer.status_code == 201  # an ops token grants what is not global, 3.3


def test_reading_over_all_tenants_is_audited_once_an_hour(api, monkeypatch):
    monkeypatch.setattr(metrics, "_noted", {})
    for _ in range(3):
        assert api.get("/metrics?scope=platform").status_code == 200
    rows = body(api.as_tenant("tenant_default").get("/ops/audit?action=PLATFORM_READ"))["audit"]
    assert [(row["targetId"], row["actorPrincipalId"][:10]) for row in rows] == [("/metrics", "ops_token:")]


def test_a_revoked_ops_token_is_not_rotated_back_to_life_3_4(limited):
    ops_tokens.revoke(name="few", actor=Actor("t"), now=clock.now())
    with pytest.raises(Conflict):
        ops_tokens.rotate(name="few", actor=Actor("t"), now=clock.now())
