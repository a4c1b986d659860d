"""POST /ops/payouts/{partyId}/{period}/enqueue: every gate in order, the replay rule (spec 2.1)."""

import datetime as dt

import pytest

NOW = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)


def enqueue(party_id="party1", period="2026-01", *, provider_id="", counterparty_ref="", now=NOW):
    from moneyrails.services import enqueue as verb
    from tests.support.factories import ACTOR, TENANT

    return verb.enqueue(
        tenant_id=TENANT, party_id=party_id, period=period, provider_id=provider_id,
        counterparty_ref=counterparty_ref, actor=ACTOR, now=now,
    )  # fmt: skip


def test_makes_one_operation_with_its_outcome_audit_and_counter(world):
    from moneyrails.models import ExposureCounter, Movement, PayoutOutcome
    from settld.audit.models import OpsAudit

    row = world.closed(payout_cents=12_345)
    made = enqueue()

    operation = made.operation
    assert operation.operation_id == f"mop_{row.payout_key}"
    assert (operation.state, operation.amount_cents, operation.currency) == ("initiated", 12_345, "USD")
    assert operation.counterparty_ref == "party:party1"
    assert operation.initiated_at == NOW
    assert PayoutOutcome.objects.get(payout_key=row.payout_key).operation == operation
    counter = ExposureCounter.objects.get()
    assert (counter.day_key, counter.provider_mode) == ("2026-03-10", "sandbox")
    assert (counter.amount_cents, counter.operation_count) == (12_345, 1)
    audit = OpsAudit.objects.get(action="PAYOUT_ENQUEUED")
    assert audit.target_id == operation.operation_id
    assert audit.details == {
        "providerId": "stub_default",
        "operationId": operation.operation_id,
        "partyId": "party1",
        "period": "2026-01",
        "amountCents": 12_345,
        "recoveryAppliedCents": 0,
    }
    assert not Movement.objects.exists()


def test_keeps_each_gates_verdict_in_order(world):
    world.closed()
    verdicts = enqueue().operation.gate_verdicts

    assert [verdict["gate"] for verdict in verdicts] == list(range(2, 17))
    assert {verdict["verdict"] for verdict in verdicts} == {"passed"}


def test_metadata_has_exactly_the_members_of_the_spec(world):
    row = world.closed()
    made = enqueue()

    assert made.operation.metadata == {
        "payoutKey": row.payout_key,
        "payoutArtifactId": f"payout_tenant_a_party1_2026-01_{row.statement_hash}",
        "payoutArtifactHash": made.payout["artifactHash"],
        "period": "2026-01",
        "partyId": "party1",
        "stripeConnectAccountId": None,
        "providerMode": "sandbox",
        "payoutAmountGrossCents": 10_000,
        "payoutAmountNetCents": 10_000,
        "chargebackRecoveryAppliedCents": 0,
        "chargebackOutstandingBeforeCents": 0,
        "chargebackOutstandingAfterCents": 0,
        "chargebackNegativeBalanceMode": None,
    }


# --- gates 2 to 7 -------------------------------------------------------------------------------------
def test_gate_2_refuses_a_party_without_a_statement(refused):
    with refused("NOT_FOUND") as caught:
        enqueue()
    assert caught.value.message == "party statement not found"


def test_gate_3_refuses_a_month_nobody_asked_to_close(world, refused):
    world.statement()
    with refused("MONTH_CLOSE_NOT_FOUND"):
        enqueue()


def test_gate_3_refuses_an_open_month(world, refused):
    world.close_month(status="OPEN")
    world.statement()
    with refused("MONTH_NOT_CLOSED"):
        enqueue()


def test_gate_3_refuses_an_open_statement(world, refused):
    world.close_month()
    world.statement(status="OPEN")
    with refused("PARTY_STATEMENT_NOT_CLOSED"):
        enqueue()


