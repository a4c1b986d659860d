"""Submit against the Stripe simulator: whatever goes wrong on the way, exactly one transfer is made."""

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


def submit(operation, *, now=None):
    from moneyrails.services import submission
    from tests.support.factories import ACTOR, NOW, key_of

    return submission.submit(**key_of(operation), actor=ACTOR, now=now or NOW)


def submit_until_done(stripe, operation):
    """Submit as an operator would who tries again, and once more after the doubt."""
    from moneyrails.services.dispatch import InvalidResponse, SubmitFailed
    from settld.stripe_gateway import circuit

    for _ in range(6):
        try:
            return submit(operation)
        except (SubmitFailed, InvalidResponse):
            circuit.for_address(stripe.url).record_answer()
    raise AssertionError("the submit never came through")


def test_the_transfer_says_everything_that_the_spec_asks(world, stripe):
    operation = world.real_payout()
    done = submit(operation)

    (transfer,) = stripe.transfers()
    assert done.operation.provider_ref == transfer["id"]
    assert (transfer["amount"], transfer["currency"], transfer["destination"]) == (
        10_000,
        "usd",
        "acct_party1",
    )
    assert transfer["transfer_group"] == operation.payout_key
    assert transfer["description"] == f"Settld payout {operation.operation_id}"
    assert transfer["metadata"] == {
        "settld_tenant_id": "tenant_a",
        "settld_operation_id": operation.operation_id,
        "settld_provider_id": "stripe_sim",
        "settld_payout_key": operation.payout_key,
    }


@pytest.mark.parametrize(
    "kind",
    [
        "timeout_before", "timeout_after", "reset_before", "reset_after", "status_429", "status_500_before",
        "status_500_after", "malformed_2xx",
    ],
)  # fmt: skip
@pytest.mark.parametrize("times", [1, 3])
def test_whatever_goes_wrong_exactly_one_transfer_is_made(world, stripe, kind, times):
    from moneyrails.models import DispatchAttempt, Movement
    from moneyrails.services import checks
    from settld.audit.models import OpsAudit

    operation = world.real_payout()
    stripe.fault(kind, path="/v1/transfers", times=times, **({"saved": False} if "500" in kind else {}))
    done = submit_until_done(stripe, operation)

    (transfer,) = stripe.transfers()
    assert (done.operation.state, done.operation.provider_ref) == ("submitted", transfer["id"])
    assert DispatchAttempt.objects.filter(status="succeeded").count() == 1
    assert Movement.objects.get().provider_ref == transfer["id"]
    assert OpsAudit.objects.filter(action="MONEY_RAIL_OPERATION_SUBMITTED").count() == 1
    assert checks.check_tenant(world.TENANT) == []


def test_a_saved_500_keeps_the_doubt_and_never_a_second_key(world, stripe):
    from moneyrails.models import DispatchAttempt
    from settld.core.errors import Refusal

    operation = world.real_payout()
    stripe.fault("status_500_before", path="/v1/transfers", times=1, saved=True)
    for _ in range(2):
        with pytest.raises(Refusal) as caught:
            submit(operation)
        assert caught.value.code == "MONEY_RAIL_PROVIDER_UPSTREAM_ERROR"
    assert [(row.attempt, row.status) for row in DispatchAttempt.objects.all()] == [(1, "in_doubt")]
    assert stripe.transfers() == []
    with pytest.raises(Refusal) as caught:
        submit(operation, now=world.NOW + dt.timedelta(hours=24))
    assert caught.value.code == "MONEY_RAIL_SUBMIT_INDETERMINATE"


def test_a_refusal_of_stripes_is_a_clear_no(world, stripe):
    from moneyrails.models import DispatchAttempt
    from settld.core.errors import Refusal

    world.set_controls(realMoneyEnabled=True)
    operation = world.enqueued(provider_id="stripe_sim", counterparty_ref="stripe_connect:acct_nobody")
    with pytest.raises(Refusal) as caught:
        submit(operation)
    assert (caught.value.status, caught.value.details["category"]) == (502, "upstream_rejected")
    assert DispatchAttempt.objects.get().status == "rejected"
    assert stripe.transfers() == []


@pytest.mark.parametrize("kind", ["timeout_before", "timeout_after"])
def test_recovery_by_beat_finds_the_transfer_or_makes_it(world, stripe, kind):
    from moneyrails.services import doubt
    from settld.core.errors import Refusal
    from settld.stripe_gateway import circuit

    operation = world.real_payout()
    stripe.fault(kind, path="/v1/transfers", times=3)
    with pytest.raises(Refusal):
        submit(operation)
    circuit.for_address(stripe.url).record_answer()
    ends = doubt.recover_due(now=world.NOW + dt.timedelta(minutes=2))
    assert ends == {"adopted" if kind == "timeout_after" else "sent": 1}
    operation.refresh_from_db()
    assert (operation.state, len(stripe.transfers())) == ("submitted", 1)
