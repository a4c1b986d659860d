"""From what a month owes to what it paid, step by step, each equal to the one before or apart by a sum."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from ops_console import words
from reconciliation.queries.tie_out import Fate, Key, Owed
from settld.core import money

PAYABLE_ACCOUNTS: Final = ("acct_owner_payable", "acct_operator_payable")
FATES: Final = (
    ("confirmed", "Paid", "good"), ("submitted", "Sent", "warn"), ("initiated", "Enqueued", "info"),
    ("offset", "All into debt", "warn"), ("waiting", "Not enqueued yet", "quiet"),
    ("failed", "Failed", "bad"), ("cancelled", "Cancelled", "quiet"), ("reversed", "Reversed", "bad"),
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One line of the way from what is owed to what is paid."""

    label: str
    hint: str
    count: str
    amount: str
    verdict: str = ""
    tone: str = ""
    href: str = ""
    is_part: bool = False


@dataclass(frozen=True)
class Pay:
    """One currency's way."""

    currency: str
    steps: list[Step]


@dataclass(frozen=True)
class Role:
    """What the statements of one role come to."""

    role: str
    source: str
    count: str
    earned: str
    carried_in: str
    carried_out: str
    payable: str


def role(row: Owed) -> Role:
    """Shape what the statements of one role come to."""
    return Role(
        role=words.label(row.party_role),
        source="From the ledger" if row.source == "derived" else "By hand",
        count=f"{row.count:,}",
        earned=money.show(row.earned if row.source == "derived" else row.payout, row.currency),
        carried_in=or_blank(row.carried_in, row.currency),
        carried_out=or_blank(row.carried_out, row.currency),
        payable=money.show(row.payable, row.currency),
    )


def or_blank(cents: int, currency: str) -> str:
    """Write an amount; nothing for zero."""
    return money.show(cents, currency) if cents else ""


def build(
    period: str,
    *,
    ledger: dict[Key, int],
    owed: list[Owed],
    fates: list[Fate],
    others: dict[str, tuple[int, int]],
    is_closed: bool,
) -> list[Pay]:
    """Lay out the way from what is owed to what is paid, by currency."""
    currencies = sorted({*(row.currency for row in owed), *others})
    return [
        Pay(
            currency,
            _steps(
                period,
                currency,
                due=-sum(ledger.get((account, currency), 0) for account in PAYABLE_ACCOUNTS),
                owed=[row for row in owed if row.currency == currency],
                fates=[row for row in fates if row.currency == currency],
                other=others.get(currency),
                is_closed=is_closed,
            ),
        )
        for currency in currencies
    ]


def _steps(
    period: str,
    currency: str,
    *,
    due: int,
    owed: list[Owed],
    fates: list[Fate],
    other: tuple[int, int] | None,
    is_closed: bool,
) -> list[Step]:
    derived = [row for row in owed if row.source == "derived"]
    by_hand = sum(row.payable for row in owed if row.source == "manual")
    steps = []
    if derived and is_closed:
        earned = sum(row.earned for row in derived)
        steps += [
            Step("Ledger", "what the month added to the payable accounts", "", money.show(due, currency)),
            Step(
                "Earned, by the statements", "of all roles, before anything carried",
                f"{sum(row.count for row in derived):,}", money.show(earned, currency),
                *_equal(earned, due, currency),
            ),
        ]  # fmt: skip
    payable = sum(row.payable for row in owed)
    hint = "earned and carried in, where it is above zero"
    hint += f"; {money.show(by_hand, currency)} of it by hand" if by_hand else ""
    steps.append(Step("Payable", hint, "", money.show(payable, currency)))
    if not is_closed:
        return [*steps, *_other(period, currency, other)]
    instructed = sum(row.instructed for row in fates)
    steps.append(
        Step(
            "Instructed", "payout instructions of these statements",
            f"{sum(row.instructed_count for row in fates):,}", money.show(instructed, currency),
            *_equal(instructed, payable, currency),
        )
    )  # fmt: skip
    waiting = sum(row.payable for row in fates if row.name == "waiting")
    made = sum(row.paid + row.withheld for row in fates)
    steps.append(
        Step(
            "Payouts and what waits", "gross: paid out, withheld for debt, and not enqueued yet",
            f"{sum(row.count for row in fates):,}", money.show(made + waiting, currency),
            *_equal(made + waiting, instructed, currency),
        )
    )  # fmt: skip
    by_name = {row.name: row for row in fates}
    for name, label, tone in FATES:
        row = by_name.get(name)
        if row is not None:
            cents = row.payable if name == "waiting" else row.withheld if name == "offset" else row.paid
            steps.append(
                Step(
                    label, "", f"{row.count:,}", money.show(cents, currency), "", tone,
                    _fate_href(period, name), is_part=True,
                )
            )  # fmt: skip
    withheld = sum(row.withheld for row in fates if row.name != "offset")
    if withheld:
        href = reverse("console:chargebacks")
        steps.append(
            Step("Withheld for debt", "", "", money.show(withheld, currency), "", "warn", href, is_part=True)
        )
    return [*steps, *_other(period, currency, other)]


def _other(period: str, currency: str, other: tuple[int, int] | None) -> list[Step]:
    if other is None:
        return []
    count, cents = other
    href = f"{reverse('console:payouts')}?{urlencode({'period': period})}"
    hint = "of an earlier close, or of a statement that has changed since; the carry takes them up"
    return [Step("Other payouts of the month", hint, f"{count:,}", money.show(cents, currency), href=href)]


def _equal(cents: int, wanted: int, currency: str) -> tuple[str, str]:
    return ("Equal", "good") if cents == wanted else (money.show(cents - wanted, currency), "bad")


def _fate_href(period: str, name: str) -> str:
    if name == "waiting":
        return f"{reverse('console:statements')}?{urlencode({'period': period})}"
    if name == "offset":
        return reverse("console:chargebacks")
    return f"{reverse('console:payouts')}?{urlencode({'period': period, 'state': name})}"
