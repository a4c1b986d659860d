"""The months, and one month's statements with what became of each."""

from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from django.db import DatabaseError, connection, transaction
from django.db.models import Count, Q, Sum
from django.urls import reverse

from moneyrails.models import Operation, PayoutOutcome
from ops_console import cursors, words
from ops_console.errors import Fact
from ops_console.payouts.listing import href_of
from ops_console.statements import attempts
from ops_console.statements.addresses import statement_href
from settld.closing import queries as closing
from settld.closing.models import PartyStatement
from settld.core import money
from settld.ledger.models import MonthClose

ROWS = 100
MOST_MONTHS = 60
SEPARATOR = "\x1f"
PAYABLE = Q(party_role__in=["operator", "subcontractor"], payout_cents__gt=0)


@dataclass(frozen=True)
class Month:
    """One month in the row of months."""

    month: str
    href: str
    status: str
    tone: str
    is_chosen: bool


@dataclass(frozen=True)
class Row:
    """One statement."""

    party_id: str
    role: str
    amount: str
    payable: str
    status: str
    tone: str
    payout: str
    payout_tone: str
    payout_href: str
    payable_after: str
    enqueue_href: str
    href: str
    fees: str = ""
    made_of: tuple[str, ...] = ()
    references: str = ""


@dataclass(frozen=True)
class Page:
    """The months and the chosen month's statements."""

    months: list[Month]
    period: str
    month_status: str
    month_tone: str
    facts: str
    rows: list[Row]
    pager: cursors.Pager | None
    party: str
    close_href: str = ""
    reopen_href: str = ""
    attempt: str = ""
    holds: list[Fact] = field(default_factory=list)
    finance_href: str = ""


def chosen_month(*, tenant_id: str, wanted: str) -> tuple[list[MonthClose], list[str], str]:
    """Read the known months and choose: the wanted one, else the newest that is closed, else the newest."""
    closes = list(MonthClose.objects.filter(tenant_id=tenant_id).order_by("-month")[:MOST_MONTHS])
    known = closing.months_with_statements(tenant_id=tenant_id)[:MOST_MONTHS]
    names = sorted({*known, *(close.month for close in closes)}, reverse=True)
    closed = [close.month for close in closes if close.is_closed]
    fallback = next(iter(closed), next(iter(names), ""))
    return closes, names, wanted or fallback


def build(*, tenant_id: str, wanted: str, party: str, after: str, may_write: bool) -> Page:
    """Read the page in a fixed number of queries."""
    closes, names, period = chosen_month(tenant_id=tenant_id, wanted=wanted)
    by_month = {close.month: close for close in closes}
    path = reverse("console:statements")
    months = [
        Month(
            name,
            f"{path}?{urlencode({'period': name})}",
            *_status(by_month.get(name)),
            is_chosen=name == period,
        )
        for name in names
    ]
    status, tone = _status(by_month.get(period))
    if not period:
        return Page(months, "", status, tone, "", [], None, party)
    statements = _page(tenant_id=tenant_id, period=period, party=party, after=after)
    has_more, statements = len(statements) > ROWS, statements[:ROWS]
    outcomes = _outcomes(tenant_id=tenant_id, statements=statements)
    fees = _fees(tenant_id=tenant_id, statements=statements)
    attempt, holds = attempts.told(by_month.get(period))
    kept = {"period": period} | ({"party": party} if party else {})
    next_href = f"{path}?{urlencode({**kept, 'after': _place(statements[-1])})}" if has_more else ""
    return Page(
        months=months,
        period=period,
        month_status=status,
        month_tone=tone,
        facts=_sums(tenant_id=tenant_id, period=period),
        rows=[
            _row(
                statement,
                outcomes.get(statement.payout_key),
                fees.get(statement.artifact_id),
                may_write=may_write,
            )
            for statement in statements
        ],
        pager=cursors.Pager(
            note=f"{words.count(len(statements), 'statement')} on this page",
            previous_href=f"{path}?{urlencode(kept)}" if after else "",
            next_href=next_href,
        ),
        party=party,
        close_href=reverse("console:month-close", args=[period]) if may_write and status == "Open" else "",
        reopen_href=reverse("console:month-reopen", args=[period])
        if may_write and status == "Closed"
        else "",
        attempt=attempt,
        holds=holds,
        finance_href=f"{reverse('console:finance')}?{urlencode({'period': period})}",
    )


def _status(close: MonthClose | None) -> tuple[str, str]:
    if close is None:
        return "Open", "info"
    if close.request_pending:
        return "Closing", "warn"
    return ("Closed", "good") if close.is_closed else ("Open", "info")


def _page(*, tenant_id: str, period: str, party: str, after: str) -> list[PartyStatement]:
    rows = closing.listing(tenant_id=tenant_id, period=period, party_id=party or None)
    place = after.split(SEPARATOR)
    if len(place) == 3:
        rows = rows.extra(
            where=['(party_id COLLATE "C", party_role COLLATE "C", currency COLLATE "C") > (%s, %s, %s)'],
            params=place,
        )
    return list(rows[: ROWS + 1])


