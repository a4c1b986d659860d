"""What a tenant may keep and have: its own wishes, between the deployment's defaults and maxima (3.7)."""

from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings

from settld.core.errors import Refusal
from settld.tenants.models import Tenant

DELIVERIES, DEAD_LETTERS, INGEST = "deliveriesDays", "deliveryDlqDays", "ingestRecordsDays"
RETENTION_KEYS: Final = (DELIVERIES, DEAD_LETTERS, INGEST)


class TenantQuotaExceeded(Refusal):
    """The tenant has as much of something as it may."""

    status = 429
    code = "TENANT_QUOTA_EXCEEDED"
    message = "tenant quota exceeded"


def clamped(wish: int | None, *, default: int, most: int) -> int:
    """Give the limit in force; 0 is unlimited, which a platform maximum above 0 does not allow."""
    chosen = default if wish is None else wish
    if most <= 0:
        return chosen
    return most if chosen == 0 else min(chosen, most)


def retention(*, wishes: Mapping[str, Any]) -> dict[str, int]:
    """Give how many days each kind of row is kept; 0 keeps it for good. Dead letters follow deliveries."""
    most = settings.RETENTION_MAX_DAYS
    days = {
        key: clamped(wishes.get(key), default=settings.RETENTION_DEFAULT_DAYS, most=most)
        for key in (DELIVERIES, INGEST)
    }
    days[DEAD_LETTERS] = clamped(wishes.get(DEAD_LETTERS), default=days[DELIVERIES], most=most)
    return {key: days[key] for key in RETENTION_KEYS}


def quotas(*, wishes: Mapping[str, Any]) -> dict[str, int]:
    """Give the limit of each kind that the deployment or the tenant names; 0 is unlimited."""
    defaults, most = settings.QUOTA_DEFAULTS, settings.QUOTA_MAXIMA
    return {
        kind: clamped(wishes.get(kind), default=defaults.get(kind, 0), most=most.get(kind, 0))
        for kind in sorted({*defaults, *most, *wishes})
    }


def require_within_quota(*, tenant: Tenant, kind: str, current: int) -> None:
    """Refuse one more of a kind when the tenant has as many as it may; the caller counted under a lock."""
    limit = quotas(wishes=tenant.quotas).get(kind, 0)
    if limit and current >= limit:
        raise TenantQuotaExceeded(details={"kind": kind, "limit": limit, "current": current})
