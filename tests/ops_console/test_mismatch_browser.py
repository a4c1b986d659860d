"""The mismatch queue in a real browser: keys, panel, a rival, a batch, and the same without scripts."""

import pytest

from tests.ops_console import browser

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(bool(browser.missing()), reason=browser.missing()),
]


@pytest.fixture
def cases(deployment):
    from tests.ops_console.world import make_person
    from tests.reconciliation.cases import file_many

    make_person("ada", {"tenant_a": "finance"})
    return file_many(6, now=_now())


def _now():
    from settld.core import clock

    return clock.now()


@pytest.fixture
def page(deployment):
    with browser.window(deployment) as opened:
        yield opened


def statuses():
    from reconciliation.models import Mismatch
    from settld.core import tenancy

    with tenancy.tenant_scope("tenant_a"):
        return dict(Mismatch.objects.values_list("mismatch_key", "triage_status"))


def focused(page):
    return page.driver.switch_to.active_element.get_attribute("id")


def test_keys_walk_open_assign_note_a_rival_is_shown_and_a_selection_is_decided(cases, page):
    from reconciliation.services.triage import Change
    from tests.reconciliation.cases import decide

    by_key = {case.triage_key: case for case in cases.values()}
    page.login("ada", path="/console/mismatches")
    page.press("j")
    page.press("j")
    page.press("k")
    row = page.one("tr.is-current")
    assert row.get_attribute("data-case") == page.all("tr[data-case]")[0].get_attribute("data-case")
    chosen = by_key[row.get_attribute("data-case")]

    page.press("e")
    page.until(lambda: page.one("section.case").get_attribute("data-case") == chosen.triage_key)
    page.until(lambda: f"case={chosen.triage_key}" in page.path)
    page.until(lambda: focused(page) == "case")
    page.press("a")
    page.until(lambda: focused(page) == "case-owner")
    page.driver.switch_to.active_element.send_keys("\ue00c")
    page.press("n")
    page.until(lambda: focused(page) == "case-reason")
    page.one("#case-reason").send_keys("paid by hand")

    decide(chosen, Change(status="in_progress", notes="Bob has it"))
    page.one("#decide button[value=resolve]").click()
    page.shows("TRIAGE_REVISION_CONFLICT")
    assert "Bob has it" in page.one(".version--stands").text
    assert "paid by hand" in page.all(".version")[1].text
    page.one(".versions + .actions button").click()
    page.shows("Resolved.")
    page.until(lambda: len(page.all("tr[data-case]")) == 5)
    assert statuses()[chosen.mismatch_key] == "resolved"

    page.press("\ue00c")
    page.until(lambda: not page.all("section.case"))
    page.press("?")
    assert "Select the row" in page.one("dialog[open]").text
    page.press("?")
    page.until(lambda: not page.all("dialog[open]"))
    page.press("j")
    page.press("x")
    page.press("j")
    page.press("j")
    page.press("X")
    page.shows("3 selected")
    page.one("#bulk select[name=act] option[value=dismiss]").click()
    page.one("#bulk button[value=selection]").click()
    page.shows("Dismiss: 3 chosen cases")
    page.one("#batch-reason").send_keys("noise of a test")
    page.one("#batch form button[type=submit]").click()
    page.shows("Carried out. 3 rows in all.")
    assert sorted(statuses().values()) == ["dismissed"] * 3 + ["open"] * 2 + ["resolved"]
    refused = "the server responded with a status of 409"
    assert [
        text for text in page.complaints() if refused not in text and "Status Error Code 409" not in text
    ] == []


def test_without_scripts_and_on_a_small_screen_a_case_is_opened_and_decided(cases, page):
    page.login("ada", path="/console/mismatches")
    for scheme in ("light", "dark"):
        for width in (1360, 390):
            page.emulate(scheme=scheme, width=width)
            for path in ("/console/mismatches", "/console/mismatches/batches", "/console/mismatches/file"):
                page.open(path)
                page.one("h1")
                assert not page.driver.execute_script(
                    "return document.documentElement.scrollWidth > innerWidth"
                ), (path, width)
    page.without_scripts()
    page.open("/console/mismatches")
    page.one("tbody th a").click()
    page.until(lambda: "case=frt_" in page.path)
    page.one("#case-reason").send_keys("seen")
    page.one("#decide button[value=acknowledge]").click()
    page.shows("Acknowledged.")
    page.one("#bulk button[value=matching]").click()
    page.shows("Acknowledge: 6 matching cases")
    page.one("#batch form button[type=submit]").click()
    page.shows("Carried out. 6 rows in all.")
    assert set(statuses().values()) == {"acknowledged"}
