"""The client and the inbox against the Stripe simulator, a process of its own."""

import pytest

from settld.stripe_gateway import circuit, client
from settld.stripe_gateway.models import StripeEvent
from settld.stripe_gateway.outcomes import ProviderAnswerUnusable, ProviderInDoubt, ProviderRejected
from settld.stripe_gateway.services.consumption import consume_due
from settld.stripe_gateway.states import Outcome
from tests.stripe_gateway.signing import SECRET
from tests.support.simulator import API_KEY, stripe_sim, stripe_simulator
from tests.support.webhook_receiver import receiving

__all__ = ["stripe_sim", "stripe_simulator"]

pytestmark = pytest.mark.django_db
PARAMS = {
    "amount": 1000,
    "currency": "usd",
    "destination": "acct_payee",
    "transfer_group": "group_1",
    "metadata": {"settld_operation_id": "mop_1"},
}


@pytest.fixture
def sim(stripe_sim, stripe_config, pauses):
    stripe_config(api_base_url=stripe_sim.url, secret_key=API_KEY, total_timeout_ms=1500)
    circuit.for_address(stripe_sim.url).record_answer()
    stripe_sim.account("acct_payee")
    return stripe_sim


def create(key="st_tr_1_a1", **changes):
    return client.create_transfer(params=PARAMS | changes, idempotency_key=key)


def test_a_transfer_is_made_once_per_key(sim):
    first, again = create(), create()

    assert first == again
    assert (first.amount, first.currency, first.destination) == (1000, "usd", "acct_payee")
    assert first.metadata == {"settld_operation_id": "mop_1"}
    assert first.transfer_group == "group_1"
    assert [transfer["id"] for transfer in sim.transfers()] == [first.id]
    assert client.retrieve_transfer(first.id) == first


@pytest.mark.parametrize(
    "kind", ["reset_before", "reset_after", "timeout_before", "timeout_after", "status_429"]
)
def test_one_accident_costs_a_retry_and_no_second_transfer(sim, kind):
    sim.fault(kind)
    made = create()
    assert [transfer["id"] for transfer in sim.transfers()] == [made.id]


@pytest.mark.parametrize("kind", ["reset_after", "timeout_after"])
def test_an_effect_whose_answer_never_arrives_is_in_doubt_and_found_by_its_group(sim, kind):
    sim.fault(kind, times=None)
    with pytest.raises(ProviderInDoubt):
        create()

    (found,) = client.list_transfers("group_1")

    assert found.metadata["settld_operation_id"] == "mop_1"
    assert client.list_transfers("group_2") == []


def test_a_500_that_stripe_has_saved_stays_in_doubt_under_its_key(sim):
    sim.fault("status_500_after")
    for _ in range(2):
        with pytest.raises(ProviderInDoubt) as caught:
            create()
        assert caught.value.error["httpStatus"] == 500
    assert len(sim.transfers()) == 1


def test_a_malformed_yes_is_in_doubt(sim):
    sim.fault("malformed_2xx")
    with pytest.raises(ProviderAnswerUnusable):
        create()


def test_a_refusal_moves_nothing_and_says_why(sim):
    with pytest.raises(ProviderRejected) as caught:
        create(destination="acct_unknown")
    assert caught.value.error["providerType"] == "invalid_request_error"
    assert caught.value.error["providerRequestId"].startswith("req_")
    assert sim.transfers() == []


def test_one_key_for_two_different_transfers_is_in_doubt(sim):
    create()
    with pytest.raises(ProviderInDoubt) as caught:
        create(amount=2000)
    assert caught.value.error["providerType"] == "idempotency_error"
    assert len(sim.transfers()) == 1


def test_more_transfers_than_one_page_are_all_listed(sim):
    made = [create(key=f"key_{number}", amount=1).id for number in range(103)]
    assert [transfer.id for transfer in client.list_transfers("group_1")] == made[::-1]


def test_an_account_is_read(sim):
    account = client.retrieve_account("acct_payee")
    assert (account.id, account.payouts_enabled, account.transfers_enabled) == ("acct_payee", True, True)


def test_its_signed_events_are_stored_and_consumed_once_each(sim, register, deliver):
    rails = register("rails", "transfer.created")
    rails.answer = (Outcome.UNMATCHED, "no operation")
    with receiving() as receiver:
        sim.listen(receiver.url, SECRET)
        made = create()
        sim.wait_for_webhooks()
    ((payload, header),) = [letter for letter in receiver.letters if b"transfer.created" in letter[0]]

    for _ in range(2):
        assert deliver(payload, header=header).json() == {"ok": True}

    event = StripeEvent.objects.get()
    assert (event.event_type, event.object_id, event.delivery_count) == ("transfer.created", made.id, 2)
    assert consume_due(owner="w", limit=10, budget_seconds=10) == 1
    assert event.consumptions.get().outcome == "unmatched"
    assert deliver(payload + b" ", header=header).status_code == 400
