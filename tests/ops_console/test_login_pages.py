"""How login and second factor look and lead to the console."""

import re

import pytest
from django.test import Client

from settld.tenants.models import Tenant
from tests.ops_console.world import PASSWORD, login, make_person


@pytest.fixture
def ada(db):
    return make_person("ada", {"tenant_a": "finance"})


def test_the_login_leads_to_the_page_that_was_wanted(ada):
    client = Client()

    assert b"<h1>Sign in</h1>" in client.get("/login").content
    answer = client.post(
        "/login", {"username": "ada", "password": PASSWORD, "next": "/console/payouts?state=failed"}
    )

    assert (answer.status_code, answer["location"]) == (302, "/console/payouts?state=failed")


def test_a_wrong_password_is_said_in_the_form(ada):
    answer = Client().post("/login", {"username": "ada", "password": "wrong"})

    assert b'role="alert"' in answer.content
    assert b"wrong" not in answer.content


def test_a_tenant_that_requires_a_second_factor_asks_for_it(ada):
    Tenant.objects.filter(tenant_id="tenant_a").update(requires_second_factor=True)
    client = login(ada)

    answer = client.get("/console/payouts?state=failed")
    page = client.get(answer["location"]).content.decode()

    assert answer.status_code == 303
    assert answer["location"] == "/login/second-factor?next=%2Fconsole%2Fpayouts%3Fstate%3Dfailed"
    assert "Set up your second factor" in page
    assert "<svg" in page
    assert re.search(r'name="next" value="/console/payouts\?state=failed"', page)


def test_signing_out_takes_a_form(ada):
    client = login(ada)

    assert client.get("/logout").status_code == 405
    assert client.post("/logout").status_code == 302
    assert client.get("/console").status_code == 303
