"""Ids, amounts and currencies of the kernel: what they may look like (kernel spec 2.3, 2.4), and those
that follow from another id.
"""

import re
from typing import Any, Final

from settld.core.errors import Invalid
from settld.core.money import MAX_MINOR

AGENT_ID: Final = re.compile(r"[A-Za-z0-9:_-]{3,128}", re.ASCII)
RUN_ID: Final = re.compile(r"[A-Za-z0-9:_-]{1,128}", re.ASCII)
# Tool calls name journal entries by `tc_{hash}` and `sadj_agmt_{hash}_holdback` where runs use their own ids.
NOT_A_RUN: Final = re.compile(r"tc_[0-9a-f]{64}|sadj(_.*)?", re.ASCII)
COMMON_ID: Final = re.compile(r"[A-Za-z0-9:_-]{1,200}", re.ASCII)
POLICY_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
CURRENCY: Final = re.compile(r"[A-Z][A-Z0-9_]{2,11}", re.ASCII)
SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
DEFAULT_CURRENCY: Final = "USD"


def agent_id_of(value: Any, *, key: str = "agentId") -> str:
    """Require an agent's id; Invalid "{key} is required" or "invalid {key}" otherwise."""
    return _matching(AGENT_ID, value, key)


def run_id_of(value: Any, *, key: str = "runId") -> str:
    """Require an id that a new run may have: none that would name the journal entries of a hold."""
    run_id = _matching(RUN_ID, value, key)
    if NOT_A_RUN.fullmatch(run_id):
        raise Invalid(f"invalid {key}", details={"message": "reserved for tool calls"})
    return run_id


def common_id_of(value: Any, *, key: str) -> str:
    """Require an id of an RFQ, bid, dispute, case, verdict or event."""
    return _matching(COMMON_ID, value, key)


def policy_id_of(value: Any, *, key: str = "policyId") -> str:
    """Require a policy's or a listing's id."""
    return _matching(POLICY_ID, value, key)


def sha256_of(value: Any, *, key: str) -> str:
    """Require a lowercase hex SHA-256."""
    return _matching(SHA256, value, key)


def is_sha256(value: Any) -> bool:
    """Tell whether a value is a lowercase hex SHA-256."""
    return isinstance(value, str) and SHA256.fullmatch(value) is not None


def is_cents(value: Any, *, least: int = 1) -> bool:
    """Tell whether a value is a JSON integer amount: no boolean, no text, at most 2^53-1."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= MAX_MINOR


def cents_of(value: Any, *, key: str = "amountCents") -> int:
    """Require a positive amount; Invalid "{key} must be a positive safe integer" otherwise."""
    if not is_cents(value):
        raise Invalid(f"{key} must be a positive safe integer")
    amount: int = value
    return amount


def currency_of(value: Any, *, default: str = DEFAULT_CURRENCY) -> str:
    """Read a currency in any letter case; absent, null and blank are the default."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return default
    text = value.strip().upper() if isinstance(value, str) and value.isascii() else ""
    if not CURRENCY.fullmatch(text):
        raise Invalid("invalid currency")
    return text


def wallet_id(agent_id: str) -> str:
    """Name an agent's one wallet."""
    return f"wallet_{agent_id}"


def settlement_id(run_id: str) -> str:
    """Name a run's one settlement."""
    return f"setl_{run_id}"


def dispute_id(run_id: str, *, number: int = 1) -> str:
    """Name a run's nth dispute where the caller names none."""
    return f"dsp_{run_id}" if number == 1 else f"dsp_{run_id}_{number}"


def holdback_adjustment_id(agreement_hash: str) -> str:
    """Name the single effect that a tool-call hold can have."""
    return f"sadj_agmt_{agreement_hash}_holdback"


def verdict_adjustment_id(*, run_id: str, verdict_id: str) -> str:
    """Name the correction that closing an arbitration case makes."""
    return f"sadj_run_{run_id}_{verdict_id}"


def _matching(pattern: re.Pattern[str], value: Any, key: str) -> str:
    if value is None or value == "":
        raise Invalid(f"{key} is required")
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise Invalid(f"invalid {key}")
    return value
