"""Storing documents once: the first row under an id wins."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from django.db import connection

from settld.artifacts import queries
from settld.artifacts.models import Artifact
from settld.artifacts.services.sealing import Draft, Sealed, seal
from settld.core.errors import Conflict

_ONE = """
INSERT INTO artifact (id, tenant_id, artifact_id, artifact_type, artifact_hash, body, period, payout_key,
                      amount_cents, currency, signature_key_id, signature_base64, created_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (tenant_id, artifact_id) DO NOTHING
"""
# One JSON text carries the rows: arrays of texts full of quotes cost many times as much to send.
_MANY = """
INSERT INTO artifact (id, tenant_id, artifact_id, artifact_type, artifact_hash, body, period, payout_key,
                      amount_cents, currency, signature_key_id, signature_base64, created_at)
SELECT given.row_id, %s, given.artifact_id, given.artifact_type, given.artifact_hash, given.text,
       given.period, given.payout_key, given.amount_cents, given.currency, given.signature_key_id,
       given.signature_base64, %s
FROM json_to_recordset(%s::json)
  AS given(row_id uuid, artifact_id text, artifact_type text, artifact_hash text, text text, period text,
           payout_key text, amount_cents bigint, currency text, signature_key_id text, signature_base64 text)
ON CONFLICT (tenant_id, artifact_id) DO NOTHING
RETURNING artifact_id
"""
_COLUMNS = [column.name for column in fields(Sealed)]


class ArtifactConflict(Conflict):
    """The id is taken by a document with other content; nothing was written."""

    code = "ARTIFACT_CONFLICT"
    message = "artifact id is taken by other content"


def get_or_create(
    *, tenant_id: str, artifact_id: str, artifact_type: str, body: Mapping[str, Any], now: dt.datetime
) -> tuple[Artifact, bool]:
    """Store a document, or give the one that is there with the same hash; one statement when it is new.

    `body` comes without artifactHash; the hash is computed and signed. Raises ArtifactConflict when
    the id holds other content. Source: spec/money-rails.md 5.
    """
    sealed = seal(Draft(artifact_id=artifact_id, artifact_type=artifact_type, body=body))
    if _insert_one(tenant_id=tenant_id, sealed=sealed, now=now):
        return _as_row(tenant_id=tenant_id, sealed=sealed, now=now), True
    stored = queries.get(tenant_id=tenant_id, artifact_id=artifact_id)
    if stored.artifact_hash != sealed.artifact_hash:
        raise ArtifactConflict(details={"artifactId": artifact_id, "artifactHash": stored.artifact_hash})
    return stored, False


def store_missing(*, tenant_id: str, documents: Sequence[Sealed], now: dt.datetime) -> set[str]:
    """Store those documents whose ids are free, in one statement; gives the ids that were new.

    An id that is taken keeps its first document, whatever the new content: for callers that may run
    twice and to whom the first one counts.
    """
    if not documents:
        return set()
    rows = [{name: getattr(document, name) for name in _COLUMNS} for document in documents]
    with connection.cursor() as cursor:
        cursor.execute(_MANY, [tenant_id, now, json.dumps(rows, ensure_ascii=False, default=str)])
        return {row[0] for row in cursor.fetchall()}


def store_one(*, tenant_id: str, sealed: Sealed, now: dt.datetime) -> bool:
    """Store one sealed document, however large; False when it is there already with the same hash.

    Raises ArtifactConflict when the id holds other content.
    """
    if _insert_one(tenant_id=tenant_id, sealed=sealed, now=now):
        return True
    stored = queries.get(tenant_id=tenant_id, artifact_id=sealed.artifact_id)
    if stored.artifact_hash != sealed.artifact_hash:
        raise ArtifactConflict(
            details={"artifactId": sealed.artifact_id, "artifactHash": stored.artifact_hash}
        )
    return False


def _insert_one(*, tenant_id: str, sealed: Sealed, now: dt.datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            _ONE,
            [
                sealed.row_id, tenant_id, sealed.artifact_id, sealed.artifact_type, sealed.artifact_hash,
                sealed.text, sealed.period, sealed.payout_key, sealed.amount_cents, sealed.currency,
                sealed.signature_key_id, sealed.signature_base64, now,
            ],
        )  # fmt: skip
        return int(cursor.rowcount) == 1


def _as_row(*, tenant_id: str, sealed: Sealed, now: dt.datetime) -> Artifact:
    return Artifact(
        id=sealed.row_id,
        tenant_id=tenant_id,
        artifact_id=sealed.artifact_id,
        artifact_type=sealed.artifact_type,
        artifact_hash=sealed.artifact_hash,
        body=sealed.text,
        period=sealed.period,
        payout_key=sealed.payout_key,
        amount_cents=sealed.amount_cents,
        currency=sealed.currency,
        signature_key_id=sealed.signature_key_id,
        signature_base64=sealed.signature_base64,
        created_at=now,
    )
