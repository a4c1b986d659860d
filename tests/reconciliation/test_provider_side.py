"""Issue 3.3: operations against the provider's own statement; each difference in exactly its own group."""

import datetime as dt

import pytest

from moneyrails.models import ConnectAccount
from reconciliation.models import Mismatch, ProviderTransfer, ReconcileReport
from settld.core import tenancy
from settld.core.hashing import canonical_hash
from settld.tenants.models import Tenant
from tests.reconciliation.books import NOW, PERIOD, TENANT
from tests.reconciliation.statement import ACCOUNT, PAID_AT, STRIPE, compare, differing, pull

MINUTE = dt.timedelta(minutes=1)


def test_both_sides_agreeing_pass_with_the_same_hash_twice(paid, stripe):
    for party in ("p1", "p2"):
        stripe.pay(paid.send(party))
    pull()

    first, second = compare(), compare(now=NOW + MINUTE)

    assert (first.status, differing(first), first.report_hash) == ("pass", {}, second.report_hash)
    assert first.report_hash == canonical_hash(first.core)
    assert first.core["summary"] == {
        "transferCount": 2, "transferAmountCents": 20_000, "reversedAmountCents": 0,
        "sentOperationCount": 2, "sentAmountCents": 20_000, "matchedCount": 2, "mismatchCount": 0,
    }  # fmt: skip


def test_with_every_webhook_lost_a_transfer_that_only_the_provider_has_is_found(paid, stripe):
    stripe.pay(paid.send("p1"))
    stripe.transfer("tr_stranger", amount=777, metadata={"settld_tenant_id": TENANT}, at=PAID_AT)
    pull()

    assert differing(compare(period="2026-03")) == {
        "providerOnlyTransfers": [
            {
                "transferId": "tr_stranger",
                "operationId": None,
                "payoutKey": None,
                "amountCents": 777,
                "amountReversedCents": 0,
                "currency": "USD",
                "destination": ACCOUNT,
                "attributedBy": "metadata",
                "createdAt": "2026-03-04T12:00:00.000Z",
            }
        ]
    }
    assert differing(compare()) == {}  # February's own transfer is February's, though it was made in March


def test_with_every_webhook_lost_a_transfer_that_we_never_recorded_is_found(paid, stripe):
    operation = paid.waits("p1")
    stripe.pay(operation, transfer_id="tr_lost")
    pull()

    rows = differing(compare())

    assert list(rows) == ["unrecordedTransfers"]
    assert rows["unrecordedTransfers"][0] | {"createdAt": ""} == {
        "operationId": operation.operation_id, "payoutKey": operation.payout_key, "transferId": "tr_lost",
        "state": "initiated", "amountCents": 10_000, "currency": "USD", "createdAt": "",
    }  # fmt: skip


def test_an_operation_marked_sent_that_the_provider_does_not_have_is_missing(paid, stripe):
    operation = paid.send("p1")
    pull()

    rows = differing(compare())

    assert list(rows) == ["missingTransfers"]
    assert rows["missingTransfers"][0]["operationId"] == operation.operation_id
    assert rows["missingTransfers"][0]["providerRef"] == "tr_p1"


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"amount": 9_999}, ["amountCents"]),
        ({"currency": "eur"}, ["currency"]),
        ({"destination": "acct_thief"}, ["destination"]),
        ({"transfer_group": "another"}, ["transferGroup"]),
        ({"transfer_id": "tr_other"}, ["transferId"]),
        ({"amount": 1, "destination": "acct_thief"}, ["amountCents", "destination"]),
    ],
)
def test_what_differs_in_a_transfer_is_named_with_both_sides(paid, stripe, change, differs):
    operation = paid.send("p1")
    stripe.pay(operation, **change)
    pull()

    rows = differing(compare())
    row = rows["transferMismatches"][0]

    assert set(rows) == {"transferMismatches"} | ({"missingTransfers"} if "transferId" in differs else set())
    assert row["differs"] == differs
    assert all(row["expected"][name] != row["actual"][name] for name in differs)


