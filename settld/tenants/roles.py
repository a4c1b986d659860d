"""Roles and the scopes they hold (platform-operations 2)."""

from typing import Final

from django.db import models

from settld.core.principals import SCOPES


class Role(models.TextChoices):
    """What a person is in a tenant."""

    VIEWER = "viewer", "Viewer"
    APPROVER = "approver", "Approver"
    AUDITOR = "auditor", "Auditor"
    OPERATOR = "operator", "Operator"
    FINANCE = "finance", "Finance"
    ADMIN = "admin", "Admin"
    OWNER = "owner", "Owner"


ROLE_SCOPES: Final[dict[str, frozenset[str]]] = {
    Role.VIEWER: frozenset({"ops_read"}),
    Role.APPROVER: frozenset({"ops_read", "finance_read", "audit_read"}),
    Role.AUDITOR: frozenset({"ops_read", "finance_read", "audit_read", "governance_tenant_read"}),
    Role.OPERATOR: frozenset({"ops_write", "audit_read"}),
    Role.FINANCE: frozenset({"ops_read", "finance_write", "audit_read"}),
    Role.ADMIN: frozenset({"ops_write", "finance_write", "audit_read", "governance_tenant_write"}),
    Role.OWNER: frozenset({"ops_write", "finance_write", "audit_read", "governance_tenant_write"}),
}
MANAGES_MEMBERS: Final = frozenset({Role.OWNER})

PLATFORM_SCOPES: Final[dict[str, frozenset[str]]] = {
    "operator": SCOPES - {"governance_global_write", "governance_global_read"},
    "admin": SCOPES,
}
