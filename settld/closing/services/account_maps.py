"""The account map: what the tenant's own books call our accounts."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, Final

from settld.audit import services as audit
from settld.closing.models import FinanceAccountMap
from settld.closing.queries import month_documents
from settld.core import failpoints, transactions
from settld.core.canonical_json import CanonicalJsonError
from settld.core.errors import Conflict, Refusal
from settld.core.hashing import canonical_hash
from settld.core.principals import Actor

SCHEMA: Final = "FinanceAccountMap.v1"
WARN, STRICT = "warn", "strict"
MOST_ACCOUNTS, MOST_CHARACTERS = 10_000, 500


class InvalidAccountMap(Refusal):
    """It is not a `FinanceAccountMap.v1`; details say where."""

    code = "INVALID_FINANCE_ACCOUNT_MAP"
    message = "invalid finance account map"


class AccountMapRequired(Conflict):
    """An export needs an account map, and the tenant has none."""

    code = "FINANCE_ACCOUNT_MAP_REQUIRED"
    message = "finance account map required"


class AccountMapMissing(Conflict):
    """The map does not name an account that the batch has; details.message names it."""

    code = "FINANCE_ACCOUNT_MAP_MISSING"
    message = "finance account map is missing an account"


def put(*, tenant_id: str, mapping: Mapping[str, Any], actor: Actor, now: dt.datetime) -> str:
    """Replace the tenant's map and give its hash. Raises InvalidAccountMap."""
    wanted = read(mapping)
    try:
        mapping_hash = canonical_hash(wanted)
    except CanonicalJsonError as error:
        raise InvalidAccountMap(details={"message": str(error)}) from error
    with transactions.joined():
        FinanceAccountMap.objects.update_or_create(
            tenant_id=tenant_id,
            defaults={"mapping": wanted, "mapping_hash": mapping_hash, "updated_at": now},
            create_defaults={
                "mapping": wanted, "mapping_hash": mapping_hash, "updated_at": now, "created_at": now,
            },
        )  # fmt: skip
        audit.append(
            tenant_id=tenant_id,
            actor=actor,
            action="FINANCE_ACCOUNT_MAP_UPSERT",
            target_type="finance_account_map",
            target_id=tenant_id,
            details={"mappingHash": mapping_hash, "accountCount": len(wanted["accounts"])},
            at=now,
        )
        failpoints.hit("account_map.before_commit")
    return mapping_hash


def read(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Check a map and keep the members that it may have."""
    if mapping.get("schemaVersion") != SCHEMA:
        raise _fault(f"schemaVersion must be {SCHEMA}")
    accounts = mapping.get("accounts")
    if not isinstance(accounts, dict) or len(accounts) > MOST_ACCOUNTS:
        raise _fault(f"accounts must be an object of at most {MOST_ACCOUNTS} accounts")
    for name, external in accounts.items():
        if not name.strip() or not isinstance(external, str) or not external.strip():
            raise _fault(f"accounts.{name} must be a non-empty string")
        if len(name) > MOST_CHARACTERS or len(external) > MOST_CHARACTERS:
            raise _fault(f"accounts.{name[:50]} must be a text of at most {MOST_CHARACTERS} characters")
    wanted: dict[str, Any] = {"schemaVersion": SCHEMA, "accounts": accounts}
    policy = mapping.get("exportPolicy")
    if policy is not None:
        if not isinstance(policy, dict) or policy.get("gateMode", WARN) not in (WARN, STRICT):
            raise _fault("exportPolicy.gateMode must be warn or strict")
        wanted["exportPolicy"] = {"gateMode": policy.get("gateMode", WARN)}
    dimensions = mapping.get("dimensions")
    if dimensions is not None:
        if not isinstance(dimensions, dict):
            raise _fault("dimensions must be an object")
        wanted["dimensions"] = dimensions
    return wanted


def gate_mode(mapping: Mapping[str, Any]) -> str:
    """Tell what a gap in the map does at a close: warn or strict."""
    return str(mapping.get("exportPolicy", {}).get("gateMode", WARN))


def first_gap(mapping: Mapping[str, Any], account_ids: Iterable[str]) -> str | None:
    """Name the first account, in code point order, that the map does not know."""
    return next((name for name in sorted(account_ids) if name not in mapping["accounts"]), None)


def required(*, tenant_id: str) -> FinanceAccountMap:
    """Give the tenant's map. Raises AccountMapRequired."""
    found = month_documents.account_map(tenant_id=tenant_id)
    if found is None:
        raise AccountMapRequired()
    return found


def require_complete(mapping: Mapping[str, Any], account_ids: Iterable[str]) -> None:
    """Raise AccountMapMissing for the first account that the map does not know."""
    gap = first_gap(mapping, account_ids)
    if gap is not None:
        raise AccountMapMissing(details={"message": f"no external account for {gap}", "accountId": gap})


def _fault(problem: str) -> InvalidAccountMap:
    return InvalidAccountMap(details={"message": problem})
