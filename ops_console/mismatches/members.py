"""Who can look after a case: the tenant's people, by name."""

from dataclasses import dataclass

from settld.tenants.models import Membership

MOST: int = 300


@dataclass(frozen=True)
class Member:
    """Somebody who belongs to the tenant."""

    principal_id: str
    username: str
    name: str


def members(*, tenant_id: str) -> list[Member]:
    """List a tenant's people by name; one query."""
    rows = Membership.objects.filter(tenant_id=tenant_id, status="active").select_related("user")
    found = [
        Member(
            f"person:{row.user_id}",
            row.user.get_username(),
            row.user.get_full_name() or row.user.get_username(),
        )
        for row in rows.order_by("user__username")[:MOST]
    ]
    return sorted(found, key=lambda member: (member.name.casefold(), member.principal_id))
