"""Disputes of charges behind our payouts: cases with both sides, never a number that moves by itself.

The simulator is the Stripe here: the consumer asks it, through the gateway, what a dispute has become.
"""

import dataclasses
import json

import pytest

from tests.support.simulator import stripe_sim, stripe_simulator

__all__ = ["stripe_sim", "stripe_simulator"]
TYPES = ("created", "updated", "closed", "funds_withdrawn", "funds_reinstated")


@pytest.fixture
def filed(monkeypatch):
    """Cases as they are filed: the same key again renews one."""
    from moneyrails import findings

    cases = {}
    monkeypatch.setattr(
        findings,
        "_sinks",
        [lambda **case: cases.__setitem__((case["tenant_id"], case["mismatch_key"]), case)],
    )
    return cases


@pytest.fixture
def stripe(world, stripe_sim, settings):
    """The simulator, wired to the gateway; the party's account may be paid."""
    settings.STRIPE = dataclasses.replace(
        settings.STRIPE, secret_key="sk_test_disputes", api_base_url=stripe_sim.url, retry_max_attempts=1
    )
    stripe_sim.account(world.ACCOUNT)
    return stripe_sim


def paid(world, stripe, party="party1", cents=10_000, **more):
    """A payout over Stripe, and its transfer in the simulator."""
    operation = world.real_payout(party, payout_cents=cents)
    form = {
        "amount": str(cents), "currency": "usd", "destination": world.ACCOUNT,
        "transfer_group": operation.payout_key, "metadata": metadata_of(operation),
    }  # fmt: skip
    return operation, stripe.control("/_sim/transfers", form | more)


def metadata_of(operation):
    return {
        "settld_tenant_id": operation.tenant_id, "settld_operation_id": operation.operation_id,
        "settld_provider_id": operation.provider_id, "settld_payout_key": operation.payout_key,
    }  # fmt: skip


def disputed(stripe, **charge):
    made = stripe.control("/_sim/charges", {"amount": 14_500} | charge)
    return made, stripe.control(f"/_sim/charges/{made['id']}/dispute", {})


def told(stripe, *words):
    """Hand on the simulator's dispute events, oldest first, or those of some types."""
    from moneyrails.services import disputes
    from settld.core import tenancy
    from settld.stripe_gateway.models import StripeEvent
    from tests.support.factories import NOW

    answers = []
    for raw in reversed(stripe.get("/v1/events", limit=100)["data"]):
        if raw["type"].removeprefix("charge.dispute.") in (words or TYPES):
            event = StripeEvent(
                provider_event_id=raw["id"], event_type=raw["type"], provider_created_at=NOW, livemode=False,
                payload=json.dumps(raw), payload_sha256="0" * 64, received_at=NOW, last_delivered_at=NOW,
            )  # fmt: skip
            with tenancy.tenant_scope("nobody_in_particular"):
                answers.append(disputes.consume(event))
    return answers


def only(filed):
    (case,) = filed.values()
    return case


@pytest.mark.parametrize("linked_by", ["charge metadata", "transfer group", "source transaction"])
def test_a_dispute_of_a_charge_behind_a_payout_is_a_case_with_both_sides(world, stripe, filed, linked_by):
    from moneyrails.models import ChargebackEntry

    if linked_by == "source transaction":
        charge = stripe.control("/_sim/charges", {"amount": 14_500})
        group = {"transfer_group": None, "source_transaction": charge["id"]}
        operation, transfer = paid(world, stripe, **{k: v for k, v in group.items() if v})
        dispute = stripe.control(f"/_sim/charges/{charge['id']}/dispute", {})
    else:
        operation, transfer = paid(world, stripe)
        of_charge = (
            {"metadata": metadata_of(operation)}
            if linked_by == "charge metadata"
            else {"transfer_group": operation.payout_key}
        )
        charge, dispute = disputed(stripe, **of_charge)

    assert told(stripe, "created") == [("unmatched", "the dispute is needs_response")]
    case = only(filed)
    assert (case["tenant_id"], case["period"], case["provider_id"]) == ("tenant_a", "2026-01", "stripe_sim")
    assert (case["mismatch_type"], case["mismatch_code"], case["severity"]) == (
        "provider_dispute", "MONEY_RAIL_PROVIDER_DISPUTE", "high",
    )  # fmt: skip
    details = case["details"]
    assert (details["disputeId"], details["chargeId"]) == (dispute["id"], charge["id"])
    assert (details["disputedCents"], details["chargeAmountCents"]) == (14_500, 14_500)
    assert (details["operationId"], details["amountCents"]) == (operation.operation_id, 10_000)
    assert details["linkedBy"] == linked_by
    if linked_by != "charge metadata":
        assert details["transferId"] == transfer["id"]
    operation.refresh_from_db()
    assert (operation.state, ChargebackEntry.objects.count()) == ("initiated", 0)


