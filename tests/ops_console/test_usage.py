"""The usage page: a month's use, its estimate, and invoice drafts by two steps."""

import re

import pytest

from settld.artifacts.models import Artifact
from settld.core import clock, tenancy
from tests.ops_console import work
from tests.ops_console.world import count_rows


@pytest.fixture
def used(world):
    """A tenant that has settled one run of 50.00 this month."""
    for agent_id in ("agt_payer", "agt_worker"):
        work.register(world.api, agent_id)
    work.fund(world.api, "agt_payer", 100_000)
    work.complete(world.api, "run_one", agent="agt_worker", payer="agt_payer", cents=5_000)
    return world


def test_the_month_shows_its_use_its_limit_and_what_it_comes_to(used, finance):
    page = finance.get("/console/usage").content.decode()

    assert "1 of 1,000 verified runs used; 999 left before runs are refused" in page
    assert "50.00 USD" in page
    assert 'href="/console/runs/run_one"' in page


def test_a_month_without_use_says_so(finance):
    page = finance.get("/console/usage?period=2020-01").content.decode()
    assert "Nothing used" in page
    assert finance.get("/console/usage?period=2020-13").status_code == 404


def test_a_draft_is_asked_for_and_then_kept_once(used, finance):
    period = clock.period_of(clock.now())
    asked = finance.get(f"/console/usage/{period}/draft").content.decode()
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)"', asked))
    for _ in range(2):
        assert finance.post(f"/console/usage/{period}/draft", fields).status_code == 303

    assert count_rows(Artifact, used.tenant_id, artifact_type="BillingPeriodClose.v1") == 1
    page = finance.get("/console/usage").content.decode()
    [href] = re.findall(r'href="(/console/usage/drafts/[^"]+)"', page)
    document = finance.get(href)
    with tenancy.tenant_scope(used.tenant_id):
        assert document.content.decode() == Artifact.objects.get(artifact_type="BillingPeriodClose.v1").body


def test_who_only_reads_is_offered_no_draft(used, approver):
    period = clock.period_of(clock.now())
    assert b"Draft the invoice" not in approver.get("/console/usage").content
    assert approver.get(f"/console/usage/{period}/draft").status_code == 403


def test_only_invoice_drafts_are_given_out_here(used, finance):
    assert finance.get("/console/usage/drafts/nothing").status_code == 404
