"""money-rails 2.6 and 8: A2, and A3 with each induced failure in exactly its own group."""

import dataclasses
import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from settld.core import tenancy
from settld.core.hashing import canonical_hash
from tests.reconciliation.books import NOW, PERIOD, TENANT, Books, found

LATER = NOW + dt.timedelta(hours=1)


def test_a2_the_normal_flow_passes_with_the_same_hash_twice(books):
    for period in ("2026-01", PERIOD):
        for party in ("p1", "p2"):
            books.pay(party, period=period)

    for period in ("2026-01", PERIOD):
        first, second = books.reconcile(period=period), books.reconcile(period=period, now=LATER)
        assert (first.status, found(first), first.report_hash) == ("pass", {}, second.report_hash)
        assert first.report_hash == canonical_hash(first.core)
        assert first.core["summary"] == {
            "expectedPayoutCount": 2,
            "expectedPayoutAmountCents": 20_000,
            "operationCount": 2,
            "matchedCount": 2,
            "settledCount": 2,
            "inFlightCount": 0,
            "cancelledCount": 0,
            "offsetSettledCount": 0,
            "criticalMismatchCount": 0,
            "operationStateCounts": {
                "initiated": 0,
                "submitted": 0,
                "confirmed": 2,
                "failed": 0,
                "cancelled": 0,
                "reversed": 0,
            },
        }


def test_a3_an_instruction_without_operation_is_missing(books):
    books.pay("p1")
    key = books.statement("p2")
    artifact_id = books.instruct(key)

    report = books.reconcile()

    assert report.status == "fail"
    assert found(report) == {
        "missingOperations": [
            {
                "operationId": f"mop_{key}",
                "payoutKey": key,
                "amountCents": 10_000,
                "currency": "USD",
                "partyId": "p2",
                "artifactId": artifact_id,
            }
        ]
    }


def test_a3_another_amount_is_an_amount_mismatch(books):
    key = books.statement("p1")
    books.instruct(key)
    operation = books.operate(key, cents=9_999)

    assert found(books.reconcile()) == {
        "amountMismatches": [
            {
                "operationId": operation.operation_id,
                "payoutKey": key,
                "expectedAmountCents": 10_000,
                "actualAmountCents": 9_999,
            }
        ]
    }


def test_a_gross_instruction_agrees_with_a_netted_payout(books):
    key = books.statement("p1")
    books.instruct(key, cents=10_000)
    books.operate(key, cents=7_500, recovery_applied_cents=2_500)

    assert books.reconcile().status == "pass"


def test_a_net_instruction_agrees_with_a_netted_payout(books):
    key = books.statement("p1")
    books.instruct(key, cents=7_500)
    books.operate(key, cents=7_500, recovery_applied_cents=2_500)

    assert books.reconcile().status == "pass"


def test_a3_another_currency_is_a_currency_mismatch(books):
    key = books.statement("p1")
    books.instruct(key, currency="EUR")
    operation = books.operate(key)

    assert found(books.reconcile()) == {
        "currencyMismatches": [
            {
                "operationId": operation.operation_id,
                "payoutKey": key,
                "expectedCurrency": "EUR",
                "actualCurrency": "USD",
            }
        ]
    }


@pytest.mark.parametrize("state", ["failed", "reversed"])
def test_a3_a_failed_or_reversed_payout_is_a_terminal_failure(books, state):
    operation = books.pay("p1", state=state, reason_code="account_closed")

    assert found(books.reconcile()) == {
        "terminalFailures": [
            {
                "operationId": operation.operation_id,
                "payoutKey": operation.payout_key,
                "state": state,
                "reasonCode": "account_closed",
            }
        ]
    }


def test_a3_a_foreign_operation_is_unexpected(books):
    operation = books.operate(books.statement("p1"), state="initiated")

    assert found(books.reconcile()) == {
        "unexpectedOperations": [
            {
                "operationId": operation.operation_id,
                "payoutKey": operation.payout_key,
                "amountCents": 10_000,
                "currency": "USD",
                "state": "initiated",
                "reasonCode": None,
            }
        ]
    }


def test_a3_a_second_instruction_is_a_duplicate_and_counts_once(books):
    operation = books.pay("p1")
    primary = f"payout_{operation.payout_key}".replace(":", "_")
    books.instruct(operation.payout_key, name="zz_second")

    report = books.reconcile()

    assert found(report) == {
        "duplicateExpected": [
            {
                "operationId": operation.operation_id,
                "payoutKey": operation.payout_key,
                "primaryArtifactId": primary,
                "duplicateArtifactId": "zz_second",
            }
        ]
    }
    assert report.core["summary"]["expectedPayoutCount"] == 1


@pytest.mark.parametrize("status", ["in_doubt", "indeterminate"])
def test_a3_a_dispatch_in_doubt_is_indeterminate_after_15_minutes(books, status):
    operation = books.pay("p1", state="initiated")
    books.dispatch(operation, since=NOW, status=status)

    at_the_limit = books.reconcile(now=NOW + dt.timedelta(minutes=15))
    beyond = books.reconcile(now=NOW + dt.timedelta(minutes=15, milliseconds=1))

    assert found(at_the_limit) == {}
    assert found(beyond) == {
        "indeterminateOperations": [
            {
                "operationId": operation.operation_id,
                "payoutKey": operation.payout_key,
                "attempt": 1,
                "since": "2026-03-05T12:00:00.000Z",
            }
        ]
    }
    assert beyond.report_hash == books.reconcile(now=LATER).report_hash  # the clock is not in the hash


