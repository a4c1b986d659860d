"""File facts from outside that nobody could match; the rails call this through their `findings`."""

import datetime as dt
from typing import Any

from reconciliation.services import keeping, triage
from reconciliation.services.rows import Kind, QueueRow
from reconciliation.states import SourceType


def note(
    *,
    tenant_id: str,
    period: str,
    provider_id: str,
    mismatch_type: str,
    mismatch_key: str,
    mismatch_code: str,
    severity: str,
    details: dict[str, Any],
    now: dt.datetime,
) -> None:
    """Open a case for a provider's fact, or renew the one that is there; joins the open transaction.

    These cases are not part of a reconcile report, and no run clears them: a person does.
    """
    row = QueueRow(
        source_type=SourceType.STRIPE_INBOX.value,
        period=period,
        provider_id=provider_id,
        kind=Kind(mismatch_type, mismatch_code, severity),
        mismatch_key=mismatch_key,
        details=details,
    )
    triage.lock_cases(tenant_id=tenant_id, triage_keys=[row.triage_key])
    keeping.record(tenant_id=tenant_id, queue=[row], report_hash="", now=now)
