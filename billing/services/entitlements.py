"""What a plan grants: three schemas, checked when written and again when read (section 10, INV-44).

Reading fails closed. A payload that we do not understand grants nothing, and answers 500, because the
mistake is ours and a customer's rights hang on it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from billing.guardrail_codes import Guardrail
from billing.models import Entitlement, Plan
from billing.services import guardrails
from settld.core.errors import Refusal
from settld.core.money import MAX_MINOR

BOOLEAN: Final = "entitlement.boolean.v1"
QUOTA: Final = "entitlement.quota.v1"
STRING_LIST: Final = "entitlement.string_list.v1"
TYPES: Final = {BOOLEAN: "boolean", QUOTA: "quota", STRING_LIST: "string_list"}
INTERVALS: Final = ("day", "week", "month", "year")
ENFORCEMENTS: Final = ("hard", "soft")
UNKNOWN_VERSION: Final = "unknown_schema_version"
INVALID_PAYLOAD: Final = "invalid_payload"


class EntitlementSchemaInvalid(Refusal):
    """A plan grants something that cannot be read; nothing is granted, and somebody is alerted."""

    status = 500
    code = "ENTITLEMENT_SCHEMA_INVALID"
    message = "Entitlement configuration is invalid."


@dataclass(frozen=True)
class Quota:
    """So many uses in each window; hard refuses one too many, soft only counts it."""

    limit: int
    interval: str
    enforcement: str

    @property
    def is_hard(self) -> bool:
        """Tell whether one too many is refused."""
        return self.enforcement == "hard"


@dataclass(frozen=True)
class Granted:
    """One entitlement that was read and understood; exactly one of the last three is not None."""

    code: str
    schema_version: str
    value_json: dict[str, Any]
    enabled: bool | None = None
    values: tuple[str, ...] | None = None
    quota: Quota | None = None

    @property
    def type(self) -> str:
        """Name the kind of the value: boolean, quota or string_list."""
        return TYPES[self.schema_version]


def problem_of(schema_version: Any, value: Any) -> str | None:
    """Tell what is wrong: `unknown_schema_version` or `invalid_payload`; None for a valid entitlement."""
    check = _CHECKS.get(schema_version) if isinstance(schema_version, str) else None
    if check is None:
        return UNKNOWN_VERSION
    return None if isinstance(value, dict) and check(value) else INVALID_PAYLOAD


def read(entitlement: Entitlement, *, plan: Plan) -> Granted:
    """Understand a stored entitlement of a plan, or raise EntitlementSchemaInvalid with an alert."""
    return understand(
        code=entitlement.code,
        schema_version=entitlement.schema_version,
        value=entitlement.value_json,
        plan_code=plan.code,
        plan_version=plan.version,
    )


def understand(*, code: str, schema_version: str, value: Any, plan_code: str, plan_version: int) -> Granted:
    """Understand an entitlement by its parts, or raise EntitlementSchemaInvalid with an alert."""
    reason = problem_of(schema_version, value)
    if reason is not None:
        guardrails.emit(
            Guardrail.ENTITLEMENT_SCHEMA_INVALID,
            plan_code=plan_code,
            plan_version=plan_version,
            entitlement_code=code,
            schema_version=schema_version,
            reason=reason,
        )
        raise EntitlementSchemaInvalid(details={"schemaVersion": schema_version, "reason": reason})
    granted = {"code": code, "schema_version": schema_version, "value_json": value}
    if schema_version == BOOLEAN:
        return Granted(**granted, enabled=value["enabled"])
    if schema_version == QUOTA:
        return Granted(**granted, quota=Quota(value["limit"], value["interval"], value["enforcement"]))
    return Granted(**granted, values=tuple(text.strip() for text in value["values"]))


def of_plan(plan: Plan) -> list[Granted]:
    """Understand everything that a plan grants, by code; its entitlements may be prefetched."""
    return all_of(plan.entitlements.all(), plan=plan)


def all_of(entitlements: Iterable[Entitlement], *, plan: Plan) -> list[Granted]:
    """Understand several entitlements of one plan, in their order."""
    return [read(entitlement, plan=plan) for entitlement in entitlements]


# --- The schemas ----------------------------------------------------------------------------------
def _is_boolean(value: dict[str, Any]) -> bool:
    return value.keys() == {"enabled"} and isinstance(value["enabled"], bool)


def _is_quota(value: dict[str, Any]) -> bool:
    if value.keys() != {"limit", "interval", "enforcement"}:
        return False
    limit = value["limit"]
    if isinstance(limit, bool) or not isinstance(limit, int) or not 0 <= limit <= MAX_MINOR:
        return False
    return value["interval"] in INTERVALS and value["enforcement"] in ENFORCEMENTS


def _is_string_list(value: dict[str, Any]) -> bool:
    if value.keys() != {"values"} or not isinstance(value["values"], list) or not value["values"]:
        return False
    if not all(isinstance(text, str) for text in value["values"]):
        return False
    trimmed = [text.strip() for text in value["values"]]
    return all(trimmed) and len(set(trimmed)) == len(trimmed)


_CHECKS: Final[dict[str, Callable[[dict[str, Any]], bool]]] = {
    BOOLEAN: _is_boolean,
    QUOTA: _is_quota,
    STRING_LIST: _is_string_list,
}
