"""What would become of a payout now: every gate's verdict and the room that is left, written nowhere.

It asks the gates that enqueue asks, of the same facts, in a transaction that PostgreSQL keeps from
writing. It takes no lock, so the answer may be old by the time it is read: it reserves nothing.
"""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

from django.db import connection
from django.db.models import Q

from moneyrails.models import ConnectAccount, ExposureCounter, Operation, PartyBalance, PayoutOutcome
from moneyrails.queries import connect
from moneyrails.rails import providers
from moneyrails.services import controls, gates, kernel_payouts
from settld.closing import queries as closing
from settld.closing.queries import PayoutSubject, StatementAmbiguous, StatementNotFound
from settld.core import clock, money, transactions

CURRENCY = "USD"


@dataclass(frozen=True)
class Asked:
    """A payout that nobody has ordered; empty texts are absent."""

    tenant_id: str
    party_id: str
    amount_cents: int
    provider_id: str = ""
    period: str = ""
    counterparty_ref: str = ""


@dataclass(frozen=True)
class Simulated:
    """What enqueue would see and answer."""

    case: gates.Case
    verdicts: list[gates.Verdict]
    recovery_cents: int
    is_offset: bool
    subject: PayoutSubject | None
    statement_note: str
    own: ConnectAccount | None
    obstacles: list[str]

    @property
    def first_refusal(self) -> gates.Verdict | None:
        """Give the verdict that enqueue would answer with."""
        return next((verdict for verdict in self.verdicts if verdict["verdict"] == "refused"), None)

    @property
    def outcome(self) -> str:
        """Name what enqueue would do about the gates."""
        if self.first_refusal is not None:
            return "refused"
        return "offset" if self.is_offset else "enqueued"


def simulate(asked: Asked, *, now: dt.datetime) -> Simulated:
    """Ask all gates about a payout; raises ProviderUnknown for a provider that is not configured.

    Without a period the holdback (gate 11) is not known and passes.
    """
    provider = providers.chosen(asked.provider_id)
    with transactions.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        subject, note = _subject(asked)
        row = controls.get(tenant_id=asked.tenant_id)
        case = gates.Case(
            provider=provider,
            controls=row,
            now=now,
            party_id=asked.party_id,
            gross_cents=asked.amount_cents,
            net_cents=asked.amount_cents,
            outstanding_cents=_outstanding(asked, provider.mode) if row.chargeback_enabled else 0,
            exposure_cents=exposure_cents(
                tenant_id=asked.tenant_id, provider_mode=provider.mode, day_key=clock.day_key(now)
            ),
            payable_after=subject.payable_after if subject else None,
            sent_counterparty_ref=asked.counterparty_ref,
        )
        own, obstacles = _account(asked, now=now)
        return _ask(case, subject, note, own, obstacles)


def _ask(
    case: gates.Case,
    subject: PayoutSubject | None,
    note: str,
    own: ConnectAccount | None,
    obstacles: list[str],
) -> Simulated:
    verdicts = [_provider(case, subject), *gates.ask(case, (*gates.BEFORE_DEBT, *gates.DEBT))]
    recovery = 0
    if case.controls.chargeback_enabled and case.controls.negative_balance_mode == "net":
        recovery = min(case.outstanding_cents, case.gross_cents)
    case = replace(case, net_cents=case.gross_cents - recovery)
    is_offset = case.net_cents == 0
    if case.needs_account and own is not None and not obstacles:
        case = replace(case, account=own)
    rest = gates.ask(case, (*gates.LIMITS, *gates.DESTINATION))
    if is_offset:
        rest = [_not_asked(verdict) for verdict in rest]
    if subject is not None and note == "payable":
        rest += kernel_payouts.foresee(subject, now=case.now)
    return Simulated(case, verdicts + rest, recovery, is_offset, subject, note, own, obstacles)


def _provider(case: gates.Case, subject: PayoutSubject | None) -> gates.Verdict:
    """Step 5, which is about the provider and, where a statement is known, its currency."""
    verdict = gates.passed(5, "provider", providerId=case.provider.provider_id, mode=case.provider.mode)
    code, details = "", {}
    if not case.provider.allow_payout:
        code, details = "MONEY_RAIL_DIRECTION_NOT_ALLOWED", {"direction": "payout"}
    elif subject is not None and subject.payable_cents and subject.currency != CURRENCY:
        code, details = "PAYOUT_CURRENCY_UNSUPPORTED", {"currency": subject.currency}
    return verdict | {"verdict": "refused", "code": code, "details": details} if code else verdict


def _not_asked(verdict: gates.Verdict) -> gates.Verdict:
    return {"gate": verdict["gate"], "name": verdict["name"], "verdict": "not_asked"}


def _subject(asked: Asked) -> tuple[PayoutSubject | None, str]:
    """Find the statement that would be paid, and say what about it stands in the way besides the gates."""
    if not asked.period:
        return None, "not_named"
    try:
        subject = closing.statement_for_payout(
            tenant_id=asked.tenant_id, party_id=asked.party_id, period=asked.period
        )
    except StatementNotFound:
        return None, "not_found"
    except StatementAmbiguous:
        return None, "ambiguous"
    return subject, _note(asked, subject)