def _place(statement: PartyStatement) -> str:
    return SEPARATOR.join((statement.party_id, statement.party_role, statement.currency))


def _outcomes(*, tenant_id: str, statements: list[PartyStatement]) -> dict[str, PayoutOutcome]:
    keys = [statement.payout_key for statement in statements]
    found = PayoutOutcome.objects.filter(tenant_id=tenant_id, payout_key__in=keys)
    return {row.payout_key: row for row in found.select_related("operation")}


_FEES = """
SELECT artifact_id, (body::json #>> '{statement,feesCents}')::bigint FROM artifact
WHERE tenant_id = %s AND artifact_id = ANY(%s) AND body::json #>> '{statement,feesCents}' ~ '^-?[0-9]{1,18}$'
"""


def _fees(*, tenant_id: str, statements: list[PartyStatement]) -> dict[str, int]:
    """Read the fees that derived statements state; none when a document among them cannot be read."""
    names = [row.artifact_id for row in statements if row.source == "derived"]
    if not names:
        return {}
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_FEES, [tenant_id, names])
            return dict(cursor.fetchall())
    except DatabaseError:
        return {}


def sums_by_currency(*, tenant_id: str, period: str) -> list[tuple[str, str]]:
    """Say per currency what a whole month comes to, over every page."""
    rows = (
        closing.current(tenant_id=tenant_id)
        .filter(period=period)
        .values_list("currency")
        .annotate(
            count=Count("pk"), payable=Count("pk", filter=PAYABLE), cents=Sum("payout_cents", filter=PAYABLE)
        )
        .order_by("currency")
    )
    return [
        (
            currency,
            f"{words.count(count, 'statement')}, {payable:,} payable, {money.show(cents or 0, currency)}",
        )
        for currency, count, payable, cents in rows
    ]


def _sums(*, tenant_id: str, period: str) -> str:
    parts = [text for _currency, text in sums_by_currency(tenant_id=tenant_id, period=period)]
    started = Operation.objects.filter(tenant_id=tenant_id, period=period, direction="payout").count()
    return "; ".join([*parts, words.count(started, "payout")]) if parts else ""


def _row(
    statement: PartyStatement, outcome: PayoutOutcome | None, fees: int | None, *, may_write: bool
) -> Row:
    operation: Operation | None = outcome.operation if outcome else None
    payable = statement.payable_cents
    payout, payout_tone = "", ""
    if operation is not None:
        payout, payout_tone = words.STATE_LABELS[operation.state], words.STATE_TONES[operation.state]
    elif outcome is not None:
        payout, payout_tone = "Went into debt", "warn"
    elif payable == 0:
        payout, payout_tone = "Nothing due", "quiet"
    can_enqueue = may_write and outcome is None and payable > 0 and statement.status == "CLOSED"
    return Row(
        party_id=statement.party_id,
        role=words.label(statement.party_role),
        amount=money.show(statement.payout_cents, statement.currency),
        payable=money.show(payable, statement.currency),
        status=words.label(statement.status.lower()),
        tone="good" if statement.status == "CLOSED" else "info",
        payout=payout,
        payout_tone=payout_tone,
        payout_href=_payout_href(statement, outcome),
        payable_after=words.moment(statement.payable_after),
        enqueue_href=enqueue_href(period=statement.period, party_id=statement.party_id)
        if can_enqueue
        else "",
        href=statement_href(
            period=statement.period,
            party_id=statement.party_id,
            role=statement.party_role,
            currency=statement.currency,
        ),
        fees=money.show(fees, statement.currency) if fees is not None else "",
        made_of=_made_of(statement),
        references=words.count(len(statement.references), "reference") if statement.references else "",
    )


def _made_of(statement: PartyStatement) -> tuple[str, ...]:
    """Say what a derived statement's pay is made of, as far as it is not the period alone."""
    if statement.source != "derived":
        return ()
    parts = (
        ("earned", statement.period_payout_cents or 0),
        ("carried in", statement.payable_carry_in_cents),
        ("carried on", statement.payable_carry_out_cents),
    )
    return tuple(
        f"{label} {money.show(cents, statement.currency)}"
        for label, cents in parts
        if cents or label == "earned"
    )


def _payout_href(statement: PartyStatement, outcome: PayoutOutcome | None) -> str:
    """Lead to the payout; a full offset has none and leads to the debt that it repaid."""
    if outcome is None:
        return ""
    if outcome.operation is not None:
        return href_of(outcome.operation)
    return f"{reverse('console:chargebacks')}?{urlencode({'party': statement.party_id})}"


def enqueue_href(*, period: str, party_id: str) -> str:
    """Name the page that asks before enqueueing."""
    return f"/console/statements/{period}/{quote(party_id, safe=':')}/enqueue"