@pytest.mark.parametrize(("cents", "role"), [(0, "operator"), (-5, "operator"), (500, "platform")])
def test_gate_4_answers_that_nothing_is_due(world, cents, role):
    from moneyrails.models import PayoutOutcome

    world.closed(payout_cents=cents, party_role=role)
    made = enqueue(provider_id="nobody")  # the provider is only asked about after the amount

    assert (made.operation, made.is_offset) == (None, False)
    assert not PayoutOutcome.objects.exists()


def test_gate_5_refuses_an_unknown_provider(world, refused):
    world.closed()
    with refused("MONEY_RAIL_PROVIDER_UNKNOWN"):
        enqueue(provider_id="nobody")


def test_gate_5_refuses_a_provider_without_payouts(world, refused):
    world.closed()
    with refused("MONEY_RAIL_DIRECTION_NOT_ALLOWED"):
        enqueue(provider_id="stub_closed")


def test_gate_5_refuses_another_currency(world, refused):
    world.closed(currency="EUR")
    with refused("PAYOUT_CURRENCY_UNSUPPORTED"):
        enqueue()


def test_gate_7_refuses_a_restated_period_while_the_first_payout_lives(world, refused):
    first = world.enqueued()
    row = PartyStatementOf(first)
    world.supersede(row, 12_000)
    with refused("PAYOUT_PERIOD_CONFLICT") as caught:
        enqueue()
    assert caught.value.details == {
        "partyId": "party1",
        "period": "2026-01",
        "existingOperationId": first.operation_id,
    }


def test_gate_7_lets_a_restated_period_pass_once_the_first_payout_failed(world):
    first = world.walked(world.enqueued(), "failed")
    world.supersede(PartyStatementOf(first), 12_000)

    assert enqueue().operation.amount_cents == 12_000


def PartyStatementOf(operation):
    from settld.closing.models import PartyStatement

    return PartyStatement.objects.get(statement_hash=operation.statement_hash)


# --- the five rejections: gates 8, 9, 10, 13, 14 --------------------------------------------------------
def test_gate_8_refuses_real_money_by_default(world, refused):
    world.closed()
    with refused("REAL_MONEY_DISABLED") as caught:
        enqueue(provider_id="stripe_sim")
    assert caught.value.details == {"providerId": "stripe_sim"}


def test_gate_9_stops_every_mode(world, refused):
    world.set_controls(payoutKillSwitch=True)
    world.closed()
    with refused("PAYOUT_KILL_SWITCH_ACTIVE") as caught:
        enqueue()
    assert caught.value.details == {"providerId": "stub_default"}


def test_gate_8_answers_before_gate_9(world, refused):
    world.set_controls(payoutKillSwitch=True)
    world.closed()
    with refused("REAL_MONEY_DISABLED"):
        enqueue(provider_id="stripe_sim")


def test_gate_10_refuses_a_provider_that_is_not_allowed(world, refused):
    world.set_controls(allowedProviderIds=["stub_other"])
    world.closed()
    with refused("MONEY_RAIL_PROVIDER_NOT_ALLOWED") as caught:
        enqueue()
    assert caught.value.details == {"providerId": "stub_default", "allowedProviderIds": ["stub_other"]}


@pytest.mark.parametrize("allowed", [None, []])
def test_gate_10_takes_null_and_empty_for_any(world, allowed):
    world.set_controls(allowedProviderIds=allowed)
    world.closed()
    assert enqueue().operation is not None


def test_gate_11_holds_until_the_challenge_window_is_over(world, refused):
    world.closed(payable_after=NOW)
    with refused("PAYOUT_HOLDBACK_ACTIVE") as caught:
        enqueue(now=NOW - dt.timedelta(milliseconds=1))
    assert caught.value.details == {"payableAfter": "2026-03-10T12:00:00.000Z"}
    assert enqueue(now=NOW).operation is not None