def _note(asked: Asked, subject: PayoutSubject) -> str:
    if subject.month_status != "CLOSED":
        return "month_not_closed"
    if subject.status != "CLOSED":
        return "statement_not_closed"
    if _is_settled(asked, subject):
        return "already_paid"
    return "payable" if subject.payable_cents else "nothing_due"


def _is_settled(asked: Asked, subject: PayoutSubject) -> bool:
    """Tell whether enqueue would answer with what it did before, or refuse another payout of the period."""
    period = {"tenant_id": asked.tenant_id, "party_id": asked.party_id, "period": asked.period}
    outcomes = PayoutOutcome.objects.filter(**period)
    live = Operation.objects.filter(**period, direction="payout").exclude(state__in=["failed", "cancelled"])
    return outcomes.filter(Q(payout_key=subject.payout_key) | Q(kind="offset")).exists() or live.exists()


def _outstanding(asked: Asked, provider_mode: str) -> int:
    held = PartyBalance.objects.filter(
        tenant_id=asked.tenant_id, party_id=asked.party_id, currency=CURRENCY, provider_mode=provider_mode
    )
    return held.values_list("outstanding_cents", flat=True).first() or 0


def exposure_cents(*, tenant_id: str, provider_mode: str, day_key: str) -> int:
    """Read what counts towards a day's limit in one mode."""
    held = ExposureCounter.objects.filter(tenant_id=tenant_id, provider_mode=provider_mode, day_key=day_key)
    return held.values_list("amount_cents", flat=True).first() or 0


def _account(asked: Asked, *, now: dt.datetime) -> tuple[ConnectAccount | None, list[str]]:
    """Give the account that decides, the party's own or the unmapped default, and what keeps it from it."""
    rows = ConnectAccount.objects.filter(tenant_id=asked.tenant_id)
    own = rows.filter(party_id=asked.party_id).first() or rows.filter(is_default=True, party_id="").first()
    return own, connect.obstacles(own, now=now) if own else []


# --- As the wire shows it -------------------------------------------------------------------------
def as_json(asked: Asked, found: Simulated) -> dict[str, Any]:
    """Shape the answer (`MoneyRailSimulation.v1`)."""
    case, refusal = found.case, found.first_refusal
    return {
        "schemaVersion": "MoneyRailSimulation.v1",
        "tenantId": asked.tenant_id,
        "partyId": asked.party_id,
        "period": asked.period or None,
        "providerId": case.provider.provider_id,
        "providerMode": case.provider.mode,
        "amountCents": asked.amount_cents,
        "currency": CURRENCY,
        "evaluatedAt": clock.iso(case.now),
        "outcome": found.outcome,
        "code": refusal["code"] if refusal else None,
        "gates": found.verdicts,
        "headroom": headroom(case),
        "chargeback": _chargeback(found),
        "destination": _destination(asked, found),
        "statement": _statement(found),
    }


def headroom(case: gates.Case) -> dict[str, Any]:
    """Tell how much more may go, per cap; null is no cap. A full day leaves 0, never less."""
    row = case.controls
    per_payout = row.max_payout_amount_cents or None
    limit = row.daily_payout_limit_cents or None
    today = None if limit is None else max(limit - case.exposure_cents, 0)
    room = [cents for cents in (per_payout, today) if cents is not None]
    return {
        "onePayout": {"capCents": per_payout, "headroomCents": per_payout},
        "today": {
            "dayKey": case.day_key,
            "limitCents": limit,
            "exposureCents": money.exact(case.exposure_cents),
            "headroomCents": today,
        },
        "largestPayoutNowCents": min(room) if room else None,
    }


def _chargeback(found: Simulated) -> dict[str, Any]:
    case = found.case
    enabled = case.controls.chargeback_enabled
    return {
        "policyEnabled": enabled,
        "negativeBalanceMode": case.controls.negative_balance_mode if enabled else None,
        "outstandingBeforeCents": money.exact(case.outstanding_cents),
        "recoveryAppliedCents": found.recovery_cents,
        "outstandingAfterCents": money.exact(case.outstanding_cents - found.recovery_cents),
        "payoutAmountGrossCents": case.gross_cents,
        "payoutAmountNetCents": case.net_cents,
    }


def _destination(asked: Asked, found: Simulated) -> dict[str, Any]:
    case = found.case
    ref: str | None = asked.counterparty_ref or f"party:{asked.party_id}"
    if case.account is not None:
        ref = case.account.counterparty_ref
    elif case.needs_account:
        ref = None
    return {
        "counterpartyRef": ref,
        "connectRequired": case.needs_account,
        "accountId": found.own.account_id if found.own else None,
        "accountIsDefault": bool(found.own and found.own.is_default and not found.own.party_id),
        "obstacles": found.obstacles,
    }


def _statement(found: Simulated) -> dict[str, Any]:
    subject = found.subject
    return {
        "status": found.statement_note,
        "payableCents": subject.payable_cents if subject else None,
        "payableAfter": clock.iso(subject.payable_after) if subject else None,
    }
