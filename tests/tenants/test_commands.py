"""manage.py person, member and tenant: how an operator lets the first people in."""

import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from settld.tenants.models import Tenant, User
from tests.support.api import Api, body

pytestmark = pytest.mark.django_db


def run(*arguments):
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return json.loads(out.getvalue())


def audited(tenant_id="tenant_default"):
    return [row["action"] for row in body(Api(tenant_id).get("/ops/audit"))["audit"]]


def test_a_first_owner_is_made_and_logs_in(api):
    run("tenant", "create", "acme", "--name", "Acme")
    made = run("person", "create", "olga", "--email", "olga@acme.test")
    assert run("member", "add", "acme", "olga", "owner")["role"] == "owner"
    client = Client()
    answer = client.post("/login", {"username": "olga", "password": made["password"]})
    assert answer.status_code == 302
    assert client.get("/ops/audit").status_code == 200
    assert audited() == ["PERSON_CREATE"]
    assert audited("acme") == ["MEMBERSHIP_UPSERT", "TENANT_CREATE"]
    assert made["password"] not in str(body(Api("tenant_default").get("/ops/audit")))


def test_a_weak_password_from_stdin_is_refused(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("password\n"))
    with pytest.raises(CommandError):
        run("person", "create", "olga", "--password-stdin")
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))
    assert "password" not in run("person", "create", "olga", "--password-stdin")
    assert User.objects.get().check_password("correct horse battery")


@pytest.mark.parametrize("name", ["olga", "OLGA"])
def test_a_name_is_taken_in_any_letter_case(name):
    run("person", "create", "olga")
    with pytest.raises(CommandError, match="exists"):
        run("person", "create", name)


def test_the_last_owner_stays_and_a_removed_member_is_out():
    run("tenant", "create", "acme")
    for name in ("olga", "finn"):
        run("person", "create", name)
        run("member", "add", "acme", name, "owner")
    run("member", "remove", "acme", "finn")
    assert [m["status"] for m in run("member", "list", "acme")] == ["removed", "active"]
    with pytest.raises(CommandError, match="last active owner"):
        run("member", "add", "acme", "olga", "viewer")


@pytest.mark.parametrize(
    "arguments",
    [
        ("member", "add", "nowhere", "olga", "owner"),
        ("member", "add", "tenant_default", "nobody", "owner"),
        ("member", "remove", "tenant_default", "olga"),
        ("tenant", "show", "nowhere"),
        ("tenant", "create", "a b"),
        ("tenant", "create", "tenant_default"),
        ("tenant", "set", "tenant_default", "--retention", "otherDays=3"),
        ("tenant", "set", "tenant_default", "--quota", "agents=many"),
        ("person", "role", "nobody", "admin"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(arguments):
    run("person", "create", "olga")
    with pytest.raises(CommandError):
        run(*arguments)


def test_a_tenant_is_changed_and_the_audit_tells_before_and_after(api):
    run("tenant", "create", "acme")
    shown = run(
        "tenant", "set", "acme", "--require-second-factor", "on",
        "--retention", "deliveriesDays=30", "--quota", "agents=5",
    )  # fmt: skip
    assert shown["requiresSecondFactor"] is True
    assert shown["retention"]["deliveryDlqDays"] == 30
    assert run("tenant", "set", "acme", "--quota", "agents=")["quotas"] == {}
    row = body(Api("acme").get("/ops/audit?action=TENANT_UPDATE"))["audit"][1]
    assert row["details"]["before"]["requiresSecondFactor"] is False
    assert row["details"]["after"]["retention"] == {"deliveriesDays": 30}
    run("tenant", "set", "acme", "--status", "suspended")
    assert Tenant.objects.get(tenant_id="acme").status == "suspended"


def test_a_person_loses_session_staff_rights_and_authenticator():
    made = run("person", "create", "sam", "--platform-role", "admin")
    user = User.objects.get()
    TOTPDevice.objects.create(user=user, confirmed=True, name="a")
    client = Client()
    client.post("/login", {"username": "sam", "password": made["password"]})
    assert run("person", "list")[0]["hasSecondFactor"] is True
    assert run("person", "reset-second-factor", "sam")["hasSecondFactor"] is False
    assert client.get("/admin/").status_code == 200
    run("person", "role", "sam", "")
    assert client.get("/admin/").status_code == 302
    assert client.get("/ops/config").status_code == 403
    run("person", "role", "sam", "operator")
    assert client.get("/ops/config").status_code == 200
    renewed = run("person", "password", "sam")
    assert client.get("/ops/config").status_code == 403  # the old session ended with the old password
    client.post("/login", {"username": "sam", "password": renewed["password"]})
    assert client.get("/ops/config").status_code == 200
    run("person", "deactivate", "sam")
    assert client.get("/ops/config").status_code == 403
