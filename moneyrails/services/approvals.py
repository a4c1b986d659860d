"""Changes that wait for a second person: asking, deciding, and what ends the wait (four eyes).

A verb that may not act alone calls `ask` with what it would do, frozen, and the state of things it was
asked against. A kind knows how to lock that state, read it again and carry the change out; deciding goes
through it, so what is approved is what was shown, or nothing. Another verb joins by registering a kind.

Lock order: what the kind locks (its subject) before the approval's own row.
"""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from django.conf import settings

from moneyrails.models import Approval
from moneyrails.queries import approvals as queries
from moneyrails.services.approval_refusals import (
    ApprovalExpired,
    ApprovalStale,
    KindUnknown,
    NotPending,
    NotYours,
    PersonRequired,
    SelfApproval,
    TooManyPending,
)
from moneyrails.states import ApprovalStatus
from settld.audit import services as audit
from settld.core import failpoints, tenancy, transactions
from settld.core.hashing import canonical_hash
from settld.core.principals import Actor
from settld.tenants.services import hands
from settld.tenants.services.hands import Hands

MOST_PENDING: Final = 100
LOOP: Final = Actor.system("approvals")


@dataclass(frozen=True)
class Asked:
    """What a verb would do: `changes` for people, `body` to carry it out, `base` it was asked against."""

    kind: str
    subject: str
    body: dict[str, Any]
    base: dict[str, Any]
    changes: list[dict[str, Any]]
    reason: str = ""


class Kind(Protocol):
    """One sort of change that can wait for a second person."""

    name: str
    title: str
    unsettles: tuple[str, ...]
    """Kinds whose base this change moves; all of them are only ever decided under the same lock."""

    def lock(self, *, tenant_id: str, now: dt.datetime) -> None:
        """Lock everything that the change depends on and writes, until commit."""

    def base(self, approval: Approval) -> dict[str, Any]:
        """Read what the change was asked against as it stands now; equal to the frozen one if unchanged."""

    def apply(self, approval: Approval, *, actor: Actor, now: dt.datetime) -> dict[str, Any]:
        """Carry out the frozen body under the locks; gives what it did, for the record."""


@dataclass(frozen=True)
class _Registry:
    kinds: dict[str, Kind] = field(default_factory=dict)


_registry = _Registry()


def register(kind: Kind) -> None:
    """Let a kind of change wait for approvals; called once at start-up by the room that owns it."""
    _registry.kinds[kind.name] = kind


def kind_of(name: str) -> Kind:
    """Give a registered kind; KindUnknown for one that this release does not have."""
    kind = _registry.kinds.get(name)
    if kind is None:
        raise KindUnknown(details={"kind": name})
    return kind


def title_of(name: str) -> str:
    """Name a kind for people; one that is no longer registered by its own name."""
    kind = _registry.kinds.get(name)
    return kind.title if kind else name


# --- Asking ---------------------------------------------------------------------------------------
def ask(asked: Asked, *, tenant_id: str, actor: Actor, now: dt.datetime) -> Approval:
    """Keep a change for a second person to decide, and change nothing else.

    The caller holds the locks of its subject. Asking again for the same, against the same state, by the
    same principal gives the approval that is pending already.
    """
    with transactions.joined():
        who = hands.of(tenant_id=tenant_id, actor=actor)
        approval = Approval(
            tenant_id=tenant_id,
            kind=asked.kind,
            subject=asked.subject,
            status=ApprovalStatus.PENDING,
            changes=asked.changes,
            body=asked.body,
            body_hash=canonical_hash(asked.body),
            base=asked.base,
            base_hash=canonical_hash(asked.base),
            requested_by=actor.principal_id,
            requested_by_user_id=who.only_user_id,
            requested_by_key_id=actor.key_id or "",
            requested_hands=sorted(who.names),
            request_reason=asked.reason,
            request_id=actor.request_id or "",
            requested_at=now,
            expires_at=now + dt.timedelta(seconds=settings.APPROVAL_TTL_SECONDS),
        )
        for known in queries.same_question(approval):
            if known.expires_at > now:
                return known
            _end(known, ApprovalStatus.EXPIRED, actor=LOOP, now=now)
        if queries.pending_count(tenant_id=tenant_id) >= MOST_PENDING:
            raise TooManyPending(details={"most": MOST_PENDING})
        approval.save(force_insert=True)
        _audit(approval, "APPROVAL_REQUESTED", actor=actor, now=now)
        failpoints.hit("approval_ask.before_commit")
        return approval


# --- Deciding -------------------------------------------------------------------------------------
def approve(*, tenant_id: str, approval_id: str, reason: str, actor: Actor, now: dt.datetime) -> Approval:
    """Carry out what was asked, if it is pending, in time, and what it was asked against still stands.

    Raises SelfApproval when the decider may be who asked, PersonRequired when no person is known behind
    the decider, ApprovalExpired, NotPending, or ApprovalStale with both states.
    """
    with transactions.joined():
        seen = queries.get(tenant_id=tenant_id, approval_id=approval_id)
        _require_pending(seen, now=now)
        who = require_second_person(seen, actor=actor)
        kind = kind_of(seen.kind)
        kind.lock(tenant_id=tenant_id, now=now)
        approval = queries.locked(tenant_id=tenant_id, approval_id=approval_id)
        _require_pending(approval, now=now)
        base = kind.base(approval)
        if canonical_hash(base) != approval.base_hash:
            raise ApprovalStale(
                details={"approvalId": str(approval.pk), "base": approval.base, "current": base}
            )
        result = kind.apply(approval, actor=actor, now=now)
        _end(
            approval, ApprovalStatus.APPROVED, actor=actor, who=who, reason=reason, result=result, now=now
        )  # fmt: skip
        end_stale(tenant_id=tenant_id, kinds=kind.unsettles, actor=actor, now=now)
        failpoints.hit("approval_approve.before_commit")
        return approval


