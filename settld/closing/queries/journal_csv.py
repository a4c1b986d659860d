"""A GL batch as CSV, written by the database from the stored batch itself."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.db import connection

COLUMNS: Final = (
    "schemaVersion", "tenantId", "period", "basis", "glBatchArtifactHash", "entryId", "postingId", "at",
    "partyId", "partyRole", "accountId", "externalAccount", "debitCents", "creditCents", "currency", "jobId",
    "memo",
)  # fmt: skip
HEADER: Final = ",".join(COLUMNS) + "\n"


def _quoted(value: str) -> str:
    """Quote as RFC 4180 asks, and only where it does."""
    quoted = f"""'"' || replace({value}, '"', '""') || '"'"""
    return f"""(CASE WHEN {value} ~ E'[",\\r\\n]' THEN {quoted} ELSE {value} END)"""


def _guarded(value: str) -> str:
    """Keep a spreadsheet from reading a text as a formula."""
    return f"(CASE WHEN {value} ~ E'^[-=+@\\t]' THEN '''' || {value} ELSE coalesce({value}, '') END)"


_LINES: Final = f"""
SELECT string_agg(
  %(prefix)s || {_quoted("l.entry_id")} || ',' || {_quoted("l.posting_id")} || ',' || l.at || ','
  || {_quoted(_guarded("l.party_id"))} || ',' || {_quoted("l.party_role")} || ',' || {_quoted("l.account_id")}
  || ',' || {_quoted("(%(accounts)s::jsonb ->> l.account_id)")} || ',' || greatest(l.cents, 0) || ','
  || greatest(-l.cents, 0) || ',' || l.currency || ',' || {_quoted(_guarded("l.job_id"))} || ','
  || {_quoted(_guarded("l.memo"))} || E'\\n', '' ORDER BY l.place)
FROM artifact a, ROWS FROM (json_to_recordset(a.body::json #> %(path)s) AS (
    "entryId" text, "postingId" text, at text, "partyId" text, "partyRole" text, "accountId" text,
    "amountCents" bigint, currency text, "jobId" text, memo text)) WITH ORDINALITY
  AS l(entry_id, posting_id, at, party_id, party_role, account_id, cents, currency, job_id, memo, place)
WHERE a.tenant_id = %(tenant_id)s AND a.artifact_id = %(artifact_id)s
"""  # noqa: S608
_TOTALS: Final = """
SELECT DISTINCT name FROM artifact a
CROSS JOIN LATERAL (
  SELECT json_object_keys(a.body::json #> '{batch,totals,totalsByAccountId}') AS name
  UNION SELECT json_object_keys(own.value -> 'totalsByAccountId')
  FROM json_each(coalesce(a.body::json #> '{batch,totals,byCurrency}', '{}')) own
) found
WHERE a.tenant_id = %(tenant_id)s AND a.artifact_id = %(artifact_id)s
"""


def account_ids(*, tenant_id: str, artifact_id: str) -> list[str]:
    """Name the accounts that a stored GL batch has lines on."""
    with connection.cursor() as cursor:
        cursor.execute(_TOTALS, {"tenant_id": tenant_id, "artifact_id": artifact_id})
        return [row[0] for row in cursor.fetchall()]


def pieces(
    *,
    tenant_id: str,
    period: str,
    basis: str,
    artifact_id: str,
    artifact_hash: str,
    part_ids: list[str],
    accounts: Mapping[str, str],
) -> Iterator[str]:
    """Give the CSV of a stored GL batch: the header line, then the lines, a piece per stored part."""
    yield HEADER
    fixed = ["JournalCsv.v1", tenant_id, period, basis, artifact_hash]
    parameters: dict[str, Any] = {
        "tenant_id": tenant_id,
        "prefix": ",".join(_quoted_here(value) for value in fixed) + ",",
        "accounts": json.dumps(dict(accounts)),
    }
    places = [(part, ["lines"]) for part in part_ids] or [(artifact_id, ["batch", "lines"])]
    for place, path in places:
        with connection.cursor() as cursor:
            cursor.execute(_LINES, parameters | {"artifact_id": place, "path": path})
            row = cursor.fetchone()
        yield (row[0] if row else None) or ""


def _quoted_here(value: str) -> str:
    if any(character in value for character in '",\r\n'):
        return '"' + value.replace('"', '""') + '"'
    return value
