"""A month tied out: journal, GL batch and statements by account; then owed, instructed and paid."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from django.db import DatabaseError, transaction
from django.urls import reverse

from ops_console import charts, words
from ops_console.access import Visit
from ops_console.finance import owed_to_paid
from ops_console.finance.owed_to_paid import Pay, Role
from ops_console.journal.links import account_href
from ops_console.mismatches.filters import FINANCE, Filters
from ops_console.reconciliation import matrix
from ops_console.statements.addresses import statement_href
from reconciliation.models import ReconcileReport
from reconciliation.queries import tie_out
from reconciliation.queries.tie_out import Key, Owed, PartyPay
from reconciliation.states import Side
from settld.core import money

MOST_PARTIES: Final = 10
Result = TypeVar("Result")


@dataclass(frozen=True)
class Notice:
    """A source that is missing, and what to do about it."""

    text: str
    href: str = ""
    link: str = ""
    tone: str = "info"


@dataclass(frozen=True)
class AccountRow:
    """One account as each side has it."""

    account_id: str
    href: str
    ledger: str
    batch: str
    stated: str
    verdict: str
    tone: str
    case_href: str


@dataclass(frozen=True)
class Rail:
    """One provider's newest report about the month."""

    provider_id: str
    instructed: str
    operations: str
    confirmed: str
    in_flight: str
    debt: str
    verdict: str
    tone: str
    href: str


@dataclass(frozen=True)
class PartyBar:
    """One party's month as a bar."""

    party_id: str
    href: str
    earned: str
    paid: str
    in_flight: str
    taken_back: str
    carried: str
    meter: charts.Meter


@dataclass(frozen=True)
class TieOut:
    """Everything that the section prints; `differs` counts what does not agree."""

    accounts: list[AccountRow] = field(default_factory=list)
    roles: list[Role] = field(default_factory=list)
    pay: list[Pay] = field(default_factory=list)
    rails: list[Rail] = field(default_factory=list)
    parties: list[PartyBar] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    batch_accounts: list[str] = field(default_factory=list)
    differs: int = 0
    compared: int = 0

    @property
    def verdict(self) -> tuple[str, str]:
        """Say in a word how it stands, with its tone."""
        if self.differs:
            return f"{words.count(self.differs, 'difference')}", "bad"
        return ("Ties out", "good") if self.compared else ("Nothing to compare yet", "quiet")


def build(
    visit: Visit, *, period: str, provider: str, month_reports: list[ReconcileReport], is_closed: bool
) -> TieOut:
    """Read each side on its own in a fixed number of queries; one that cannot be read is a notice."""
    named = {"tenant_id": visit.tenant_id, "period": period}
    notices: list[Notice] = []

    def source(read: Callable[..., Result], label: str, **more: Any) -> Result | None:
        try:
            with transaction.atomic():
                return read(**named, **more)
        except (DatabaseError, ValueError, TypeError, AttributeError):
            notices.append(
                Notice(f"{label} cannot be read. The report below the queue says what is wrong.", tone="bad")
            )
            return None

    ledger = source(tie_out.ledger, "The journal") or {}
    batch = source(tie_out.gl_batch, "The GL batch")
    owed = source(tie_out.owed, "The statements") or []
    derived = sum(row.count for row in owed if row.source == "derived")
    stated = None
    if derived and is_closed and derived <= tie_out.MOST_STATEMENTS:
        stated = source(tie_out.stated, "The statements' documents")
    elif derived > tie_out.MOST_STATEMENTS:
        notices.append(
            Notice(f"{derived:,} statements are too many to add up here; the report compares them all.")
        )
    notices += _missing(period, batch=batch, owed=owed, is_closed=is_closed, ledger=ledger)
    accounts = _accounts(period, ledger=ledger, batch=batch, stated=stated)
    pay = owed_to_paid.build(
        period,
        ledger=ledger,
        owed=owed,
        fates=(source(tie_out.fates, "The payouts") or []) if is_closed else [],
        others=source(tie_out.other_payouts, "The payouts") or {},
        is_closed=is_closed,
    )
    rails = [
        _rail(row) for row in month_reports if row.side == Side.BOOKS and provider in ("", row.provider_id)
    ]
    if owed and not rails:
        href = f"{reverse('console:reconciliation-run')}?{urlencode({'period': period})}"
        notices.append(Notice("No money-rail report about this month yet.", href, "Reconcile payouts…"))
    parties = source(tie_out.parties, "The parties", most=MOST_PARTIES) or []
    verdicts = [row.tone for row in accounts if row.verdict]
    verdicts += [step.tone for one in pay for step in one.steps if step.verdict]
    verdicts += [row.tone for row in rails]
    return TieOut(
        accounts=accounts,
        roles=[owed_to_paid.role(row) for row in owed],
        pay=pay,
        rails=rails,
        parties=_bars(period, parties),
        notices=notices,
        batch_accounts=sorted({account for account, _ in batch or {}}),
        differs=verdicts.count("bad"),
        compared=len(verdicts),
    )


