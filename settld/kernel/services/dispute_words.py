"""The vocabulary of disputes, and how a request's words are read (kernel spec 8)."""

from typing import Any, Final

from settld.core.errors import Conflict, Invalid
from settld.kernel import identifiers

TYPES: Final = ("quality", "delivery", "fraud", "policy", "payment", "other")
PRIORITIES: Final = ("low", "normal", "high", "critical")
CHANNELS: Final = ("counterparty", "policy_engine", "arbiter", "external")
LEVELS: Final = ("l1_counterparty", "l2_arbiter", "l3_external")
OUTCOMES: Final = ("accepted", "rejected", "partial", "withdrawn", "unresolved")
CHANNEL_OF_LEVEL: Final = {
    "l1_counterparty": "counterparty",
    "l2_arbiter": "arbiter",
    "l3_external": "external",
}
MOST_TEXT: Final = 4000
MOST_REFS: Final = 1000
MOST_REF: Final = 512


class DisputeTransitionRejected(Conflict):
    """The dispute cannot be as the request wants it; details.message says why."""

    message = "dispute transition rejected"


def word(value: Any, words: tuple[str, ...], *, key: str, default: str) -> str:
    """Read one of a few words. Raises DisputeTransitionRejected for any other."""
    if value is None or value == "":
        return default
    if not isinstance(value, str) or value not in words:
        raise DisputeTransitionRejected(details={"message": f"{key} must be one of {', '.join(words)}"})
    return value


def level(value: Any) -> str:
    """Read a level to escalate to. Raises Invalid for one that is not known."""
    if value is None or value == "":
        raise Invalid("escalationLevel is required")
    if not isinstance(value, str) or value not in LEVELS:
        raise Invalid(f"escalationLevel must be one of {', '.join(LEVELS)}")
    return value


def text(value: Any, *, key: str) -> str | None:
    """Read a trimmed text of at most 4000 characters; blank is None. Raises Invalid."""
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MOST_TEXT:
        raise Invalid(f"{key} must be a string of at most {MOST_TEXT} characters")
    return value.strip() or None


def agent_id(value: Any, *, key: str) -> str | None:
    """Read an agent's id that may be absent. Raises Invalid."""
    return None if value is None or value == "" else identifiers.agent_id_of(value, key=key)


def ref(value: Any) -> str:
    """Read one piece of evidence. Raises Invalid."""
    if not isinstance(value, str) or not value.strip():
        raise Invalid("evidenceRef is required")
    if len(value) > MOST_REF:
        raise Invalid(f"evidenceRef must have at most {MOST_REF} characters")
    return value.strip()


def refs(value: Any, *, key: str = "evidenceRefs") -> list[str] | None:
    """Read evidence: trimmed, without repeats, in the order given; None where absent. Raises Invalid."""
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > MOST_REFS:
        raise Invalid(f"{key} must be an array of at most {MOST_REFS} strings")
    for entry in value:
        if not isinstance(entry, str) or not entry.strip() or len(entry) > MOST_REF:
            raise Invalid(f"{key} must hold strings of 1 to {MOST_REF} characters")
    return list(dict.fromkeys(entry.strip() for entry in value))
