"""Writing down what a look at an account showed: which of it still counts, and what it changes (spec 2.5)."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from prometheus_client import Counter

from moneyrails.models import ConnectAccount
from moneyrails.rails.stripe_connect import Snapshot
from moneyrails.services import connect_config
from moneyrails.services.connect_looks import Look
from settld.audit import services as audit
from settld.core.principals import Actor

WATCHED = (
    "status", "payoutsEnabled", "transfersEnabled", "kybStatus", "kybCurrentlyDue", "kybPendingVerification",
    "kybDisabledReason",
)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """A row as it stood before the look: what differs from it now was edited meanwhile."""

    tenant_id: str
    row: ConnectAccount

    def is_of(self, row: ConnectAccount) -> bool:
        """Tell whether it is still the same row, not one that was removed and added again."""
        return self.row.pk == row.pk


LOOKS = Counter(
    "connect_looks_total", "Looks at Connect accounts that were to be written", ["source", "result"]
)


def apply(
    row: ConnectAccount, look: Look, *, seen: Seen, source: str, actor: Actor, now: dt.datetime
) -> bool:
    """Write a look into its locked row; False when something newer stands there already.

    A failed look leaves eligibility alone. Of a good one, what somebody edited while we looked stays
    as edited. A change that an operator would want to know of goes into the audit.
    """
    if not seen.is_of(row) or (row.kyb_last_sync_at is not None and look.began_at < row.kyb_last_sync_at):
        LOOKS.labels(source=source, result="stale").inc()
        return False
    LOOKS.labels(source=source, result="failed" if look.snapshot is None else "synced").inc()
    row.kyb_last_sync_at, row.kyb_last_sync_error = look.ended_at, look.error
    if look.snapshot is None:
        row.save(update_fields=["kyb_last_sync_at", "kyb_last_sync_error"])
        return True
    before = connect_config.account_json(row)
    _take_over(row, look.snapshot, seen.row)
    row.kyb_seen_at = look.began_at
    changes = _changes(before, connect_config.account_json(row))
    if changes:
        row.updated_at = now
    row.save(
        update_fields=[
            "status", "disabled_by", "payouts_enabled", "transfers_enabled", "kyb_status",
            "kyb_currently_due", "kyb_pending_verification", "kyb_disabled_reason", "kyb_last_sync_at",
            "kyb_last_sync_error", "kyb_seen_at", "provider_facts", "updated_at",
        ]
    )  # fmt: skip
    if changes:
        audit.append(
            tenant_id=row.tenant_id,
            actor=actor,
            action="STRIPE_CONNECT_ACCOUNT_CHANGED",
            target_type="stripe_connect_account",
            target_id=row.account_id,
            details={"accountId": row.account_id, "partyId": row.party_id or None, "source": source}
            | {"changes": changes},
            at=now,
        )
    return True


def _take_over(row: ConnectAccount, snapshot: Snapshot, seen: ConnectAccount) -> None:
    row.kyb_status = snapshot.kyb_status
    row.kyb_currently_due = snapshot.currently_due
    row.kyb_pending_verification = snapshot.pending_verification
    row.kyb_disabled_reason = snapshot.disabled_reason
    row.provider_facts = snapshot.facts
    if row.payouts_enabled == seen.payouts_enabled:
        row.payouts_enabled = snapshot.payouts_enabled
    if row.transfers_enabled == seen.transfers_enabled:
        row.transfers_enabled = snapshot.transfers_enabled
    if (row.status, row.disabled_by) != (seen.status, seen.disabled_by):
        return
    if snapshot.kyb_status == "rejected" and row.status == "active":
        row.status, row.disabled_by = "disabled", "provider"
    elif snapshot.kyb_status != "rejected" and row.disabled_by == "provider":
        row.status, row.disabled_by = "active", ""


def _changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {"before": before[name], "after": after[name]}
        for name in WATCHED
        if before[name] != after[name]
    }