def _missing(
    period: str, *, batch: dict[Key, int] | None, owed: list[Owed], is_closed: bool, ledger: dict[Key, int]
) -> list[Notice]:
    months = f"{reverse('console:statements')}?{urlencode({'period': period})}"
    found = []
    if not is_closed:
        found.append(Notice(f"{period} is not closed, so it has no GL batch.", months, "Statements"))
    elif batch is None:
        found.append(
            Notice("There is no GL batch of this close; reopen and close the month.", months, "Statements")
        )
    if not owed:
        found.append(Notice("There is no party statement for this month.", months, "Statements"))
    if not ledger:
        found.append(
            Notice(
                "Nothing was posted to the general book in this month.", reverse("console:journal"), "Journal"
            )
        )
    return found


# --- By account -----------------------------------------------------------------------------------
def _accounts(
    period: str, *, ledger: dict[Key, int], batch: dict[Key, int] | None, stated: dict[Key, int] | None
) -> list[AccountRow]:
    keys = sorted({*ledger, *(batch or {}), *(stated or {})}, key=lambda key: (key[1], key[0]))
    return [_account(period, key, ledger, batch, stated) for key in keys]


def _account(
    period: str,
    key: Key,
    ledger: dict[Key, int],
    batch: dict[Key, int] | None,
    stated: dict[Key, int] | None,
) -> AccountRow:
    account_id, currency = key
    sides = [None if side is None else side.get(key, 0) for side in (ledger, batch, stated)]
    known = [cents for cents in sides if cents is not None]
    verdict, tone, case_href = "", "", ""
    if len(known) > 1:
        apart = max(known) - min(known)
        verdict, tone = ("Equal", "good") if not apart else (money.show(apart, currency), "bad")
        if apart:
            queue = Filters(period=period, home=FINANCE, source="finance_reconcile", q=account_id)
            case_href = f"{queue.address()}#list"
    ours, theirs, told = ("" if cents is None else money.show(cents, currency) for cents in sides)
    return AccountRow(account_id, account_href(account_id), ours, theirs, told, verdict, tone, case_href)


# --- Reports and parties --------------------------------------------------------------------------
def _rail(row: ReconcileReport) -> Rail:
    summary = row.summary or {}

    def number(name: str) -> str:
        value = summary.get(name)
        return f"{value:,}" if isinstance(value, int) else str(value or "")

    is_pass = row.status == "pass"
    return Rail(
        provider_id=row.provider_id,
        instructed=number("expectedPayoutCount"),
        operations=number("operationCount"),
        confirmed=number("settledCount"),
        in_flight=number("inFlightCount"),
        debt=number("offsetSettledCount"),
        verdict="Ties out" if is_pass else words.count(row.mismatch_count, "difference"),
        tone="good" if is_pass else "bad",
        href=matrix.href_of(row),
    )


def _bars(period: str, parties: list[PartyPay]) -> list[PartyBar]:
    whole = max((_size(row) for row in parties), default=1)
    return [_bar(period, row, whole) for row in parties]


def _size(row: PartyPay) -> int:
    gone = row.paid + row.in_flight + row.taken_back
    return max(row.earned + max(row.carried_in, 0), gone, abs(row.carried_out), 1)


def _bar(period: str, row: PartyPay, whole: int) -> PartyBar:
    def text(cents: int) -> str:
        return money.show(cents, row.currency)

    rest = max(row.earned + row.carried_in - row.paid - row.in_flight - row.taken_back, 0)
    lost = row.taken_back + max(-row.carried_out, 0)
    amounts = [(row.paid, "good"), (row.in_flight, "warn"), (rest, "info"), (lost, "bad")]
    summary = f"{row.party_id}: earned {text(row.earned)}, paid {text(row.paid)}"
    summary += f", on its way {text(row.in_flight)}, taken back {text(row.taken_back)}"
    summary += f", carried on {text(row.carried_out)}"
    return PartyBar(
        party_id=row.party_id,
        href=statement_href(period=period, party_id=row.party_id),
        earned=text(row.earned),
        paid=text(row.paid),
        in_flight=text(row.in_flight),
        taken_back=owed_to_paid.or_blank(row.taken_back, row.currency),
        carried=owed_to_paid.or_blank(row.carried_out, row.currency),
        meter=charts.meter(amounts, whole=whole, summary=summary),
    )


def latest_reports(*, tenant_id: str, period: str) -> list[ReconcileReport]:
    """Give the newest report of each kind about a month, that of its books included; one query."""
    rows = ReconcileReport.objects.filter(tenant_id=tenant_id, period=period)
    return list(rows.order_by("provider_id", "side", "-last_run_at").distinct("provider_id", "side"))


def newest_report(*, tenant_id: str, period: str) -> ReconcileReport | None:
    """Give the newest report about a month's books."""
    return next(
        (row for row in latest_reports(tenant_id=tenant_id, period=period) if row.side == Side.FINANCE), None
    )
