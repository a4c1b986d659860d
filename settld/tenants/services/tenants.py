"""Making tenants."""

import datetime as dt
import re

from settld.core.errors import Invalid, NotFound
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


def create_implicit(*, tenant_id: str, now: dt.datetime) -> None:
    """Make the tenant that a write named (outside production, for existing clients)."""
    ensure(tenant_id=tenant_id, source="implicit", now=now)