@pytest.mark.parametrize(("amount", "extent"), [(10_000, "whole"), (2_500, "part")])
def test_money_that_came_back_at_the_provider_alone_is_found_though_its_transfer_is_old(
    paid, stripe, amount, extent
):
    operation = paid.send("p1")
    transfer = stripe.pay(operation, at=NOW - dt.timedelta(days=100))
    stripe.pay(paid.send("p2"))  # newer, so that a read by age alone goes past the reversed one
    pull()
    assert compare().status == "pass"

    stripe.reverse(transfer, amount=amount)
    pull(NOW + MINUTE)

    rows = differing(compare(now=NOW + MINUTE))
    assert list(rows) == ["unrecordedReversals"]
    found = rows["unrecordedReversals"][0]
    assert (found["extent"], found["amountReversedCents"], found["state"]) == (extent, amount, "confirmed")


def test_a_reversal_that_both_sides_have_is_none(paid, stripe):
    transfer = stripe.pay(paid.send("p1", state="reversed"))
    stripe.reverse(transfer, amount=10_000)
    pull()

    assert compare().status == "pass"


def test_a_reversal_that_we_alone_have_is_shown(paid, stripe):
    stripe.pay(paid.send("p1", state="reversed"))
    pull()

    assert list(differing(compare())) == ["reversalsOnlyHere"]


@pytest.mark.parametrize("is_recorded", [True, False])
def test_two_transfers_for_one_operation_are_a_duplicate(paid, stripe, is_recorded):
    operation = paid.send("p1") if is_recorded else paid.waits("p1")
    stripe.pay(operation)
    stripe.pay(operation, transfer_id="tr_second", at=PAID_AT + MINUTE)
    pull()

    report = compare()

    assert set(differing(report)) == {"duplicateTransfers"} | (
        set() if is_recorded else {"unrecordedTransfers"}
    )
    row = report.core["mismatches"]["duplicateTransfers"][0]
    assert (row["transferId"], row["primaryTransferId"]) == ("tr_second", "tr_p1")
    assert report.core["summary"]["sentOperationCount"] == (1 if is_recorded else 0)


def test_a_second_transfer_that_was_taken_back_whole_is_none(paid, stripe):
    operation = paid.send("p1")
    stripe.pay(operation)
    stripe.reverse(stripe.pay(operation, transfer_id="tr_second"), amount=10_000)
    pull()

    assert compare().status == "pass"


def test_a_payout_of_february_that_is_sent_in_june_ties_out_in_february(paid, stripe):
    june = dt.datetime(2026, 6, 2, tzinfo=dt.UTC)
    stripe.pay(paid.send("p1", submitted_at=june), at=june)
    pull(june + dt.timedelta(days=1))

    assert compare(now=june + dt.timedelta(days=1)).core["summary"]["matchedCount"] == 1
    assert differing(compare(period="2026-06", now=june + dt.timedelta(days=1))) == {}


def test_what_is_younger_than_the_lag_is_in_flight_and_no_difference(paid, stripe):
    paid.send("p_sent", submitted_at=NOW - 14 * MINUTE)
    stripe.pay(paid.waits("p_told"), at=NOW - 14 * MINUTE)
    stripe.transfer("tr_new", metadata={"settld_tenant_id": TENANT}, at=NOW - 14 * MINUTE)
    pull()

    report = compare()
    assert (differing(report), report.in_flight_count) == ({}, 1)
    assert differing(compare(period="2026-03")) == {}

    later = NOW + 2 * MINUTE
    pull(later)
    assert set(differing(compare(now=later))) == {"missingTransfers", "unrecordedTransfers"}
    assert set(differing(compare(period="2026-03", now=later))) == {"providerOnlyTransfers"}


def test_what_no_read_has_covered_is_not_called_missing(paid, stripe, settings):
    settings.PROVIDER_STATEMENT = {**settings.PROVIDER_STATEMENT, "lookback_days": 30}
    paid.send("p_old", submitted_at=NOW - dt.timedelta(days=31))
    assert compare().status == "not_read"
    pull()

    report = compare()
    assert (report.status, report.unchecked_count) == ("pass", 1)