def reject(*, tenant_id: str, approval_id: str, reason: str, actor: Actor, now: dt.datetime) -> Approval:
    """Decide against it; anybody who may change money may, who asked too."""
    with transactions.joined():
        approval = queries.locked(tenant_id=tenant_id, approval_id=approval_id)
        _require_pending(approval, now=now)
        who = hands.of(tenant_id=tenant_id, actor=actor)
        _end(approval, ApprovalStatus.REJECTED, actor=actor, who=who, reason=reason, now=now)
        return approval


def withdraw(*, tenant_id: str, approval_id: str, reason: str, actor: Actor, now: dt.datetime) -> Approval:
    """Take it back; only who asked may. Raises NotYours."""
    with transactions.joined():
        approval = queries.locked(tenant_id=tenant_id, approval_id=approval_id)
        _require_pending(approval, now=now)
        who = hands.of(tenant_id=tenant_id, actor=actor)
        if not who.touch(approval.requested_hands):
            raise NotYours(details={"approvalId": str(approval.pk), "requestedBy": approval.requested_by})
        _end(approval, ApprovalStatus.WITHDRAWN, actor=actor, who=who, reason=reason, now=now)
        return approval


def require_second_person(approval: Approval, *, actor: Actor) -> Hands:
    """Refuse a decider who may be who asked, or whom no person is known to be; gives who it is."""
    who = hands.of(tenant_id=approval.tenant_id, actor=actor)
    asked_now = hands.behind(tenant_id=approval.tenant_id, principal_id=approval.requested_by)
    named = {"approvalId": str(approval.pk), "requestedBy": approval.requested_by}
    if who.touch({*approval.requested_hands, *asked_now.names}):
        raise SelfApproval(details=named)
    if not who.user_ids:
        raise PersonRequired(details=named)
    return who


def _require_pending(approval: Approval, *, now: dt.datetime) -> None:
    if approval.status == ApprovalStatus.PENDING and approval.expires_at <= now:
        raise ApprovalExpired(approval)
    if approval.status != ApprovalStatus.PENDING:
        raise NotPending(approval)


# --- What ends the wait otherwise -----------------------------------------------------------------
def end_stale(*, tenant_id: str, kinds: tuple[str, ...], actor: Actor, now: dt.datetime) -> int:
    """End what was asked against a state that is gone; called by whoever changed it, under its locks."""
    ended = 0
    for approval in queries.pending_locked(tenant_id=tenant_id, kinds=kinds):
        kind = _registry.kinds.get(approval.kind)
        if kind is not None and canonical_hash(kind.base(approval)) != approval.base_hash:
            _end(approval, ApprovalStatus.SUPERSEDED, actor=actor, now=now)
            ended += 1
    return ended


def expire_due(*, now: dt.datetime, limit: int = 100) -> int:
    """End what nobody decided in time; run twice, or beside itself, it ends each once."""
    with tenancy.platform_scope(reason="approvals: find those that ran out"):
        due = queries.run_out(now=now, limit=limit)
    ended = 0
    for tenant_id, approval_id in due:
        with tenancy.tenant_scope(tenant_id), transactions.atomic():
            approval = queries.locked(tenant_id=tenant_id, approval_id=str(approval_id))
            if approval.status == ApprovalStatus.PENDING and approval.expires_at <= now:
                _end(approval, ApprovalStatus.EXPIRED, actor=LOOP, now=now)
                ended += 1
    return ended


def _end(
    approval: Approval,
    status: ApprovalStatus,
    *,
    actor: Actor,
    now: dt.datetime,
    who: Hands | None = None,
    reason: str = "",
    result: dict[str, Any] | None = None,
) -> None:
    """Write the end of a wait; the row is locked and pending."""
    approval.status = status
    approval.decided_by = actor.principal_id
    approval.decided_by_user_id = who.only_user_id if who else ""
    approval.decided_by_key_id = actor.key_id or ""
    approval.decided_hands = sorted(who.names) if who else []
    approval.decision_reason = reason
    approval.decided_at = now
    approval.result = result
    approval.save(force_update=True)
    _audit(approval, f"APPROVAL_{str(status).upper()}", actor=actor, now=now)


def _audit(approval: Approval, action: str, *, actor: Actor, now: dt.datetime) -> None:
    audit.append(
        tenant_id=approval.tenant_id,
        actor=actor,
        action=action,
        target_type="approval",
        target_id=str(approval.pk),
        details={
            "kind": approval.kind,
            "subject": approval.subject,
            "status": str(approval.status),
            "changes": approval.changes,
            "bodyHash": approval.body_hash,
            "baseHash": approval.base_hash,
            "requestedBy": approval.requested_by,
            "requestedHands": approval.requested_hands,
            "reason": approval.decision_reason if approval.decided_at else approval.request_reason,
        },
        at=now,
    )
