"""The rails consumer of the Stripe inbox: matching transfers move operations, others become cases."""

import json

import pytest


@pytest.fixture
def filed(monkeypatch):
    """Mismatches as they are filed."""
    from moneyrails import findings

    noted = []
    monkeypatch.setattr(findings, "_sinks", [lambda **mismatch: noted.append(mismatch)])
    return noted


def transfer_of(operation, **changes):
    return {
        "id": "tr_1", "object": "transfer", "amount": operation.amount_cents, "amount_reversed": 0,
        "currency": "usd", "destination": "acct_party1", "created": 1_773_144_000, "reversed": False,
        "transfer_group": operation.payout_key,
        "metadata": {
            "settld_tenant_id": operation.tenant_id, "settld_operation_id": operation.operation_id,
            "settld_provider_id": operation.provider_id, "settld_payout_key": operation.payout_key,
        },
    } | changes  # fmt: skip


def consume(event_type, transfer, *, event_id=None):
    from moneyrails.services import provider_facts
    from settld.core import tenancy
    from settld.stripe_gateway.models import StripeEvent
    from tests.support.factories import NOW

    event_id = event_id or f"evt_{event_type}"
    event = StripeEvent(
        provider_event_id=event_id, event_type=event_type, provider_created_at=NOW, livemode=False,
        payload=json.dumps({"id": event_id, "type": event_type, "data": {"object": transfer}}),
        payload_sha256="0" * 64, received_at=NOW, last_delivered_at=NOW,
    )  # fmt: skip
    with tenancy.tenant_scope("nobody_in_particular"):
        return provider_facts.consume(event)


def reversed_in_full(operation):
    return transfer_of(operation, reversed=True, amount_reversed=operation.amount_cents)


def state_of(operation):
    operation.refresh_from_db()
    return operation.state, operation.provider_ref


def kinds():
    from moneyrails.models import Movement

    return list(Movement.objects.order_by("id").values_list("kind", flat=True))


def test_a_matching_transfer_submits_and_confirms(world, filed):
    operation = world.real_payout()
    assert consume("transfer.created", transfer_of(operation))[0] == "applied"
    assert state_of(operation) == ("confirmed", "tr_1")
    assert operation.submitted_at == operation.confirmed_at
    assert (kinds(), filed) == (["transfer"], [])


def test_it_resolves_a_doubt(world, filed):
    from moneyrails.services import attempts

    operation = world.real_payout()
    attempt = attempts.open_attempt(
        operation, None, actor=world.ACTOR, caller_identity_hash="", now=world.NOW
    )
    consume("transfer.created", transfer_of(operation))
    attempt.refresh_from_db()
    assert (attempt.status, attempt.observed_ref) == ("succeeded", "tr_1")


def test_after_our_own_submit_it_only_confirms(world, filed, settings):
    import dataclasses

    settings.STRIPE = dataclasses.replace(settings.STRIPE, secret_key="sk_test_rails")
    operation = world.real_payout()
    done = world.submitted(operation, rail=world.RecordingRail())
    transfer = transfer_of(operation, id=done.provider_ref)
    assert consume("transfer.created", transfer)[0] == "applied"
    assert state_of(operation) == ("confirmed", done.provider_ref)
    assert kinds() == ["transfer"]


def test_duplicates_change_nothing(world, filed):
    from settld.audit.models import OpsAudit

    operation = world.real_payout()
    consume("transfer.created", transfer_of(operation))
    audits = OpsAudit.objects.count()
    assert consume("transfer.created", transfer_of(operation))[0] == "stale"
    assert consume("transfer.created", transfer_of(operation), event_id="evt_again")[0] == "stale"
    assert (OpsAudit.objects.count(), filed) == (audits, [])


