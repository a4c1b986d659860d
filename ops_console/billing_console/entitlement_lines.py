"""Entitlements as an operator writes them, one a line, and as the console shows them.

sso = on
projects_created_monthly = 100 per month, hard
regions = list: eu, us
"""

import re
from typing import Any, Final

from billing.services import entitlements
from billing.services.catalog import EntitlementWish

MOST_LINES: Final = 200
MOST_CODE: Final = 120
CODE: Final = re.compile(r"[a-z0-9][a-z0-9._:-]*")
QUOTA: Final = re.compile(
    r"(?P<limit>[0-9]{1,16}) per (?P<interval>day|week|month|year)(?:, ?(?P<how>hard|soft))?"
)
HELP: Final = (
    "One a line: “sso = on”, “projects_created_monthly = 100 per month, hard” (or soft),"
    " “regions = list: eu, us”."
)
SWITCHES: Final = {"on": True, "off": False}


class LineFault(Exception):
    """A line says nothing that a plan could grant."""


def read(text: str) -> list[EntitlementWish]:
    """Read what a plan shall grant; LineFault names the first line that cannot be understood."""
    lines = [line.strip() for line in text.splitlines()]
    wishes: list[EntitlementWish] = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            wishes.append(_wish(line))
        except LineFault as fault:
            raise LineFault(f"Line {number}: {fault}") from fault
        if [wish.code for wish in wishes].count(wishes[-1].code) > 1:
            raise LineFault(f"Line {number}: {wishes[-1].code} is there already.")
    if len(wishes) > MOST_LINES:
        raise LineFault(f"At most {MOST_LINES} entitlements.")
    return wishes


def _wish(line: str) -> EntitlementWish:
    code, sign, value = (part.strip() for part in line.partition("="))
    if not sign or not value:
        raise LineFault("write a code, =, and what it grants.")
    if not CODE.fullmatch(code) or len(code) > MOST_CODE:
        raise LineFault(f"“{code[:40]}” is no code; it may hold a-z, 0-9, dot, colon, dash and underscore.")
    schema, payload = _value(value)
    if entitlements.problem_of(schema, payload):
        raise LineFault(f"“{value[:60]}” is not allowed: a list names each thing once.")
    return EntitlementWish(code=code, schema_version=schema, value_json=payload)


def _value(value: str) -> tuple[str, dict[str, Any]]:
    if value in SWITCHES:
        return entitlements.BOOLEAN, {"enabled": SWITCHES[value]}
    if value.startswith("list:"):
        names = [name.strip() for name in value.removeprefix("list:").split(",")]
        return entitlements.STRING_LIST, {"values": names}
    match = QUOTA.fullmatch(value)
    if match is None:
        raise LineFault(f"“{value[:60]}” is neither on, off, “100 per month, hard”, nor “list: eu, us”.")
    return entitlements.QUOTA, {
        "limit": int(match["limit"]),
        "interval": match["interval"],
        "enforcement": match["how"] or "hard",
    }


def write(code: str, schema_version: str, value: Any) -> str:
    """Write one entitlement as `read` understands it; one that is not valid says so instead."""
    if entitlements.problem_of(schema_version, value):
        return f"{code} = cannot be read ({schema_version})"
    if schema_version == entitlements.BOOLEAN:
        return f"{code} = {'on' if value['enabled'] else 'off'}"
    if schema_version == entitlements.QUOTA:
        return f"{code} = {value['limit']} per {value['interval']}, {value['enforcement']}"
    return f"{code} = list: {', '.join(value['values'])}"
