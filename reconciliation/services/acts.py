"""What a person does to a case, said as the change that it is.

One vocabulary for the panel, for batches and for whoever shows this queue elsewhere.
"""

from dataclasses import dataclass
from typing import Any, Final

from reconciliation.models import Mismatch, Triage
from reconciliation.services.triage import Change
from reconciliation.states import DECIDED, Severity, TriageStatus
from settld.core import canonical_json
from settld.core.errors import Conflict, Invalid

MOST_OWNER: Final = 200
MOST_NOTES: Final = 10_000
MOST_ACTION: Final = 100
SEEN: Final = "seenDetails"
MOST_SEEN_BYTES: Final = 8 * 1024
MOST_METADATA_BYTES: Final = 16 * 1024


@dataclass(frozen=True)
class Act:
    """One act: which status it leads to, and what it has to be told."""

    name: str
    label: str
    status: str | None = None
    needs_reason: bool = False
    sets_owner: bool = False
    sets_severity: bool = False

    @property
    def closes(self) -> bool:
        """Tell whether it takes the case off the queue."""
        return self.status in DECIDED


ACTS: Final = {
    act.name: act
    for act in (
        Act("acknowledge", "Acknowledge", TriageStatus.ACKNOWLEDGED.value),
        Act("start", "Start", TriageStatus.IN_PROGRESS.value),
        Act("resolve", "Resolve", TriageStatus.RESOLVED.value, needs_reason=True),
        Act("dismiss", "Dismiss", TriageStatus.DISMISSED.value, needs_reason=True),
        Act("reopen", "Reopen", TriageStatus.OPEN.value, needs_reason=True),
        Act("assign", "Assign", sets_owner=True),
        Act("severity", "Set severity", sets_severity=True),
        Act("note", "Add note", needs_reason=True),
    )
}


APPLY: Final = "apply"


class UnknownAct(Invalid):
    """There is no such act."""

    message = "choose what to do"


class ReasonMissing(Invalid):
    """The act has to say why."""

    code = "REASON_REQUIRED"
    message = "say why: the reason is kept with the case"


class FiguresChanged(Conflict):
    """The case does not differ now as it did when it was looked at; nothing was changed."""

    code = "MISMATCH_CHANGED"
    message = "the figures of this case have changed since they were shown"


@dataclass(frozen=True)
class Said:
    """What a person filled in. An empty reason keeps the note that stands."""

    act: str
    reason: str = ""
    owner: str = ""
    severity: str = ""
    status: str = ""
    action: str = ""


def act_of(said: Said) -> Act | None:
    """Give the act that was meant; `apply` sets status, owner and severity at once, as a whole form says."""
    if said.act != APPLY:
        return ACTS.get(said.act)
    if said.status not in TriageStatus.values:
        return None
    is_decided = said.status in DECIDED
    return Act(APPLY, "Apply", said.status, needs_reason=is_decided, sets_owner=True, sets_severity=True)


def check(said: Said) -> Act:
    """Give the act when it was told everything it needs; UnknownAct, ReasonMissing or Invalid otherwise."""
    act = act_of(said)
    if act is None:
        raise UnknownAct()
    if len(said.action) > MOST_ACTION:
        raise Invalid(f"an action has at most {MOST_ACTION} characters")
    if act.needs_reason and not said.reason.strip():
        raise ReasonMissing()
    if len(said.reason) > MOST_NOTES:
        raise Invalid(f"a note has at most {MOST_NOTES:,} characters")
    if act.sets_owner and len(said.owner) > MOST_OWNER:
        raise Invalid(f"an owner has at most {MOST_OWNER} characters")
    if act.sets_severity and said.severity not in ("", *Severity.values):
        raise Invalid("unknown severity")
    if any("\x00" in text for text in (said.reason, said.owner, said.action)):
        raise Invalid("a text holds a character that cannot be kept")
    return act


def change(said: Said, *, case: Mismatch | None, standing: Triage | None, action: str = "") -> Change:
    """Make the change of one case; closing it remembers what it differed in, so that drift can be shown."""
    act = check(said)
    closing = case if act.closes else None
    return Change(
        status=act.status,
        owner_principal_id=said.owner.strip() if act.sets_owner else None,
        severity=said.severity if act.sets_severity else None,
        notes=clean_note(said.reason) or None,
        mismatch_hash=closing.mismatch_hash if closing is not None else None,
        source_report_hash=(closing.last_report_hash or None) if closing is not None else None,
        metadata=closing_metadata(closing, standing) if closing is not None else None,
        sets_metadata=closing is not None,
        action=action or said.action or f"triage_{act.name}",
    )


def clean_note(text: str) -> str:
    """Write a note's lines with one kind of line end, without blank edges."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def closing_metadata(case: Mismatch, standing: Triage | None) -> dict[str, Any] | None:
    """Add what the case differs in to what is kept with its decision, unless that grows too large."""
    kept = dict(standing.metadata or {}) if standing is not None else {}
    if len(canonical_json.dumps(case.details)) > MOST_SEEN_BYTES:
        kept.pop(SEEN, None)
        return kept or None
    with_details = {**kept, SEEN: case.details}
    return with_details if len(canonical_json.dumps(with_details)) <= MOST_METADATA_BYTES else (kept or None)


def seen_details(triage: Triage | None) -> dict[str, Any] | None:
    """Give what a case differed in when it was closed; None when nobody kept it."""
    kept = triage.metadata.get(SEEN) if triage is not None and isinstance(triage.metadata, dict) else None
    return kept if isinstance(kept, dict) else None
