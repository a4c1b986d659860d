"""One payout, ready to print."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse

from moneyrails.models import DispatchAttempt, MoneyRailControls, Operation
from moneyrails.queries import connect
from moneyrails.services import chargebacks
from moneyrails.services import gates as gate_rules
from ops_console import words
from ops_console.chargebacks.listing import href_of as account_href
from ops_console.errors import Fact, plain
from ops_console.payouts import timeline
from ops_console.payouts.listing import href_of
from settld.core import money
from settld.core.errors import NotFound

# How often the page asks again: often while money is on its way, seldom while only a reversal can come.
POLL_SECONDS: Final = {"initiated": 3, "submitted": 3, "confirmed": 30}
GATE_NAMES: Final[dict[str, str]] = {
    "statement": "Statement exists",
    "month_closed": "Month is closed",
    "amount_due": "Amount is due",
    "provider": "Provider takes payouts",
    "first_request": "First request for this statement",
    "no_rival": "No other payout of this period",
    "real_money": "Real money allowed",
    "kill_switch": "Kill switch off",
    "provider_allowed": "Provider allowed",
    "holdback_over": "Holdback over",
    "chargeback_policy": "Chargeback policy",
    "amount_cap": "Within the payout cap",
    "daily_limit": "Within the daily cap",
    "connect_account": "Connect account eligible",
    "connect_counterparty": "Destination agrees",
}


class OperationNotFound(NotFound):
    """No such operation at that provider in this tenant."""

    message = "money rail operation not found"


@dataclass(frozen=True)
class GateRow:
    """One gate: its name, its verdict, and what it looked at."""

    name: str
    verdict: str
    verdict_word: str
    text: str


@dataclass(frozen=True)
class Payout:
    """The page."""

    href: str
    live_href: str
    submit_href: str
    cancel_href: str
    provider_id: str
    operation_id: str
    party_id: str
    period: str
    amount: str
    state: str
    tone: str
    dispatch: str
    dispatch_tone: str
    facts: list[Fact]
    identifiers: list[Fact]
    gates: list[GateRow]
    gates_note: str
    timeline: list[timeline.Step]
    poll_seconds: int
    can_submit: bool
    can_cancel: bool
    no_action_note: str
    version: str
    unknown_href: str = ""


def load(*, tenant_id: str, provider_id: str, operation_id: str) -> Operation:
    """Find a payout; NotFound when the tenant has none of that name."""
    operation = Operation.objects.filter(
        tenant_id=tenant_id, provider_id=provider_id, operation_id=operation_id
    ).first()
    if operation is None:
        raise OperationNotFound()
    return operation


def dispatch_status(operation: Operation) -> str:
    """Name how the newest attempt stands; empty when nobody tried."""
    attempts = DispatchAttempt.objects.filter(tenant_id=operation.tenant_id, operation=operation)
    return attempts.order_by("-attempt").values_list("status", flat=True).first() or ""


def build(operation: Operation, *, may_write: bool, now: dt.datetime) -> Payout:
    """Read everything about a payout; the number of queries is fixed."""
    found = timeline.records(operation)
    attempt = found.attempts[-1] if found.attempts else None
    status = attempt.status if attempt is not None else ""
    shows_dispatch = bool(status) and operation.state == "initiated"
    href = href_of(operation)
    is_open = attempt is not None and attempt.is_open
    can_submit = may_write and operation.state == "initiated" and status != "indeterminate"
    recallable = operation.state == "submitted" and operation.provider_mode != "production"
    can_cancel = may_write and ((operation.state == "initiated" and not is_open) or recallable)
    return Payout(
        href=href,
        live_href=f"{href}/live?version={version_of(operation, status)}",
        submit_href=f"{href}/submit",
        cancel_href=f"{href}/cancel",
        provider_id=operation.provider_id,
        operation_id=operation.operation_id,
        party_id=operation.party_id,
        period=operation.period,
        amount=money.show(operation.amount_cents, operation.currency),
        state=words.STATE_LABELS[operation.state],
        tone=words.STATE_TONES[operation.state],
        dispatch=words.DISPATCH_LABELS[status] if shows_dispatch else "",
        dispatch_tone=words.DISPATCH_TONES[status] if shows_dispatch else "",
        facts=_facts(operation),
        identifiers=_identifiers(operation),
        gates=_gates(operation, now=now),
        gates_note="Asked again at submit" if operation.state == "initiated" else "As they stood at enqueue",
        timeline=timeline.build(operation, found),
        poll_seconds=POLL_SECONDS.get(operation.state, 0),
        can_submit=can_submit,
        can_cancel=can_cancel,
        no_action_note=_no_action(operation, status, may_write=may_write),
        version=version_of(operation, status),
        unknown_href=reverse("console:unknown-outcome", args=[attempt.pk]) if attempt and is_open else "",
    )


def version_of(operation: Operation, dispatch_status: str) -> str:
    """Name what the acts depend on; when it changes, the page offers other acts."""
    return f"{operation.state}-{dispatch_status or 'none'}"


def _no_action(operation: Operation, status: str, *, may_write: bool) -> str:
    if operation.is_terminal:
        return f"Nothing more can be done here: {operation.state} is final."
    if not may_write:
        return "Submitting and cancelling need a role that may change money."
    if status == "indeterminate":
        return (
            "The outcome of the last attempt is not known: no sending and no cancelling until it is settled."
        )
    if operation.state == "confirmed":
        return "Confirmed by the provider. Only the provider can take it back."
    return "The money has left. The provider's next event decides."


def _facts(operation: Operation) -> list[Fact]:
    metadata = operation.metadata
    rows = [
        Fact("Party", operation.party_id, href=_address("payouts", party=operation.party_id)),
        Fact(
            "Statement",
            operation.period,
            href=_address("statements", period=operation.period, party=operation.party_id),
        ),
        Fact("Provider", f"{operation.provider_id} ({operation.provider_mode})"),
        Fact(
            "Destination",
            operation.counterparty_ref,
            href=_account_href(operation.counterparty_ref),
            is_code=True,
        ),
        Fact("Net amount", money.show(operation.amount_cents, operation.currency)),
    ]
    if operation.recovery_applied_cents:
        rows.append(
            Fact("Withheld for debt", money.show(operation.recovery_applied_cents, operation.currency))
        )
        gross = metadata.get("payoutAmountGrossCents")
        if isinstance(gross, int):
            rows.append(Fact("Gross amount", money.show(gross, operation.currency)))
    if operation.recovery_applied_cents or operation.state == "reversed":
        account = account_href(chargebacks.account_of(operation))
        rows.append(Fact("Debt ledger", f"What {operation.party_id} owes", href=account))
    if operation.provider_ref:
        rows.append(Fact("Provider reference", operation.provider_ref, is_code=True))
    if operation.reason_code:
        rows.append(Fact("Reason", operation.reason_code, is_code=True))
    stamps = ("initiated", "submitted", "confirmed", "failed", "cancelled", "reversed")
    rows += [
        Fact(words.STATE_LABELS[stamp], f"{words.moment(getattr(operation, f'{stamp}_at'))} UTC")
        for stamp in stamps
        if getattr(operation, f"{stamp}_at")
    ]
    about = operation.operation_id
    rows.append(Fact("Mismatches", "Every case about it", href=_address("mismatches", status="any", q=about)))
    rows.append(Fact("Audit", "Every act on it", href=_address("audit", target=about)))
    return [row for row in rows if row.value]


def _address(name: str, **query: str) -> str:
    return f"{reverse(f'console:{name}')}?{urlencode(query)}"


def _account_href(destination: str) -> str:
    """Give the page of the Connect account that a destination names; blank when it names none."""
    account_id = destination.removeprefix(connect.PREFIX)
    if account_id == destination or not account_id.isidentifier():
        return ""
    return reverse("console:connect-account", args=[account_id])


def _identifiers(operation: Operation) -> list[Fact]:
    rows = [
        Fact("Operation", operation.operation_id, is_code=True),
        Fact("Statement hash", operation.statement_hash, is_code=True),
        Fact("Instruction", str(operation.metadata.get("payoutArtifactId") or ""), is_code=True),
    ]
    return [row for row in rows if row.value]


def _gates(operation: Operation, *, now: dt.datetime) -> list[GateRow]:
    """Show each gate as it was passed; those asked again at submit as they stand now."""
    today = {verdict["gate"]: verdict for verdict in _asked_now(operation, now=now)}
    rows = []
    for verdict in operation.gate_verdicts or []:
        current = today.get(verdict.get("gate"))
        if current is not None and current["verdict"] == "refused":
            text = f"Refuses a submit now: {current.get('code')}"
            why = (current.get("details") or {}).get("reason")
            rows.append(_gate(current, "stop", "refuses now", f"{text}, {why}" if why else text))
        else:
            rows.append(_gate(verdict, "pass", "passed", _gate_text(verdict)))
    return rows


def _asked_now(operation: Operation, *, now: dt.datetime) -> list[dict[str, Any]]:
    provider = settings.MONEY_RAILS.providers.get(operation.provider_id)
    if operation.state != "initiated" or provider is None:
        return []
    controls = MoneyRailControls.objects.filter(tenant_id=operation.tenant_id).first()
    case = gate_rules.Case(
        provider=provider, controls=controls or MoneyRailControls(tenant_id=operation.tenant_id), now=now
    )
    verdicts = gate_rules.ask(case, gate_rules.STOPS)
    if case.needs_account and not connect.is_payable(
        tenant_id=operation.tenant_id,
        counterparty_ref=operation.counterparty_ref,
        party_id=operation.party_id,
        now=now,
    ):
        code = gate_rules.ConnectAccountRequired.code
        verdicts.append({"gate": 15, "name": "connect_account", "verdict": "refused", "code": code})
    return verdicts


def _gate(verdict: dict[str, Any], mark: str, word: str, text: str) -> GateRow:
    name = str(verdict.get("name", ""))
    return GateRow(f"{verdict.get('gate')}. {GATE_NAMES.get(name, words.label(name))}", mark, word, text)


def _gate_text(verdict: dict[str, Any]) -> str:
    """Say what a gate looked at; amounts as money."""
    parts = []
    for key, value in verdict.items():
        if key in ("gate", "name", "verdict") or value is None:
            continue
        is_amount = key.lower().endswith("cents") and isinstance(value, int)
        shown = money.show(value, "USD") if is_amount else plain(value)
        label = key[: -len("Cents")] if is_amount and key != "cents" else key
        parts.append(f"{_spaced(label) if label != 'cents' else 'amount'}: {shown}")
    return ", ".join(parts)


def _spaced(key: str) -> str:
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in key).strip()
