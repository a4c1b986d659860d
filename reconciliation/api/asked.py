"""Reading what a comparison is asked for: the month under either name, and switches."""

from typing import Final

from django.http import HttpRequest

from settld.core import clock
from settld.core.errors import Invalid

SWITCH: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def period(request: HttpRequest, fault: type[Invalid]) -> str:
    """Read `period`, or its alias `month`; when both are sent they must agree."""
    named = {text for key in ("period", "month") if (text := request.GET.get(key, "").strip())}
    if not named:
        raise Invalid("period is required")
    found = named.pop()
    if named or not clock.is_period(found):
        raise fault(details={"message": "period must match YYYY-MM"})
    return found


def switch(request: HttpRequest, name: str, fault: type[Invalid]) -> bool:
    """Read a switch; absent is off."""
    text = request.GET.get(name, "").strip().lower()
    if text and text not in SWITCH:
        raise fault(details={"message": f"{name} must be one of {', '.join(SWITCH)}"})
    return SWITCH.get(text, False)
