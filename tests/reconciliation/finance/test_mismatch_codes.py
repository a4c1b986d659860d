"""finance 6.1: every mismatch code, provoked through what is stored, with its severity and its case."""

import pytest

from reconciliation.models import Mismatch
from settld.closing.models import PartyStatement
from tests.reconciliation.finance.month import (
    ADA,
    NOW,
    PERIOD,
    TENANT,
    as_owner,
    batch_id,
    found,
    reconcile,
    rewrite,
    statement_id,
)

LINES = ("batch", "lines")


def put(*path_and_value):
    """Make a change that sets one member of a document."""
    *path, last, value = path_and_value

    def change(content):
        for name in path:
            content = content[name]
        content[last] = value

    return change


def drop(*path):
    def change(content):
        *outer, last = path
        for name in outer:
            content = content[name]
        del content[last]

    return change


@pytest.mark.parametrize(
    ("change", "resealed", "error", "codes"),
    [
        (put("artifactType", "Other.v1"), True, "expected GLBatch.v1", {"GL_BATCH_TYPE_INVALID": "high"}),
        (
            put("schemaVersion", "GLBatch.v2"), True, "schemaVersion mismatch",
            {"GL_BATCH_SCHEMA_MISMATCH": "high"},
        ),
        (drop("artifactHash"), False, "missing glBatch artifactHash", {"GL_BATCH_HASH_MISSING": "critical"}),
        (
            put("batch", "lines", 0, "memo", "rewritten"), False, "glBatch artifactHash mismatch",
            {"GL_BATCH_HASH_MISMATCH": "critical"},
        ),
        (
            put("batch", "lines", 0, "amountCents", "700"), True, "glBatch line invalid",
            {"GL_BATCH_LINE_INVALID": "high", "GL_BATCH_IMBALANCED": "critical"},
        ),
        (
            put("batch", "lines", 0, "amountCents", 999_999), True, "glBatch does not net to zero",
            {"GL_BATCH_IMBALANCED": "critical", "PARTY_ACCOUNT_TOTAL_MISMATCH": "high",
             "LEDGER_ACCOUNT_TOTAL_MISMATCH": "critical"},
        ),
    ],
)  # fmt: skip
def test_a_batch_that_was_tampered_with(live_closed, change, resealed, error, codes):
    rewrite(batch_id(), change, resealed=resealed)

    report = reconcile(persist=True)

    assert (report.status, report.core["error"]) == ("fail", error)
    assert codes.items() <= dict(found(report)).items()
    case = Mismatch.objects.get(tenant_id=TENANT, mismatch_type="gl_batch")
    assert (case.mismatch_key, case.provider_id, case.source_type) == (batch_id(), "", "finance_reconcile")


@pytest.mark.parametrize(
    ("change", "resealed", "error", "codes"),
    [
        (
            put("artifactType", "x"), True, "expected PartyStatement.v1",
            {"PARTY_STATEMENT_TYPE_INVALID": "high"},
        ),
        (
            put("schemaVersion", "x"), True, "schemaVersion mismatch",
            {"PARTY_STATEMENT_SCHEMA_MISMATCH": "high"},
        ),
        (
            drop("artifactHash"), False, "missing partyStatement artifactHash",
            {"PARTY_STATEMENT_HASH_MISSING": "critical"},
        ),
        (
            put("statement", "feesCents", 5), False, "partyStatement artifactHash mismatch",
            {"PARTY_STATEMENT_HASH_MISMATCH": "critical"},
        ),
        (
            put("statement", "period", "2026-01"), True, "partyStatement period mismatch",
            {"PARTY_STATEMENT_PERIOD_MISMATCH": "high"},
        ),
        (
            put("statement", "basis", "bookedAt"), True, "partyStatement basis mismatch",
            {"PARTY_STATEMENT_BASIS_MISMATCH": "high"},
        ),
        (
            drop("statement", "totalsByAccountId"), True, "partyStatement totalsByAccountId missing",
            {"PARTY_STATEMENT_TOTALS_MISSING": "high", "PARTY_ACCOUNT_TOTAL_MISMATCH": "high"},
        ),
        (
            put("statement", "totalsByAccountId", "acct_operator_payable", "-700"), True,
            "partyStatement totalsByAccountId contains non-integer",
            {"PARTY_STATEMENT_TOTALS_INVALID": "high", "PARTY_ACCOUNT_TOTAL_MISMATCH": "high"},
        ),
        (
            put("statement", "totalsByAccountId", "acct_operator_payable", -701), True, "totals mismatch",
            {"PARTY_ACCOUNT_TOTAL_MISMATCH": "high"},
        ),
        (
            put("statement", "includedEntryIds", ["jnl_elsewhere"]), True, "included entry ids mismatch",
            {"ENTRY_MISSING_IN_GL_BATCH": "high"},
        ),
    ],
)  # fmt: skip
def test_a_statement_that_was_tampered_with(live_closed, change, resealed, error, codes):
    rewrite(statement_id(), change, resealed=resealed)

    report = reconcile(persist=True)

    assert (report.status, report.core["error"]) == ("fail", error)
    assert codes.items() <= dict(found(report)).items()
    assert report.core["mismatchCodes"] == sorted(dict(found(report)))


