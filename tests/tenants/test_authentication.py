"""Who calls: P3 and platform-operations 3.2, 3.3."""

import base64
import datetime as dt
import hashlib

import pytest
from django.test import Client
from prometheus_client import REGISTRY

from settld.core import clock, tenancy
from settld.core.hashing import sha256_hex
from settld.core.principals import Actor
from settld.tenants.models import AuthKey, Tenant, User
from settld.tenants.services import memberships, ops_tokens
from tests.support.api import Api, body, refusal

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(api):
    made = body(api.post("/ops/api-keys", {"scopes": ["ops_read", "ops_write"]}))
    return made["token"]


def as_key(token, tenant_id="tenant_a", header="x-proxy-api-key"):
    return Api(tenant_id, token="").get("/ops/api-keys", headers={header: token})


def test_an_api_key_works_by_header_and_by_bearer(key):
    assert as_key(key).status_code == 200
    assert as_key(f"Bearer {key}", header="authorization").status_code == 200


def test_every_failure_is_the_same_403_P3(key, api):
    key_id = key.partition(".")[0]
    answers = [
        as_key(f"{key_id}.wrong"),
        as_key("sk_test_unknown.secret"),
        as_key(key, tenant_id="tenant_b"),
        Api("tenant_a", token="").get("/ops/api-keys"),
        Api("tenant_a", token="nonsense").get("/ops/api-keys"),
        as_key("Bearer nonsense", header="authorization"),
        api.with_token("tok_read").post("/ops/api-keys", {"scopes": ["ops_read"]}),
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {
        (403, b'{"error":"forbidden","code":"FORBIDDEN","details":null}')
    }


def test_a_failing_key_does_not_fall_back_to_the_ops_token_but_a_plain_bearer_does_P2(key, api):
    bad_key = {"authorization": f"Bearer {key}x"}
    assert api.get("/ops/api-keys", headers=bad_key).status_code == 403
    assert api.get("/ops/api-keys", headers={"authorization": "Bearer plain"}).status_code == 200


def test_write_satisfies_read_and_nothing_else_P3(api, settings):
    settings.OPS_TOKENS = {"w": frozenset({"ops_write"}), "r": frozenset({"ops_read"}), "none": frozenset()}
    assert api.with_token("w").get("/ops/api-keys").status_code == 200
    assert api.with_token("r").post("/ops/api-keys", {"scopes": ["ops_read"]}).status_code == 403
    assert api.with_token("w").get("/ops/audit/verify").status_code == 403
    assert api.with_token("none").get("/ops/api-keys").status_code == 403


def test_expired_rotated_and_revoked_keys_stop_and_grace_lasts_as_long_as_it_says(api, key):
    key_id = key.partition(".")[0]
    rotated = body(api.post(f"/ops/api-keys/{key_id}/rotate", {"graceSeconds": 60}))
    assert as_key(key).status_code == 200
    with clock.freeze(clock.now() + dt.timedelta(seconds=61)):
        assert as_key(key).status_code == 403
    assert as_key(rotated["token"]).status_code == 200
    api.post(f"/ops/api-keys/{rotated['newKeyId']}/revoke")
    assert as_key(rotated["token"]).status_code == 403
    soon = clock.iso(clock.now() + dt.timedelta(seconds=30))
    short = body(api.post("/ops/api-keys", {"scopes": ["ops_read"], "expiresAt": soon}))
    assert as_key(short["token"]).status_code == 200
    with clock.freeze(clock.now() + dt.timedelta(seconds=31)):
        assert as_key(short["token"]).status_code == 403


@pytest.mark.parametrize("form", ["scrypt", "sha256"])
def test_imported_hashes_verify_and_are_rehashed_on_first_use(api, key, form):
    if form == "sha256":
        stored = sha256_hex("settld_auth_key_secret_v1:old-secret")
    else:
        salt = b"0123456789abcdef"
        digest = hashlib.scrypt(
            b"settld_auth_key_secret_v2:old-secret", salt=salt, n=1024, r=8, p=1, dklen=32
        )
        stored = f"scrypt$1024$8$1${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
    key_id = key.partition(".")[0]
    with tenancy.tenant_scope("tenant_a"):
        AuthKey.objects.filter(key_id=key_id).update(secret_hash=stored)
        assert as_key(f"{key_id}.old-secret").status_code == 200
        assert AuthKey.objects.get(key_id=key_id).secret_hash.startswith("hmac256$")
    assert as_key(f"{key_id}.old-secret").status_code == 200
    assert as_key(f"{key_id}.other").status_code == 403


def test_an_old_pepper_still_verifies_and_the_secret_moves_to_the_new_one(api, key, settings):
    settings.KEY_PEPPERS = {"new": "n" * 32, **settings.KEY_PEPPERS}
    assert as_key(key).status_code == 200
    with tenancy.tenant_scope("tenant_a"):
        assert AuthKey.objects.get().secret_hash.startswith("hmac256$new$")


def test_last_use_is_noted_seldom_and_does_not_move_updated_at(api, key):
    start = clock.now()
    with clock.freeze(start):
        as_key(key)
    with clock.freeze(start + dt.timedelta(seconds=30)):
        as_key(key)
    with tenancy.tenant_scope("tenant_a"):
        row = AuthKey.objects.get()
        assert row.last_used_at == start
    with clock.freeze(start + dt.timedelta(seconds=61)):
        as_key(key)
    with tenancy.tenant_scope("tenant_a"):
        later = AuthKey.objects.get()
    assert later.last_used_at == start + dt.timedelta(seconds=61)
    assert later.updated_at == row.updated_at


def test_a_suspended_tenant_is_refused_except_for_platform_reads(api, key):
    Tenant.objects.filter(tenant_id="tenant_a").update(status="suspended")
    assert refusal(as_key(key)) == (403, "TENANT_SUSPENDED")
    assert api.get("/ops/api-keys").status_code == 200
    assert refusal(api.post("/ops/api-keys", {"scopes": ["ops_read"]})) == (403, "TENANT_SUSPENDED")


def test_reads_never_make_a_tenant_and_writes_only_where_that_is_allowed(api, settings):
    stranger = api.as_tenant("tenant_new")
    assert body(stranger.get("/ops/api-keys")) == {"apiKeys": [], "authKeys": []}
    assert not Tenant.objects.filter(tenant_id="tenant_new").exists()
    settings.IMPLICIT_TENANTS = False
    assert refusal(stranger.post("/ops/api-keys", {"scopes": ["ops_read"]})) == (404, "TENANT_NOT_FOUND")
    settings.IMPLICIT_TENANTS = True
    assert stranger.post("/ops/api-keys", {"scopes": ["ops_read"]}).status_code == 201
    assert Tenant.objects.get(tenant_id="tenant_new").source == "implicit"


def test_a_stored_ops_token_keeps_to_its_scopes_tenants_and_time(api):
    now = clock.now()
    token, raw = ops_tokens.create(
        name="ci", scopes=["ops_read"], tenant_ids=["tenant_a"], expires_at=now + dt.timedelta(hours=1),
        actor=Actor("t"), now=now,
    )  # fmt: skip
    assert raw not in (token.token_hash, token.name)
    assert api.with_token(raw).get("/ops/api-keys").status_code == 200
    assert api.with_token(raw).post("/ops/api-keys", {"scopes": ["ops_read"]}).status_code == 403
    assert api.as_tenant("tenant_b").with_token(raw).get("/ops/api-keys").status_code == 403
    with clock.freeze(now + dt.timedelta(hours=2)):
        assert api.with_token(raw).get("/ops/api-keys").status_code == 403
    ops_tokens.revoke(name="ci", actor=Actor("t"), now=now)
    assert api.with_token(raw).get("/ops/api-keys").status_code == 403


def test_the_raw_token_is_in_no_audit_row_P3(api):
    api.post("/ops/api-keys", {"scopes": ["ops_read"], "description": "a key"})
    rows = body(api.get("/ops/audit"))["audit"]
    assert api.token not in str(rows)
    assert rows[0]["actorPrincipalId"].startswith("ops_token:")


# --- People ---------------------------------------------------------------------------------------
@pytest.fixture
def person(db):
    user = User.objects.create_user("ada", password="correct horse battery")
    now = clock.now()
    for tenant_id in ("tenant_a", "tenant_b"):
        Tenant.objects.create(tenant_id=tenant_id, created_at=now, updated_at=now)
    memberships.upsert(tenant_id="tenant_a", user=user, role="finance", actor=Actor("t"), now=now)
    return user


def logged_in(user, *, csrf=False):
    client = Client(enforce_csrf_checks=csrf, raise_request_exception=False)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_a_login_acts_with_its_role_in_the_one_tenant_it_belongs_to(person):
    client = logged_in(person)
    assert client.get("/ops/audit").status_code == 200
    answer = client.get("/ops/audit", headers={"x-proxy-tenant-id": "tenant_b"})
    assert refusal(answer) == (403, "FORBIDDEN")


def test_a_login_with_several_memberships_must_name_the_tenant(person):
    memberships.upsert(tenant_id="tenant_b", user=person, role="viewer", actor=Actor("t"), now=clock.now())
    client = logged_in(person)
    assert refusal(client.get("/ops/audit")) == (400, "TENANT_REQUIRED")
    assert client.get("/ops/audit", headers={"x-proxy-tenant-id": "tenant_b"}).status_code == 200


def test_an_unsafe_call_by_login_needs_the_csrf_token_and_header_tokens_do_not(person, settings):
    memberships.upsert(tenant_id="tenant_a", user=person, role="owner", actor=Actor("t"), now=clock.now())
    client = logged_in(person, csrf=True)
    answer = client.post("/ops/api-keys", {"scopes": ["ops_read"]}, content_type="application/json")
    assert refusal(answer) == (403, "FORBIDDEN")
    client.get("/login")
    settings.OPS_TOKENS = {"tok": frozenset({"ops_write"})}
    answer = client.post(
        "/ops/api-keys", {"scopes": ["ops_read"]}, content_type="application/json",
        headers={"x-proxy-ops-token": "tok", "x-proxy-tenant-id": "tenant_a"},
    )  # fmt: skip
    assert answer.status_code == 201


def test_a_tenant_can_require_the_second_factor(person):
    Tenant.objects.filter(tenant_id="tenant_a").update(requires_second_factor=True)
    assert refusal(logged_in(person).get("/ops/audit")) == (403, "SECOND_FACTOR_REQUIRED")


def test_the_last_owner_stays(person):
    now = clock.now()
    memberships.upsert(tenant_id="tenant_a", user=person, role="owner", actor=Actor("t"), now=now)
    for role, status in (("viewer", "active"), ("owner", "removed")):
        with pytest.raises(memberships.LastOwner):
            memberships.upsert(
                tenant_id="tenant_a", user=person, role=role, status=status, actor=Actor("t"), now=now
            )


def test_failures_are_counted_by_reason(api):
    def count():
        return REGISTRY.get_sample_value("auth_failed_total", {"reason": "bad_token"}) or 0

    before = count()
    api.with_token("nonsense").get("/ops/audit")
    assert count() == before + 1
