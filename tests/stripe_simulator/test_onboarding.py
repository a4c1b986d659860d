"""Accounts that move through onboarding: step by step by the control door, and by themselves with life on."""

import pytest
import stripe

from tests.stripe_simulator.shapes import missing_fields
from tests.support.simulator import ControlRefused

MEMBERS = {
    "alternatives", "current_deadline", "currently_due", "disabled_reason", "errors", "eventually_due",
    "past_due", "pending_verification",
}  # fmt: skip


def news(client, account_id="acct_1"):
    events = client.v1.events.list(params={"limit": 100, "type": "account.updated"}).data
    return [event for event in events if event.account == account_id]


def advance(stripe_sim, **body):
    return stripe_sim.control("/_sim/accounts/acct_1/advance", body)


def test_the_usual_way_of_an_account_one_event_a_step(client, stripe_sim, pay):
    stripe_sim.account("acct_1", preset="new")
    stages = []
    for number in range(1, 8):
        stages.append(advance(stripe_sim)["stage"])
        assert len(news(client)) == number
    assert stages == ["pending", "verified", "due", "past_due", "pending", "verified", "due"]


@pytest.mark.parametrize(
    ("stage", "payouts", "transfers", "due", "past", "pending", "reason"),
    [
        ("pending", False, "pending", 0, 0, 1, None),
        ("verified", True, "active", 0, 0, 0, None),
        ("due", True, "active", 2, 0, 0, None),
        ("past_due", False, "inactive", 2, 2, 0, "requirements.past_due"),
        ("rejected", False, "inactive", 0, 0, 0, "rejected.other"),
    ],
)
def test_each_stage_has_its_requirements_and_stripe_s_shape(
    client, stripe_sim, stage, payouts, transfers, due, past, pending, reason
):
    stripe_sim.account("acct_1", preset="new")
    assert advance(stripe_sim, toward=stage, steps=5)["stage"] == stage

    found = client.v1.accounts.retrieve("acct_1").to_dict()

    asked = found["requirements"]
    assert missing_fields(found) == []
    assert set(asked) == MEMBERS
    assert (found["payouts_enabled"], found["capabilities"]["transfers"]) == (payouts, transfers)
    assert (len(asked["currently_due"]), len(asked["past_due"])) == (due, past)
    assert (len(asked["pending_verification"]), asked["disabled_reason"]) == (pending, reason)
    assert (asked["current_deadline"] is not None) is (stage == "due")
    assert set(asked["past_due"]) <= set(asked["currently_due"]) <= set(asked["eventually_due"])


def test_a_step_toward_a_stage_takes_the_shortest_way_and_stops_there(client, stripe_sim):
    stripe_sim.account("acct_1", preset="past_due")
    assert advance(stripe_sim, toward="verified")["stage"] == "pending"
    assert advance(stripe_sim, toward="verified")["stage"] == "verified"
    assert len(news(client)) == 2
    assert advance(stripe_sim, toward="verified", steps=3)["stage"] == "verified"
    assert len(news(client)) == 2


def test_transfers_are_refused_while_the_capability_is_not_active(stripe_sim, pay):
    stripe_sim.account("acct_1", preset="verified")
    assert pay(destination="acct_1").destination == "acct_1"
    for stage, is_open in (("due", True), ("past_due", False), ("pending", False), ("verified", True)):
        advance(stripe_sim, toward=stage)
        if is_open:
            assert pay(destination="acct_1").destination == "acct_1"
            continue
        with pytest.raises(stripe.InvalidRequestError) as refused:
            pay(destination="acct_1")
        assert refused.value.code == "insufficient_capabilities_for_transfer"
        assert refused.value.http_status == 400


def test_what_changed_is_told_as_stripe_tells_it(client, stripe_sim):
    stripe_sim.account("acct_1", preset="verified")
    advance(stripe_sim, toward="due")
    advance(stripe_sim, toward="past_due")
    previous = news(client)[0].data.previous_attributes.to_dict()
    assert previous["payouts_enabled"] is True
    assert previous["requirements"]["disabled_reason"] is None
    assert previous["capabilities"]["transfers"] == "active"


def test_an_account_that_takes_its_permission_back_is_gone_and_told(client, stripe_sim, pay):
    stripe_sim.account("acct_1")
    event = stripe_sim.control("/_sim/accounts/acct_1/deauthorize", {})

    assert (event["type"], event["account"]) == ("account.application.deauthorized", "acct_1")
    assert event["data"]["object"]["object"] == "application"
    with pytest.raises(stripe.PermissionError) as refused:
        client.v1.accounts.retrieve("acct_1")
    assert refused.value.json_body["error"]["code"] == "account_invalid"
    with pytest.raises(stripe.InvalidRequestError):
        pay(destination="acct_1")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("acct_1/advance", {"toward": "heaven"}), ("acct_1/advance", {"steps": 0}),
        ("acct_1/advance", {"steps": 1_000}), ("acct_1/advance", {"step": 1}),
        ("acct_1/advance", {"steps": True}), ("acct_nobody/advance", {}), ("acct_nobody/deauthorize", {}),
        ("acct_1/deauthorize", {"x": 1}),
    ],
)  # fmt: skip
def test_nonsense_is_refused_and_moves_nobody(client, stripe_sim, path, body):
    stripe_sim.account("acct_1")
    with pytest.raises(ControlRefused):
        stripe_sim.control(f"/_sim/accounts/{path}", body)
    assert news(client) == []


def test_with_life_on_a_wanderer_becomes_restricted_and_comes_back(client, stripe_sim):
    stripe_sim.account("acct_1", preset="verified", metadata={"simulator_wanders": "true"})
    stripe_sim.account("acct_2", preset="verified")
    stripe_sim.control("/_sim/life", {"reversal_share": 0.0, "account_share": 1.0})
    seen = []
    for _ in range(4):
        assert stripe_sim.control("/_sim/life/act", {})["deed"] == "onboarding"
        seen.append(client.v1.accounts.retrieve("acct_1").capabilities.transfers)
    assert seen == ["active", "inactive", "pending", "active"]
    assert news(client, "acct_2") == []
