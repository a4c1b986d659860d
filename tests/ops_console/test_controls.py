"""The workspace Controls: rules and their use, the form with its preview, the stop, the simulation."""

import datetime as dt
import re

import pytest
from django.utils import timezone

from tests.ops_console.world import queries_of

PAGE, EDIT = "/console/controls", "/console/controls/edit"
STOP, LIFT, EXTEND = (f"/console/controls/{verb}" for verb in ("stop", "lift", "extend"))


def text(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def hidden(answer):
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', answer.content.decode())
    return {name: value for name, value in found if name != "csrfmiddlewaretoken"}


def rules(world):
    from moneyrails.services import controls
    from settld.core import tenancy

    with tenancy.tenant_scope(world.tenant_id):
        return controls.as_json(controls.get(tenant_id=world.tenant_id))


FORM = {
    "real_money": "off", "max_payout": "", "daily_limit": "", "chargebacks": "off", "balance_mode": "hold",
    "max_outstanding": "", "connect": "off", "alert_threshold": "", "four_eyes": "default",
    "reason": "because",
}  # fmt: skip


def preview(client, **more):
    return client.post(EDIT, hidden(client.get(EDIT)) | FORM | more)


def confirm(client, shown):
    """Send the preview's form as it stands, all values of a name."""
    pairs = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', shown.content.decode())
    sent = {}
    for name, value in pairs:
        sent.setdefault(name, []).append(value)
    return client.post(EDIT, sent)


# --- Looking --------------------------------------------------------------------------------------
def test_it_shows_every_rule_with_todays_use(world, finance):
    world.payout("p1", cents=7_600)
    world.controls(
        dailyPayoutLimitCents=10_000, maxPayoutAmountCents=9_000, allowedProviderIds=["stub_default"]
    )
    shown = text(finance.get(PAGE))
    assert "76.00 USD of 100.00 USD in 1 payout (76%)" in shown
    assert "76.00 USD of 90.00 USD (84%)" in shown
    assert "stub_default" in shown
    assert "Payouts may go" in shown
    assert "Stop all payouts" in shown


def test_the_history_tells_who_changed_what_and_pages_by_key(world, finance):
    for cap in range(100, 2_500, 100):
        world.controls(maxPayoutAmountCents=cap)
    first = finance.get(PAGE)
    assert "Cap of one payout 23.00 USD → 24.00 USD" in text(first)
    [address] = re.findall(r'rel="next" href="([^"]+)"', first.content.decode())
    second = text(finance.get(address.split("#")[0]))
    assert "Cap of one payout no cap → 1.00 USD" in second
    assert "23.00 USD → 24.00 USD" not in second


def test_its_queries_do_not_grow_with_history_or_payouts(world, finance):
    world.controls(maxPayoutAmountCents=100_000)
    few = queries_of(finance, PAGE)
    for number in range(6):
        world.controls(maxPayoutAmountCents=100_000 - number)
        world.payout(f"p{number}")
    assert queries_of(finance, PAGE) == few


@pytest.mark.parametrize("path", [EDIT, STOP, LIFT, EXTEND])
def test_who_only_looks_may_not_act(approver, path):
    assert approver.get(path).status_code == 403
    assert approver.post(path, {}).status_code == 403


def test_who_only_looks_sees_the_page_without_its_buttons(world, approver):
    shown = text(approver.get(PAGE))
    assert "Rules in force" in shown
    assert "Stop all payouts" not in shown
    assert "Change the rules" not in shown


def test_who_sees_no_money_sees_nothing_of_it(world):
    operator = world.person("operator")
    for path in (PAGE, "/console/controls/simulate", "/console/approvals"):
        assert operator.get(path).status_code == 403
    assert "Controls" not in text(operator.get("/console"))


# --- Changing -------------------------------------------------------------------------------------
def test_a_change_is_shown_before_it_is_made(world, finance):
    world.statement("p1", cents=80_000)
    shown = preview(finance, max_payout="500", providers=["stub_default"])
    assert shown.status_code == 200
    assert "Cap of one payout no cap 500.00 USD" in text(shown)
    assert "1 payout (800.00 USD) of closed statements are above the new cap" in text(shown)
    assert rules(world)["maxPayoutAmountCents"] is None

    done = confirm(finance, shown)
    assert (done.status_code, done["Location"]) == (303, PAGE)
    assert rules(world)["maxPayoutAmountCents"] == 50_000
    assert rules(world)["allowedProviderIds"] == ["stub_default"]
    assert "because" in text(finance.get(PAGE))


def test_the_form_sent_twice_changes_the_rules_once(world, finance):
    from settld.audit.models import OpsAudit
    from tests.ops_console.world import count_rows

    shown = preview(finance, max_payout="500")
    confirm(finance, shown)
    assert confirm(finance, shown).status_code == 303
    assert count_rows(OpsAudit, world.tenant_id, action="BILLING_PLAN_UPSERT") == 1


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("max_payout", "abc", "Write an amount as 1,234.56."), ("max_payout", "-5", "Write an amount"),
        ("daily_limit", "1.005", "Write an amount"), ("daily_limit", "1,23", "Write an amount"),
        ("max_outstanding", "9" * 16, "Write an amount"), ("max_outstanding", "٣", "Write an amount"),
        ("alert_threshold", "0", "whole number from 1"), ("alert_threshold", "x", "whole number"),
        ("providers", "nobody", "nobody is not configured"),
        ("real_money", "maybe", "Choose one of the list"),
        ("four_eyes", "", "Choose one of the list"), ("reason", "", "Reason is needed"),
        ("reason", "x" * 1001, "At most 1000 characters"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_beside_the_field_and_changes_nothing(world, finance, field, value, problem):
    answer = preview(finance, **{field: value})
    assert answer.status_code == 422
    assert problem in text(answer)
    assert rules(world)["updatedAt"] is None


def test_a_form_that_somebody_overtook_shows_both_versions(world, finance):
    shown = preview(finance, max_payout="500")
    world.controls(maxPayoutAmountCents=30_000)
    answer = confirm(finance, shown)
    assert answer.status_code == 409
    assert "CONTROLS_CHANGED" in text(answer)
    assert "Cap of one payout Loosens the cap of one payout is raised 300.00 USD 500.00 USD" in text(answer)
    assert rules(world)["maxPayoutAmountCents"] == 30_000
    assert confirm(finance, answer).status_code == 303
    assert rules(world)["maxPayoutAmountCents"] == 50_000


def test_a_form_from_another_tenant_or_without_its_key_is_refused(world, finance):
    for change in ({"tenant": "tenant_b"}, {"idempotency_key": ""}):
        answer = finance.post(EDIT, hidden(finance.get(EDIT)) | FORM | change)
        assert answer.status_code in (400, 409)
    assert rules(world)["updatedAt"] is None


def test_the_plan_is_kept_by_a_change_of_the_rules(world, finance):
    world.api.put(
        "/ops/finance/billing/plan", {"plan": "growth", "planOverrides": {"verifiedRunOverageCents": 0.3}}
    )  # fmt: skip
    confirm(finance, preview(finance, max_payout="500"))
    billing = world.api.get("/ops/finance/billing/plan").json()["billing"]
    assert (billing["plan"], billing["planOverrides"]["verifiedRunOverageMilliCents"]) == ("growth", 300)


def test_nothing_to_change_is_said(world, finance):
    world.controls(chargebacks={})
    assert "Nothing would change" in text(preview(finance))


# --- The stop -------------------------------------------------------------------------------------
def test_stopping_asks_why_and_then_stops(world, finance):
    world.payout("p1")
    assert "Enqueued, not sent 1 payout, 100.00 USD" in text(finance.get(STOP))
    form = hidden(finance.get(STOP))
    assert finance.post(STOP, form | {"reason": "", "ends": ""}).status_code == 422
    done = finance.post(STOP, form | {"reason": "two odd <b>transfers</b>", "ends": "1h", "until": ""})
    assert (done.status_code, rules(world)["payoutKillSwitch"]) == (303, True)
    page = finance.get(PAGE)
    assert "Payouts are stopped" in text(page)
    assert "two odd &lt;b&gt;transfers" in page.content.decode()
    assert "Payout kill switch is on: two odd" in text(finance.get("/console"))


@pytest.mark.parametrize("until", ["", "soon", "2001-01-01 10:00", "2026-13-01 10:00", "9" * 20])
def test_an_instant_that_cannot_be_is_said(world, finance, until):
    answer = finance.post(STOP, hidden(finance.get(STOP)) | {"reason": "x", "ends": "at", "until": until})
    assert answer.status_code == 422
    assert rules(world)["payoutKillSwitch"] is False


def test_an_overdue_stop_asks_on_today_and_controls_and_still_holds(world, finance):
    from moneyrails.models import MoneyRailControls
    from settld.core import tenancy

    finance.post(STOP, hidden(finance.get(STOP)) | {"reason": "drill", "ends": "1h", "until": ""})
    with tenancy.tenant_scope(world.tenant_id):
        past = timezone.now() - dt.timedelta(minutes=10, seconds=5)
        MoneyRailControls.objects.update(kill_switch_expires_at=past)

    assert "was meant to end 10 minutes ago and still holds: lift it or extend it" in text(
        finance.get("/console")
    )
    assert "It was meant to end 10 minutes ago" in text(finance.get(PAGE))
    assert rules(world)["payoutKillSwitch"] is True
    extended = hidden(finance.get(EXTEND)) | {"reason": "not yet", "ends": "1d", "until": ""}
    assert finance.post(EXTEND, extended).status_code == 303
    assert "was meant to end" not in text(finance.get("/console"))


def test_one_person_lifts_it_without_four_eyes(world, finance):
    world.controls(payoutKillSwitch=True)
    done = finance.post(LIFT, hidden(finance.get(LIFT)) | {"reason": "all clear"})
    assert (done["Location"], rules(world)["payoutKillSwitch"]) == (PAGE, False)
    again = finance.post(LIFT, hidden(finance.get(LIFT)) | {"reason": "all clear"})
    assert again.status_code == 409
    assert "PAYOUT_KILL_SWITCH_NOT_ACTIVE" in text(again)


# --- The simulation -------------------------------------------------------------------------------
def test_the_simulation_reads_its_question_from_the_address(world, approver):
    world.controls(maxPayoutAmountCents=9_000, payoutKillSwitch=True, payoutKillSwitchReason="drill")
    shown = text(approver.get(f"{PAGE}/simulate?party=p1&amount=100&provider=stub_default"))
    assert "It would be refused" in shown
    assert "PAYOUT_KILL_SWITCH_ACTIVE, reason: drill" in shown
    assert "1 more would refuse it too" in shown
    assert "Largest that could go now 90.00 USD" in shown
    fragment = approver.get(f"{PAGE}/simulate?party=p1&amount=1", headers={"HX-Target": "simulation"})
    assert b"<html" not in fragment.content


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("party=p1&amount=abc", "Write an amount above zero"), ("party=p1&amount=0", "above zero"),
        ("amount=5", "Party is needed"), ("party=p1&amount=5&period=2026-13", "Write a month"),
        ("party=p1&amount=5&provider=nobody", "MONEY_RAIL_PROVIDER_UNKNOWN"),
        ("party=%00&amount=5", "Party is needed"),
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_asked_is_answered_so(world, finance, query, problem):
    answer = finance.get(f"{PAGE}/simulate?{query}")
    assert answer.status_code in (400, 422)
    assert problem in text(answer)
