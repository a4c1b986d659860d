"""The frame of /api/console/billing/*: for the operators of the deployment, each act audited (spec 7.2)."""

from typing import Any, ClassVar

from billing.api.base import BillingRequest, BillingView
from billing.services import console_audit, permissions
from billing.services.principals import Caller
from settld.core.errors import Refusal

EVENTS, CATALOG = permissions.EVENTS, permissions.CATALOG
OPERATIONS, ENTITIES = permissions.OPERATIONS, permissions.ENTITIES


class ConsolePermissionRequired(Refusal):
    """The caller is no operator of the deployment, or one without this right."""

    status = 403
    code = "CONSOLE_PERMISSION_REQUIRED"
    message = "You do not have permission to do this."


class ConsoleView(BillingView):
    """One route of /api/console/billing/*; `permission` opens it, and it has no entity."""

    permission: ClassVar[str] = ""

    def permit(self, caller: Caller) -> None:
        """Refuse whoever does not hold the route's permission."""
        if self.permission not in caller.platform_permissions:
            raise ConsolePermissionRequired(details={"permission": self.permission})

    def note_read(self, request: BillingRequest) -> None:
        """Write the audit row of a read over all tenants."""
        self.note(request, action="PLATFORM_READ", target_type="api", target_id=request.path[:2000])

    def note(
        self,
        request: BillingRequest,
        *,
        action: str,
        target_type: str,
        target_id: str,
        details: dict[str, Any] | None = None,
    ) -> None:
        """Write the audit row of an act, in a transaction of its own; `action` is a word like BILLING_RUN."""
        with console_audit.act():
            console_audit.append(
                actor=request.actor,
                action=action,
                target_type=target_type,
                target_id=target_id,
                details=details,
            )
