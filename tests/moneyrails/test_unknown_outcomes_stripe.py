"""Unknown outcomes against the Stripe simulator: real faults, real listings, real refusals."""

import dataclasses
import datetime as dt

import pytest

from tests.support.simulator import API_KEY, stripe_sim, stripe_simulator

__all__ = ["stripe_sim", "stripe_simulator"]


@pytest.fixture
def stripe(world, settings, stripe_sim, monkeypatch):
    """Stripe as the product sees it, its account ready, the client hasty, the circuit closed."""
    from settld.stripe_gateway import calls, circuit

    settings.STRIPE = dataclasses.replace(
        settings.STRIPE, api_base_url=stripe_sim.url, secret_key=API_KEY, total_timeout_ms=600,
        connect_timeout_ms=600, pinned_api_version="",
    )  # fmt: skip
    monkeypatch.setattr(calls, "pause", lambda _seconds: None)
    circuit.for_address(stripe_sim.url).record_answer()
    stripe_sim.account("acct_party1")
    return stripe_sim


@pytest.fixture
def doubt(world, stripe):
    """Submit over a fault of the provider's; gives the attempt that is left."""
    from moneyrails.services import submission
    from settld.core.errors import Refusal
    from settld.stripe_gateway import circuit
    from tests.support.factories import ACTOR, NOW, key_of

    def make(kind, *, times=3, **rule):
        operation = world.real_payout()
        stripe.fault(kind, path="/v1/transfers", times=times, **rule)
        with pytest.raises(Refusal):
            submission.submit(**key_of(operation), actor=ACTOR, now=NOW)
        circuit.for_address(stripe.url).record_answer()
        return operation.attempts.get()

    return make


def act(name, attempt, *, now=None, **more):
    from moneyrails.services import unknown_outcomes
    from tests.moneyrails.doubts import LATER, SECOND

    verb = getattr(unknown_outcomes, name)
    return verb(tenant_id=attempt.tenant_id, attempt_id=attempt.pk, actor=SECOND, now=now or LATER, **more)


def settle(attempt, outcome, **more):
    from tests.moneyrails import doubts

    return doubts.settle(attempt, None, outcome, **more)


@pytest.mark.parametrize(
    ("kind", "asked", "replayed"),
    [
        ("timeout_after", "adopted", None), ("reset_after", "adopted", None),
        ("malformed_2xx", "adopted", None), ("timeout_before", "nothing_found", "sent"),
        ("reset_before", "nothing_found", "sent"),
    ],
)  # fmt: skip
def test_every_lost_answer_ends_in_one_transfer(world, stripe, doubt, kind, asked, replayed):
    attempt = doubt(kind, **({"times": 1} if kind == "malformed_2xx" else {}))
    assert attempt.status == "in_doubt"
    assert act("ask", attempt).outcome == asked
    if replayed:
        assert act("replay", attempt).outcome == replayed
    (transfer,) = stripe.transfers()
    attempt.operation.refresh_from_db()
    assert (attempt.operation.state, attempt.operation.provider_ref) == ("submitted", transfer["id"])


def test_a_saved_500_stays_unknown_until_a_second_person_settles_it_and_pays_once(world, stripe, doubt):
    from moneyrails.services import submission
    from moneyrails.services.dispatch import SubmitFailed
    from tests.moneyrails.doubts import LATE, looks
    from tests.support.factories import ACTOR, key_of

    attempt = doubt("status_500_before", times=1, saved=True)
    with pytest.raises(SubmitFailed):
        act("replay", attempt)
    assert act("ask", attempt, now=LATE).outcome == "nothing_found"
    attempt.refresh_from_db()
    assert attempt.status == "indeterminate"
    settle(attempt, "not_sent")
    done = submission.submit(**key_of(attempt.operation), actor=ACTOR, now=LATE)
    (transfer,) = stripe.transfers()
    assert (done.applied, done.operation.provider_ref) == (True, transfer["id"])
    assert looks(attempt) == [
        ("send", "no_answer"), ("replay", "no_answer"), ("ask", "nothing_found"), ("settle", "not_sent"),
    ]  # fmt: skip


def test_evidence_is_held_against_stripes_own_records(world, stripe, doubt):
    from moneyrails.services.settling import EvidenceRefuted
    from settld.stripe_gateway import circuit

    attempt = doubt("status_500_before", times=1, saved=True)
    act("ask", attempt, now=attempt.first_sent_at + dt.timedelta(hours=24))
    operation = attempt.operation

    def made(**changes):
        metadata = {"settld_operation_id": operation.operation_id, "settld_tenant_id": world.TENANT}
        body = {
            "amount": operation.amount_cents, "currency": "usd", "destination": "acct_party1",
            "transfer_group": operation.payout_key, "metadata": metadata,
        }  # fmt: skip
        return stripe.control("/_sim/transfers", {**body, **changes})["id"]

    foreign = made(metadata={"settld_operation_id": "mop_other"})
    for transfer_id, problem in (
        ("tr_nobody", "the provider has no such transfer"),
        (foreign, "the transfer belongs to another payout"),
    ):
        with pytest.raises(EvidenceRefuted) as caught:
            settle(attempt, "sent", transfer_id=transfer_id)
        assert caught.value.details["problem"] == problem
        circuit.for_address(stripe.url).record_answer()
    ours = made()
    with pytest.raises(EvidenceRefuted):
        settle(attempt, "not_sent", evidence="I did not see it")
    settle(attempt, "sent", transfer_id=ours)
    operation.refresh_from_db()
    assert (operation.state, operation.provider_ref) == ("submitted", ours)


def test_while_stripe_is_away_evidence_in_words_settles(world, stripe, doubt, settings):
    from moneyrails.services.settling import EvidenceRequired

    attempt = doubt("timeout_before")
    settings.STRIPE = dataclasses.replace(settings.STRIPE, api_base_url="http://127.0.0.1:9")
    with pytest.raises(EvidenceRequired) as caught:
        settle(attempt, "not_sent")
    assert caught.value.details["providerError"]["category"] == "network_error"
    settle(attempt, "not_sent", evidence="Stripe support, case 4711: no transfer")
    attempt.refresh_from_db()
    assert (attempt.status, attempt.resolution_evidence) == (
        "not_sent", "Stripe support, case 4711: no transfer",
    )  # fmt: skip


def test_without_a_key_to_ask_with_evidence_in_words_settles(world, stripe, doubt, settings):
    from moneyrails.services.settling import EvidenceRequired
    from settld.core.errors import Refusal

    attempt = doubt("timeout_before")
    settings.STRIPE = dataclasses.replace(settings.STRIPE, secret_key="")
    with pytest.raises(Refusal) as caught:
        act("ask", attempt)
    assert caught.value.code == "STRIPE_SECRET_KEY_REQUIRED"
    with pytest.raises(EvidenceRequired):
        settle(attempt, "not_sent")
    settle(attempt, "not_sent", evidence="contract ended, account statement attached")
