"""Charges and disputes: made by the control door, read through the official SDK, told by events."""

import pytest
import stripe

from tests.stripe_simulator.shapes import missing_fields
from tests.support.simulator import ControlRefused


@pytest.fixture
def charge(stripe_sim):
    return stripe_sim.control("/_sim/charges", {"amount": 5_000, "transfer_group": "pay_1"})


def dispute(stripe_sim, charge, **more):
    return stripe_sim.control(f"/_sim/charges/{charge['id']}/dispute", more)


def available(client):
    return client.v1.balance.retrieve().available[0].amount


def types(stripe_sim):
    return [event["type"] for event in reversed(stripe_sim.get("/v1/events", limit=100)["data"])]


def test_a_charge_carries_every_field_and_brings_money(client, stripe_sim):
    before = available(client)
    made = stripe_sim.control("/_sim/charges", {"amount": 700, "metadata": {"a": "b"}})
    found = client.v1.charges.retrieve(made["id"])
    assert missing_fields(found) == []
    assert (found.amount, found.paid, found.disputed, found.metadata.to_dict()) == (
        700,
        True,
        False,
        {"a": "b"},
    )
    assert available(client) == before + 700


def test_a_dispute_withdraws_the_money_and_is_read_with_its_charge(client, stripe_sim, charge):
    before = available(client)
    made = dispute(stripe_sim, charge)
    found = client.v1.disputes.retrieve(made["id"], {"expand": ["charge"]})
    assert missing_fields(found) == []
    assert (found.status, found.amount, found.charge.id) == ("needs_response", 5_000, charge["id"])
    assert (found.charge.disputed, found.charge.transfer_group) == (True, "pay_1")
    assert available(client) == before - 5_000
    assert types(stripe_sim)[-2:] == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    assert [one.id for one in client.v1.disputes.list({"charge": charge["id"]}).data] == [made["id"]]


@pytest.mark.parametrize(
    ("status", "told", "back"),
    [
        ("under_review", ["updated"], 0),
        ("lost", ["closed"], 0),
        ("won", ["closed", "funds_reinstated"], 5_000),
    ],
)
def test_the_banks_next_word_is_told_and_a_win_gives_the_money_back(
    client, stripe_sim, charge, status, told, back
):
    made = dispute(stripe_sim, charge)
    before, so_far = available(client), len(types(stripe_sim))
    stripe_sim.control(f"/_sim/disputes/{made['id']}", {"status": status})
    assert types(stripe_sim)[so_far:] == [f"charge.dispute.{word}" for word in told]
    assert available(client) == before + back
    if status != "under_review":
        with pytest.raises(ControlRefused, match=status):
            stripe_sim.control(f"/_sim/disputes/{made['id']}", {"status": "won"})


def test_an_inquiry_takes_nothing_until_it_grows_into_a_dispute(client, stripe_sim, charge):
    before = available(client)
    made = dispute(stripe_sim, charge, status="warning_needs_response")
    assert available(client) == before
    stripe_sim.control(f"/_sim/disputes/{made['id']}", {"status": "needs_response"})
    assert available(client) == before - 5_000
    assert types(stripe_sim)[-1] == "charge.dispute.funds_withdrawn"


def test_a_transfer_may_be_paid_out_of_a_charge_and_joins_its_group(client, stripe_sim, pay):
    lone = stripe_sim.control("/_sim/charges", {"amount": 5_000})
    made = pay(amount=3_000, source_transaction=lone["id"])
    assert made.source_transaction == lone["id"]
    assert client.v1.charges.retrieve(lone["id"]).transfer_group == made.transfer_group is not None
    with pytest.raises(stripe.InvalidRequestError, match="greater than its source"):
        pay(amount=5_001, source_transaction=lone["id"])
    with pytest.raises(stripe.InvalidRequestError, match="No such charge"):
        pay(source_transaction="ch_none")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/_sim/charges", {}),
        ("/_sim/charges", {"amount": 0}),
        ("/_sim/charges", {"amount": True}),
        ("/_sim/charges", {"amount": 1, "currency": "USD"}),
        ("/_sim/charges", {"amount": 1, "metadata": {"a": 1}}),
        ("/_sim/charges", {"amount": 1, "typo": 1}),
        ("/_sim/charges/ch_none/dispute", {}),
        ("/_sim/charges/{charge}/dispute", {"amount": 5_001}),
        ("/_sim/charges/{charge}/dispute", {"status": "lost"}),
        ("/_sim/disputes/dp_none", {"status": "won"}),
        ("/_sim/disputes/dp_none", {"status": "nice"}),
    ],
)
def test_the_door_refuses_what_makes_no_sense(stripe_sim, charge, path, body):
    with pytest.raises(ControlRefused, match=r"^4"):
        stripe_sim.control(path.format(charge=charge["id"]), body)


def test_a_charge_is_disputed_once(stripe_sim, charge):
    dispute(stripe_sim, charge)
    with pytest.raises(ControlRefused, match="disputed already"):
        dispute(stripe_sim, charge)
