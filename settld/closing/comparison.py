"""Comparing a month's GL batch with its party statements, as a pure function of the documents.

An external verifier can run it over downloaded artifacts and must come to the same report. All faults are
collected; `error` and the detail fields are those of the first one in the order of
spec/settld-billing-and-finance.md 6.1.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from settld.core import money
from settld.core.hashing import artifact_hash

Document = Mapping[str, Any]
TotalKey = tuple[str, str, str]  # party, account, currency

GL_BATCH: Final = "GLBatch.v1"
PARTY_STATEMENT: Final = "PartyStatement.v1"
STATEMENT_BODY: Final = "PartyStatementBody.v1"


@dataclass(frozen=True, slots=True)
class LedgerFigures:
    """What the general book holds for the period: its entry ids, and sums by (account, currency)."""

    entry_ids: frozenset[str]
    totals: Mapping[tuple[str, str], int]


@dataclass(slots=True)
class _Findings:
    """Faults in the order they were found; `error` and `fields` are the first one's."""

    error: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def first(self, error: str, fields: dict[str, Any]) -> None:
        if self.error is None:
            self.error, self.fields = error, fields

    def add(self, mismatch_type: str, key: str, code: str, severity: str, details: dict[str, Any]) -> None:
        self.rows.append(
            {
                "mismatchType": mismatch_type,
                "mismatchKey": key,
                "mismatchCode": code,
                "severity": severity,
                "details": details,
            }
        )

    def batch(self, batch_id: str, error: str, code: str, *, severity: str = "high", **fields: Any) -> None:
        self.first(error, fields)
        self.add("gl_batch", batch_id, code, severity, {"error": error, **fields})

    def statement(
        self, statement_id: str, error: str, code: str, *, severity: str = "high", **fields: Any
    ) -> None:
        self.first(error, {"artifactId": statement_id, **fields})
        self.add("party_statement", statement_id, code, severity, {"error": error, **fields})


@dataclass(slots=True)
class _Side:
    """What one side of the comparison adds up to."""

    totals: dict[TotalKey, int] = field(default_factory=lambda: defaultdict(int))
    entry_ids: set[str] = field(default_factory=set)


def reconcile(
    gl_batch: Document,
    party_statements: Sequence[Document],
    *,
    lines: Iterable[Document] | None = None,
    ledger: LedgerFigures | None = None,
) -> dict[str, Any]:
    """Compare a `GLBatch.v1` with the `PartyStatement.v1` artifacts of its month.

    Statements made by hand may stand among them as their bare body: they are kept out of the sums and
    reported as unbacked. `lines` takes the place of `batch.lines` when the batch is kept in parts. `ledger`
    adds the comparison with the journal; leave it out for a batch that names no close of this tenant.

    Gives exactly `{ok: true, period, basis, totalsKeys, entryCount}`, or `{ok: false, error, <fields of the
    first fault>, mismatchCodes, mismatches}`. Never raises for a faulty document.
    """
    found = _Findings()
    batch = gl_batch.get("batch")
    batch = batch if isinstance(batch, Mapping) else {}
    period, basis = batch.get("period", gl_batch.get("period")), batch.get("basis", gl_batch.get("basis"))
    given = lines if lines is not None else batch.get("lines")
    books = _read_batch(gl_batch, given if given is not None else [], found)
    derived = [one for one in party_statements if not is_manual(one)]
    stated = _read_statements(derived, period=period, basis=basis, found=found)
    _compare_totals(books, stated, found)
    _compare_entries(books, stated, found)
    if ledger is not None:
        _compare_ledger(books, ledger, found)
    for one in party_statements:
        if is_manual(one):
            _report_unbacked(one, found)
    if found.error is None:
        return {
            "ok": True,
            "period": period,
            "basis": basis,
            "totalsKeys": len(books.totals),
            "entryCount": len(books.entry_ids),
        }
    return {
        "ok": False,
        "error": found.error,
        **found.fields,
        "mismatchCodes": sorted({row["mismatchCode"] for row in found.rows}),
        "mismatches": sorted(found.rows, key=lambda row: (row["mismatchCode"], row["mismatchKey"])),
    }


def is_manual(statement: Document) -> bool:
    """Tell whether a statement was made by hand: its document is the body itself and rests on no entries."""
    return statement.get("type") == STATEMENT_BODY and "artifactType" not in statement


