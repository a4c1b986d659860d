"""Reading the body of a plan's PUT, as it arrives and as it is kept for a second person."""

from dataclasses import dataclass
from typing import Any, Final

from billing.plans import catalog
from moneyrails.services import controls
from moneyrails.services.controls_payload import known_part
from settld.api.fields import Body

INVALID: Final = "invalid billing plan payload"
KEPT: Final = ("plan", "planOverrides", "hardLimitEnforced", "moneyRails")


@dataclass(frozen=True)
class PlanChange:
    """What a caller wants: None keeps the base plan; `controls` is what was sent for them, or MISSING.

    `body` holds the known keys as they were sent, which is what a second person decides on; `reason` is
    what the caller tells them. `expects` is the fingerprint of what the caller saw; blank does not ask.
    """

    base_plan: str | None
    plan_overrides: dict[str, int] | None
    hard_limit_enforced: bool
    controls: object
    body: dict[str, Any]
    reason: str = ""
    expects: str = ""


def _kept(values: dict[str, Any], overrides: dict[str, int] | None) -> dict[str, Any]:
    """Keep what was understood, in the words it was sent in; what we ignore is nobody's to approve."""
    kept: dict[str, Any] = {key: values[key] for key in KEPT if key in values}
    if "planOverrides" in kept:
        kept["planOverrides"] = overrides
    if "moneyRails" in kept:
        kept["moneyRails"] = known_part(kept["moneyRails"])
    return kept


def read_change(values: dict[str, Any]) -> PlanChange:
    """Read the body of a PUT; the controls inside it are read by their own room."""
    body = Body(values, message=INVALID)
    try:
        overrides = catalog.read_overrides(values.get("planOverrides"))
    except catalog.BadOverrides as problem:
        raise body.fault(str(problem)) from problem
    is_enforced = body.boolean("hardLimitEnforced", default=True)
    return PlanChange(
        base_plan=body.choice("plan", tuple(catalog.CATALOG)),
        plan_overrides=overrides,
        hard_limit_enforced=is_enforced is not False,
        controls=values.get("moneyRails", controls.MISSING),
        body=_kept(values, overrides),
        reason=body.text("reason", most=1000) or "",
    )