def test_gate_13_refuses_above_the_cap_and_passes_the_cap_itself(world, refused):
    world.set_controls(maxPayoutAmountCents=9_999)
    world.closed()
    with refused("PAYOUT_AMOUNT_LIMIT_EXCEEDED") as caught:
        enqueue()
    assert caught.value.details == {
        "providerId": "stub_default",
        "payoutAmountCents": 10_000,
        "maxPayoutAmountCents": 9_999,
    }
    world.set_controls(maxPayoutAmountCents=10_000)
    assert enqueue().operation is not None


def test_gate_14_refuses_above_the_day_and_passes_the_limit_itself(world, refused):
    world.set_controls(dailyPayoutLimitCents=24_999)
    world.enqueued("party0", payout_cents=15_000, provider_id="stub_other")  # another provider counts too
    world.closed()
    with refused("PAYOUT_DAILY_LIMIT_EXCEEDED") as caught:
        enqueue()
    assert caught.value.details == {
        "providerId": "stub_default",
        "dayKey": "2026-03-10",
        "currentExposureCents": 15_000,
        "payoutAmountCents": 10_000,
        "projectedExposureCents": 25_000,
        "dailyPayoutLimitCents": 24_999,
    }
    world.set_controls(dailyPayoutLimitCents=25_000)
    assert enqueue().operation is not None


def test_gate_14_counts_neither_another_day_nor_another_mode_nor_what_was_called_off(world):
    world.set_controls(dailyPayoutLimitCents=10_000, realMoneyEnabled=True)
    world.enqueued("yesterday", now=NOW - dt.timedelta(days=1))
    world.enqueued("real", provider_id="stripe_sim", counterparty_ref="stripe_connect:acct_1")
    world.walked(world.enqueued("failed"), "failed")
    world.closed()

    assert enqueue().operation is not None


@pytest.mark.parametrize("limit", [None, 0])
def test_null_and_zero_limits_are_no_limits(world, limit):
    world.set_controls(maxPayoutAmountCents=limit, dailyPayoutLimitCents=limit)
    world.closed()
    assert enqueue().operation is not None


# --- gates 15 and 16 ------------------------------------------------------------------------------------
def connect(**account):
    return {"enabled": True, "accounts": [{"accountId": "acct_party1", "partyId": "party1"} | account]}


def test_gate_15_needs_an_account_on_production_stripe(world, refused):
    world.set_controls(realMoneyEnabled=True, connect={"enabled": True})
    world.closed()
    with refused("STRIPE_CONNECT_ACCOUNT_REQUIRED") as caught:
        enqueue(provider_id="stripe_sim")
    assert caught.value.details == {"providerId": "stripe_sim", "partyId": "party1"}


@pytest.mark.parametrize(
    "fault", [{"status": "disabled"}, {"payoutsEnabled": False}, {"transfersEnabled": False}]
)
def test_gate_15_takes_no_ineligible_account_even_with_a_default(world, refused, fault):
    accounts = [{"accountId": "acct_party1", "partyId": "party1"} | fault, {"accountId": "acct_default"}]
    world.set_controls(
        realMoneyEnabled=True,
        connect={"enabled": True, "accounts": accounts, "defaultAccountId": "acct_default"},
    )
    world.closed()
    with refused("STRIPE_CONNECT_ACCOUNT_REQUIRED"):
        enqueue(provider_id="stripe_sim")


def test_gate_15_falls_back_to_a_default_that_is_nobody_elses(world):
    accounts = [{"accountId": "acct_default"}]
    world.set_controls(
        realMoneyEnabled=True,
        connect={"enabled": True, "accounts": accounts, "defaultAccountId": "acct_default"},
    )
    world.closed()
    assert enqueue(provider_id="stripe_sim").operation.counterparty_ref == "stripe_connect:acct_default"


def test_gate_15_never_pays_a_default_of_another_party(world, refused):
    accounts = [{"accountId": "acct_other", "partyId": "other"}]
    world.set_controls(
        realMoneyEnabled=True,
        connect={"enabled": True, "accounts": accounts, "defaultAccountId": "acct_other"},
    )
    world.closed()
    with refused("STRIPE_CONNECT_ACCOUNT_REQUIRED"):
        enqueue(provider_id="stripe_sim")


