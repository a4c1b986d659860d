"""What a change of the rules would hold back at once: payouts and statements that wait now."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from moneyrails.models import MoneyRailControls
from ops_console import words
from ops_console.controls import queries
from ops_console.controls.queries import Tally
from ops_console.controls.wording import CURRENCY
from settld.core import money


@dataclass(frozen=True)
class Impact:
    """One consequence."""

    text: str
    tone: str


def of(row: MoneyRailControls, after: dict[str, Any], *, now: dt.datetime) -> list[Impact]:
    """List what a change would block now; at most five queries."""
    return [*_submits(row, after), *_enqueues(row, after), *_today(row, after, now=now)]


def _submits(row: MoneyRailControls, after: dict[str, Any]) -> list[Impact]:
    """Real money and providers are asked again at submit."""
    waiting = queries.waiting_payouts(tenant_id=row.tenant_id)
    found = []
    real = queries.production_providers()
    if row.real_money_enabled and not after["realMoneyEnabled"]:
        tally = queries.tally(waiting.filter(provider_id__in=real), amount="amount_cents")
        found.append(_blocked(tally, "wait to be submitted over a production provider and would be refused"))
    allowed = after["allowedProviderIds"]
    if allowed and (not row.allowed_provider_ids or set(row.allowed_provider_ids) - set(allowed)):
        tally = queries.tally(waiting.exclude(provider_id__in=allowed), amount="amount_cents")
        found.append(_blocked(tally, "wait to be submitted over other providers and would be refused"))
    if not row.real_money_enabled and after["realMoneyEnabled"] and real:
        tally = queries.tally(waiting.filter(provider_id__in=real), amount="amount_cents")
        text = f"{_shown(tally)} wait for a production provider and could be submitted from then on."
        found.append(Impact(text, "warn" if tally.count else "quiet"))
    return found


def _enqueues(row: MoneyRailControls, after: dict[str, Any]) -> list[Impact]:
    """The cap is asked when a statement is enqueued."""
    cap, old = after["maxPayoutAmountCents"], row.max_payout_amount_cents or None
    if not cap or (old is not None and cap >= old):
        return []
    above = Q(payout_cents__gt=cap) & (Q(payout_cents__lte=old) if old else Q())
    due = queries.due_statements(tenant_id=row.tenant_id).filter(above)
    tally = queries.tally(due, amount="payout_cents")
    return [
        _blocked(tally, "of closed statements are above the new cap and could not be enqueued")
    ]  # fmt: skip


def _today(row: MoneyRailControls, after: dict[str, Any], *, now: dt.datetime) -> list[Impact]:
    limit = after["dailyPayoutLimitCents"]
    if not limit or (row.daily_payout_limit_cents and limit >= row.daily_payout_limit_cents):
        return []
    found = []
    for used in queries.usage(tenant_id=row.tenant_id, now=now):
        left = max(limit - used.amount_cents, 0)
        mode = "real money" if used.mode == "production" else "sandbox"
        text = f"{money.show(left, CURRENCY)} would be left for today in {mode}."
        found.append(Impact(text, "bad" if not left else "quiet"))
    return found


def _shown(tally: Tally) -> str:
    return f"{words.count(tally.count, 'payout')} ({money.show(tally.cents, CURRENCY)})"


def _blocked(tally: Tally, what: str) -> Impact:
    return Impact(f"{_shown(tally)} {what}.", "bad" if tally.count else "quiet")
