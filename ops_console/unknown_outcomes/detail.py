"""One unknown outcome, ready to print: what was sent, what the provider said, and who may settle it."""

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import Any, Final

from moneyrails.models import DispatchAttempt, DispatchCheck
from moneyrails.queries import unknown_outcomes as queries
from moneyrails.services import settling
from ops_console import people, words
from ops_console.access import Visit
from ops_console.errors import Fact, plain
from ops_console.payouts.listing import href_of as payout_href_of
from ops_console.unknown_outcomes.listing import Countdown, countdown, href_of, status_of
from settld.core import clock, money
from settld.core.errors import Refusal
from settld.core.hashing import canonical_hash

KINDS: Final = {
    "send": "Sent",
    "recover": "Looked at by the worker",
    "ask": "Provider asked",
    "replay": "Same key sent again",
    "settle": "Settled by evidence",
}
OUTCOMES: Final = {
    "adopted": ("the transfer was found and adopted", "good"),
    "sent": ("the transfer is there", "good"),
    "not_sent": ("found not to have been sent", "quiet"),
    "rejected": ("refused", "warn"),
    "not_executed": ("not carried out", "warn"),
    "no_answer": ("no clear answer", "warn"),
    "nothing_found": ("the provider has no transfer", "warn"),
    "unclear": ("the provider shows something else", "bad"),
    "refuted": ("the evidence did not hold", "bad"),
}
WHY_NOT: Final = {
    "MONEY_RAIL_SECOND_PERSON_REQUIRED": "You may not settle it: you, or a key of yours, submitted it.",
    "MONEY_RAIL_PERSON_REQUIRED": "You may not settle it: nobody known stands behind this login.",
}
_ERROR_FACTS: Final = (
    "message", "category", "providerCode", "providerType", "httpStatus", "providerRequestId", "endpoint",
    "attempt", "maxAttempts", "retryable", "circuitOpenUntil",
)  # fmt: skip


@dataclass(frozen=True)
class TransferRow:
    """One transfer that the provider showed."""

    transfer_id: str
    amount: str
    destination: str
    created_at: str
    verdict: str
    tone: str


@dataclass(frozen=True)
class Look:
    """One look at the attempt."""

    title: str
    tone: str
    at: str
    at_iso: str
    facts: list[Fact]
    note: str
    transfers: list[TransferRow] = field(default_factory=list)


@dataclass(frozen=True)
class UnknownOutcome:
    """The page."""

    href: str
    payout_href: str
    party_id: str
    period: str
    amount: str
    status: str
    tone: str
    is_open: bool
    is_busy: bool
    ended: str
    countdown: Countdown
    age: str
    facts: list[Fact]
    request: str
    request_hash: str
    looks: list[Look]
    acts: list["Act"]
    settle_note: str
    no_acts_note: str


@dataclass(frozen=True)
class Act:
    """One of the acts on offer, or why it is not."""

    key: str
    label: str
    href: str
    text: str
    is_main: bool = False
    why_not: str = ""


def build(attempt: DispatchAttempt, visit: Visit) -> UnknownOutcome:
    """Read everything about an attempt in a fixed number of queries."""
    operation = attempt.operation
    now = visit.now
    refusal = refusal_to_settle(attempt, visit) if attempt.is_open else None
    may_write = visit.may("finance_write")
    since = attempt.first_sent_at or attempt.created_at
    is_known = not attempt.is_open
    checks = queries.checks(attempt)
    named = people.names([attempt.submitted_by, attempt.resolved_by, *(check.checked_by for check in checks)])
    return UnknownOutcome(
        href=href_of(attempt),
        payout_href=payout_href_of(operation),
        party_id=operation.party_id,
        period=operation.period,
        amount=money.show(operation.amount_cents, operation.currency),
        status=status_of(attempt),
        tone=words.DISPATCH_TONES["in_doubt" if attempt.status == "dispatching" else attempt.status],
        is_open=attempt.is_open,
        is_busy=attempt.is_leased(now),
        ended=_ended(attempt, named) if is_known else "",
        countdown=countdown(attempt, now=now),
        age=words.age(since, now=now),
        facts=_facts(attempt, named),
        request=json.dumps(attempt.request, indent=2, ensure_ascii=False, sort_keys=True),
        request_hash=canonical_hash(attempt.request),
        looks=[look_of(check, attempt, named) for check in checks],
        acts=acts_on(attempt, refusal, now=now) if attempt.is_open and may_write else [],
        settle_note=_settle_note(attempt, refusal, may_write=may_write),
        no_acts_note=""
        if attempt.is_open and may_write
        else "The outcome is known; nothing is left to do here."
        if is_known
        else "Asking, replaying and settling need a role that may change money.",
    )


def refusal_to_settle(attempt: DispatchAttempt, visit: Visit) -> Refusal | None:
    """Tell why this visitor may not settle; None when they may."""
    try:
        settling.require_second_person(attempt, actor=visit.actor)
    except Refusal as refusal:
        return refusal
    return None


