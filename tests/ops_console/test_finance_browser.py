"""The finance workspace in a real browser: a case triaged by keyboard, and the month net-closed."""

import pytest

from tests.ops_console import browser

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(bool(browser.missing()), reason=browser.missing()),
]


@pytest.fixture
def case(deployment):
    from tests.ops_console.test_finance_workspace import core_case
    from tests.ops_console.world import make_person
    from tests.reconciliation.finance import month

    month.closed_books()
    make_person("ada", {month.TENANT: "finance"})
    return core_case()


def test_a_case_is_triaged_by_keyboard_and_the_net_close_is_executed(case, deployment):
    from reconciliation.models import Triage
    from settld.closing.models import MonthDocument
    from settld.core import tenancy
    from tests.reconciliation.finance.month import PERIOD

    here = f"/ops/finance/reconciliation/workspace?period={PERIOD}"
    with browser.window(deployment) as page:
        page.login("ada")
        page.open(here)
        for scheme, width in (("light", 1360), ("dark", 1360), ("light", 390)):
            page.emulate(scheme=scheme, width=width)
            wide = "return document.documentElement.scrollWidth > innerWidth"
            assert not page.driver.execute_script(wide), (scheme, width)
        page.emulate()
        page.press("j")
        page.press("n")
        focused = page.until(
            lambda: page.driver.switch_to.active_element.get_attribute("id") == "triageNotes"
        )
        assert focused
        page.one("#triageNotes").send_keys("a rounding of the test")
        page.one("#triageStatus option[value=resolved]").click()
        page.one("#applyTriageBtn").send_keys("\ue007")
        page.shows("Saved.")
        page.until(lambda: not page.all("tr[data-case]"))
        with tenancy.tenant_scope("tenant_a"):
            assert Triage.objects.get().status == "resolved"

        page.open(here)
        page.one("#executeNetCloseBtn").send_keys("\ue007")
        page.one("#field-confirm").send_keys(PERIOD, "\ue007")
        page.shows(f"The net-close of {PERIOD} is executed")
        with tenancy.tenant_scope("tenant_a"):
            assert MonthDocument.objects.get(kind="net_close").month == PERIOD
        assert page.complaints() == []
