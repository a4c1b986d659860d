"""The comparison of a GL batch with its party statements: spec/settld-billing-and-finance.md 6.1."""

import pytest

from settld.closing.comparison import LedgerFigures, reconcile
from settld.core.hashing import artifact_hash

BASE = {"period": "2026-01", "basis": "settledAt"}
PARTY, ACCOUNT = "pty_operator:a", "acct_operator_payable"


def line(entry_id="e1", cents=5, party=PARTY, account=ACCOUNT, currency="USD"):
    return {
        "entryId": entry_id, "partyId": party, "accountId": account, "currency": currency,
        "amountCents": cents,
    }  # fmt: skip


LINES = (line(cents=-5), line(cents=5, party="pty_customer:c", account="acct_customer_escrow"))


def hashed(document):
    return document | {"artifactHash": artifact_hash(document)}


def batch(lines=LINES, **changes):
    body = {"artifactType": "GLBatch.v1", "schemaVersion": "GLBatch.v1", "artifactId": "gl_1"}
    return hashed(body | {"batch": BASE | {"lines": list(lines)}} | changes)


def stated(party, totals, entry_ids=("e1",), *, currency="USD", envelope=None, **changes):
    body = {
        "artifactType": "PartyStatement.v1", "schemaVersion": "PartyStatement.v1",
        "artifactId": f"pstmt_{party}",
    }  # fmt: skip
    statement = BASE | {
        "partyId": party, "currency": currency, "totalsByAccountId": totals,
        "includedEntryIds": list(entry_ids),
    } | changes  # fmt: skip
    return hashed(body | {"statement": statement} | (envelope or {}))


def operator(totals=None, **changes):
    return stated(PARTY, {ACCOUNT: -5} if totals is None else totals, **changes)


CUSTOMER = stated("pty_customer:c", {"acct_customer_escrow": 5})


def test_two_sides_that_agree_give_exactly_this():
    assert reconcile(batch(), [operator(), CUSTOMER]) == {
        "ok": True, "period": "2026-01", "basis": "settledAt", "totalsKeys": 2, "entryCount": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("books", "error", "code", "severity", "fields"),
    [
        (batch(artifactType="X"), "expected GLBatch.v1", "GL_BATCH_TYPE_INVALID", "high", {"got": "X"}),
        (
            batch(schemaVersion="v2"), "schemaVersion mismatch", "GL_BATCH_SCHEMA_MISMATCH", "high",
            {"expected": "GLBatch.v1", "actual": "v2"},
        ),
        (batch() | {"artifactHash": ""}, "missing glBatch artifactHash", "GL_BATCH_HASH_MISSING",
         "critical", {}),
        (
            batch() | {"artifactHash": "0" * 64}, "glBatch artifactHash mismatch", "GL_BATCH_HASH_MISMATCH",
            "critical", {"expected": "0" * 64, "actual": batch()["artifactHash"]},
        ),
        (
            batch([*LINES, {"entryId": "e1"}]), "glBatch line invalid", "GL_BATCH_LINE_INVALID", "high",
            {"lineIndexes": [2]},
        ),
    ],
)  # fmt: skip
def test_each_fault_of_a_batch_is_named(books, error, code, severity, fields):
    report = reconcile(books, [operator(), CUSTOMER])
    assert (report["ok"], report["error"], report["mismatchCodes"]) == (False, error, [code])
    assert {name: report[name] for name in fields} == fields
    (row,) = report["mismatches"]
    assert (row["mismatchType"], row["mismatchKey"], row["severity"]) == ("gl_batch", "gl_1", severity)