def statement_id_of(statement: Document) -> str:
    """Name a statement's artifact; that of one made by hand follows from its content."""
    named = statement.get("artifactId")
    if isinstance(named, str):
        return named
    parts = (statement.get(key) for key in ("tenantId", "partyId", "period", "artifactHash"))
    return "pstmt_" + "_".join(str(part) for part in parts)


def _read_batch(gl_batch: Document, lines: Any, found: _Findings) -> _Side:
    batch_id = str(gl_batch.get("artifactId") or "")
    if gl_batch.get("artifactType") != GL_BATCH:
        found.batch(
            batch_id, "expected GLBatch.v1", "GL_BATCH_TYPE_INVALID", got=gl_batch.get("artifactType")
        )
    if gl_batch.get("schemaVersion") != GL_BATCH:
        found.batch(
            batch_id,
            "schemaVersion mismatch",
            "GL_BATCH_SCHEMA_MISMATCH",
            expected=GL_BATCH,
            actual=gl_batch.get("schemaVersion"),
        )
    _check_hash(gl_batch, "glBatch", "GL_BATCH", lambda *args, **more: found.batch(batch_id, *args, **more))
    side, invalid = _Side(), []
    net: dict[str, int] = defaultdict(int)
    for place, line in enumerate(lines if isinstance(lines, Iterable) else []):
        if not _is_line(line):
            invalid.append(place)
            continue
        currency = line.get("currency", "USD")
        side.totals[line["partyId"], line["accountId"], currency] += line["amountCents"]
        side.entry_ids.add(line["entryId"])
        net[currency] += line["amountCents"]
    if invalid or not isinstance(lines, Iterable):
        found.batch(batch_id, "glBatch line invalid", "GL_BATCH_LINE_INVALID", lineIndexes=invalid[:100])
    odd = {currency: cents for currency, cents in sorted(net.items()) if cents}
    if odd:
        only = len(odd) == 1
        found.batch(
            batch_id,
            "glBatch does not net to zero",
            "GL_BATCH_IMBALANCED",
            severity="critical",
            glNet=next(iter(odd.values())) if only else odd,
        )
    return side


def _check_hash(document: Document, word: str, code: str, report: Any) -> None:
    stated = document.get("artifactHash")
    if not isinstance(stated, str) or not stated:
        report(f"missing {word} artifactHash", f"{code}_HASH_MISSING", severity="critical")
        return
    try:
        actual = artifact_hash(dict(document))
    except ValueError:
        actual = None
    if actual != stated:
        report(
            f"{word} artifactHash mismatch",
            f"{code}_HASH_MISMATCH",
            severity="critical",
            expected=stated,
            actual=actual,
        )


def _is_line(line: Any) -> bool:
    return (
        isinstance(line, Mapping)
        and all(isinstance(line.get(key), str) and line[key] for key in ("partyId", "accountId", "entryId"))
        and isinstance(line.get("currency", "USD"), str)
        and money.is_minor(line.get("amountCents"))
    )


def _read_statements(statements: Sequence[Document], *, period: Any, basis: Any, found: _Findings) -> _Side:
    side = _Side()
    for document in statements:
        statement_id = statement_id_of(document)
        _check_envelope(document, statement_id, found)
        body = document.get("statement")
        body = body if isinstance(body, Mapping) else document
        stated_period, stated_basis = body.get("period"), body.get("basis")
        if stated_period != period:
            found.statement(
                statement_id, "partyStatement period mismatch", "PARTY_STATEMENT_PERIOD_MISMATCH",
                expected=period, got=stated_period,
            )  # fmt: skip
        if stated_basis != basis:
            found.statement(
                statement_id, "partyStatement basis mismatch", "PARTY_STATEMENT_BASIS_MISMATCH",
                expected=basis, got=stated_basis,
            )  # fmt: skip
        _add_totals(body, statement_id, side, found)
        entry_ids = body.get("includedEntryIds")
        side.entry_ids.update(one for one in entry_ids or () if isinstance(one, str))
    return side


def _check_envelope(document: Document, statement_id: str, found: _Findings) -> None:
    if document.get("artifactType") != PARTY_STATEMENT:
        found.statement(
            statement_id, "expected PartyStatement.v1", "PARTY_STATEMENT_TYPE_INVALID",
            got=document.get("artifactType"),
        )  # fmt: skip
    if document.get("schemaVersion") != PARTY_STATEMENT:
        found.statement(
            statement_id, "schemaVersion mismatch", "PARTY_STATEMENT_SCHEMA_MISMATCH",
            expected=PARTY_STATEMENT, actual=document.get("schemaVersion"),
        )  # fmt: skip
    _check_hash(
        document,
        "partyStatement",
        "PARTY_STATEMENT",
        lambda *args, **more: found.statement(statement_id, *args, **more),
    )