@pytest.mark.parametrize("order", [("created", "reversed"), ("reversed", "created")])
def test_a_full_reversal_reverses_in_any_order_of_arrival(world, filed, order):
    from moneyrails.models import PartyBalance

    operation = world.real_payout()
    letters = {"created": transfer_of(operation), "reversed": reversed_in_full(operation)}
    for name in order:
        consume(f"transfer.{name}", letters[name])
    assert state_of(operation) == ("reversed", "tr_1")
    assert (kinds(), filed) == (["transfer", "reversal"], [])
    assert PartyBalance.objects.get().outstanding_cents == 10_000


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"amount": 9_999}, "amount, currency or destination differs"),
        ({"currency": "eur"}, "amount, currency or destination differs"),
        ({"destination": "acct_other"}, "amount, currency or destination differs"),
        ({"metadata.settld_payout_key": "other"}, "the payout key differs"),
    ],
)
def test_what_does_not_match_changes_nothing_and_is_filed(world, filed, change, problem):
    operation = world.real_payout()
    transfer = transfer_of(operation)
    for name, value in change.items():
        holder = transfer["metadata"] if "." in name else transfer
        holder[name.partition(".")[2] or name] = value
    assert consume("transfer.created", transfer) == ("unmatched", problem)
    assert state_of(operation) == ("initiated", "")
    (case,) = filed
    assert (case["mismatch_type"], case["severity"]) == ("provider_transfer_mismatch", "critical")
    assert (case["mismatch_key"], case["tenant_id"], case["provider_id"]) == (
        "tr_1",
        "tenant_a",
        "stripe_sim",
    )
    assert case["details"]["problem"] == problem


def test_a_second_transfer_of_one_operation_is_filed(world, filed):
    operation = world.real_payout()
    consume("transfer.created", transfer_of(operation))
    assert consume("transfer.created", transfer_of(operation, id="tr_2"), event_id="evt_2")[0] == "unmatched"
    assert state_of(operation) == ("confirmed", "tr_1")
    assert filed[0]["details"]["transferId"] == "tr_2"


def test_a_transfer_of_an_operation_that_we_do_not_have_is_filed_by_its_period(world, filed):
    operation = world.real_payout()
    transfer = transfer_of(operation)
    transfer["metadata"]["settld_operation_id"] = "mop_unknown"
    assert consume("transfer.created", transfer) == ("unmatched", "no such operation")
    assert (filed[0]["mismatch_type"], filed[0]["period"]) == ("unmatched_provider_transfer", "2026-01")


def test_a_transfer_of_a_sandbox_operation_is_filed(world, filed):
    operation = world.enqueued()
    assert consume("transfer.created", transfer_of(operation))[0] == "unmatched"
    assert state_of(operation) == ("initiated", "")


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_money_of_a_payout_that_was_called_off_is_filed(world, filed, end):
    operation = world.walked(world.real_payout(), end)
    assert consume("transfer.created", transfer_of(operation))[0] == "unmatched"
    assert state_of(operation)[0] == end


def test_a_partial_reversal_is_a_case_and_the_rest_then_reverses(world, filed):
    operation = world.real_payout()
    consume("transfer.created", transfer_of(operation))
    part = transfer_of(operation, amount_reversed=1)
    assert consume("transfer.reversed", part)[0] == "unmatched"
    assert state_of(operation)[0] == "confirmed"
    assert filed[0]["mismatch_type"] == "partial_provider_reversal"
    consume("transfer.reversed", reversed_in_full(operation), event_id="evt_rest")
    assert state_of(operation)[0] == "reversed"


def parted(operation, cents):
    return transfer_of(operation, amount_reversed=cents, reversed=cents == operation.amount_cents)


def debts():
    from moneyrails.models import ChargebackEntry

    return list(ChargebackEntry.objects.values_list("kind", "amount_cents"))