@pytest.mark.parametrize(
    ("statement", "error", "code"),
    [
        (operator(envelope={"artifactType": "X"}), "expected PartyStatement.v1", "TYPE_INVALID"),
        (operator(envelope={"schemaVersion": "X"}), "schemaVersion mismatch", "SCHEMA_MISMATCH"),
        (operator() | {"artifactHash": None}, "missing partyStatement artifactHash", "HASH_MISSING"),
        (operator() | {"artifactHash": "x"}, "partyStatement artifactHash mismatch", "HASH_MISMATCH"),
        (operator(period="2026-02"), "partyStatement period mismatch", "PERIOD_MISMATCH"),
        (operator(basis="bookedAt"), "partyStatement basis mismatch", "BASIS_MISMATCH"),
    ],
)
def test_each_fault_of_a_statement_is_named(statement, error, code):
    report = reconcile(batch(), [statement, CUSTOMER])
    assert (report["error"], report["mismatchCodes"]) == (error, [f"PARTY_STATEMENT_{code}"])
    assert report["mismatches"][0]["mismatchKey"] == f"pstmt_{PARTY}"


@pytest.mark.parametrize(
    ("totals", "error", "code"),
    [
        ([], "partyStatement totalsByAccountId missing", "PARTY_STATEMENT_TOTALS_MISSING"),
        (
            {ACCOUNT: -5.0}, "partyStatement totalsByAccountId contains non-integer",
            "PARTY_STATEMENT_TOTALS_INVALID",
        ),
    ],
)  # fmt: skip
def test_totals_that_cannot_be_read_also_leave_a_difference(totals, error, code):
    report = reconcile(batch(), [operator(totals), CUSTOMER])
    assert report["error"] == error
    assert report["mismatchCodes"] == ["PARTY_ACCOUNT_TOTAL_MISMATCH", code]


def test_all_faults_are_collected_and_sorted_6_1_2():
    """The peer stops at the first and gives no mismatchCodes."""
    lines = [*LINES, line("e2", 7, account="acct_cash"), line("e3", 3, currency="EUR")]
    report = reconcile(batch(lines), [operator({ACCOUNT: -6}, entry_ids=("e1", "e9")), CUSTOMER])
    assert report["error"] == "glBatch does not net to zero"
    assert report["glNet"] == {"EUR": 3, "USD": 7}
    found = [(row["mismatchCode"], row["mismatchKey"]) for row in report["mismatches"]]
    assert found == [
        ("ENTRY_MISSING_IN_GL_BATCH", "e9"),
        ("ENTRY_MISSING_IN_PARTY_STATEMENTS", "e2"),
        ("ENTRY_MISSING_IN_PARTY_STATEMENTS", "e3"),
        ("GL_BATCH_IMBALANCED", "gl_1"),
        ("PARTY_ACCOUNT_TOTAL_MISMATCH", f"{PARTY}|acct_cash|USD"),
        ("PARTY_ACCOUNT_TOTAL_MISMATCH", f"{PARTY}|acct_operator_payable|EUR"),
        ("PARTY_ACCOUNT_TOTAL_MISMATCH", f"{PARTY}|acct_operator_payable|USD"),
    ]
    assert report["mismatches"][-1]["details"] == {
        "partyId": PARTY, "accountId": ACCOUNT, "currency": "USD", "glBatchCents": -5,
        "partyStatementsCents": -6, "deltaCents": 1,
    }  # fmt: skip


def test_the_journal_is_compared_when_it_is_given():
    held = LedgerFigures(frozenset({"e1", "e7"}), {(ACCOUNT, "USD"): -9, ("acct_customer_escrow", "USD"): 5})
    report = reconcile(batch(), [operator(), CUSTOMER], ledger=held)
    assert report["error"] == "ledger drift"
    assert [(row["mismatchCode"], row["mismatchKey"], row["severity"]) for row in report["mismatches"]] == [
        ("LEDGER_ACCOUNT_TOTAL_MISMATCH", f"{ACCOUNT}|USD", "critical"),
        ("LEDGER_ENTRY_MISSING_IN_GL_BATCH", "e7", "critical"),
    ]
    gone = LedgerFigures(frozenset(), {})
    assert "GL_BATCH_ENTRY_MISSING_IN_LEDGER" in reconcile(batch(), [], ledger=gone)["mismatchCodes"]


@pytest.mark.parametrize("lines", [None, 7, "x", [None], [[]], {"a": 1}])
def test_nonsense_is_a_report_and_never_an_error(lines):
    assert reconcile(hashed({"batch": {"lines": lines}}), [{}, {"statement": 5}])["ok"] is False
    assert reconcile({}, [])["ok"] is False
