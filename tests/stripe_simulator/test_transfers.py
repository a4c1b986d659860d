"""Transfers and reversals through the official SDK."""

import pytest
import stripe

from tests.stripe_simulator.shapes import missing_fields


def test_a_transfer_carries_every_field_and_moves_money(client, pay, payee, stripe_sim):
    before = client.v1.balance.retrieve().available[0].amount

    made = pay(amount=1234, transfer_group="pay_1", description="June", metadata={"op": "op_1"})

    assert (made.amount, made.currency, made.destination) == (1234, "usd", payee)
    assert made.id.startswith("tr_")
    assert (made.livemode, made.reversed, made.amount_reversed) == (False, False, 0)
    assert made.metadata.to_dict() == {"op": "op_1"}
    assert missing_fields(made) == []
    assert client.v1.balance.retrieve().available[0].amount == before - 1234
    assert stripe_sim.get("/v1/transfers/" + made.id) == made.to_dict()


def test_a_transfer_leaves_a_balance_transaction(client, pay):
    made = pay(amount=700)

    entry = client.v1.balance_transactions.retrieve(str(made.balance_transaction))

    assert (entry.amount, entry.net, entry.type, entry.source) == (-700, -700, "transfer", made.id)
    assert missing_fields(entry) == []
    listed = client.v1.balance_transactions.list(params={"source": made.id})
    assert [one.id for one in listed.data] == [entry.id]
    assert client.v1.balance_transactions.list(params={"type": "charge"}).data == []


def test_expand_replaces_ids_by_objects(client, pay, payee):
    made = pay()

    found = client.v1.transfers.retrieve(made.id, params={"expand": ["balance_transaction", "destination"]})

    assert found.balance_transaction.amount == -1000
    assert found.destination.id == payee
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        client.v1.transfers.retrieve(made.id, params={"expand": ["amount"]})


def test_an_update_changes_metadata_and_description_only(client, pay):
    made = pay(metadata={"a": "1", "b": "2"})

    params = {"metadata": {"a": "", "c": "3"}, "description": "later"}
    changed = client.v1.transfers.update(made.id, params=params)

    assert changed.metadata.to_dict() == {"b": "2", "c": "3"}
    assert changed.description == "later"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.transfers.update(made.id, params={"amount": 5})
    assert refused.value.code == "parameter_unknown"
    assert client.v1.transfers.retrieve(made.id).amount == 1000


def test_a_transfer_is_reversed_in_parts_until_nothing_is_left(client, pay):
    made = pay(amount=1000)
    before = client.v1.balance.retrieve().available[0].amount

    part = client.v1.transfers.reversals.create(made.id, params={"amount": 400})
    halfway = client.v1.transfers.retrieve(made.id)
    rest = client.v1.transfers.reversals.create(made.id)
    done = client.v1.transfers.retrieve(made.id)

    assert missing_fields(part) == []
    assert (halfway.amount_reversed, halfway.reversed) == (400, False)
    assert rest.amount == 600
    assert (done.amount_reversed, done.reversed) == (1000, True)
    assert [one.id for one in done.reversals.data] == [rest.id, part.id]
    assert [one.id for one in client.v1.transfers.reversals.list(made.id).data] == [rest.id, part.id]
    assert client.v1.transfers.reversals.retrieve(made.id, part.id).amount == 400
    assert client.v1.balance.retrieve().available[0].amount == before + 1000
    with pytest.raises(stripe.InvalidRequestError, match="fully reversed"):
        client.v1.transfers.reversals.create(made.id)


def test_more_than_is_left_is_not_reversed(client, pay):
    made = pay(amount=100)

    with pytest.raises(stripe.InvalidRequestError, match="greater than"):
        client.v1.transfers.reversals.create(made.id, params={"amount": 101})

    assert client.v1.transfers.retrieve(made.id).amount_reversed == 0


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({"amount": 0}, "parameter_invalid_integer", "amount"),
        ({"amount": "12.5"}, "parameter_invalid_integer", "amount"),
        ({"currency": ""}, "parameter_invalid_empty", "currency"),
        ({"payout_key": "x"}, "parameter_unknown", "payout_key"),
        ({"destination": "acct_nobody"}, "resource_missing", "destination"),
    ],
)
def test_a_bad_transfer_is_refused_and_nothing_moves(params, code, param, pay, stripe_sim):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        pay(**params)

    assert (refused.value.http_status, refused.value.code, refused.value.param) == (400, code, param)
    assert stripe_sim.transfers() == []


def test_a_missing_parameter_is_named(client):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.transfers.create(params={"currency": "usd", "destination": "acct_x"})
    assert (refused.value.code, refused.value.param) == ("parameter_missing", "amount")


def test_too_little_money_is_a_clear_no(pay, stripe_sim):
    stripe_sim.control("/_sim/balance", {"currency": "usd", "available": 999})

    with pytest.raises(stripe.InvalidRequestError) as refused:
        pay(amount=1000)

    assert (refused.value.http_status, refused.value.code) == (400, "balance_insufficient")
    assert pay(amount=999).amount == 999


def test_an_account_without_the_transfers_capability_is_not_paid(pay, payee, stripe_sim):
    stripe_sim.account(payee, capabilities={"transfers": "inactive"})

    with pytest.raises(stripe.InvalidRequestError) as refused:
        pay()

    assert refused.value.code == "insufficient_capabilities_for_transfer"


def test_an_unknown_transfer_is_404(client):
    with pytest.raises(stripe.InvalidRequestError, match="No such transfer: 'tr_none'") as refused:
        client.v1.transfers.retrieve("tr_none")
    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")


def test_the_provider_makes_and_reverses_transfers_by_itself(client, payee, stripe_sim):
    body = {"amount": 55, "currency": "usd", "destination": payee, "metadata": {"n": 1}}
    made = stripe_sim.control("/_sim/transfers", body)

    stripe_sim.control(f"/_sim/transfers/{made['id']}/reverse", {"amount": 5})

    found = client.v1.transfers.retrieve(made["id"])
    assert (found.amount, found.amount_reversed, found.metadata.to_dict()) == (55, 5, {"n": "1"})
    event = client.v1.events.list(params={"type": "transfer.reversed"}).data[0]
    assert (event.request.id, event.request.idempotency_key) == (None, None)