def test_both_sides_of_a_differing_total_are_in_the_row(live_closed):
    change = put("statement", "totalsByAccountId", "acct_operator_payable", -650)
    rewrite(statement_id(), change, resealed=True)

    report = reconcile()

    [row] = report.core["mismatches"]
    assert report.core["diffs"] == [row["details"]]
    assert row["mismatchKey"] == "pty_operator:p1|acct_operator_payable|USD"
    assert row["details"] == {
        "partyId": "pty_operator:p1", "accountId": "acct_operator_payable", "currency": "USD",
        "glBatchCents": -700, "partyStatementsCents": -650, "deltaCents": -50,
    }  # fmt: skip


def test_an_entry_that_a_statement_left_out(live_closed):
    def change(content):
        content["statement"]["includedEntryIds"] = []

    for party in ("pty_operator:p1", "pty_customer:c1"):
        rewrite(statement_id(party), change, resealed=True)

    report = reconcile()

    missing = [row["mismatchKey"] for row in report.core["mismatches"]]
    assert report.core["mismatchCodes"] == ["ENTRY_MISSING_IN_PARTY_STATEMENTS"]
    assert missing == [f"jnl_{PERIOD}_p1"]


def test_the_ledger_drifted_from_the_batch(live_closed):
    with as_owner() as owner:
        owner.execute(
            "UPDATE ledger_posting SET amount_cents = amount_cents * 2 WHERE entry_id = %s",
            [f"jnl_{PERIOD}_p1"],
        )
        owner.execute(
            "UPDATE ledger_entry SET entry_id = 'jnl_new' WHERE entry_id = %s", [f"jnl_{PERIOD}_p2"]
        )
        owner.execute(
            "UPDATE ledger_posting SET entry_id = 'jnl_new' WHERE entry_id = %s", [f"jnl_{PERIOD}_p2"]
        )

    report = reconcile()

    assert report.core["error"] == "ledger drift"
    rows = report.core["mismatches"]
    assert [(row["mismatchCode"], row["mismatchKey"], row["severity"]) for row in rows] == [
        ("GL_BATCH_ENTRY_MISSING_IN_LEDGER", f"jnl_{PERIOD}_p2", "critical"),
        ("LEDGER_ACCOUNT_TOTAL_MISMATCH", "acct_customer_escrow|USD", "critical"),
        ("LEDGER_ACCOUNT_TOTAL_MISMATCH", "acct_operator_payable|USD", "critical"),
        ("LEDGER_ENTRY_MISSING_IN_GL_BATCH", "jnl_new", "critical"),
    ]  # fmt: skip


def test_the_ledger_is_left_out_when_the_batch_names_no_close_of_this_tenant(live_closed):
    rewrite(batch_id(), put("batch", "monthClose", "monthCloseEventId", "evt_of_nobody"), resealed=True)
    with as_owner() as owner:
        owner.execute("UPDATE ledger_posting SET amount_cents = amount_cents * 2")

    assert reconcile().core["ok"]


def test_a_statement_made_by_hand_is_reported_as_unbacked_and_left_out_of_the_sums(closed):
    from settld.closing.services import statements
    from tests.reconciliation.finance.month import close_month, reopen

    reopen()
    content = statements.StatementContent(
        party_role="operator", currency="USD", payout_cents=1_000, payable_after=None, references=(),
        basis="settledAt",
    )  # fmt: skip
    statements.put(tenant_id=TENANT, party_id="pty_hand", period=PERIOD, content=content, actor=ADA, now=NOW)
    close_month()

    report = reconcile(persist=True)

    made = PartyStatement.objects.get(party_id="pty_hand", superseded_at=None)
    [row] = report.core["mismatches"]
    assert (report.core["error"], row["mismatchKey"]) == ("unbacked party statement", made.artifact_id)
    assert found(report) == [("PARTY_STATEMENT_UNBACKED", "medium")]


