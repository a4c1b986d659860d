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


def test_above_the_threshold_is_refused_as_such_in_either_mode(world, refused):
    owe(world, 4_000)
    world.closed()
    for mode in ("hold", "net"):
        policy = {"enabled": True, "negativeBalanceMode": mode, "maxOutstandingCents": 3_999}
        world.set_controls(chargebacks=policy)
        with refused("CHARGEBACK_OUTSTANDING_LIMIT_EXCEEDED"):
            pay(world)
    world.set_controls(chargebacks=NET | {"maxOutstandingCents": 0})  # no threshold
    assert pay(world).operation.amount_cents == 6_000


def test_a_hold_lets_pass_who_owes_nothing(world):
    owe(world, 4_000, party_id="other")
    world.set_controls(chargebacks={"enabled": True})
    world.closed()
    made = pay(world)
    assert made.chargeback == {
        "policyEnabled": True, "negativeBalanceMode": "hold", "outstandingBeforeCents": 0,
        "recoveryAppliedCents": 0, "outstandingAfterCents": 0, "payoutAmountGrossCents": 10_000,
        "payoutAmountNetCents": 10_000,
    }  # fmt: skip


def test_one_reversal_is_repaid_by_several_payouts_and_one_payout_repays_several(world):
    from moneyrails.models import ChargebackEntry

    old = owe(world, 15_000, "2025-11")
    new = owe(world, 9_000, "2025-12")
    world.set_controls(chargebacks=NET)
    for period in ("2026-01", "2026-02", "2026-03"):
        world.closed(period=period)
        pay(world, period=period)
    shares = ChargebackEntry.objects.filter(kind="recovery").order_by("seq")
    assert [(row.reversal.operation_id, row.amount_cents) for row in shares] == [
        (old.pk, 10_000), (old.pk, 5_000), (new.pk, 5_000), (new.pk, 4_000),
    ]  # fmt: skip
    assert outstanding() == 0


def test_reversals_of_one_instant_are_repaid_by_their_operation_ids(world):
    from moneyrails.models import ChargebackEntry

    late, early = owe(world, 3_000, "2025-12"), owe(world, 3_000, "2025-11")
    assert late.reversed_at == early.reversed_at
    world.set_controls(chargebacks=NET)
    world.closed(payout_cents=4_000)
    pay(world)
    shares = ChargebackEntry.objects.filter(kind="recovery").order_by("seq")
    assert [(row.reversal.operation_id, row.amount_cents) for row in shares] == [
        (early.pk, 3_000), (late.pk, 1_000),
    ]  # fmt: skip


def test_the_reversal_that_happened_first_is_repaid_first_whenever_it_was_told(world):
    import datetime as dt

    from moneyrails.models import ChargebackEntry

    def taken_back(period, at):
        operation = world.walked(world.enqueued(period=period, payout_cents=3_000), "submitted", "confirmed")
        return world.told(operation, "reversed", event_id="evt_back", at=at).operation

    taken_back("2025-11", world.NOW)
    earlier = taken_back("2025-12", world.NOW - dt.timedelta(days=3))
    world.set_controls(chargebacks=NET)
    world.closed(payout_cents=1_000)
    pay(world)
    assert ChargebackEntry.objects.get(kind="recovery").reversal.operation == earlier


def test_a_changed_policy_rewrites_nothing_and_a_repeat_answers_as_recorded(world):
    from moneyrails.models import ChargebackEntry

    owe(world, 4_000)
    world.set_controls(chargebacks=NET)
    world.closed()
    made = pay(world)
    before = list(ChargebackEntry.objects.values_list("pk", "kind", "amount_cents"))
    for policy in ({"enabled": True}, {"enabled": False}, None):
        world.set_controls(chargebacks=policy)
        again = pay(world)
        assert (again.chargeback, again.payout) == (made.chargeback, made.payout)
    assert list(ChargebackEntry.objects.values_list("pk", "kind", "amount_cents")) == before


def test_a_full_offset_over_http_is_the_same_answer_for_ever(world, api):
    from settld.audit.models import OpsAudit
    from tests.support.api import body, refusal

    owe(world, 25_000)
    world.set_controls(chargebacks=NET)
    row = world.closed()
    path = "/ops/payouts/party1/2026-01/enqueue"
    first = api.post(path)
    assert first.status_code == 200
    assert body(first) == {
        "ok": True, "enqueued": False, "reason": "chargeback_offset_consumed",
        "chargeback": {
            "policyEnabled": True, "negativeBalanceMode": "net", "outstandingBeforeCents": 25_000,
            "recoveryAppliedCents": 10_000, "outstandingAfterCents": 15_000,
            "payoutAmountGrossCents": 10_000, "payoutAmountNetCents": 0,
        },
    }  # fmt: skip
    world.set_controls(chargebacks={"enabled": True}, payoutKillSwitch=True)
    again = api.post(path)
    assert (again.status_code, again.content) == (200, first.content)
    assert refusal(api.post(path, {"moneyRailProviderId": "stub_other"})) == (
        409,
        "MONEY_RAIL_OPERATION_CONFLICT",
    )
    assert refusal(api.post(path, {"counterpartyRef": "x"})) == (409, "MONEY_RAIL_IDEMPOTENCY_CONFLICT")
    audit = OpsAudit.objects.get(action="PAYOUT_OFFSET_CONSUMED")
    assert (audit.target_id, audit.details) == (
        row.payout_key,
        {
            "providerId": "stub_default", "partyId": "party1", "period": "2026-01", "amountCents": 0,
            "recoveryAppliedCents": 10_000, "outstandingAfterCents": 15_000,
        },
    )  # fmt: skip
    assert outstanding() == 15_000


def test_an_offset_that_meets_the_same_key_at_a_provider_of_the_other_mode_gives_way(world, monkeypatch):
    """The two modes have two balances, so their locks do not meet; the payout key does."""
    from moneyrails.models import ChargebackEntry
    from moneyrails.services import enqueue, payout_writes
    from settld.core.errors import Conflict

    owe(world, 25_000)
    world.set_controls(chargebacks=NET, realMoneyEnabled=True)
    world.closed()
    plain = payout_writes.write_offset

    def late(outcome):
        monkeypatch.setattr(payout_writes, "write_offset", plain)
        enqueue.enqueue(
            tenant_id=world.TENANT, party_id="party1", period="2026-01", provider_id="bank_wire",
            counterparty_ref="bank:1", actor=world.ACTOR, now=world.NOW,
        )  # fmt: skip
        return plain(outcome)

    monkeypatch.setattr(payout_writes, "write_offset", late)
    with pytest.raises(Conflict) as caught:
        pay(world)
    assert caught.value.code == "MONEY_RAIL_OPERATION_CONFLICT"
    assert not ChargebackEntry.objects.filter(kind="recovery").exists()
