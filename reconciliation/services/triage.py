"""Decide about a case: who looks after it, how it stands, why. The figures stay as they are.

A decision never changes a report or its hash. Decisions about one case follow one another by an
advisory lock on its key, taken first; the case's row and the decision's row come after it.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

from reconciliation.models import Mismatch, Triage, TriageAction
from reconciliation.services import keeping
from reconciliation.services.rows import triage_key
from reconciliation.states import DECIDED, TriageStatus
from settld.audit import services as audit
from settld.core import failpoints
from settld.core.errors import Conflict, Invalid, NotFound
from settld.core.principals import Actor

MOST_AT_ONCE: Final = 500
ACTION: Final = "triage_update"
AUDIT_ACTION: Final = "FINANCE_RECONCILIATION_TRIAGE_UPSERT"


class TriageKeyMismatch(Invalid):
    """The key that was sent is not the one that the identity hashes to."""

    code = "TRIAGE_KEY_MISMATCH"
    message = "triageKey does not match the mismatch it is sent with"


class TriageRevisionConflict(Conflict):
    """Somebody decided in between; nothing was changed."""

    code = "TRIAGE_REVISION_CONFLICT"
    message = "the triage was changed meanwhile"


class TriageNotFound(NotFound):
    """There is no decision under this key."""

    message = "reconciliation triage not found"


@dataclass(frozen=True)
class Subject:
    """Which case is meant: the five parts of its identity."""

    source_type: str
    period: str
    provider_id: str
    mismatch_type: str
    mismatch_key: str

    @property
    def triage_key(self) -> str:
        """Compute its key."""
        return triage_key(**vars(self))

    @classmethod
    def of(cls, case: Mismatch | Triage) -> "Subject":
        """Name the subject of a stored case or decision."""
        return cls(case.source_type, case.period, case.provider_id, case.mismatch_type, case.mismatch_key)


@dataclass(frozen=True)
class Change:
    """What is to be different; None keeps what stands, an empty text clears it.

    `metadata` is kept unless `sets_metadata`.
    """

    status: str | None = None
    severity: str | None = None
    owner_principal_id: str | None = None
    notes: str | None = None
    mismatch_code: str | None = None
    mismatch_hash: str | None = None
    source_report_hash: str | None = None
    metadata: dict[str, Any] | None = None
    sets_metadata: bool = False
    action: str = ACTION

    def texts(self) -> dict[str, str]:
        """Give the columns that it sets."""
        names = (
            "status", "severity", "owner_principal_id", "notes", "mismatch_code", "mismatch_hash",
            "source_report_hash",
        )  # fmt: skip
        return {name: value for name in names if (value := getattr(self, name)) is not None}


@dataclass(frozen=True)
class Wanted:
    """One change that somebody wants; `expected_revision` is what they saw, 0 for no decision yet."""

    subject: Subject
    change: Change
    expected_revision: int | None = None


@dataclass(frozen=True)
class Decided:
    """The decision as it stands now, and whether this call changed it."""

    triage: Triage
    changed: bool


def decide(
    *,
    tenant_id: str,
    subject: Subject,
    change: Change,
    expected_revision: int | None,
    actor: Actor,
    now: dt.datetime,
) -> Decided:
    """Write a decision about a case, found yet or not; joins the open transaction.

    Without `expected_revision` the last one wins. Equal content changes nothing and is not audited.
    Raises TriageRevisionConflict. Source: spec/settld-billing-and-finance.md 6.2.
    """
    wanted = [Wanted(subject, change, expected_revision)]
    outcome = decide_many(tenant_id=tenant_id, wanted=wanted, actor=actor, now=now)[0]
    if isinstance(outcome, TriageRevisionConflict):
        raise outcome
    return outcome


def decide_many(
    *, tenant_id: str, wanted: Sequence[Wanted], actor: Actor, now: dt.datetime
) -> list[Decided | TriageRevisionConflict]:
    """Write several decisions in the open transaction, each as `decide` would; answers in their order.

    A row that changed meanwhile is refused alone. The number of queries does not grow with the rows,
    but each change is audited. At most MOST_AT_ONCE, each case once.
    """
    keys = [each.subject.triage_key for each in wanted]
    if len(keys) > MOST_AT_ONCE or len(set(keys)) != len(keys):
        raise ValueError("too many decisions at once, or two about one case")
    lock_cases(tenant_id=tenant_id, triage_keys=keys)
    cases = _lock_mismatches(tenant_id, wanted)
    standing = {
        row.triage_key: row
        for row in Triage.objects.select_for_update()
        .filter(tenant_id=tenant_id, triage_key__in=keys)
        .order_by("triage_key")
    }
    outcomes: list[Decided | TriageRevisionConflict] = []
    history: list[TriageAction] = []
    for key, each in zip(keys, wanted, strict=True):
        outcome, action = _decide(
            tenant_id, key, each, case=cases.get(key), triage=standing.get(key), actor=actor, now=now
        )
        outcomes.append(outcome)
        history += action
    _save([outcome.triage for outcome in outcomes if isinstance(outcome, Decided) and outcome.changed])
    TriageAction.objects.bulk_create(history)
    keeping.repeat_decisions(tenant_id=tenant_id, triage_keys=keys)
    failpoints.hit("triage.before_commit")
    return outcomes


def _decide(
    tenant_id: str,
    key: str,
    wanted: Wanted,
    *,
    case: Mismatch | None,
    triage: Triage | None,
    actor: Actor,
    now: dt.datetime,
) -> tuple[Decided | TriageRevisionConflict, list[TriageAction]]:
    current, change = (triage.revision if triage else 0), wanted.change
    if wanted.expected_revision is not None and wanted.expected_revision != current:
        details = {"expectedRevision": wanted.expected_revision, "currentRevision": current}
        return TriageRevisionConflict(details=details), []
    triage = triage or _blank(tenant_id, key, wanted.subject, case, now=now)
    before, prev_status = _state_of(triage), triage.status if current else ""
    _apply(triage, change)
    changed = sorted(
        name for name, value in _state_of(triage).items() if not current or value != before[name]
    )
    if not changed:
        return Decided(triage, changed=False), []
    _stamp(triage, prev_status, actor=actor, now=now)
    triage.revision = current + 1
    triage.updated_at = now
    _audit(triage, change, prev_status, changed, actor=actor, now=now)
    return Decided(triage, changed=True), [_history(triage, change, prev_status, actor=actor, now=now)]


def subject_of_key(*, tenant_id: str, triage_key: str) -> Subject:
    """Find what a key alone stands for: a decision that was made; TriageNotFound when none was."""
    found = Triage.objects.filter(tenant_id=tenant_id, triage_key=triage_key).first()
    if found is None:
        raise TriageNotFound()
    return Subject.of(found)


def lock_cases(*, tenant_id: str, triage_keys: Sequence[str]) -> None:
    """Let one decision, or one filing from outside a run, at a time touch a case; many in one order."""
    names = ["\n".join(["triage", tenant_id, key]) for key in sorted(triage_keys)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest(%s::text[]) AS name",
            [names],
        )


def _lock_mismatches(tenant_id: str, wanted: Sequence[Wanted]) -> dict[str, Mismatch]:
    """Lock the cases that are there; wait for a run that may be about to write the others."""
    by_key = {each.subject.triage_key: each.subject for each in wanted}
    found = _found(tenant_id, list(by_key))
    absent = [key for key in by_key if key not in found]
    if not absent:
        return found
    for period, provider_id in sorted({_writer(by_key[key]) for key in absent}):
        keeping.lock_subject(tenant_id=tenant_id, period=period, provider_id=provider_id)
    return found | _found(tenant_id, absent)


def _writer(subject: Subject) -> tuple[str, str]:
    """Name the run that may be about to write a case, as that run names what it locks."""
    name = keeping.subject_name(source_type=subject.source_type, provider_id=subject.provider_id)
    return subject.period, name


def _found(tenant_id: str, keys: list[str]) -> dict[str, Mismatch]:
    rows = Mismatch.objects.select_for_update().filter(tenant_id=tenant_id, triage_key__in=keys)
    return {row.triage_key: row for row in rows.order_by("triage_key")}


def _save(rows: list[Triage]) -> None:
    Triage.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["tenant_id", "triage_key"],
        update_fields=[
            "mismatch_code", "status", "severity", "owner_principal_id", "notes", "source_report_hash",
            "mismatch_hash", "metadata", "revision", "updated_at", "resolved_at", "resolved_by_principal_id",
        ],
    )  # fmt: skip


def _blank(tenant_id: str, key: str, subject: Subject, case: Mismatch | None, *, now: dt.datetime) -> Triage:
    return Triage(
        tenant_id=tenant_id,
        triage_key=key,
        **vars(subject),
        mismatch_code=case.mismatch_code if case else "",
        status=TriageStatus.OPEN.value,
        created_at=now,
    )


def _state_of(triage: Triage) -> dict[str, Any]:
    """Give what a change can touch."""
    return {
        "status": triage.status,
        "severity": triage.severity,
        "ownerPrincipalId": triage.owner_principal_id,
        "notes": triage.notes,
        "mismatchCode": triage.mismatch_code,
        "mismatchHash": triage.mismatch_hash,
        "sourceReportHash": triage.source_report_hash,
        "metadata": triage.metadata,
    }


def _apply(triage: Triage, change: Change) -> None:
    for name, value in change.texts().items():
        setattr(triage, name, value)
    if change.sets_metadata:
        triage.metadata = change.metadata


def _stamp(triage: Triage, prev_status: str, *, actor: Actor, now: dt.datetime) -> None:
    """Keep who closed it and when: entering or changing a closing status stamps, leaving clears."""
    if triage.status not in DECIDED:
        triage.resolved_at, triage.resolved_by_principal_id = None, ""
    elif triage.status != prev_status:
        triage.resolved_at, triage.resolved_by_principal_id = now, actor.principal_id


def _history(
    triage: Triage, change: Change, prev_status: str, *, actor: Actor, now: dt.datetime
) -> TriageAction:
    return TriageAction(
        tenant_id=triage.tenant_id,
        triage_key=triage.triage_key,
        revision=triage.revision,
        action=change.action,
        at=now,
        actor_principal_id=actor.principal_id,
        prev_status=prev_status,
        next_status=triage.status,
        severity=triage.severity,
        owner_principal_id=triage.owner_principal_id,
        notes=triage.notes,
    )


def _audit(
    triage: Triage, change: Change, prev_status: str, changed: list[str], *, actor: Actor, now: dt.datetime
) -> None:
    audit.append(
        tenant_id=triage.tenant_id,
        actor=actor,
        action=AUDIT_ACTION,
        target_type="reconciliation_triage",
        target_id=triage.triage_key,
        details={
            "triageKey": triage.triage_key,
            "sourceType": triage.source_type,
            "period": triage.period,
            "providerId": triage.provider_id or None,
            "mismatchType": triage.mismatch_type,
            "mismatchKey": triage.mismatch_key,
            "action": change.action,
            "revision": triage.revision,
            "prevStatus": prev_status or None,
            "nextStatus": triage.status,
            "ownerPrincipalId": triage.owner_principal_id or None,
            "severity": triage.severity or None,
            "changed": changed,
        },
        at=now,
    )
