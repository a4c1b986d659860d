"""The demo is made through the public API, quickly, and only once."""

import datetime as dt
import json
import time

import pytest

from ops_console.demo.cast import closed_months
from tests.journeys.conftest import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
STATES = ("initiated", "submitted", "confirmed", "failed", "cancelled", "reversed")


def test_the_demo_shows_every_state_and_a_second_run_changes_nothing(running, caller):
    started_at = time.monotonic()
    first = running.manage("demo", "--lively")
    seconds = time.monotonic() - started_at
    print(first.stdout, f"{seconds:.1f} s")
    assert first.returncode == 0, first.stdout + first.stderr
    assert seconds < 60, first.stdout  # 25 on two quiet cores; a test machine is neither

    atlas, birch, cedar = caller("tenant_atlas"), caller("tenant_birch"), caller("tenant_cedar")
    for state in STATES:
        assert _total(atlas, state), state
    assert {attempt["status"] for attempt in _dispatches(atlas)} >= {"in_doubt", "indeterminate", "rejected"}
    settled = eventually(lambda: _total(birch, "submitted", "stripe_sim"), lambda total: total == 0)
    assert settled == 0
    types = eventually(_open_mismatch_types, lambda types: len(types) >= 6)
    assert types == {
        "missing_operation",
        "terminal_failure",
        "unmatched_provider_transfer",
        "provider_transfer_mismatch",
        "partial_provider_reversal",
        "provider_dispute",
    }
    _is_subscribed(atlas, birch)
    _agents_have_worked_and_were_paid(cedar)
    demo = json.loads((running.home.root / "demo.json").read_text())
    assert [login["role"] for login in demo["logins"]] == ["owner", "finance", "viewer", "owner"]
    atlas("GET", "/ops/api-keys", x_proxy_api_key=demo["tenants"][0]["apiKey"])

    before = _head(atlas), _head(birch), _head(cedar)
    second = running.manage("demo", "--lively")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "there already" in second.stdout
    assert (_head(atlas), _head(birch), _head(cedar)) == before
    assert json.loads((running.home.root / "demo.json").read_text()) == demo


def _is_subscribed(atlas, birch):
    """One tenant pays for a plan, has sold something and used some of what it may; the other has nothing."""
    told = atlas("GET", "/api/billing/subscription").json
    assert told["subscription"]["status"] == "active"
    assert [invoice["status"] for invoice in told["invoices"]] == ["paid"]
    (link,) = atlas("GET", "/api/billing/payment-links").json["paymentLinks"]
    assert link["active"]
    assert len(atlas("GET", "/api/billing/payment-methods").json["paymentMethods"]) == 1
    limits = atlas("GET", "/api/billing/limitations").json["limitations"]
    used = {limit["code"]: limit["quota"]["used"] for limit in limits if "quota" in limit}
    assert used["payment_links_created_monthly"] == 1
    assert 20 < used["payouts_submitted_monthly"] < 100
    assert birch("GET", "/api/billing/subscription").json["subscription"] is None
    assert len(birch("GET", "/api/billing/plans").json["plans"]) == 3


def _agents_have_worked_and_were_paid(cedar):
    """Two months closed from the journal, a payout taken back and netted, one waiting for its dispute."""
    older, newer = closed_months(dt.datetime.now(dt.UTC).date())[1:]
    for month in (older, newer):
        assert cedar("GET", f"/ops/finance/reconcile?period={month}").json["reconcile"]["ok"] is True
        assert b"JournalCsv.v1" in cedar("GET", f"/ops/finance/gl-batch.csv?period={month}").raw
    (net,) = cedar("GET", "/ops/audit?action=FINANCE_NET_CLOSE_EXECUTE").json["audit"]
    assert net["details"]["period"] == older
    (taken_back,) = cedar("GET", "/ops/money-rails/stripe_sim/operations?state=reversed").json["operations"]
    assert taken_back["operationId"].startswith("mop_tenant_cedar:party:pty_operator:agt_inspector:")
    (debt,) = cedar("GET", "/ops/finance/money-rails/chargebacks?providerId=stripe_sim").json["parties"]
    assert (debt["totalRecoveredCents"], debt["status"]) == (taken_back["amountCents"], "clear")
    owed = cedar("GET", "/ops/kernel/payables?agentId=agt_translator").json["items"]
    assert {"challenge_window_open", "dispute_open"} & {item["blockedReason"] for item in owed}
    holds = cedar("GET", "/ops/tool-calls/holds").json["holds"]
    assert sorted(hold["status"] for hold in holds) == ["held", "released"]
    assert cedar("GET", "/ops/audit/verify").json["ok"] is True


def _open_mismatch_types():
    from reconciliation.models import Mismatch
    from settld.core import tenancy

    with tenancy.platform_scope(reason="test"):
        rows = Mismatch.objects.filter(cleared_at=None).exclude(tenant_id="tenant_cedar")
        return set(rows.values_list("mismatch_type", flat=True))


def _total(call, state, *providers):
    paths = [
        f"/ops/money-rails/{provider}/operations?state={state}&limit=1"
        for provider in providers or ("stub_default", "stripe_sim")
    ]
    return sum(call("GET", path).json["total"] for path in paths)


def _dispatches(call):
    from tests.journeys.conftest import operation_path

    found = call("GET", "/ops/money-rails/stripe_sim/operations?state=initiated").json["operations"]
    answers = [call("GET", operation_path(operation)).json["dispatch"] for operation in found]
    return [answer for answer in answers if answer]


def _head(call):
    """What people and the demo did; the provider's own news goes on."""
    audit = call("GET", "/ops/audit?limit=1000").json["audit"]
    return [row["id"] for row in audit if row["actorPrincipalId"].startswith("ops_token:")]
