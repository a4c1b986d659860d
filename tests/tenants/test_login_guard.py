"""Login, second factor and the admin under attack: platform-operations 2.5, 5; the admin is read-only."""

import re

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from settld.api.exchange import exchange
from settld.core.admin import ReadOnlyAdmin
from settld.settings_parsing import RateLimit
from settld.tenants import rate_limits
from settld.tenants.models import Tenant, User
from tests.support.api import Api, body

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
# What platform admins may change there; tests/billing/test_admin.py says how.
KEPT_BY_HAND = {"billing.Plan", "billing.CatalogItem", "billing.Organization", "billing.EntityGrant"}


@pytest.fixture
def ada():
    return User.objects.create_user("ada", password=PASSWORD)


@pytest.fixture
def staff():
    return User.objects.create_user("sam", password=PASSWORD, is_staff=True, platform_role="admin")


def logged_in(user):
    client = Client(raise_request_exception=False)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def sign_in(client, username, password=PASSWORD, target=""):
    return client.post("/login", {"username": username, "password": password, "next": target})


def code_of(device):
    return f"{TOTP(bytes.fromhex(device.key)).token():06d}"


# --- Guessing -------------------------------------------------------------------------------------
def test_guessing_one_password_is_held_off_with_a_page_and_429(ada):
    client = Client()
    answers = [sign_in(client, "ada", f"wrong {n}") for n in range(8)]
    assert answers[-1].status_code == 429
    assert int(answers[-1]["retry-after"]) > 0
    page = answers[-1].content.decode()
    assert "<h1>Sign in</h1>" in page
    assert "Too many failed attempts" in page
    assert sign_in(client, "ada").status_code == 429  # the right one does not help now
    assert "_auth_user_id" not in client.session


def test_guessing_many_names_from_one_address_is_held_off_5(settings, ada, monkeypatch):
    limiter = rate_limits.RedisRateLimiter()
    limiter.avoid_redis_until = float("inf")
    monkeypatch.setattr(exchange, "rate_limiter", limiter)
    settings.RATE_LIMITS = {"ip": RateLimit(rpm=1, burst=3), "tenant": None, "api_key": None}
    answers = [sign_in(Client(), f"person{n}", "wrong") for n in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


def test_a_login_form_without_its_csrf_token_is_403(ada):
    client = Client(enforce_csrf_checks=True)
    client.get("/login")
    assert sign_in(client, "ada").status_code == 403


@pytest.mark.parametrize(
    "target",
    ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)", "\thttps://evil.test"],
)
def test_next_leads_nowhere_else(ada, target):
    assert sign_in(Client(), "ada", target=target)["location"] == "/console"
    page = logged_in(ada).get("/login/second-factor", {"next": target}).content.decode()
    assert "evil.test" not in page
    assert "javascript:" not in page


def test_the_session_is_renamed_at_login_and_at_the_second_factor(ada):
    client = Client()
    client.get("/login")
    client.session["planted"] = True
    client.session.save()
    planted = client.session.session_key
    sign_in(client, "ada")
    after_login = client.session.session_key
    device = TOTPDevice.objects.create(user=ada, confirmed=True, name="a")
    client.post("/login/second-factor", {"code": code_of(device)})
    assert len({planted, after_login, client.session.session_key}) == 3
    assert Client(headers={"cookie": f"sessionid={planted}"}).get("/console")["location"].startswith("/login")


# --- Second factor --------------------------------------------------------------------------------
def test_a_second_factor_is_set_up_once_and_its_code_works_once(ada):
    client = logged_in(ada)
    assert b'class="qr"' in client.get("/login/second-factor").content
    device = TOTPDevice.objects.get(user=ada)
    assert client.post("/login/second-factor", {"code": "000000"}).status_code == 422
    device.refresh_from_db()
    device.throttle_reset()
    code = code_of(device)
    assert client.post("/login/second-factor", {"code": code}).status_code == 302
    device.refresh_from_db()
    assert device.confirmed
    other = logged_in(ada)
    page = other.get("/login/second-factor").content
    assert b'class="qr"' not in page
    assert device.key.encode() not in page
    assert other.post("/login/second-factor", {"code": code}).status_code == 422  # seen once already


def test_wrong_codes_are_slowed_down(ada):
    device = TOTPDevice.objects.create(user=ada, confirmed=True, name="a")
    client = logged_in(ada)
    for _ in range(3):
        client.post("/login/second-factor", {"code": "000000"})
    assert client.post("/login/second-factor", {"code": code_of(device)}).status_code == 422


