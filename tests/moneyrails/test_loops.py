"""The loops' edges: the beat task, the tick command, and a fact that nobody takes."""

import dataclasses
import json

import pytest


@pytest.fixture
def died(world, settings, monkeypatch):
    """An operation whose sender died after the effect; its lease is over, and the rail knows the transfer."""
    from moneyrails.rails import stripe
    from moneyrails.services import attempts

    settings.STRIPE = dataclasses.replace(settings.STRIPE, secret_key="sk_test_rails")
    operation = world.real_payout()
    attempt = attempts.open_attempt(
        operation, None, actor=world.ACTOR, caller_identity_hash="", now=world.NOW - attempts.LEASE
    )
    rail = world.RecordingRail()
    rail.create_transfer(attempts.order_of(operation, idempotency_key=attempt.idempotency_key))
    monkeypatch.setattr(stripe, "StripeRail", lambda: rail)
    return operation


def test_the_beat_task_recovers_what_is_due(world, died):
    from moneyrails.tasks import recover_dispatches

    recover_dispatches(newer_argument=True)
    died.refresh_from_db()
    assert died.state == "submitted"


def test_the_tick_command_runs_both_loops_once(world, died, capsys):
    from django.core.management import call_command
    from django.core.management.base import CommandError

    call_command("moneyrails_tick", "--once")
    assert json.loads(capsys.readouterr().out)["dispatchesRecovered"] == {"adopted": 1}
    with pytest.raises(CommandError):
        call_command("moneyrails_tick")


def test_one_attempt_that_fails_does_not_keep_the_others(world, died, monkeypatch):
    from moneyrails.services import attempts, doubt

    other = world.real_payout("party2")
    attempts.open_attempt(
        other, None, actor=world.ACTOR, caller_identity_hash="", now=world.NOW - 2 * attempts.LEASE
    )
    plain = doubt.recover

    def faulty(due, **more):
        if due.attempt_id == other.attempts.get().pk:
            raise RuntimeError("unforeseen")
        return plain(due, **more)

    monkeypatch.setattr(doubt, "recover", faulty)
    assert doubt.recover_due(now=world.NOW) == {"error": 1, "adopted": 1}


def test_in_a_slow_round_each_attempt_is_leased_from_its_own_turn_on_3_4(world, died, monkeypatch):
    """A round of fifty can last longer than a lease; nobody may take what is being looked up just now."""
    import datetime as dt

    from moneyrails.services import attempts, doubt
    from settld.core import clock

    second = world.real_payout("party2")
    attempts.open_attempt(
        second, None, actor=world.ACTOR, caller_identity_hash="", now=world.NOW - attempts.LEASE
    )
    leases = []

    class SlowRail(world.RecordingRail):
        def find_transfers(self, order):
            row = attempts.DispatchAttempt.objects.get(operation__operation_id=order.operation_id)
            leases.append(row.lease_expires_at - clock.now())
            move(clock.now() + dt.timedelta(minutes=3))
            return super().find_transfers(order)

    with clock.freeze(world.NOW) as move:
        doubt.recover_due(now=world.NOW, rail=SlowRail())
    assert leases == [attempts.LEASE, attempts.LEASE]


def test_looks_that_an_open_circuit_kept_from_the_provider_do_not_lengthen_the_wait(world, died):
    """Else an outage of minutes would leave doubts to be looked at an hour after its end."""
    import datetime as dt

    from moneyrails.services import attempts, doubt
    from settld.stripe_gateway.outcomes import ProviderNotExecuted

    class ShutRail(world.RecordingRail):
        def find_transfers(self, order):
            raise ProviderNotExecuted({"category": "circuit_open", "message": "nothing was sent"})

    for minute in range(4):
        now = world.NOW + dt.timedelta(minutes=minute)
        assert doubt.recover_due(now=now, rail=ShutRail()) == {"in_doubt": 1}
    attempt = attempts.DispatchAttempt.objects.get()
    assert (attempt.status, attempt.next_check_at - now) == ("in_doubt", attempts.CHECK_EVERY)


def test_a_finding_without_a_receiver_is_not_swallowed(monkeypatch, world):
    from moneyrails import findings

    monkeypatch.setattr(findings, "_sinks", [])
    with pytest.raises(RuntimeError, match="no mismatch sink"):
        findings.note(
            tenant_id="t", period="2026-01", provider_id="p", mismatch_type="x", mismatch_key="k",
            mismatch_code="X", severity="high", details={}, now=world.NOW,
        )  # fmt: skip