def test_the_same_dispute_told_again_is_one_case_and_renews_it(world, stripe, filed):
    operation, _ = paid(world, stripe)
    _, dispute = disputed(stripe, transfer_group=operation.payout_key)
    told(stripe)
    stripe.control(f"/_sim/disputes/{dispute['id']}", {"status": "under_review"})
    told(stripe)
    assert only(filed)["details"]["disputeStatus"] == "under_review"


def test_a_lost_dispute_is_a_case_of_its_own_and_a_won_one_calms_the_first(world, stripe, filed):
    lost, won = (paid(world, stripe, party)[0] for party in ("party1", "party2"))
    ends = {}
    for operation, end in ((lost, "lost"), (won, "won")):
        _, dispute = disputed(stripe, transfer_group=operation.payout_key)
        told(stripe, "created")
        stripe.control(f"/_sim/disputes/{dispute['id']}", {"status": end})
        ends[end] = dispute["id"]
    told(stripe, "closed")
    found = sorted((case["details"]["disputeId"], case["severity"]) for case in filed.values())
    assert found == sorted([(ends["lost"], "critical"), (ends["lost"], "high"), (ends["won"], "low")])


def test_an_event_that_comes_late_does_not_turn_a_case_back(world, stripe, filed):
    operation, _ = paid(world, stripe)
    _, dispute = disputed(stripe, transfer_group=operation.payout_key)
    stripe.control(f"/_sim/disputes/{dispute['id']}", {"status": "won"})
    told(stripe, "closed")
    told(stripe, "created")  # an hour late
    assert only(filed)["details"]["disputeStatus"] == "won"


def test_a_charge_that_paid_for_two_payouts_makes_a_case_for_each(world, stripe, filed):
    first, _ = paid(world, stripe)
    second, _ = paid(world, stripe, "party2", transfer_group=first.payout_key)
    disputed(stripe, transfer_group=first.payout_key)
    told(stripe, "created")
    assert {case["details"]["operationId"] for case in filed.values()} == {
        first.operation_id, second.operation_id,
    }  # fmt: skip
    assert len(filed) == 2


def test_a_group_that_is_our_payout_key_is_enough_without_a_transfer(world, stripe, filed):
    operation = world.real_payout()
    disputed(stripe, transfer_group=operation.payout_key)
    told(stripe, "created")
    case = only(filed)
    assert (case["details"]["operationId"], case["details"]["transferId"]) == (operation.operation_id, None)
    assert case["provider_id"] == "stripe_sim"


def test_disputes_that_have_nothing_to_do_with_payouts_are_ignored(world, stripe, filed):
    disputed(stripe, description="a subscription")
    disputed(stripe, transfer_group="order_7")
    assert {verdict for verdict, _ in told(stripe)} == {"ignored"}
    assert filed == {}


def test_a_dispute_that_stripe_does_not_know_is_taken_as_told(world, stripe, filed):
    operation, _ = paid(world, stripe)
    disputed(stripe, transfer_group=operation.payout_key)
    events = stripe.get("/v1/events", limit=100)["data"]
    stripe.control("/_sim/reset", {})
    raw = next(event for event in events if event["type"] == "charge.dispute.created")
    raw["data"]["object"]["metadata"] = metadata_of(operation)

    class Canned:
        def get(self, _path, **_params):
            return {"data": [raw]}

    told(Canned())
    assert only(filed)["details"]["linkedBy"] == "dispute metadata"


def test_an_outage_is_raised_so_that_the_inbox_tries_again(world, stripe, filed):
    from settld.stripe_gateway.outcomes import ProviderInDoubt

    operation, _ = paid(world, stripe)
    disputed(stripe, transfer_group=operation.payout_key)
    stripe.fault("status_500_before", method="GET", path="/v1/disputes/*", times=1)
    with pytest.raises(ProviderInDoubt):
        told(stripe, "created")
    assert filed == {}
    told(stripe, "created")
    assert len(filed) == 1


def test_the_consumer_is_registered_for_every_dispute_event():
    from settld.stripe_gateway import consumers

    for word in TYPES:
        assert "rails_disputes" in [c.name for c in consumers.interested_in(f"charge.dispute.{word}")]