# --- Admin ----------------------------------------------------------------------------------------
def test_every_admin_page_is_read_only():
    writable = [
        model._meta.label
        for model, page in admin.site._registry.items()
        if not isinstance(page, ReadOnlyAdmin)
    ]
    assert writable == []


def test_the_admin_is_for_platform_staff_alone(ada):
    assert logged_in(ada).get("/admin/", follow=True).status_code == 403
    User.objects.update(is_staff=True, is_superuser=True)  # as createsuperuser makes one
    page = logged_in(ada).get("/admin/tenants/tenant/")
    assert page.status_code == 403
    assert Client().get("/admin/").status_code == 302


def test_what_platform_staff_read_is_audited(staff, api):
    Tenant.objects.get_or_create(tenant_id="tenant_default")
    client = logged_in(staff)
    assert client.get("/admin/tenants/tenant/?q=acme").status_code == 200
    row = body(api.as_tenant("tenant_default").get("/ops/audit?action=PLATFORM_READ"))["audit"][0]
    assert (row["actorPrincipalId"], row["targetId"], row["details"]) == (
        f"person:{staff.pk}",
        "/admin/tenants/tenant/",
        {"query": "q=acme"},
    )


def test_every_list_and_form_of_the_admin_opens_and_refuses_changes(staff, api):
    api.post("/ops/tenants/bootstrap")
    TOTPDevice.objects.create(user=staff, name="old", confirmed=False)
    client = logged_in(staff)
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        assert client.get(reverse(f"{name}_changelist")).status_code == 200, name
        if model._meta.label not in KEPT_BY_HAND:
            assert client.get(reverse(f"{name}_add")).status_code == 403, name
    tenant = reverse("admin:tenants_tenant_change", args=["tenant_a"])
    assert client.get(tenant).status_code == 200
    assert client.post(tenant, {"name": "Mallory"}).status_code == 403
    assert client.post(reverse("admin:tenants_tenant_delete", args=["tenant_a"])).status_code == 403
    assert Tenant.objects.get(tenant_id="tenant_a").name == ""


def test_the_admin_shows_no_secret(staff, api):
    api.post("/ops/tenants/bootstrap")
    device = TOTPDevice.objects.create(user=staff, name="old", confirmed=False)
    client = logged_in(staff)
    page = client.get(reverse("admin:otp_totp_totpdevice_change", args=[device.pk])).content.decode()
    assert device.key not in page
    keys = client.get("/admin/tenants/authkey/").content.decode()
    one = re.search(r"/admin/tenants/authkey/([^/]+)/change/", keys)
    assert "hmac256" not in client.get(one.group(0)).content.decode()


def test_staff_with_a_second_factor_give_it_before_the_admin_opens(staff):
    device = TOTPDevice.objects.create(user=staff, confirmed=True, name="a")
    client = logged_in(staff)
    answer = client.get("/admin/tenants/tenant/?q=a")
    assert answer["location"] == "/login/second-factor?next=/admin/tenants/tenant/%3Fq%3Da"
    answer = client.post(answer["location"], {"code": code_of(device), "next": "/admin/"})
    assert answer["location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_a_deployment_can_ask_all_staff_for_it(staff, settings):
    settings.STAFF_SECOND_FACTOR = True
    assert logged_in(staff).get("/admin/")["location"].startswith("/login/second-factor")


def test_revoking_in_the_admin_takes_a_platform_admin_and_is_audited(staff, api):
    api.post("/ops/api-keys", {"scopes": ["ops_read"], "keyId": "k1"})
    client = logged_in(staff)
    page = client.get("/admin/tenants/authkey/").content.decode()
    chosen = re.search(r"/admin/tenants/authkey/([^/]+)/change/", page).group(1)
    form = {"action": "revoke", "_selected_action": chosen}
    User.objects.update(platform_role="operator")
    client.post("/admin/tenants/authkey/", form)
    assert body(api.get("/ops/api-keys"))["apiKeys"][0]["status"] == "active"
    User.objects.update(platform_role="admin")
    client.post("/admin/tenants/authkey/", form)
    assert body(api.get("/ops/api-keys"))["apiKeys"][0]["status"] == "revoked"
    row = body(Api("tenant_a").get("/ops/audit?action=API_KEY_REVOKE"))["audit"][0]
    assert row["actorPrincipalId"] == f"person:{staff.pk}"
