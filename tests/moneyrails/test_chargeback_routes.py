"""The chargeback routes over HTTP: the exposure's exact shape, adjustments once, hostile input (spec 2.4)."""

import pytest

from tests.support.api import body, refusal

EXPOSURE = "/ops/finance/money-rails/chargebacks"
ADJUST = f"{EXPOSURE}/adjustments"
NET = {"enabled": True, "negativeBalanceMode": "net"}


def owe(world, party_id="party1", period="2025-12", cents=10_000, **more):
    return world.walked(world.enqueued(party_id, period, cents, **more), "submitted", "confirmed", "reversed")


def wanted(operation, **changes):
    return {
        "partyId": operation.party_id, "operationId": operation.operation_id, "amountCents": 2_500,
        "reasonCode": "dispute_won",
    } | changes  # fmt: skip


def entries():
    from moneyrails.models import ChargebackEntry

    return list(ChargebackEntry.objects.order_by("seq").values_list("kind", "amount_cents"))


def test_the_exposure_of_nobody_is_empty(api, world):
    world.enqueued()
    assert body(api.get(EXPOSURE)) == {
        "tenantId": "tenant_a", "providerId": "stub_default", "period": None, "partyId": None,
        "summary": {
            "partyCount": 0, "totalOutstandingCents": 0, "totalReversedAmountCents": 0,
            "totalRecoveredCents": 0,
        },
        "parties": [],
    }  # fmt: skip


def test_the_exposure_shows_each_party_with_a_reversal_by_id(api, world):
    owe(world, "zed", cents=1_000)
    owe(world, "Ann", cents=5_000)
    owe(world, "Ann", "2025-11", cents=3_000)
    world.set_controls(chargebacks=NET)
    world.enqueued("Ann", "2026-01", 9_000)  # repays both
    first = owe(world, "bob", "2025-10", cents=4_000)
    api.post(ADJUST, wanted(first))
    world.enqueued("clear", "2026-01")

    shown = body(api.get(EXPOSURE))

    assert [party["partyId"] for party in shown["parties"]] == ["Ann", "bob", "zed"]
    assert shown["parties"][0] == {
        "partyId": "Ann", "outstandingCents": 0, "totalReversedAmountCents": 8_000,
        "totalRecoveredCents": 8_000, "totalAdjustedCents": 0, "reversedCount": 2, "recoveryCount": 1,
        "latestReversedAt": "2026-03-10T12:00:00.000Z", "status": "clear",
    }  # fmt: skip
    assert shown["parties"][1]["totalAdjustedCents"] == 2_500
    assert [party["status"] for party in shown["parties"]] == [
        "clear",
        "negative_balance",
        "negative_balance",
    ]
    assert shown["summary"] == {
        "partyCount": 3, "totalOutstandingCents": 2_500, "totalReversedAmountCents": 13_000,
        "totalRecoveredCents": 8_000,
    }  # fmt: skip


def test_both_filters_select_reversals_and_recovered_amounts_follow_them(api, world):
    """A recovery by a later month and another provider belongs to the reversal that it repays."""
    owe(world, period="2025-11", cents=3_000)
    owe(world, period="2025-12", cents=3_000, provider_id="stub_other")
    world.set_controls(chargebacks=NET)
    world.enqueued(period="2026-01", payout_cents=10_000, provider_id="stub_other")

    older = body(api.get(f"{EXPOSURE}?period=2025-11&partyId=party1"))
    assert (older["period"], older["partyId"]) == ("2025-11", "party1")
    assert older["parties"][0]["totalRecoveredCents"] == 3_000
    assert older["parties"][0]["recoveryCount"] == 1
    other = body(api.get(f"{EXPOSURE}?providerId=stub_other"))["parties"][0]
    assert (other["totalReversedAmountCents"], other["totalRecoveredCents"]) == (3_000, 3_000)
    for empty in ("period=2026-01", "period=2025-12", "partyId=party2", "providerId=bank_wire"):
        assert body(api.get(f"{EXPOSURE}?{empty}"))["parties"] == []


def test_a_released_recovery_is_no_live_recovery(api, world):
    owe(world, cents=3_000)
    world.set_controls(chargebacks=NET)
    world.walked(world.enqueued(period="2026-01"), "failed")
    party = body(api.get(EXPOSURE))["parties"][0]
    assert (party["outstandingCents"], party["totalRecoveredCents"], party["recoveryCount"]) == (3_000, 0, 0)


