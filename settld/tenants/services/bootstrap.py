"""Making a tenant ready to work: the row, a key, its plan, in one transaction (platform-operations 3.5)."""

import datetime as dt
import shlex
from dataclasses import dataclass
from typing import Any, Protocol

from settld.audit import services as audit
from settld.core import tenancy, transactions
from settld.core.principals import Actor
from settld.tenants.services import keys, tenants


@dataclass(frozen=True)
class BillingWish:
    """What a bootstrap asks of billing; None leaves a field as it is."""

    plan: str | None = None
    hard_limit_enforced: bool | None = None

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing was asked."""
        return self.plan is None and self.hard_limit_enforced is None


class BillingDesk(Protocol):
    """Sets and tells a tenant's plan; the billing room registers itself."""

    def __call__(self, *, tenant_id: str, wish: BillingWish, now: dt.datetime) -> dict[str, Any]: ...


def _no_billing(*, tenant_id: str, wish: BillingWish, now: dt.datetime) -> dict[str, Any]:
    return {
        "plan": wish.plan or "free",
        "hardLimitEnforced": wish.hard_limit_enforced is not False,
        "resolvedPlan": None,
        "planOverrides": None,
    }


billing_desk: list[BillingDesk] = [_no_billing]


@dataclass(frozen=True)
class KeyWish:
    """The key to make."""

    scopes: list[str]
    key_id: str | None
    expires_at: dt.datetime | None
    description: str


@dataclass(frozen=True)
class Bootstrap:
    """What was made."""

    key: keys.NewKey | None
    billing: dict[str, Any]
    created: bool


def bootstrap(
    *,
    tenant_id: str,
    key: KeyWish | None,
    billing: BillingWish,
    profile: dict[str, str],
    actor: Actor,
    now: dt.datetime,
) -> Bootstrap:
    """Make the tenant unless it exists, give it a key and the billing fields that were asked for."""
    tenants.require_new_id(tenant_id)
    with tenancy.tenant_scope(tenant_id), transactions.atomic():
        tenant, created = tenants.ensure(tenant_id=tenant_id, source="bootstrap", now=now)
        if profile:
            for field, value in profile.items():
                setattr(tenant, field, value)
            tenant.updated_at = now
            tenant.save()
        made = None
        if key is not None:
            made = keys.create(
                tenant_id=tenant_id, scopes=key.scopes, key_id=key.key_id, expires_at=key.expires_at,
                description=key.description, actor=actor, now=now,
                audit_details={"source": "tenant_bootstrap"},
            )  # fmt: skip
        state = billing_desk[-1](tenant_id=tenant_id, wish=billing, now=now)
        audit.append(
            tenant_id=tenant_id,
            actor=actor,
            action="TENANT_BOOTSTRAP",
            target_type="tenant",
            target_id=tenant_id,
            details={
                "billingChanged": not billing.is_empty,
                "plan": state["plan"],
                "hardLimitEnforced": billing.hard_limit_enforced,
                "apiKeyCreated": made is not None,
                "apiKeyId": made.key.key_id if made else None,
            },
            at=now,
        )
    return Bootstrap(made, state, created)


def export_commands(env: dict[str, str]) -> str:
    """Write POSIX export lines, each value single-quoted where it needs it."""
    return "\n".join(f"export {name}={_quoted(value)}" for name, value in env.items())


def _quoted(value: str) -> str:
    quoted = shlex.quote(value)
    return quoted if quoted.startswith("'") else f"'{quoted}'"
