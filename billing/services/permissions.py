"""Who holds which right: `workspace.billing.manage` by role, `console.billing.*` by platform role."""

from typing import Final

from billing.states import OrganizationRole
from settld.core.principals import Principal
from settld.tenants.roles import Role

EVENTS: Final = "console.billing.events.read_all"
CATALOG: Final = "console.billing.catalog.manage"
OPERATIONS: Final = "console.billing.operations.manage"
ENTITIES: Final = "console.billing.entities.manage"

# workspace.billing.manage and organization.billing.manage
WORKSPACE_MANAGERS: Final = frozenset({Role.OWNER, Role.ADMIN, Role.FINANCE})
ORGANIZATION_MANAGERS: Final = frozenset({OrganizationRole.OWNER, OrganizationRole.BILLING_ADMIN})

_OF_STAFF: Final = {
    "operator": frozenset({EVENTS, OPERATIONS, ENTITIES}),
    "admin": frozenset({EVENTS, OPERATIONS, ENTITIES, CATALOG}),
}


def of_staff(platform_role: str) -> frozenset[str]:
    """Give the console rights of platform staff; what is sold is for admins."""
    return _OF_STAFF.get(platform_role, frozenset())


def of_client(client: Principal) -> frozenset[str]:
    """Give the console rights of a credential; only an ops token of the whole deployment has any."""
    if not client.is_platform:
        return frozenset()
    rights: frozenset[str] = frozenset()
    if client.has("finance_read"):
        rights |= {EVENTS}
    if client.has("finance_write"):
        rights |= {CATALOG, OPERATIONS, ENTITIES}
    return rights