def test_a3_a_crash_after_dispatch_is_indeterminate_once_its_lease_ran_out(books):
    operation = books.pay("p1", state="initiated")
    books.dispatch(
        operation, since=NOW, status="dispatching", lease_expires_at=NOW + dt.timedelta(minutes=30)
    )

    assert found(books.reconcile(now=NOW + dt.timedelta(minutes=20))) == {}  # its holder still works on it
    assert list(found(books.reconcile(now=NOW + dt.timedelta(minutes=31)))) == ["indeterminateOperations"]


def test_a1_a_movement_that_reaches_no_statement_is_unreferenced(books):
    key = books.statement("p1")
    books.instruct(key)
    operation = books.operate(key, state="initiated")
    books.move(operation, reference_id=f"{key}0")

    assert found(books.reconcile()) == {
        "unreferencedMovements": [
            {"operationId": operation.operation_id, "providerRef": "tr_p1", "amountCents": 10_000}
        ]
    }


def test_a_cancelled_payout_is_no_mismatch(books):
    books.pay("p1", state="cancelled")

    report = books.reconcile()

    assert (report.status, report.core["summary"]["cancelledCount"]) == ("pass", 1)


def test_a_full_offset_counts_as_settled_by_offset_and_not_as_missing(books):
    key = books.statement("p1")
    books.instruct(key)
    books.offset(key)

    report = books.reconcile()

    summary = report.core["summary"]
    assert report.status == "pass"
    assert (summary["expectedPayoutCount"], summary["offsetSettledCount"], summary["matchedCount"]) == (
        1,
        1,
        0,
    )


def test_an_instruction_belongs_to_the_provider_that_took_it(books, settings):
    settings.MONEY_RAILS = _with_stripe(settings.MONEY_RAILS)
    books.pay("p1", provider="stripe_sim")

    assert found(books.reconcile(provider="stub_default")) == {}
    assert books.reconcile(provider="stub_default").core["summary"]["expectedPayoutCount"] == 0
    assert books.reconcile(provider="stripe_sim").core["summary"]["matchedCount"] == 1


def test_an_instruction_stays_with_a_provider_that_is_configured_no_more(books):
    books.pay("p1", provider="bank_of_old")

    assert books.reconcile(provider="stub_default").core["summary"]["expectedPayoutCount"] == 0


def test_an_instruction_without_operation_is_missed_by_the_default_provider_alone(books, settings):
    settings.MONEY_RAILS = _with_stripe(settings.MONEY_RAILS)
    books.instruct(books.statement("p1"))

    assert list(found(books.reconcile(provider="stub_default"))) == ["missingOperations"]
    assert found(books.reconcile(provider="stripe_sim")) == {}


def test_the_instruction_of_a_superseded_statement_is_expected_no_more(books):
    old = books.statement("p1", cents=10_000, superseded_at=NOW)
    books.instruct(old)
    new = books.statement("p1", cents=12_000, generation=2)
    books.instruct(new, cents=12_000)
    books.operate(new, cents=12_000)

    report = books.reconcile()

    assert (report.status, report.core["summary"]["expectedPayoutCount"]) == ("pass", 1)


def test_the_instruction_of_a_superseded_statement_still_explains_its_operation(books):
    old = books.statement("p1", cents=10_000, superseded_at=NOW)
    books.instruct(old)
    books.operate(old)

    report = books.reconcile()

    assert (report.status, report.core["summary"]["matchedCount"]) == ("pass", 1)


def test_rows_stand_in_code_point_order(books):
    for party in ("b", "B", "a", "_", "é"):
        books.instruct(books.statement(party))

    rows = found(books.reconcile())["missingOperations"]

    assert [row["partyId"] for row in rows] == ["B", "_", "a", "b", "é"]
    assert [row["operationId"] for row in rows] == sorted(row["operationId"] for row in rows)


def test_another_tenants_rows_are_not_seen(books):
    with tenancy.tenant_scope("tenant_other"):
        Books("tenant_other").pay("p1", state="failed")

    assert books.reconcile().core["summary"]["operationCount"] == 0
    assert books.reconcile().core["tenantId"] == TENANT


def test_the_number_of_queries_does_not_follow_the_number_of_payouts(books):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            books.reconcile()
        return len(captured)

    books.pay("p_first", state="failed")
    with_one = queries()
    for number in range(30):
        books.pay(f"p{number}", state="failed" if number % 3 == 0 else "confirmed")

    assert queries() == with_one
    assert books.reconcile().core["summary"]["criticalMismatchCount"] == 11


def _with_stripe(rails):
    provider = dataclasses.replace(rails.default, provider_id="stripe_sim", mode="production")
    return dataclasses.replace(rails, providers={**rails.providers, "stripe_sim": provider})


@pytest.mark.parametrize(("parties", "shown"), [(1, 2**53 - 1), (2, str(2 * (2**53 - 1)))])
def test_a_sum_beyond_what_json_readers_keep_is_written_as_digits_p1_5(books, parties, shown):
    for number in range(parties):
        books.pay(f"p{number}", cents=2**53 - 1)

    report = books.reconcile()
    assert (report.status, report.core["summary"]["expectedPayoutAmountCents"]) == ("pass", shown)
    assert report.report_hash == canonical_hash(report.core)