def test_gate_16_refuses_another_destination_than_the_partys_account(world, refused):
    world.set_controls(realMoneyEnabled=True, connect=connect())
    world.closed()
    with refused("STRIPE_CONNECT_COUNTERPARTY_MISMATCH") as caught:
        enqueue(provider_id="stripe_sim", counterparty_ref="bank:1")
    assert caught.value.details == {
        "providerId": "stripe_sim",
        "partyId": "party1",
        "expectedCounterpartyRef": "stripe_connect:acct_party1",
        "receivedCounterpartyRef": "bank:1",
    }
    made = enqueue(provider_id="stripe_sim", counterparty_ref="stripe_connect:acct_party1")
    assert made.operation.metadata["stripeConnectAccountId"] == "acct_party1"


def test_gate_14_answers_before_gate_15(world, refused):
    world.set_controls(realMoneyEnabled=True, dailyPayoutLimitCents=1, connect={"enabled": True})
    world.closed()
    with refused("PAYOUT_DAILY_LIMIT_EXCEEDED"):
        enqueue(provider_id="stripe_sim")


# --- the replay rule, step 6 ------------------------------------------------------------------------------
@pytest.mark.parametrize(("first", "again"), [("", ""), ("", "party:party1"), ("bank:1", "bank:1")])
def test_a_repeat_answers_the_recorded_outcome_and_writes_nothing(world, first, again):
    from moneyrails.models import Operation
    from settld.audit.models import OpsAudit

    world.closed()
    made = enqueue(counterparty_ref=first)
    world.set_controls(payoutKillSwitch=True)  # gates 8 to 16 are not asked again
    audits = OpsAudit.objects.count()
    repeat = enqueue(counterparty_ref=again)

    assert (repeat.operation, repeat.payout, repeat.chargeback) == (
        made.operation,
        made.payout,
        made.chargeback,
    )
    assert (Operation.objects.count(), OpsAudit.objects.count()) == (1, audits)


@pytest.mark.parametrize("end", ["cancelled", "failed"])
def test_a_repeat_after_the_payout_was_called_off_shows_it_and_makes_no_second(world, end):
    operation = world.walked(world.enqueued(), end)
    assert enqueue().operation == operation
    assert enqueue().operation.state == end


def test_a_repeat_with_another_provider_is_a_conflict(world, refused):
    world.enqueued()
    with refused("MONEY_RAIL_OPERATION_CONFLICT") as caught:
        enqueue(provider_id="stub_other")
    assert caught.value.message == "money rail operation rejected"
    assert caught.value.details["code"] == "MONEY_RAIL_OPERATION_CONFLICT"


@pytest.mark.parametrize(("first", "again"), [("bank:1", ""), ("bank:1", "bank:2"), ("", "bank:1")])
def test_a_repeat_with_another_counterparty_is_a_conflict(world, refused, first, again):
    world.enqueued(counterparty_ref=first)
    with refused("MONEY_RAIL_IDEMPOTENCY_CONFLICT") as caught:
        enqueue(counterparty_ref=again)
    assert caught.value.message == "money rail operation rejected"


def test_a_payout_whose_instruction_the_close_did_not_write_gets_one(world):
    from settld.artifacts.models import Artifact

    world.closed(instruction=False)
    made = enqueue(counterparty_ref="bank:1")

    instruction = Artifact.objects.get(artifact_type="PayoutInstruction.v1")
    assert instruction.artifact_hash == made.payout["artifactHash"]
    assert instruction.document["payout"] == {
        "amountCents": 10_000,
        "currency": "USD",
        "destinationRef": "bank:1",
    }


def test_the_longest_counterparty_that_the_route_takes_fits(world):
    world.closed()
    assert enqueue(counterparty_ref="b" * 500).operation.counterparty_ref == "b" * 500