def test_all_faults_are_collected_in_code_order_peer_stops_at_the_first(live_closed):
    rewrite(batch_id(), drop("artifactHash"), resealed=False)
    rewrite(statement_id(), put("statement", "period", "2026-01"), resealed=False)

    report = reconcile(persist=True)

    assert report.core["error"] == "missing glBatch artifactHash"  # the first in the table's order
    assert report.core["mismatchCodes"] == [
        "GL_BATCH_HASH_MISSING", "PARTY_STATEMENT_HASH_MISMATCH", "PARTY_STATEMENT_PERIOD_MISMATCH",
    ]  # fmt: skip
    keys = [(row["mismatchCode"], row["mismatchKey"]) for row in report.core["mismatches"]]
    assert keys == sorted(keys)
    # A case's identity has no code in it: the statement is one case, of its gravest fault.
    case = Mismatch.objects.get(tenant_id=TENANT, mismatch_type="party_statement")
    assert (case.mismatch_code, case.severity) == ("PARTY_STATEMENT_HASH_MISMATCH", "critical")
    assert [other["mismatchCode"] for other in case.details["alsoFound"]] == [
        "PARTY_STATEMENT_PERIOD_MISMATCH"
    ]
    assert len(report.queue) == 2


def test_a_document_that_is_no_json_any_more_is_a_mismatch_and_no_error(live_closed):
    with as_owner() as owner:
        owner.execute("UPDATE artifact SET body = 'gone' WHERE artifact_id = %s", [batch_id()])

    report = reconcile(persist=True)

    assert report.core["error"] == "expected GLBatch.v1"
    assert "GL_BATCH_HASH_MISSING" in report.core["mismatchCodes"]


def test_a_number_without_canonical_form_is_reported_not_raised(live_closed):
    rewrite(batch_id(), put("artifactType", 5), resealed=True)
    with as_owner() as owner:
        owner.execute(
            "UPDATE artifact SET body = replace(body, %s, %s) WHERE artifact_id = %s",
            ['"artifactType":5', '"artifactType":12345678901234567890', batch_id()],
        )

    report = reconcile(persist=True)

    assert report.core["got"] == "12345678901234567890"
    assert report.core["mismatchCodes"] == ["GL_BATCH_HASH_MISMATCH", "GL_BATCH_TYPE_INVALID"]


def test_a_case_is_cleared_when_the_books_agree_again_and_returns_with_the_fault(live_closed):
    rewrite(batch_id(), put("schemaVersion", "x"), resealed=True)
    reconcile(persist=True)
    case = Mismatch.objects.get(tenant_id=TENANT)
    assert case.is_open

    rewrite(batch_id(), put("schemaVersion", "GLBatch.v1"), resealed=True)
    assert reconcile(persist=True).core["ok"]
    case.refresh_from_db()
    assert case.cleared_at is not None

    rewrite(batch_id(), put("schemaVersion", "x"), resealed=True)
    reconcile(persist=True)
    case.refresh_from_db()
    assert case.is_open


def test_a_batch_in_parts_is_read_part_by_part_and_a_rewritten_part_is_found(live_db, monkeypatch):
    from settld.closing.services import gl_batches
    from settld.core import tenancy
    from tests.reconciliation.finance.month import closed_books

    whole = gl_batches.write
    monkeypatch.setattr(gl_batches, "write", lambda **more: whole(**more, most_lines=1, part_lines=3))
    closed_books()
    with tenancy.tenant_scope(TENANT):
        sound = reconcile(persist=True)
        assert sound.core["ok"]
        assert sound.core["entryCount"] == 2

        rewrite(f"{batch_id()}_part_00001", put("lines", 0, "memo", "rewritten"), resealed=True)
        report = reconcile()

    assert report.core["error"] == "glBatch artifactHash mismatch"
    assert found(report) == [("GL_BATCH_HASH_MISMATCH", "critical")]
    assert [fault["part"] for fault in report.core["parts"]] == [
        f"{sound.inputs['glBatchArtifactId']}_part_00001"
    ]