def _add_totals(body: Document, statement_id: str, side: _Side, found: _Findings) -> None:
    totals = body.get("totalsByAccountId")
    if not isinstance(totals, Mapping):
        found.statement(
            statement_id, "partyStatement totalsByAccountId missing", "PARTY_STATEMENT_TOTALS_MISSING"
        )
        return
    party_id, currency = str(body.get("partyId")), str(body.get("currency", "USD"))
    for account_id, cents in totals.items():
        if not money.is_minor(cents):
            found.statement(
                statement_id,
                "partyStatement totalsByAccountId contains non-integer",
                "PARTY_STATEMENT_TOTALS_INVALID",
                accountId=account_id,
            )
            continue
        side.totals[party_id, str(account_id), currency] += cents


def _compare_totals(books: _Side, stated: _Side, found: _Findings) -> None:
    diffs = []
    for key in sorted({*books.totals, *stated.totals}):
        ours, theirs = books.totals.get(key, 0), stated.totals.get(key, 0)
        if ours != theirs:
            party_id, account_id, currency = key
            diffs.append(
                {
                    "partyId": party_id,
                    "accountId": account_id,
                    "currency": currency,
                    "glBatchCents": ours,
                    "partyStatementsCents": theirs,
                    "deltaCents": ours - theirs,
                }
            )
    if diffs:
        found.first("totals mismatch", {"diffs": diffs})
    for diff in diffs:
        named = f"{diff['partyId']}|{diff['accountId']}|{diff['currency']}"
        found.add("party_account_total", named, "PARTY_ACCOUNT_TOTAL_MISMATCH", "high", diff)


def _compare_entries(books: _Side, stated: _Side, found: _Findings) -> None:
    if books.entry_ids == stated.entry_ids:
        return
    found.first(
        "included entry ids mismatch",
        {"glEntryIds": sorted(books.entry_ids), "partyStatementEntryIds": sorted(stated.entry_ids)},
    )
    for code, entry_ids in (
        ("ENTRY_MISSING_IN_PARTY_STATEMENTS", books.entry_ids - stated.entry_ids),
        ("ENTRY_MISSING_IN_GL_BATCH", stated.entry_ids - books.entry_ids),
    ):
        for entry_id in sorted(entry_ids):
            found.add("entry_coverage", entry_id, code, "high", {"entryId": entry_id})


def _compare_ledger(books: _Side, ledger: LedgerFigures, found: _Findings) -> None:
    ours: dict[tuple[str, str], int] = defaultdict(int)
    for (_, account_id, currency), cents in books.totals.items():
        ours[account_id, currency] += cents
    drifts: list[tuple[str, str, dict[str, Any]]] = []
    for code, entry_ids in (
        ("LEDGER_ENTRY_MISSING_IN_GL_BATCH", ledger.entry_ids - books.entry_ids),
        ("GL_BATCH_ENTRY_MISSING_IN_LEDGER", books.entry_ids - ledger.entry_ids),
    ):
        drifts += [(entry_id, code, {"entryId": entry_id}) for entry_id in sorted(entry_ids)]
    for key in sorted({*ours, *ledger.totals}):
        held, batched = ledger.totals.get(key, 0), ours.get(key, 0)
        if held != batched:
            account_id, currency = key
            details = {
                "accountId": account_id,
                "currency": currency,
                "ledgerCents": held,
                "glBatchCents": batched,
                "deltaCents": batched - held,
            }
            drifts.append((f"{account_id}|{currency}", "LEDGER_ACCOUNT_TOTAL_MISMATCH", details))
    if drifts:
        found.first("ledger drift", {})
    for key_text, code, details in drifts:
        found.add("ledger_drift", key_text, code, "critical", details)


def _report_unbacked(statement: Document, found: _Findings) -> None:
    found.statement(
        statement_id_of(statement),
        "unbacked party statement",
        "PARTY_STATEMENT_UNBACKED",
        severity="medium",
        partyId=statement.get("partyId"),
        partyRole=statement.get("partyRole"),
        currency=statement.get("currency"),
        payoutCents=statement.get("payoutCents"),
    )
