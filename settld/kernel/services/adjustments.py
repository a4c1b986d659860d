"""Writing down corrections; each is there once, and never changes."""

from collections.abc import Mapping
from typing import Any

from settld.core import clock
from settld.core.errors import Conflict
from settld.kernel.models import Adjustment
from settld.kernel.queries.adjustments import AdjustmentNotFound, find, get
from settld.kernel.services import row_writing

__all__ = ["AdjustmentExists", "AdjustmentNotFound", "find", "get", "record"]


class AdjustmentExists(Conflict):
    """The correction was made before; whoever tells a repeat from a rival looks with `find` first."""

    code = "SETTLEMENT_ADJUSTMENT_EXISTS"
    message = "settlement adjustment already exists"


def record(
    *,
    document: Mapping[str, Any],
    agent_id: str,
    run_id: str | None = None,
    operation_id: str | None = None,
) -> Adjustment:
    """Write down a correction in the transaction that moves its money.

    `document` comes from `documents.settlement_adjustment` or `documents.kernel_adjustment`; `agent_id` is
    whose wallet it concerns. The caller holds the lock that serialises those who make this correction (the
    hold's, the wallet's, the reservation's). Raises AdjustmentExists, which has to leave the transaction.
    """
    body = {key: value for key, value in document.items() if key != "metadata"}
    adjustment = Adjustment(
        tenant_id=body["tenantId"],
        adjustment_id=body["adjustmentId"],
        kind=body["kind"],
        agent_id=agent_id,
        run_id=run_id,
        agreement_hash=body.get("agreementHash"),
        hold_hash=body.get("holdHash"),
        operation_id=operation_id,
        amount_cents=body["amountCents"],
        shortfall_cents=body.get("shortfallCents", 0),
        currency=body["currency"],
        adjustment_hash=body["adjustmentHash"],
        body=body,
        metadata=document.get("metadata"),
        created_at=clock.parse_iso(body["createdAt"]),
    )
    if not row_writing.insert_once(adjustment, target="tenant_id, adjustment_id"):
        raise AdjustmentExists(details={"adjustmentId": adjustment.adjustment_id})
    return adjustment
