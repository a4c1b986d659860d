"""Gate 12: hold, net, the full offset and the threshold (spec 4)."""

import pytest

NET = {"enabled": True, "negativeBalanceMode": "net"}


def pay(world, party_id="party1", period="2026-01", **more):
    from moneyrails.services import enqueue

    return enqueue.enqueue(
        tenant_id=world.TENANT, party_id=party_id, period=period, provider_id="", counterparty_ref="",
        actor=world.ACTOR, now=world.NOW, **more,
    )  # fmt: skip


def owe(world, cents, period="2025-12", party_id="party1"):
    """A confirmed payout that was taken back."""
    return world.walked(world.enqueued(party_id, period, cents), "submitted", "confirmed", "reversed")


def outstanding():
    from moneyrails.models import PartyBalance

    return PartyBalance.objects.get().outstanding_cents


def test_a_debt_is_recorded_and_ignored_while_the_policy_is_off(world):
    owe(world, 4_000)
    world.closed()
    made = pay(world)
    assert (made.operation.amount_cents, outstanding()) == (10_000, 4_000)
    assert made.chargeback == {
        "policyEnabled": False, "negativeBalanceMode": None, "outstandingBeforeCents": 0,
        "recoveryAppliedCents": 0, "outstandingAfterCents": 0, "payoutAmountGrossCents": 10_000,
        "payoutAmountNetCents": 10_000,
    }  # fmt: skip


def test_hold_refuses_while_anything_is_owed(world, refused):
    owe(world, 1)
    world.set_controls(chargebacks={"enabled": True})
    world.closed()
    with refused("NEGATIVE_BALANCE_PAYOUT_HOLD") as caught:
        pay(world)
    assert caught.value.details == {
        "providerId": "stub_default", "partyId": "party1", "outstandingBeforeCents": 1,
        "payoutAmountCentsGross": 10_000,
    }  # fmt: skip


def test_the_threshold_refuses_above_itself_only(world, refused):
    owe(world, 4_000)
    world.set_controls(chargebacks=NET | {"maxOutstandingCents": 3_999})
    world.closed()
    with refused("CHARGEBACK_OUTSTANDING_LIMIT_EXCEEDED") as caught:
        pay(world)
    assert caught.value.details == {
        "providerId": "stub_default", "partyId": "party1", "outstandingBeforeCents": 4_000,
        "maxOutstandingCents": 3_999,
    }  # fmt: skip
    world.set_controls(chargebacks=NET | {"maxOutstandingCents": 4_000})
    assert pay(world).operation.amount_cents == 6_000


def test_net_withholds_and_the_caps_see_the_net_amount(world):
    from moneyrails.models import ChargebackEntry, ExposureCounter

    owe(world, 4_000)
    world.set_controls(chargebacks=NET, maxPayoutAmountCents=6_000, dailyPayoutLimitCents=6_000)
    world.closed()
    made = pay(world)

    assert made.operation.amount_cents == 6_000
    assert made.operation.metadata["chargebackRecoveryAppliedCents"] == 4_000
    assert made.chargeback["outstandingAfterCents"] == 0
    recovery = ChargebackEntry.objects.get(kind="recovery")
    assert (recovery.amount_cents, recovery.payout_key) == (4_000, made.operation.payout_key)
    assert ExposureCounter.objects.get().amount_cents == 6_000
    assert outstanding() == 0


def test_a_payout_refused_by_a_cap_recovers_nothing(world, refused):
    owe(world, 4_000)
    world.set_controls(chargebacks=NET, maxPayoutAmountCents=5_999)
    world.closed()
    with refused("PAYOUT_AMOUNT_LIMIT_EXCEEDED"):
        pay(world)
    assert outstanding() == 4_000


def test_a_full_offset_is_kept_and_repeated_without_a_second_recovery(world):
    from moneyrails.models import ChargebackEntry, Operation
    from settld.audit.models import OpsAudit

    owe(world, 25_000)
    world.set_controls(chargebacks=NET, maxPayoutAmountCents=1)
    world.closed()
    made = pay(world)
    again = pay(world)

    assert (made.is_offset, made.operation) == (True, None)
    assert made.chargeback["recoveryAppliedCents"] == 10_000
    assert again == made
    assert outstanding() == 15_000
    assert ChargebackEntry.objects.filter(kind="recovery").count() == 1
    assert Operation.objects.filter(period="2026-01").count() == 0
    assert OpsAudit.objects.filter(action="PAYOUT_OFFSET_CONSUMED").count() == 1


def test_a_full_offset_keeps_its_period_from_being_paid_again(world, refused):
    from settld.closing.models import PartyStatement

    owe(world, 25_000)
    world.set_controls(chargebacks=NET)
    row = world.closed()
    pay(world)
    world.supersede(PartyStatement.objects.get(pk=row.pk), 12_000)
    with refused("PAYOUT_PERIOD_CONFLICT") as caught:
        pay(world)
    assert caught.value.details["existingOperationId"] is None


@pytest.mark.parametrize("end", [("failed",), ("cancelled",), ("submitted", "failed")])
def test_a_netted_payout_that_is_called_off_owes_again_what_it_repaid(world, end):
    owe(world, 4_000)
    world.set_controls(chargebacks=NET)
    world.closed()
    world.walked(pay(world).operation, *end)
    assert outstanding() == 4_000


def test_reversing_a_netted_payout_raises_the_debt_by_net_and_recovery(world):
    owe(world, 4_000)
    world.set_controls(chargebacks=NET)
    world.closed()
    world.walked(pay(world).operation, "submitted", "confirmed", "reversed")
    assert outstanding() == 10_000


def test_the_oldest_reversal_is_repaid_first(world):
    from moneyrails.models import ChargebackEntry

    first = owe(world, 3_000, "2025-11")
    second = owe(world, 3_000, "2025-12")
    world.set_controls(chargebacks=NET)
    world.closed(payout_cents=4_000)
    pay(world)
    shares = ChargebackEntry.objects.filter(kind="recovery").order_by("reversal__operation__period")
    assert [(row.reversal.operation, row.amount_cents) for row in shares] == [(first, 3_000), (second, 1_000)]


def test_a_debt_follows_the_party_to_another_provider_and_not_to_another_mode(world):
    owe(world, 4_000)
    world.set_controls(chargebacks=NET, realMoneyEnabled=True)
    other = world.enqueued(period="2026-02", provider_id="stub_other")
    real = world.enqueued(period="2026-03", provider_id="bank_wire")
    assert (other.amount_cents, real.amount_cents) == (6_000, 10_000)
