"""Net-close: a closed month's escrow agrees with what runs and holds say (finance spec 5.5)."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from settld.artifacts import queries as artifact_queries
from settld.artifacts import services as artifacts
from settld.artifacts.models import Artifact
from settld.artifacts.services import ArtifactConflict
from settld.audit import services as audit
from settld.closing import close_documents
from settld.closing.models import DocumentKind
from settld.closing.queries import escrow_window
from settld.closing.queries import month_documents as known
from settld.closing.queries.escrow_window import EscrowWindow
from settld.closing.services import month_documents
from settld.core import canonical_json, clock, failpoints, transactions
from settld.core.errors import Conflict
from settld.core.hashing import sha256_hex
from settld.core.principals import Actor
from settld.kernel.queries.payables import month_bounds
from settld.ledger import queries as ledger
from settld.ledger.models import MonthClose
from settld.ledger.services import months

SNAPSHOT: Final = "EscrowNetCloseSnapshot.v1"
HOME: Final = close_documents.HOME_CURRENCY
_BUCKET_OF: Final = {
    "openingHeldCents": "opening",
    "newLocksCents": "newHolds",
    "releasesCents": "released",
    "forfeitsCents": "forfeited",
    "endingHeldCents": "ending",
}


class MonthCloseNotFound(Conflict):
    """Nobody asked to close the month."""

    code = "MONTH_CLOSE_NOT_FOUND"
    message = "month close not found"


class MonthNotClosed(Conflict):
    """The month's books can still change."""

    code = "MONTH_NOT_CLOSED"
    message = "month is not closed"


class PreconditionsFailed(Conflict):
    """Escrow and holds disagree; details say where, and nothing was written."""

    code = "NET_CLOSE_PRECONDITIONS_FAILED"
    message = "escrow net-close preconditions failed"


@dataclass(frozen=True, slots=True)
class NetClose:
    """What a look at a closed month's escrow found."""

    month: MonthClose
    snapshot: dict[str, Any]
    evidence: dict[str, Any]

    @property
    def mismatch_codes(self) -> list[str]:
        """List what disagrees; empty is a pass."""
        codes: list[str] = self.snapshot["mismatchCodes"]
        return codes

    @property
    def snapshot_hash(self) -> str:
        """Hash the snapshot as its artifacts' ids do."""
        return sha256_hex(canonical_json.dumps(self.snapshot) + b"\n")


def examine(*, tenant_id: str, period: str, basis: str = "settledAt") -> NetClose:
    """Compare a closed month's escrow postings with its rollforward; reads only.

    Call inside one transaction, so that both are of one instant. Raises MonthCloseNotFound, MonthNotClosed.
    """
    row = ledger.find_month(tenant_id=tenant_id, month=period, basis=basis)
    if row is None or row.requested_at is None:
        raise MonthCloseNotFound()
    if not row.is_closed:
        raise MonthNotClosed()
    named = known.find(tenant_id=tenant_id, month=period, kind=DocumentKind.HELD_ROLLFORWARD, basis=basis)
    rollforward: Mapping[str, Any] | None = None
    if named is not None:
        document = artifact_queries.get(tenant_id=tenant_id, artifact_id=named.artifact_id).document
        rollforward = document["rollforward"]
    windows = escrow_window.read(tenant_id=tenant_id, month=period)
    evidence = {
        "monthCloseEventId": row.last_event_id,
        "monthCloseChainHash": row.last_chain_hash,
        "heldRollforwardArtifactId": named.artifact_id if named else None,
        "heldRollforwardArtifactHash": named.artifact_hash if named else None,
    }
    return NetClose(row, _snapshot(period, basis, windows, rollforward), evidence)


def execute(
    *, tenant_id: str, period: str, is_dry_run: bool, actor: Actor, now: dt.datetime
) -> tuple[NetClose, Artifact | None]:
    """Declare a closed month's escrow settled, and give the `EscrowNetClose.v1` that says so.

    A second run gives the same document. A dry run writes nothing and gives none. Raises what `examine`
    raises, and PreconditionsFailed.
    """
    with transactions.joined():
        months.lock_shared(tenant_id=tenant_id, month=period, basis="settledAt", now=now)
        found = examine(tenant_id=tenant_id, period=period)
        if found.mismatch_codes:
            raise PreconditionsFailed(
                details={
                    "mismatchCodes": found.mismatch_codes,
                    "snapshot": found.snapshot,
                    "evidence": found.evidence,
                }
            )
        if is_dry_run:
            return found, None
        artifact = _store(found, now=now)
        month_documents.add(
            month=found.month, kind=DocumentKind.NET_CLOSE, artifact_id=artifact.artifact_id,
            artifact_hash=artifact.artifact_hash, now=now,
        )  # fmt: skip
        audit.append(
            tenant_id=tenant_id,
            actor=actor,
            action="FINANCE_NET_CLOSE_EXECUTE",
            target_type="month_close",
            target_id=found.month.stream_id,
            details={
                "period": period,
                "artifactId": artifact.artifact_id,
                "artifactHash": artifact.artifact_hash,
            },
            at=now,
        )
        failpoints.hit("net_close.before_commit")
    return found, artifact


