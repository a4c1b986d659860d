"""Reading settlements with the documents that bind them."""

import json
from dataclasses import dataclass
from typing import Any

from django.db import connection

from settld.core import rows
from settld.core.errors import NotFound
from settld.kernel import bindings, wire
from settld.kernel.models import Settlement

_PAIR = """
SELECT (SELECT body FROM decision_record WHERE tenant_id = %(tenant)s AND decision_id = %(decision)s),
       (SELECT body FROM settlement_receipt WHERE tenant_id = %(tenant)s AND receipt_id = %(receipt)s)
"""


class SettlementNotFound(NotFound):
    """The run has no settlement."""

    message = "run settlement not found"


@dataclass(frozen=True, slots=True)
class Settled:
    """A settlement and the newest pair of documents bound to it; a document that is missing is None."""

    row: Settlement
    settlement: dict[str, Any]
    decision_record: dict[str, Any] | None
    settlement_receipt: dict[str, Any] | None

    def kernel_verification(self) -> dict[str, Any]:
        """Check the three against each other (6.5)."""
        return bindings.kernel_verification(
            run_id=self.row.run_id,
            settlement=self.settlement,
            decision_record=self.decision_record,
            settlement_receipt=self.settlement_receipt,
        )

    def as_json(self) -> dict[str, Any]:
        """Shape the body of 6.6."""
        return {
            "settlement": self.settlement,
            "decisionRecord": self.decision_record,
            "settlementReceipt": self.settlement_receipt,
            "kernelVerification": self.kernel_verification(),
        }


def find(*, tenant_id: str, run_id: str) -> Settlement | None:
    """Give a run's settlement, or None."""
    return rows.first(Settlement, "tenant_id = %s AND run_id = %s", [tenant_id, run_id])


def settled(*, tenant_id: str, run_id: str) -> Settled:
    """Give a run's settlement with its documents. Raises SettlementNotFound."""
    row = find(tenant_id=tenant_id, run_id=run_id)
    if row is None:
        raise SettlementNotFound()
    return with_documents(row)


def with_documents(row: Settlement) -> Settled:
    """Read the documents that a settlement names as its newest pair, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            _PAIR, {"tenant": row.tenant_id, "decision": row.decision_id, "receipt": row.receipt_id}
        )
        decision_record, settlement_receipt = (_object(body) for body in cursor.fetchone())
    return Settled(
        row=row,
        settlement=wire.settlement_json(row),
        decision_record=decision_record,
        settlement_receipt=settlement_receipt,
    )


def _object(body: Any) -> dict[str, Any] | None:
    if isinstance(body, str):  # a raw cursor leaves jsonb as text
        body = json.loads(body)
    found: dict[str, Any] | None = body
    return found
