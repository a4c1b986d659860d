"""Making and changing tenants."""

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from settld.audit import services as audit
from settld.core import tenancy, transactions
from settld.core.errors import Conflict, Invalid, NotFound
from settld.core.principals import Actor
from settld.tenants.models import Tenant

TENANT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class TenantNotFound(NotFound):
    """A write to a tenant that does not exist, where none may be made implicitly."""

    code = "TENANT_NOT_FOUND"
    message = "tenant not found"


def require_new_id(tenant_id: str) -> str:
    """Require the form of ids for new tenants."""
    if not TENANT_ID.fullmatch(tenant_id):
        raise Invalid("invalid tenant", details={"message": "a tenant id is 1 to 64 of A-Z a-z 0-9 _ -"})
    return tenant_id


def ensure(*, tenant_id: str, source: str, now: dt.datetime, name: str = "") -> tuple[Tenant, bool]:
    """Get or make a tenant; concurrent calls make one."""
    known = Tenant.objects.filter(tenant_id=tenant_id).first()
    if known is not None:
        return known, False
    require_new_id(tenant_id)
    return Tenant.objects.get_or_create(
        tenant_id=tenant_id,
        defaults={"source": source, "name": name, "created_at": now, "updated_at": now},
    )


def status_of(*, tenant_id: str) -> str | None:
    """Tell how a tenant stands, None for an unknown one; every call asks, so it is as cheap as it can be."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT status FROM tenant WHERE tenant_id = %s", [tenant_id])
        row = cursor.fetchone()
    return None if row is None else str(row[0])


@dataclass(frozen=True)
class Change:
    """What to change of a tenant; None leaves a field, a None in a mapping takes that wish back."""

    name: str | None = None
    status: str | None = None
    requires_second_factor: bool | None = None
    retention: dict[str, int | None] = field(default_factory=dict)
    quotas: dict[str, int | None] = field(default_factory=dict)


def require_known(*, tenant_id: str) -> Tenant:
    """Give a tenant; TenantNotFound when there is none."""
    tenant = Tenant.objects.filter(tenant_id=tenant_id).first()
    if tenant is None:
        raise TenantNotFound()
    return tenant


def create(*, tenant_id: str, name: str, actor: Actor, now: dt.datetime) -> Tenant:
    """Make a tenant by hand; Conflict when it exists."""
    require_new_id(tenant_id)
    with tenancy.tenant_scope(tenant_id), transactions.atomic():
        tenant, is_new = ensure(tenant_id=tenant_id, source="command", name=name, now=now)
        if not is_new:
            raise Conflict("tenant already exists", code="TENANT_EXISTS")
        _audit(tenant, action="TENANT_CREATE", details={"name": name}, actor=actor, now=now)
    return tenant


def change(*, tenant_id: str, wish: Change, actor: Actor, now: dt.datetime) -> Tenant:
    """Change how a tenant stands and what it may keep and have; the audit row tells before and after."""
    with tenancy.tenant_scope(tenant_id), transactions.atomic():
        tenant = Tenant.objects.select_for_update().filter(tenant_id=tenant_id).first()
        if tenant is None:
            raise TenantNotFound()
        before = _facts(tenant)
        for name in ("name", "status", "requires_second_factor"):
            value = getattr(wish, name)
            if value is not None:
                setattr(tenant, name, value)
        tenant.retention = _merged(tenant.retention, wish.retention)
        tenant.quotas = _merged(tenant.quotas, wish.quotas)
        tenant.updated_at = now
        tenant.save()
        _audit(
            tenant, action="TENANT_UPDATE", details={"before": before, "after": _facts(tenant)},
            actor=actor, now=now,
        )  # fmt: skip
    return tenant


def _merged(held: dict[str, Any], wish: dict[str, int | None]) -> dict[str, Any]:
    return {key: value for key, value in (held | wish).items() if value is not None}


def _facts(tenant: Tenant) -> dict[str, Any]:
    return {
        "name": tenant.name,
        "status": tenant.status,
        "requiresSecondFactor": tenant.requires_second_factor,
        "retention": tenant.retention,
        "quotas": tenant.quotas,
    }


def _audit(tenant: Tenant, *, action: str, details: dict[str, Any], actor: Actor, now: dt.datetime) -> None:
    audit.append(
        tenant_id=tenant.tenant_id, actor=actor, action=action, target_type="tenant",
        target_id=tenant.tenant_id, details=details, at=now,
    )  # fmt: skip


def create_implicit(*, tenant_id: str, now: dt.datetime) -> None:
    """Make the tenant that a write named (outside production, for existing clients)."""
    ensure(tenant_id=tenant_id, source="implicit", now=now)