def test_pages_are_cut_and_the_summary_is_not(api, world):
    for number in range(5):
        owe(world, f"p{number}", cents=1_000)
    page = body(api.get(f"{EXPOSURE}?limit=2&offset=2"))
    assert [party["partyId"] for party in page["parties"]] == ["p2", "p3"]
    assert page["summary"]["partyCount"] == 5
    beyond = body(api.get(f"{EXPOSURE}?offset=5"))
    assert (beyond["parties"], beyond["summary"]["totalOutstandingCents"]) == ([], 5_000)


@pytest.mark.parametrize("period", ["2026-13", "202601", "x", "2026-1", "%00"])
def test_a_malformed_period_is_an_invalid_chargeback_query(api, world, period):
    answer = api.get(f"{EXPOSURE}?period={period}")
    assert answer.status_code == 400
    if period != "%00":
        assert body(answer)["error"] == "invalid chargeback query"
    assert body(answer)["code"] == "SCHEMA_INVALID"


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "offset=-1", "partyId=" + "x" * 201, "providerId=%00"]
)
def test_other_faults_of_the_query_are_refused(api, world, query):
    assert refusal(api.get(f"{EXPOSURE}?{query}")) == (400, "SCHEMA_INVALID")


def test_the_exposure_costs_the_same_for_many_parties(api, world):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    owe(world, "p0")
    api.get(EXPOSURE)
    with CaptureQueriesContext(connection) as one:
        api.get(EXPOSURE)
    for number in range(1, 6):
        owe(world, f"p{number}")
    with CaptureQueriesContext(connection) as many:
        api.get(EXPOSURE)
    assert len(many.captured_queries) == len(one.captured_queries)


def test_debts_too_great_for_a_number_are_written_as_text(api, world):
    most = 2**53 - 1
    owe(world, period="2025-11", cents=most)
    owe(world, period="2025-12", cents=most)
    party = body(api.get(EXPOSURE))["parties"][0]
    assert party["outstandingCents"] == str(2 * most)
    world.set_controls(chargebacks=NET)
    world.closed(period="2026-01")
    answer = api.post("/ops/payouts/party1/2026-01/enqueue")
    assert body(answer)["chargeback"]["outstandingBeforeCents"] == str(2 * most)


def test_an_adjustment_takes_an_amount_off_and_says_what_is_left(api, world):
    from settld.audit.models import OpsAudit

    operation = owe(world)
    owe(world, period="2025-11", cents=1_000)
    answer = api.post(ADJUST, wanted(operation, note="case 7"))

    assert answer.status_code == 201
    shown = body(answer)
    assert list(shown) == ["adjustment", "outstandingAfterCents"]
    assert shown["outstandingAfterCents"] == 8_500
    adjustment_id = shown["adjustment"].pop("adjustmentId")
    assert shown["adjustment"] == {
        "schemaVersion": "MoneyRailChargebackAdjustment.v1", "tenantId": "tenant_a", "partyId": "party1",
        "providerId": "stub_default", "operationId": operation.operation_id, "currency": "USD",
        "providerMode": "sandbox", "amountCents": 2_500, "reasonCode": "dispute_won", "note": "case 7",
        "reversalOpenAfterCents": 7_500, "recordedBy": api_principal(), "at": "2026-03-10T12:00:00.000Z",
    }  # fmt: skip
    audit = OpsAudit.objects.get(action="MONEY_RAIL_CHARGEBACK_ADJUSTED")
    assert (audit.target_type, audit.target_id) == ("money_rail_operation", operation.operation_id)
    assert audit.details == {
        "adjustmentId": adjustment_id, "partyId": "party1", "operationId": operation.operation_id,
        "currency": "USD", "providerMode": "sandbox", "amountCents": 2_500, "reasonCode": "dispute_won",
        "note": "case 7", "reversalOpenAfterCents": 7_500, "outstandingAfterCents": 8_500,
    }  # fmt: skip


def api_principal():
    from moneyrails.models import ChargebackEntry

    return ChargebackEntry.objects.get(kind="adjustment").recorded_by


def test_an_adjustment_is_made_once_per_key(api, world):
    operation = owe(world)
    first = api.post(ADJUST, wanted(operation), key="a1")
    again = api.post(ADJUST, wanted(operation), key="a1")
    assert (again.status_code, again.content) == (201, first.content)
    assert again["x-idempotent-replay"] == "true"
    assert entries() == [("reversal", 10_000), ("adjustment", 2_500)]
    other = api.post(ADJUST, wanted(operation, amountCents=1), key="a1")
    assert refusal(other) == (409, "IDEMPOTENCY_CONFLICT")


