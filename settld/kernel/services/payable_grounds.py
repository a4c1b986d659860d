"""Looking once more, under lock, at what a payout rests on, before its money is taken (kernel spec 13.4)."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from django.db import connection

from settld.core import clock
from settld.core.errors import Conflict
from settld.kernel.queries import ref_lookup
from settld.kernel.queries.ref_lookup import Found
from settld.kernel.queries.refs import Ref, ReferenceMismatch
from settld.kernel.states import RefKind

MOST_NAMED: Final = 100  # references that a refusal lists; it counts them all

# Whoever opens a dispute or a case, or closes one, changes or locks the settlement first (2.9), so what is
# read of it afterwards holds until we commit. Shared, because we change nothing; by run, as everybody does.
_LOCK: Final = """
SELECT count(*) FROM (
  SELECT 1 FROM agent_run_settlement WHERE tenant_id = %s AND run_id IN (
    SELECT run_id FROM settlement_receipt WHERE tenant_id = %s AND receipt_id = ANY(%s)
    UNION SELECT run_id FROM settlement_adjustment WHERE tenant_id = %s AND adjustment_id = ANY(%s))
  ORDER BY run_id FOR SHARE
) locked
"""


class ReferenceBlocked(Conflict):
    """Something that the payout rests on may not be paid now; `details.blocked` says what and why."""

    code = "PAYOUT_REFERENCE_BLOCKED"
    message = "payout references are not payable"


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a payout rests on, as read under lock: complete references, none of them blocked."""

    refs: tuple[Ref, ...]

    @property
    def gross_cents(self) -> int:
        """Add the references up."""
        return sum(ref.amount_cents or 0 for ref in self.refs)


def lock_settlements(*, tenant_id: str, references: Sequence[Ref]) -> None:
    """Lock the settlements that receipts and verdict adjustments come from; before any wallet."""
    receipts = [ref.id for ref in references if ref.kind == RefKind.SETTLEMENT_RECEIPT]
    adjustments = [ref.id for ref in references if ref.kind == RefKind.SETTLEMENT_ADJUSTMENT]
    if receipts or adjustments:
        with connection.cursor() as cursor:
            cursor.execute(_LOCK, [tenant_id, tenant_id, receipts, tenant_id, adjustments])


def require(
    *,
    tenant_id: str,
    party_id: str,
    currency: str,
    references: Sequence[Ref],
    gross_cents: int,
    now: dt.datetime,
) -> Grounds:
    """Let references pass that name what they say, belong to the party, are payable now and add up.

    The caller holds the locks. Raises ReferenceMismatch or ReferenceBlocked.
    """
    found = ref_lookup.look_up(
        tenant_id=tenant_id, party_id=party_id, currency=currency, references=references
    )
    wrong = [named for row in found if (named := _mismatch(row, party_id=party_id, currency=currency))]
    wrong += _repeats(references)
    if wrong:
        raise _refusal(ReferenceMismatch, "mismatched", wrong)
    refs = tuple(replace(row.ref, hash=row.hash, amount_cents=_explained(row)) for row in found)
    grounds = Grounds(refs)
    if grounds.gross_cents != gross_cents:
        problem = {"problem": "sum_differs", "expected": gross_cents, "found": grounds.gross_cents}
        raise _refusal(ReferenceMismatch, "mismatched", [problem])
    reasons = ref_lookup.reasons(tenant_id=tenant_id, found=found, at=now)
    blocked = [
        blocked_json(row, reason) for row, reason in zip(found, reasons, strict=True) if reason is not None
    ]
    if blocked:
        raise _refusal(ReferenceBlocked, "blocked", blocked)
    return grounds


def blocked_json(row: Found, reason: str) -> dict[str, Any]:
    """Say of one reference why it is not payable, and from when on it may be, where that is known."""
    is_waiting = reason == ref_lookup.CHALLENGE_WINDOW_OPEN
    return {
        "kind": str(row.ref.kind),
        "id": row.ref.id,
        "blockedReason": reason,
        "eligibleAt": clock.iso(row.window_ends_at) if is_waiting else None,
    }


def taken(names: Sequence[Ref]) -> ReferenceBlocked:
    """Make the refusal for references of which another payout took one meanwhile."""
    reason = ref_lookup.ALREADY_ALLOCATED
    blocked = [
        {"kind": str(ref.kind), "id": ref.id, "blockedReason": reason, "eligibleAt": None} for ref in names
    ]
    return ReferenceBlocked(details={"blocked": blocked[:MOST_NAMED], "blockedCount": len(blocked)})


def _explained(row: Found) -> int | None:
    """Give the cents that a reference stands for.

    A carry-in is what is left of the statement's when the receipts it brings along are named themselves.
    """
    if row.ref.kind == RefKind.CARRY_IN and row.amount_cents is not None:
        return row.amount_cents if row.ref.amount_cents is None else row.ref.amount_cents
    return row.amount_cents


def _mismatch(row: Found, *, party_id: str, currency: str) -> dict[str, Any] | None:
    ref = row.ref
    checks: tuple[tuple[str, object, object], ...] = (
        ("not_found", True, row.hash is not None and row.amount_cents is not None),
        ("hash_differs", ref.hash or row.hash, row.hash),
        ("payee_differs", party_id, row.party_id),
        ("currency_differs", currency, row.currency),
        (
            "amount_differs",
            row.amount_cents if ref.amount_cents is None else ref.amount_cents,
            _explained(row),
        ),
    )
    for problem, expected, found in checks:
        if expected != found:
            named = {"kind": str(ref.kind), "id": ref.id, "problem": problem}
            return named if problem == "not_found" else named | {"expected": expected, "found": found}
    return None


def _repeats(references: Sequence[Ref]) -> list[dict[str, Any]]:
    seen: set[tuple[str, str]] = set()
    repeated = []
    for ref in references:
        if (ref.kind, ref.id) in seen:
            repeated.append({"kind": str(ref.kind), "id": ref.id, "problem": "named_twice"})
        seen.add((ref.kind, ref.id))
    return repeated


def _refusal(refusal: type[Conflict], word: str, listed: list[dict[str, Any]]) -> Conflict:
    return refusal(details={word: listed[:MOST_NAMED], f"{word}Count": len(listed)})
