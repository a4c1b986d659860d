"""What each cell of a statement file may say; one function per column, none of them guesses."""

import datetime as dt
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

from settld.closing.identifiers import CURRENCY, ROLE, party_id_of
from settld.core import clock
from settld.core.errors import Invalid
from settld.core.money import MAX_MINOR

REFERENCE_TYPES: Final = ("settlement", "receipt", "adjustment")
MOST_REFERENCES: Final = 1000
MOST_REFERENCE_CHARACTERS: Final = 500
DEFAULT_CURRENCY: Final = "USD"
# ISO 4217 currencies whose minor unit is not a hundredth: a decimal amount would mean something else.
_WITHOUT = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THOUSANDTHS = "BHD IQD JOD KWD LYD OMR TND CLF UYW"
NOT_HUNDREDTHS: Final = frozenset((*_WITHOUT.split(), *_THOUSANDTHS.split()))
_CENTS = re.compile(r"-?[0-9]{1,16}")
_DECIMAL = re.compile(r"(-?)(0|[1-9][0-9]{0,13})\.([0-9]{2})")
Row = TypeVar("Row")


class CellFault(ValueError):
    """A cell that cannot be read."""

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.advice = advice


def party_id(text: str, _row: dict[str, str]) -> str:
    """Read whom the statement is for."""
    try:
        return party_id_of(text)
    except Invalid as error:
        raise CellFault(
            "The party is missing" if not text else "This is no party id",
            "One printable line of 1 to 200 characters.",
        ) from error


def period(text: str, _row: dict[str, str]) -> str:
    """Read the month."""
    if not clock.is_period(text):
        raise CellFault(f"{_shown(text)} is no month", "Write it as YYYY-MM, such as 2026-01.")
    return text


def party_role(text: str, _row: dict[str, str]) -> str:
    """Read in which role."""
    if not ROLE.fullmatch(text):
        raise CellFault(
            f"{_shown(text)} is no role",
            "Lower-case letters, digits and _, such as operator or subcontractor.",
        )
    return text


def currency(text: str, _row: dict[str, str]) -> str:
    """Read the currency; a blank cell means USD."""
    text = text or DEFAULT_CURRENCY
    if not CURRENCY.fullmatch(text):
        raise CellFault(f"{_shown(text)} is no currency", "Three capital letters, such as USD.")
    return text


def payout_cents(text: str, _row: dict[str, str]) -> int:
    """Read whole minor units."""
    if not _CENTS.fullmatch(text):
        raise CellFault(
            f"{_shown(text)} is no number of cents",
            "Whole digits without separators, such as 12345 for 123.45. For decimals name the column amount.",
        )
    return _bounded(int(text))


def amount(text: str, row: dict[str, str]) -> int:
    """Read a decimal amount into minor units, digit by digit; a float never enters."""
    named = row.get("currency") or DEFAULT_CURRENCY
    if named in NOT_HUNDREDTHS:
        raise CellFault(f"{named} has no hundredths", "Use the column payout_cents with whole minor units.")
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise CellFault(
            f"{_shown(text)} is no amount",
            "Two decimals after a point and no other signs, such as 1234.50 or -12.00.",
        )
    sign, whole, minor = match.groups()
    cents = int(whole) * 100 + int(minor)
    return _bounded(-cents if sign else cents)


def payable_after(text: str, _row: dict[str, str]) -> dt.datetime | None:
    """Read until when the payout is held back; blank is not at all."""
    if not text:
        return None
    try:
        return clock.parse_iso(text)
    except ValueError as error:
        raise CellFault(
            f"{_shown(text)} is no instant", "ISO 8601 with an offset, such as 2026-03-01T00:00:00Z."
        ) from error


def references(text: str, _row: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Read what the amount rests on: `type:id`, several parted by `|`."""
    if not text:
        return ()
    parts = text.split("|")
    if len(parts) > MOST_REFERENCES:
        raise CellFault(f"There are {len(parts):,} references", f"At most {MOST_REFERENCES:,} fit.")
    return tuple(_reference(part.strip()) for part in parts)


def _reference(part: str) -> tuple[str, str]:
    kind, _, name = part.partition(":")
    name = name.strip()
    if kind not in REFERENCE_TYPES or not name:
        raise CellFault(
            f"{_shown(part)} is no reference",
            f"Write type:id, several parted by |; the types are {', '.join(REFERENCE_TYPES)}.",
        )
    if len(name) > MOST_REFERENCE_CHARACTERS:
        raise CellFault("A reference id is too long", f"At most {MOST_REFERENCE_CHARACTERS} characters.")
    return kind, name


def _bounded(cents: int) -> int:
    if abs(cents) > MAX_MINOR:
        raise CellFault("The amount is too large", f"At most {MAX_MINOR:,} minor units.")
    return cents


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…") if text else "A blank cell"


PARSERS: Final[dict[str, Callable[[str, dict[str, str]], Any]]] = {
    "party_id": party_id,
    "period": period,
    "party_role": party_role,
    "currency": currency,
    "payout_cents": payout_cents,
    "amount": amount,
    "payable_after": payable_after,
    "references": references,
}


def row_of(make: Callable[..., Row], line: int, read: dict[str, Any]) -> Row:
    """Put parsed cells together; whichever column held the amount, it is minor units by now."""
    values = dict(read)
    cents = values.pop("amount", None)
    return make(line=line, **({"payout_cents": cents} | values))