def test_each_part_is_a_case_of_its_own_and_the_last_one_reverses_once(world, filed):
    operation = world.real_payout()
    consume("transfer.created", transfer_of(operation))
    for cents in (2_000, 5_000):
        assert (
            consume("transfer.reversed", parted(operation, cents), event_id=f"evt_{cents}")[0] == "unmatched"
        )
    assert debts() == []
    whole = parted(operation, 10_000)
    assert consume("transfer.reversed", whole, event_id="evt_10000")[0] == "applied"
    assert consume("transfer.reversed", whole, event_id="evt_again")[0] == "stale"

    assert state_of(operation)[0] == "reversed"
    assert (debts(), kinds()) == ([("reversal", 10_000)], ["transfer", "reversal"])
    assert [(case["mismatch_key"], case["details"]["notReversedCents"]) for case in filed] == [
        ("tr_1:2000", 8_000),
        ("tr_1:5000", 5_000),
    ]
    assert {case["severity"] for case in filed} == {"high"}


def test_parts_that_arrive_after_the_whole_are_old_news(world, filed):
    operation = world.real_payout()
    for cents in (10_000, 5_000, 2_000):
        consume("transfer.reversed", parted(operation, cents), event_id=f"evt_{cents}")
    assert (state_of(operation)[0], debts(), filed) == ("reversed", [("reversal", 10_000)], [])


def test_a_part_that_arrives_first_proves_the_transfer_and_is_a_case(world, filed):
    operation = world.real_payout()
    assert consume("transfer.reversed", parted(operation, 1))[0] == "unmatched"
    assert (state_of(operation), debts()) == (("confirmed", "tr_1"), [])
    assert filed[0]["mismatch_type"] == "partial_provider_reversal"


def test_a_part_of_a_payout_that_was_called_off_is_the_graver_case(world, filed):
    operation = world.walked(world.real_payout(), "cancelled")
    assert consume("transfer.reversed", parted(operation, 1))[0] == "unmatched"
    assert [case["mismatch_type"] for case in filed] == ["provider_transfer_mismatch"]


def test_an_amount_above_the_transfer_is_a_case_and_no_reversal(world, filed):
    operation = world.real_payout()
    consume("transfer.reversed", transfer_of(operation, amount_reversed=10_001, reversed=True))
    assert (state_of(operation)[0], debts()) == ("confirmed", [])
    assert len(filed) == 1


def test_reversing_a_netted_payout_at_stripe_owes_its_net_and_its_recovery(world, filed):
    from moneyrails.models import PartyBalance

    world.set_controls(realMoneyEnabled=True)
    first = world.enqueued(
        period="2025-12", payout_cents=4_000, provider_id="stripe_sim", counterparty_ref=world.CONNECTED
    )
    consume("transfer.reversed", parted(first, 4_000), event_id="evt_first")
    world.set_controls(realMoneyEnabled=True, chargebacks={"enabled": True, "negativeBalanceMode": "net"})
    netted = world.enqueued(provider_id="stripe_sim", counterparty_ref=world.CONNECTED)
    assert (netted.amount_cents, netted.recovery_applied_cents) == (6_000, 4_000)
    consume("transfer.reversed", transfer_of(netted, id="tr_2", amount_reversed=6_000), event_id="evt_second")
    assert PartyBalance.objects.get().outstanding_cents == 10_000
    assert [kind for kind, _ in debts()] == ["reversal", "recovery", "reversal", "release"]


def test_a_transfer_id_that_is_another_operations_is_filed(world, filed):
    first, second = world.real_payout(), world.real_payout("party2")
    consume("transfer.created", transfer_of(first))
    assert consume("transfer.created", transfer_of(second), event_id="evt_2")[0] == "unmatched"
    assert state_of(second) == ("initiated", "")
    assert filed[0]["details"]["problem"] == "the transfer is recorded for another operation"


def test_transfers_that_are_not_ours_are_ignored(world, filed):
    operation = world.real_payout()
    assert consume("transfer.created", transfer_of(operation, metadata={}))[0] == "ignored"
    assert filed == []


def test_the_consumer_is_registered_for_transfers():
    from settld.stripe_gateway import consumers

    assert "rails" in [consumer.name for consumer in consumers.interested_in("transfer.created")]
    assert "rails" in [consumer.name for consumer in consumers.interested_in("transfer.reversed")]
