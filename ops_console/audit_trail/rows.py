"""Audit rows as the console prints them."""

import json
from dataclasses import dataclass
from urllib.parse import quote

from ops_console import words
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
    principal: str
    request_id: str
    row_hash: str
    document: str


def newest(*, tenant_id: str, limit: int, wanted: AuditFilter | None = None) -> list[AuditRow]:
    """Read the newest rows of a tenant's chain."""
    return [
        row_of(row) for row in queries.newest(tenant_id=tenant_id, wanted=wanted or AuditFilter())[:limit]
    ]


def row_of(row: OpsAudit) -> AuditRow:
    """Shape one row; a payout's or an approval's row leads to its page."""
    details = row.details if isinstance(row.details, dict) else {}
    href = ""
    if row.target_type == "money_rail_operation" and isinstance(details.get("providerId"), str):
        href = f"/console/payouts/{quote(details['providerId'], safe=':')}/{quote(row.target_id, safe=':')}"
    if row.target_type == "approval":
        href = f"/console/approvals/{quote(row.target_id, safe='')}"
    return AuditRow(
        id=row.id,
        seq=row.seq,
        at=words.moment(row.at),
        action=words.action(row.action),
        code=row.action,
        target=_target(row, details),
        target_type=words.label(row.target_type),
        href=href,
        principal=row.actor_principal_id,
        request_id=row.request_id or "",
        row_hash=row.row_hash,
        document=json.dumps(row.details, indent=2, ensure_ascii=False, sort_keys=True) if row.details else "",
    )


def _target(row: OpsAudit, details: dict[str, object]) -> str:
    """Name the target for people: a payout by its party and period when the row tells them."""
    party, period = details.get("partyId"), details.get("period")
    if isinstance(party, str) and isinstance(period, str):
        return f"{party} {period}"
    return words.payout_subject(row.target_id)
