"""What people did about a case, each decision by what it changed."""

import uuid
from dataclasses import dataclass

from django.urls import reverse

from ops_console import words
from ops_console.errors import Fact
from ops_console.mismatches import listing
from reconciliation.models import TriageAction
from reconciliation.services import acts
from settld.core import clock


@dataclass(frozen=True)
class Entry:
    """One decision of the history."""

    at: str
    at_iso: str
    by: str
    title: str
    changes: list[Fact]
    note: str
    batch_href: str
    tone: str


def build(history: list[TriageAction], names: dict[str, str]) -> list[Entry]:
    """Tell each decision by what it changed against the one before it; newest first."""
    earlier: list[TriageAction | None] = [*history[1:], None]
    return [_entry(action, before, names) for action, before in zip(history, earlier, strict=False)]


def _entry(action: TriageAction, before: TriageAction | None, names: dict[str, str]) -> Entry:
    changes = []
    # The oldest one shown may not be the first there was: then only its status has something to differ from.
    if action.next_status != action.prev_status:
        changes.append(Fact("Status", listing.STATUS_LABELS[action.next_status]))
    if action.owner_principal_id != (before.owner_principal_id if before else ""):
        owner = names.get(action.owner_principal_id, action.owner_principal_id)
        changes.append(Fact("Owner", owner or "Nobody"))
    if action.severity != (before.severity if before else ""):
        changes.append(Fact("Severity", words.label(action.severity) if action.severity else "As found"))
    kind, _, batch_id = action.action.partition(":")
    batch_href = ""
    try:
        batch_href = reverse("console:mismatch-batch", args=[uuid.UUID(batch_id)]) if batch_id else ""
    except ValueError:
        batch_href = ""
    return Entry(
        at=words.moment(action.at),
        at_iso=clock.iso(action.at) or "",
        by=names.get(action.actor_principal_id, action.actor_principal_id),
        title=_title(kind, action),
        changes=changes,
        note=action.notes if action.notes != (before.notes if before else "") else "",
        batch_href=batch_href,
        tone=listing.STATUS_TONES.get(action.next_status, "quiet"),
    )


def _title(kind: str, action: TriageAction) -> str:
    name = kind.removeprefix("triage_")
    if name in acts.ACTS:
        return {
            "acknowledge": "Acknowledged", "start": "Started", "resolve": "Resolved", "dismiss": "Dismissed",
            "reopen": "Reopened", "assign": "Assigned", "severity": "Severity set", "note": "Note",
        }[name]  # fmt: skip
    if name in ("selection", "matching"):
        return f"{listing.STATUS_LABELS[action.next_status]}, in a batch"
    return "Changed by file" if name == "file" else f"Revision {action.revision}"
