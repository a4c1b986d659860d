"""Whether a settlement, its decision record and its receipt belong together (kernel spec 6.5).

Every finding is reported, in the order settlement, decision record, receipt. How the open spots are read:

- A document that is missing is reported as missing only; what is bound to it is then not compared.
- A hash that is not 64 lowercase hex digits is `hash_invalid`; a proper one that is not the document's
  is `hash_mismatch`.
- A receipt without settledAt (pending) has no settledAt to be wrong.
- Verification methods have no code for a missing hash, so an absent one is `.._used_invalid`.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from settld.core import clock
from settld.core.canonical_json import CanonicalJsonError
from settld.core.errors import Conflict
from settld.kernel.documents import document_hash
from settld.kernel.identifiers import is_sha256
from settld.policies.normalization import NORMALIZATION_VERSION

Wire = Mapping[str, Any]
MISSING = frozenset({"settlement_missing", "decision_record_missing", "settlement_receipt_missing"})


class SettlementKernelBindingInvalid(Conflict):
    """The documents of a settlement contradict each other, so nothing may be built on them."""

    code = "SETTLEMENT_KERNEL_BINDING_INVALID"
    message = "invalid settlement kernel artifacts"

    def __init__(self, errors: list[str]) -> None:
        super().__init__(details={"message": self.message, "code": self.code, "errors": errors})


def kernel_verification(
    *,
    run_id: str,
    settlement: Wire | None,
    decision_record: Wire | None,
    settlement_receipt: Wire | None,
) -> dict[str, Any]:
    """Check the three objects against each other and the run; gives {valid, errors}.

    Takes them as they are served (settlement needs runId and settlementId only).
    """
    errors = [
        *_settlement_faults(settlement, run_id),
        *_decision_faults(decision_record, settlement, run_id),
        *_receipt_faults(settlement_receipt, decision_record, settlement, run_id),
    ]
    return {"valid": not errors, "errors": errors}


def require_valid(
    *,
    run_id: str,
    settlement: Wire | None,
    decision_record: Wire | None,
    settlement_receipt: Wire | None,
    allow_missing: bool = False,
) -> None:
    """Refuse to go on from invalid bindings. `allow_missing` tolerates what is not there (6.3 preflight).

    Raises SettlementKernelBindingInvalid.
    """
    found = kernel_verification(
        run_id=run_id,
        settlement=settlement,
        decision_record=decision_record,
        settlement_receipt=settlement_receipt,
    )
    errors = [code for code in found["errors"] if not (allow_missing and code in MISSING)]
    if errors:
        raise SettlementKernelBindingInvalid(errors)


def _settlement_faults(settlement: Wire | None, run_id: str) -> Iterator[str]:
    if settlement is None:
        yield "settlement_missing"
    elif settlement.get("runId") != run_id:
        yield "settlement_run_id_mismatch"


def _decision_faults(record: Wire | None, settlement: Wire | None, run_id: str) -> Iterator[str]:
    if record is None:
        yield "decision_record_missing"
        return
    yield from _hash_faults(record, "decisionHash", "decision_record")
    yield from _owner_faults(record, settlement, run_id, "decision_record")
    if _instant(record.get("decidedAt")) is None:
        yield "decision_record_decided_at_invalid"
    used = record.get("policyHashUsed")
    if used is None or used == "":
        yield "decision_record_policy_hash_used_missing"
    elif not is_sha256(used):
        yield "decision_record_policy_hash_used_invalid"
    if record.get("policyNormalizationVersion") != NORMALIZATION_VERSION:
        yield "decision_record_policy_normalization_version_invalid"
    if not is_sha256(record.get("verificationMethodHashUsed")):
        yield "decision_record_verification_method_hash_used_invalid"


def _receipt_faults(
    receipt: Wire | None, record: Wire | None, settlement: Wire | None, run_id: str
) -> Iterator[str]:
    if receipt is None:
        yield "settlement_receipt_missing"
        return
    yield from _hash_faults(receipt, "receiptHash", "settlement_receipt")
    yield from _owner_faults(receipt, settlement, run_id, "settlement_receipt")
    reference = receipt.get("decisionRef")
    if not isinstance(reference, Mapping):
        yield "settlement_receipt_decision_ref_missing"
    elif record is not None:
        if reference.get("decisionId") != record.get("decisionId"):
            yield "settlement_receipt_decision_id_mismatch"
        if reference.get("decisionHash") != record.get("decisionHash"):
            yield "settlement_receipt_decision_hash_mismatch"
    created, settled = _instant(receipt.get("createdAt")), _instant(receipt.get("settledAt"))
    decided = _instant(record.get("decidedAt")) if record is not None else None
    if created is None:
        yield "settlement_receipt_created_at_invalid"
    if settled is None and receipt.get("settledAt") is not None:
        yield "settlement_receipt_settled_at_invalid"
    if created is not None and decided is not None and created < decided:
        yield "settlement_receipt_before_decision"
    if settled is not None and decided is not None and settled < decided:
        yield "settlement_receipt_settled_before_decision"
    if settled is not None and created is not None and settled < created:
        yield "settlement_receipt_settled_before_created"


def _hash_faults(document: Wire, key: str, name: str) -> Iterator[str]:
    claimed = document.get(key)
    if not is_sha256(claimed):
        yield f"{name}_hash_invalid"
        return
    try:
        actual = document_hash(document, but=(key,))
    except CanonicalJsonError:
        actual = ""
    if claimed != actual:
        yield f"{name}_hash_mismatch"


def _owner_faults(document: Wire, settlement: Wire | None, run_id: str, name: str) -> Iterator[str]:
    if document.get("runId") != run_id:
        yield f"{name}_run_id_mismatch"
    if settlement is not None and document.get("settlementId") != settlement.get("settlementId"):
        yield f"{name}_settlement_id_mismatch"


def _instant(value: Any) -> dt.datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return clock.parse_iso(value)
    except ValueError:
        return None