def test_a_transfer_made_by_hand_and_adopted_is_not_only_the_providers(paid, stripe):
    paid.send("p1", provider_ref="tr_p1")
    stripe.transfer("tr_p1", transfer_group="by hand", metadata={"settld_tenant_id": TENANT})  # so of March
    pull()

    assert differing(compare(period="2026-03")) == {}
    rows = differing(compare())
    assert list(rows) == ["transferMismatches"]
    assert rows["transferMismatches"][0]["differs"] == ["transferGroup"]


def test_cases_join_the_queue_under_their_own_source_and_clear_when_gone(paid, stripe):
    operation = paid.send("p1")
    pull()
    first = compare(persist=True)
    case = Mismatch.objects.get()
    assert (case.source_type, case.mismatch_type, case.is_open) == (
        "provider_statement", "missing_transfer", True,
    )  # fmt: skip
    assert (
        first.artifact.artifact_id
        == f"money_rail_provider_reconcile_{PERIOD}_stripe_sim_{first.report_hash[:24]}"
    )
    paid.reconcile(provider=STRIPE, persist=True)  # the other side's run clears nothing of this one's
    case.refresh_from_db()
    assert case.is_open

    stripe.pay(operation)
    pull(NOW + MINUTE)
    compare(persist=True, now=NOW + MINUTE)

    case.refresh_from_db()
    assert case.cleared_at == NOW + MINUTE
    assert sorted(ReconcileReport.objects.values_list("side", "status")) == [
        ("books", "pass"), ("provider", "fail"), ("provider", "pass"),
    ]  # fmt: skip


def test_the_specs_report_is_the_same_whether_or_not_the_provider_is_asked(paid, stripe):
    paid.send("p1")
    before = paid.reconcile(provider=STRIPE)
    pull()
    compare(persist=True)

    after = paid.reconcile(provider=STRIPE)

    assert (after.report_hash, after.core) == (before.report_hash, before.core)


def test_another_provider_has_no_statement(paid, stripe):
    from reconciliation.services import provider_report

    report = provider_report.reconcile(
        tenant_id=TENANT, period=PERIOD, provider_id="stub_default", persist=True, now=NOW
    )
    assert (report.status, report.artifact) == ("unsupported", None)


# --- Whose line is it? ----------------------------------------------------------------------------
def lines(tenant_id):
    with tenancy.tenant_scope(tenant_id):
        rows = ProviderTransfer.objects.filter(tenant_id=tenant_id, withdrawn_at__isnull=True)
        return dict(rows.values_list("transfer_id", "attributed_by"))


def connect(tenant_id, account_id):
    with tenancy.tenant_scope(tenant_id):
        ConnectAccount.objects.create(
            tenant_id=tenant_id, account_id=account_id, created_at=NOW, updated_at=NOW
        )


def test_lines_belong_by_metadata_then_account_then_to_the_default_tenant(paid, stripe):
    Tenant.objects.create(tenant_id="tenant_else", created_at=NOW, updated_at=NOW)
    connect("tenant_else", "acct_else")
    connect("tenant_else", "acct_shared")
    connect(TENANT, "acct_shared")
    stripe.transfer("tr_1", metadata={"settld_tenant_id": TENANT}, destination="acct_else")
    stripe.transfer("tr_2", destination="acct_else")
    stripe.transfer("tr_3", destination="acct_shared")
    stripe.transfer("tr_4", metadata={"settld_tenant_id": "nobody_here"})
    pull()

    assert lines(TENANT) == {"tr_1": "metadata"}
    assert lines("tenant_else") == {"tr_2": "account"}
    assert lines("tenant_default") == {"tr_3": "default", "tr_4": "default"}


def test_a_line_moves_to_the_tenant_that_turns_out_to_own_it(paid, stripe):
    stripe.transfer("tr_1", destination="acct_later")
    pull()
    with tenancy.tenant_scope("tenant_default"):
        assert set(differing(compare(period="2026-03", tenant_id="tenant_default"))) == {
            "providerOnlyTransfers"
        }
    connect(TENANT, "acct_later")
    pull(NOW + MINUTE)

    assert (lines("tenant_default"), lines(TENANT)) == ({}, {"tr_1": "account"})
    with tenancy.tenant_scope("tenant_default"):
        assert differing(compare(period="2026-03", tenant_id="tenant_default")) == {}
