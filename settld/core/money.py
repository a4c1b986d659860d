"""Money as whole minor units; a float never enters."""

import re
from typing import Any, Final

MAX_MINOR = 2**53 - 1
# Minor units of a currency as the payment provider counts them: hundredths, but for these. ISK has no
# hundredths any more, and is counted in them all the same.
_WHOLE: Final = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF"
_THOUSANDTHS: Final = "BHD IQD JOD KWD LYD OMR TND"
_EXPONENTS: Final = dict.fromkeys(_WHOLE.split(), 0) | dict.fromkeys(_THOUSANDTHS.split(), 3)
_UNITS: Final = {0: 1, 2: 100, 3: 1000}
_AMOUNT: Final = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,3}))?", re.ASCII)


def is_minor(value: Any) -> bool:
    """Tell whether a value is an integer amount that survives every JSON reader."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_MINOR


def exact(total: int) -> int | str:
    """Write a sum exactly: as digits in a text once it passes what every JSON reader keeps."""
    return total if abs(total) <= MAX_MINOR else str(total)


def exponent(currency: str) -> int:
    """Tell how many decimals a currency's amounts have; its minor unit is 10 to the minus that."""
    return _EXPONENTS.get(currency.upper(), 2)


def show(amount_minor: int, currency: str) -> str:
    """Write an amount of minor units for people, as in 1,234.56 USD and 1,235 JPY."""
    places = exponent(currency)
    sign = "-" if amount_minor < 0 else ""
    major, minor = divmod(abs(amount_minor), _UNITS[places])
    decimals = f".{minor:0{places}d}" if places else ""
    return f"{sign}{major:,}{decimals} {currency}"


def parse(text: str, currency: str) -> int | None:
    """Read what a person typed, such as 49, 49.5 or 49.50, into minor units; None when it is no amount.

    No sign, no separators between thousands, and no more decimals than the currency has.
    """
    places = exponent(currency)
    match = _AMOUNT.fullmatch(text.strip())
    if match is None or len(match[2] or "") > places:
        return None
    return int(match[1]) * _UNITS[places] + int((match[2] or "").ljust(places, "0") or "0")
