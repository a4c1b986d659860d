"""Every page answers, empty and full, for everyone whose role opens it; nobody else sees it."""

import re

import pytest

from tests.ops_console.world import login, make_person, page_of

PAGES = (
    "/console",
    "/console/payouts",
    "/console/statements",
    "/console/mismatches",
    "/console/audit",
)
INLINE = re.compile(rb"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son[a-z]+=")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_an_empty_tenant_says_what_will_be_there(finance, page):
    answer = finance.get(page)

    assert answer.status_code == 200
    assert b"<h1>" in answer.content


@pytest.mark.parametrize("page", PAGES)
def test_a_stranger_is_sent_to_the_login_and_back(db, client, page):
    answer = client.get(page, {"state": "failed"})

    assert answer.status_code == 303
    assert answer["location"].startswith("/login?next=%2Fconsole")
    assert "state%3Dfailed" in answer["location"]


def test_a_fragment_for_a_session_that_is_over_sends_the_whole_page_to_the_login(db, client):
    answer = client.get("/console", headers={"HX-Request": "true", "HX-Target": "live"})

    assert answer.status_code == 200
    assert answer["HX-Redirect"] == "/login?next=%2Fconsole"


@pytest.mark.parametrize(
    ("role", "open_pages"),
    [
        ("viewer", {"/console", "/console/audit"}),
        ("operator", {"/console", "/console/audit"}),
        ("approver", set(PAGES)),
        ("auditor", set(PAGES)),
        ("finance", set(PAGES)),
        ("owner", set(PAGES)),
    ],
)
def test_a_role_opens_its_pages_and_no_other(world, role, open_pages):
    person = world.person(role)

    answers = {page: person.get(page) for page in PAGES}

    assert {page for page, answer in answers.items() if answer.status_code == 200} == open_pages
    assert {answer.status_code for page, answer in answers.items() if page not in open_pages} <= {403}
    shown = answers["/console"].content.decode()
    for page in PAGES[1:]:
        assert (f'href="{page}"' in shown) == (page in open_pages)


def test_a_viewer_sees_no_money(world):
    world.payout("p1", state="confirmed")

    page = world.person("viewer").get("/console").content.decode()

    assert "USD" not in page
    assert "p1" not in page.split("Recent activity")[0]


def test_somebody_without_a_tenant_is_told_so(world):
    answer = login(make_person("lost", {})).get("/console")

    assert answer.status_code == 403
    assert b"NO_TENANT" in answer.content


@pytest.mark.parametrize("page", [*PAGES, "/login", "/console/nothing"])
def test_no_page_holds_inline_script_or_style(world, finance, page):
    operation = world.payout("p1", state="confirmed")

    for path in (page, page_of(operation)):
        answer = finance.get(path)
        assert not INLINE.search(answer.content), INLINE.search(answer.content)
        policy = answer["content-security-policy"]
        assert "unsafe" not in policy


def test_nothing_shown_is_kept_by_the_browser(finance):
    answer = finance.get("/console/payouts")

    assert "no-store" in answer["cache-control"]
    assert "HX-Request" in answer["vary"]


def test_an_unknown_address_is_a_page_with_the_request_id(finance):
    answer = finance.get("/console/nothing/here", headers={"x-request-id": "req_seen"})

    assert answer.status_code == 404
    assert b"req_seen" in answer.content
    assert b"NOT_FOUND" in answer.content


def test_a_fault_of_ours_is_a_page_with_the_request_id(finance, monkeypatch):
    from ops_console.today import views

    monkeypatch.setattr(views, "build", lambda visit: 1 / 0)

    answer = finance.get("/console", headers={"x-request-id": "req_fault"})

    assert answer.status_code == 500
    assert b"req_fault" in answer.content
    assert b"division" not in answer.content


def test_names_of_parties_are_escaped(world, finance):
    operation = world.payout("<b>bold")

    for path in ("/console/payouts", page_of(operation), "/console/statements"):
        assert b"<b>bold" not in finance.get(path).content


@pytest.mark.parametrize("controls", [{"payoutKillSwitch": True}])
def test_the_kill_switch_shows_on_every_page(world, finance, controls):
    world.controls(**controls)

    for page in PAGES:
        assert b"Payout kill switch is on" in finance.get(page).content


def test_the_band_says_whether_real_money_moves(world, finance, settings):
    from settld.settings_parsing import MoneyRails, Provider

    assert b"band--sandbox" in finance.get("/console").content
    settings.MONEY_RAILS = MoneyRails("sandbox", "bank", {"bank": Provider("bank", "production")})
    assert b"band--sandbox" in finance.get("/console").content
    world.controls(realMoneyEnabled=True)
    assert b"band--live" in finance.get("/console").content


def test_the_theme_is_remembered_without_scripts(finance):
    answer = finance.post("/console/theme", {"theme": "dark", "next": "/console/payouts"})

    assert (answer.status_code, answer["location"]) == (303, "/console/payouts")
    assert b'data-theme="dark"' in finance.get("/console").content


def test_the_theme_sends_nobody_to_another_site(finance):
    answer = finance.post("/console/theme", {"theme": "dark", "next": "https://evil.example/"})

    assert answer["location"] == "/console"