def test_an_adjustment_above_what_the_reversal_has_open_is_refused(api, world):
    operation = owe(world, cents=4_000)
    owe(world, period="2025-11", cents=50_000)  # the party owes more, this reversal does not
    assert api.post(ADJUST, wanted(operation)).status_code == 201
    before = entries()
    answer = api.post(ADJUST, wanted(operation, amountCents=1_501), key="a1")
    assert refusal(answer) == (409, "CHARGEBACK_ADJUSTMENT_EXCEEDS_OUTSTANDING")
    assert body(answer)["details"] == {
        "partyId": "party1", "operationId": operation.operation_id, "amountCents": 1_501, "openCents": 1_500,
    }  # fmt: skip
    assert entries() == before
    assert api.post(ADJUST, wanted(operation, amountCents=1_500), key="a1").status_code == 201


def test_what_a_payout_repaid_cannot_be_adjusted_again_until_it_is_released(api, world):
    operation = owe(world, cents=4_000)
    world.set_controls(chargebacks=NET)
    netted = world.enqueued(period="2026-01")
    assert refusal(api.post(ADJUST, wanted(operation)))[1] == "CHARGEBACK_ADJUSTMENT_EXCEEDS_OUTSTANDING"
    world.walked(netted, "cancelled")
    assert body(api.post(ADJUST, wanted(operation)))["outstandingAfterCents"] == 1_500


def test_a_payout_that_was_not_reversed_has_nothing_to_adjust(api, world):
    operation = world.walked(world.enqueued(), "submitted", "confirmed")
    answer = api.post(ADJUST, wanted(operation))
    assert refusal(answer) == (409, "MONEY_RAIL_OPERATION_NOT_REVERSED")
    assert body(answer)["details"] == {"operationId": operation.operation_id, "state": "confirmed"}


def test_unknown_operations_other_parties_and_other_tenants_are_not_found(api, world):
    operation = owe(world)
    for changes in ({"operationId": "mop_x"}, {"partyId": "party2"}):
        assert refusal(api.post(ADJUST, wanted(operation, **changes))) == (404, "NOT_FOUND")
    assert refusal(api.as_tenant("tenant_b").post(ADJUST, wanted(operation))) == (404, "NOT_FOUND")
    assert body(api.as_tenant("tenant_b").get(EXPOSURE))["parties"] == []
    assert entries() == [("reversal", 10_000)]


@pytest.mark.parametrize(
    "changes",
    [
        {"amountCents": 0}, {"amountCents": -1}, {"amountCents": 1.5}, {"amountCents": True},
        {"amountCents": None}, {"amountCents": 2**53}, {"amountCents": 10**40}, {"amountCents": "1e3"},
        {"amountCents": []}, {"partyId": None}, {"partyId": 7}, {"partyId": " "}, {"partyId": "x" * 201},
        {"operationId": {}}, {"operationId": "x" * 901}, {"reasonCode": None}, {"reasonCode": "x" * 201},
        {"note": 7}, {"note": "x" * 2_001}, {"note": "a\x00b"}, {"partyId": "\ud800"},
    ],
)  # fmt: skip
def test_hostile_bodies_get_a_clear_no_and_change_nothing(api, world, changes):
    operation = owe(world)
    assert refusal(api.post(ADJUST, wanted(operation, **changes))) == (400, "SCHEMA_INVALID")
    assert entries() == [("reversal", 10_000)]


def test_reading_needs_no_right_to_write_and_adjusting_does(api, world):
    operation = owe(world)
    reader = api.with_token("tok_read")
    assert reader.get(EXPOSURE).status_code == 200
    assert refusal(reader.post(ADJUST, wanted(operation))) == (403, "FORBIDDEN")
    assert refusal(reader.with_token("nobody").get(EXPOSURE)) == (403, "FORBIDDEN")


def test_an_adjusted_operation_stays_reversed(api, world):
    operation = owe(world)
    api.post(ADJUST, wanted(operation, amountCents=10_000))
    operation.refresh_from_db()
    assert operation.state == "reversed"
    assert body(api.get(EXPOSURE))["parties"][0]["status"] == "clear"


def test_debts_outlive_a_providers_configuration_and_a_misspelt_one_is_not_found(api, world, settings):
    from tests.support.factories import rails

    owe(world, provider_id="stub_other")
    known = rails()
    del known.providers["stub_other"]
    settings.MONEY_RAILS = known
    assert body(api.get(f"{EXPOSURE}?providerId=stub_other"))["summary"]["totalOutstandingCents"] == 10_000
    answer = api.get(f"{EXPOSURE}?providerId=stub_othr")
    assert (answer.status_code, body(answer)["error"]) == (404, "money rail provider not found")
