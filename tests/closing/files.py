"""Files of statements, as people make them."""

from typing import Any

HEADER = "party_id,period,party_role,payout_cents,currency,payable_after,references"
PERIOD = "2026-01"


def line(party: str = "pty_1", cents: Any = 12_345, *, period: str = PERIOD, **more: str) -> str:
    values = {"role": "operator", "currency": "USD", "after": "", "references": ""} | more
    return ",".join(
        [party, period, values["role"], str(cents), values["currency"], values["after"], values["references"]]
    )


def file(*lines: str, header: str = HEADER) -> bytes:
    return "\n".join([header, *lines, ""]).encode()


def many(count: int, *, period: str = PERIOD, cents: int = 100) -> bytes:
    return file(*(line(f"pty_{number:06d}", cents + number, period=period) for number in range(count)))
