"""The workspace Approvals: what waits, the diff, and who may decide."""

import re

import pytest

from tests.ops_console.test_controls import confirm, hidden, preview, rules, text
from tests.ops_console.world import queries_of

PAGE = "/console/approvals"


@pytest.fixture
def asked(world, finance):
    """Four eyes on, a cap of 500.00; finance asks for 900.00 in the console."""
    world.controls(fourEyes=True, maxPayoutAmountCents=50_000, chargebacks={})
    shown = preview(finance, max_payout="900", four_eyes="on", reason="a large party joins")
    assert "A second person is needed" in text(shown)
    assert "Loosens the cap of one payout is raised" in text(shown)
    done = confirm(finance, shown)
    assert done.status_code == 303
    assert rules(world)["maxPayoutAmountCents"] == 50_000
    return done["Location"]


def decide(client, address, verb, reason="seen"):
    page = client.get(address).content.decode()
    form = re.search(rf'<form method="post" action="{address}/{verb}".*?</form>', page, re.S)
    if form is None:
        key = {"idempotency_key": "k1", "tenant": "tenant_a"}
    else:
        key = dict(re.findall(r'name="(idempotency_key|tenant)" value="([^"]+)"', form[0]))
    return client.post(f"{address}/{verb}", key | {"reason": reason})


def test_who_asked_sees_it_waiting_and_cannot_approve_it(world, finance, asked):
    shown = finance.get(asked)
    assert "a large party joins" in text(shown)
    assert "Cap of one payout Second person the cap of one payout is raised 500.00 USD 900.00 USD" in text(
        shown
    )
    assert "somebody else has to approve it" in text(shown)
    assert f"{asked}/approve" not in shown.content.decode()
    assert 'aria-label="1 waiting"' in finance.get("/console").content.decode()

    answer = decide(finance, asked, "approve")
    assert answer.status_code == 403
    assert "APPROVAL_SELF_FORBIDDEN" in text(answer)
    assert rules(world)["maxPayoutAmountCents"] == 50_000


def test_a_second_person_approves_with_a_reason(world, asked):
    ben = world.person("admin", name="ben")
    assert decide(ben, asked, "approve", reason=" ").status_code == 422
    done = decide(ben, asked, "approve", reason="seen the contract")
    assert (done.status_code, done["Location"]) == (303, asked)
    assert rules(world)["maxPayoutAmountCents"] == 90_000
    shown = text(ben.get(asked))
    assert "Approved" in shown
    assert "seen the contract" in shown
    history = text(ben.get("/console/controls"))
    assert "finance, approved by ben" in history


def test_a_second_person_rejects_and_who_asked_withdraws(world, finance, asked):
    ben = world.person("admin", name="ben")
    assert decide(ben, asked, "reject", reason="no").status_code == 303
    assert "Rejected" in text(ben.get(asked))
    again = confirm(finance, preview(finance, max_payout="950", four_eyes="on"))["Location"]
    assert decide(ben, again, "withdraw").status_code == 403
    assert decide(finance, again, "withdraw", reason="no longer").status_code == 303
    assert "Withdrawn" in text(finance.get(again))
    assert rules(world)["maxPayoutAmountCents"] == 50_000


def test_one_that_the_rules_left_behind_says_what_changed(world, asked):
    from moneyrails.models import MoneyRailControls
    from settld.core import tenancy

    ben = world.person("admin", name="ben")
    with tenancy.tenant_scope(world.tenant_id):
        MoneyRailControls.objects.update(daily_payout_limit_cents=5_000)
    shown = ben.get(asked)
    assert "The rules have changed since this was asked" in text(shown)
    assert "Daily cap no cap 50.00 USD" in text(shown)
    assert f"{asked}/approve" not in shown.content.decode()
    answer = decide(ben, asked, "approve")
    assert answer.status_code == 409
    assert "APPROVAL_BASE_CHANGED" in text(answer)


def test_a_lift_waits_too(world, finance):
    world.controls(fourEyes=True, payoutKillSwitch=True, payoutKillSwitchReason="odd")
    path = "/console/controls/lift"
    assert "it waits for a second person" in text(finance.get(path))
    done = finance.post(path, hidden(finance.get(path)) | {"reason": "all clear"})
    assert done["Location"].startswith(PAGE)
    assert rules(world)["payoutKillSwitch"] is True
    decide(world.person("admin", name="ben"), done["Location"], "approve")
    assert rules(world)["payoutKillSwitch"] is False


def test_the_list_filters_and_who_only_looks_decides_nothing(world, approver, asked):
    assert "Cap of one payout: 500.00 USD → 900.00 USD" in text(approver.get(PAGE))
    assert "None of these" in text(approver.get(f"{PAGE}?status=approved"))
    shown = approver.get(asked)
    assert "Your role may look at changes" in text(shown)
    assert "<button" not in re.sub(r"(?s)^.*id=\"decide\"", "", shown.content.decode()).split("</section>")[0]
    assert decide(approver, asked, "approve").status_code == 403


def test_its_queries_do_not_grow_with_the_rows(world, finance, asked):
    few = queries_of(finance, PAGE)
    for cap in range(910, 916):
        confirm(finance, preview(finance, max_payout=str(cap), four_eyes="on"))
    assert queries_of(finance, PAGE) == few


@pytest.mark.parametrize("address", [f"{PAGE}/nope", f"{PAGE}/01890000-0000-7000-8000-000000000000"])
def test_one_that_is_not_there_is_not_found(finance, address):
    assert finance.get(address).status_code == 404
    assert finance.post(f"{address}/approve", {"tenant": "tenant_a", "idempotency_key": "k", "reason": "x"}
                        ).status_code == 404  # fmt: skip


def test_an_unknown_verb_is_not_found(finance, asked):
    assert finance.post(f"{asked}/celebrate", {}).status_code == 404
