"""Audit rows as the console prints them."""

import json
from dataclasses import dataclass

from ops_console import people, words
from ops_console.audit_trail import links
from settld.audit import queries
from settld.audit.models import OpsAudit
from settld.audit.queries import AuditFilter


@dataclass(frozen=True)
class AuditRow:
    """One privileged act."""

    id: int
    seq: int
    at: str
    action: str
    code: str
    target: str
    target_type: str
    href: str
    principal_id: str
    by: str
    request_id: str
    row_hash: str
    document: str


def newest(*, tenant_id: str, limit: int, wanted: AuditFilter | None = None) -> list[AuditRow]:
    """Read the newest rows of a tenant's chain."""
    rows = list(queries.newest(tenant_id=tenant_id, wanted=wanted or AuditFilter())[:limit])
    names = people.names(row.actor_principal_id for row in rows)
    return [row_of(row, by=names[row.actor_principal_id]) for row in rows]


def row_of(row: OpsAudit, *, by: str) -> AuditRow:
    """Shape one row; it leads to the page of what it is about."""
    details = row.details if isinstance(row.details, dict) else {}
    return AuditRow(
        id=row.id,
        seq=row.seq,
        at=words.moment(row.at),
        action=words.action(row.action),
        code=row.action,
        target=_target(row, details),
        target_type=words.label(row.target_type),
        href=links.href(row.target_type, row.target_id, details),
        principal_id=row.actor_principal_id,
        by=by,
        request_id=row.request_id or "",
        row_hash=row.row_hash,
        document=json.dumps(row.details, indent=2, ensure_ascii=False, sort_keys=True) if row.details else "",
    )


def _target(row: OpsAudit, details: dict[str, object]) -> str:
    """Name the target for people: a payout by its party and period when the row tells them."""
    party, period = details.get("partyId"), details.get("period")
    if isinstance(party, str) and isinstance(period, str):
        return f"{party} {period}"
    if row.target_id.startswith("*:"):  # one row for many statements of a month
        return f"Statements of {row.target_id.removeprefix('*:')}"
    return words.payout_subject(row.target_id)