def acts_on(attempt: DispatchAttempt, refusal: Refusal | None, *, now: dt.datetime) -> list[Act]:
    """Offer the three acts; what is not possible says why, beside it."""
    href = href_of(attempt)
    is_over = countdown(attempt, now=now).is_over
    why_not = WHY_NOT.get(refusal.code, refusal.message) if refusal else ""
    early = ""
    if attempt.status != "indeterminate" and not is_over:
        early = "Only when the replay deadline is over, or the provider shows something that is not ours."
    return [
        Act(
            "ask", "Ask the provider…", f"{href}/ask",
            "Looks the payout up and adopts its transfer if there is exactly one. Sends nothing.",
            is_main=True,
        ),
        Act(
            "replay", "Replay the same key…", f"{href}/replay",
            "Sends the same request under the same key, which never makes a second transfer.",
            why_not="The deadline is over: the provider may have forgotten the key." if is_over else "",
        ),
        Act(
            "sent", "Settle as sent…", f"{href}/settle/sent",
            "You have found the transfer. The provider is asked whether it is ours.", why_not=why_not,
        ),
        Act(
            "not_sent", "Settle as not sent…", f"{href}/settle/not_sent",
            "You are sure that no money left. Permits another attempt, with a new key.",
            why_not=why_not or early,
        ),
    ]  # fmt: skip


def transfer_row(found: dict[str, Any], attempt: DispatchAttempt) -> TransferRow:
    """Shape one transfer of the provider's, compared with what was ordered."""
    wanted = attempt.request
    problems = [
        word
        for word, is_other in (
            ("amount", found.get("amountCents") != wanted.get("amountCents")),
            ("currency", str(found.get("currency")).upper() != str(wanted.get("currency")).upper()),
            ("destination", found.get("destination") != wanted.get("destination")),
        )
        if is_other
    ]
    return TransferRow(
        transfer_id=str(found.get("transferId")),
        amount=money.show(int(found.get("amountCents") or 0), str(found.get("currency")).upper()),
        destination=str(found.get("destination")),
        created_at=_instant(found.get("createdAt")),
        verdict=f"other {', '.join(problems)}" if problems else "as ordered",
        tone="bad" if problems else "good",
    )


def look_of(check: DispatchCheck, attempt: DispatchAttempt, named: dict[str, str]) -> Look:
    """Shape one look."""
    text, tone = OUTCOMES[check.outcome]
    error = check.error if isinstance(check.error, dict) else {}
    facts = [Fact("By", named[check.checked_by])]
    if check.request_id:
        facts.append(Fact("Our request", check.request_id, is_code=True))
    facts += [Fact(words.label(key), plain(error[key])) for key in _ERROR_FACTS if error.get(key) is not None]
    return Look(
        title=f"{KINDS[check.kind]}: {text}",
        tone=tone,
        at=words.moment(check.checked_at),
        at_iso=clock.iso(check.checked_at) or "",
        facts=facts,
        note=check.note,
        transfers=[transfer_row(found, attempt) for found in check.found or []],
    )


def _instant(text: Any) -> str:
    return words.moment(clock.parse_iso(text)) if isinstance(text, str) else ""


def _ended(attempt: DispatchAttempt, named: dict[str, str]) -> str:
    if attempt.resolved_by:
        verdict = "not sent" if attempt.status == "not_sent" else "sent"
        return f"Settled as {verdict} by {named[attempt.resolved_by]}: {attempt.resolution_reason}"
    return f"Known by now: {words.DISPATCH_LABELS[attempt.status].lower()}"


def _settle_note(attempt: DispatchAttempt, refusal: Refusal | None, *, may_write: bool) -> str:
    if not attempt.is_open:
        return ""
    if not may_write:
        return "Settling needs a role that may change money, and another person than the submitter."
    if refusal is not None:
        return WHY_NOT.get(refusal.code, refusal.message)
    return "You may settle it: you did not submit it."


def _facts(attempt: DispatchAttempt, named: dict[str, str]) -> list[Fact]:
    operation = attempt.operation
    rows = [
        Fact("Party", operation.party_id, href=f"/console/payouts?party={operation.party_id}"),
        Fact("Period", operation.period),
        Fact("Provider", f"{operation.provider_id} ({operation.provider_mode})"),
        Fact("Destination", operation.counterparty_ref, is_code=True),
        Fact("Attempt", f"{attempt.attempt}"),
        Fact("First sent", f"{words.moment(attempt.first_sent_at)} UTC" if attempt.first_sent_at else ""),
        Fact("Replay until", f"{countdown(attempt, now=attempt.created_at).deadline} UTC"),
        Fact("Next look", f"{words.moment(attempt.next_check_at)} UTC" if attempt.next_check_at else ""),
        Fact("Submitted by", named[attempt.submitted_by]),
        Fact("Seen transfer", attempt.observed_ref, is_code=True),
        Fact("Settled by", named[attempt.resolved_by]),
        Fact("Reason", attempt.resolution_reason),
        Fact("Evidence", attempt.resolution_evidence),
        Fact("Transfer group", operation.payout_key, is_code=True),
    ]
    return [row for row in rows if row.value]