def persist(found: NetClose, *, now: dt.datetime) -> Artifact:
    """Keep a snapshot as an artifact, whatever it found; the same snapshot of the same close once."""
    return _stored(found, SNAPSHOT, f"escrow_net_close_snapshot_{found.month.month}", now=now)


def _store(found: NetClose, *, now: dt.datetime) -> Artifact:
    return _stored(found, close_documents.NET_CLOSE, f"escrow_net_close_{found.month.month}", now=now)


def _stored(found: NetClose, artifact_type: str, prefix: str, *, now: dt.datetime) -> Artifact:
    """Store under the snapshot's name; a later generation with the same snapshot has its own document."""
    row = found.month
    name = f"{prefix}_{found.snapshot_hash[:24]}"
    try:
        return _kept(found, artifact_type, name, now=now)
    except ArtifactConflict:
        return _kept(found, artifact_type, f"{name}_g{row.generation}", now=now)


def _kept(found: NetClose, artifact_type: str, name: str, *, now: dt.datetime) -> Artifact:
    row = found.month
    body = {
        "schemaVersion": artifact_type,
        "artifactType": artifact_type,
        "artifactId": name,
        "generatedAt": clock.iso(row.closed_at),
        "tenantId": row.tenant_id,
        "period": row.month,
        "basis": row.basis,
        "status": "fail" if found.mismatch_codes else "pass",
        "snapshot": found.snapshot,
        "evidence": found.evidence,
    }
    stored, _ = artifacts.get_or_create(
        tenant_id=row.tenant_id, artifact_id=name, artifact_type=artifact_type, body=body, now=now
    )
    return stored


def _snapshot(
    period: str, basis: str, windows: Mapping[str, EscrowWindow], rollforward: Mapping[str, Any] | None
) -> dict[str, Any]:
    starts_at, ends_at = month_bounds(period)
    held = {HOME: rollforward["buckets"], **rollforward["byCurrency"]} if rollforward else {}
    codes: set[str] = set()
    by_currency = {}
    for currency in sorted({*windows, *held}):
        nothing = dict.fromkeys(_BUCKET_OF.values(), 0)
        buckets = held.get(currency, nothing) if rollforward else None
        by_currency[currency] = _of_currency(windows.get(currency, EscrowWindow()), buckets, codes)
    home = by_currency.pop(HOME)
    snapshot = {
        "schemaVersion": SNAPSHOT,
        "period": period,
        "basis": basis,
        "window": {"startAt": clock.iso(starts_at), "endAt": clock.iso(ends_at)},
        **home,
        "mismatchCodes": sorted(codes),
    }
    return snapshot | ({"byCurrency": by_currency} if by_currency else {})


def _of_currency(window: EscrowWindow, buckets: Mapping[str, int] | None, codes: set[str]) -> dict[str, Any]:
    ledger_figures = window.as_json()
    is_conserved = window.computed_ending_cents == window.ending_held_cents
    if not is_conserved:
        codes.add("LEDGER_ESCROW_ROLLFORWARD_INVALID")
    if window.unknown_positive_adjustments_cents or window.unknown_negative_adjustments_cents:
        codes.add("LEDGER_UNCLASSIFIED_ESCROW_ADJUSTMENT")
    if window.has_negative_account:
        codes.add("LEDGER_ESCROW_NEGATIVE_BALANCE")
    figures, adds_up, matches = None, False, False
    if buckets is None:
        codes.add("HELD_ROLLFORWARD_MISSING")
    else:
        figures = {name: buckets[bucket] for name, bucket in _BUCKET_OF.items()}
        total = buckets["opening"] + buckets["newHolds"] - buckets["released"] - buckets["forfeited"]
        adds_up = total == buckets["ending"]
        matches = all(figures[name] == ledger_figures[name] for name in _BUCKET_OF)
        if not adds_up:
            codes.add("HELD_ROLLFORWARD_INVALID")
        if not matches:
            codes.add("HELD_ROLLFORWARD_LEDGER_MISMATCH")
    return {
        "ledgerEscrow": ledger_figures,
        "heldRollforward": figures,
        "invariants": {
            "ledgerConserved": is_conserved,
            "heldRollforwardConserved": adds_up,
            "heldRollforwardMatchesLedger": matches,
            "computedEndingHeldCents": window.computed_ending_cents,
            "actualEndingHeldCents": window.ending_held_cents,
        },
    }
