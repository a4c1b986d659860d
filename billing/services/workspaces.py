"""The workspaces of a caller: tenants that a person is a member of, or the one tenant of a credential."""

from dataclasses import dataclass

from billing.services.entities import HOMES
from billing.services.permissions import WORKSPACE_MANAGERS
from billing.services.policy_refusals import WorkspaceForbidden
from billing.services.principals import Caller
from settld.tenants.authentication import TenantSuspended
from settld.tenants.models import Tenant
from settld.tenants.services import memberships


@dataclass(frozen=True)
class Workspace:
    """A tenant that the caller may look at; `can_manage` is workspace.billing.manage."""

    tenant: Tenant
    can_manage: bool

    @property
    def tenant_id(self) -> str:
        """Name it."""
        return str(self.tenant.tenant_id)


def of(caller: Caller) -> list[Workspace]:
    """List the caller's workspaces by id, suspended ones too; entities' own tenants are none."""
    if not caller.is_person:
        can_manage = dict.fromkeys([caller.tenant_id], caller.may_write)
    else:
        roles = memberships.active_roles(user_id=caller.user_id or 0)
        can_manage = {tenant_id: role in WORKSPACE_MANAGERS for tenant_id, role in roles.items()}
    if not can_manage:
        return []
    known = Tenant.objects.filter(tenant_id__in=can_manage).exclude(source__in=HOMES).order_by("tenant_id")
    return [Workspace(tenant, can_manage[tenant.tenant_id]) for tenant in known]


def choose(caller: Caller, name: str) -> Workspace:
    """Give the caller's workspace of a name, or WorkspaceForbidden whether it exists or not."""
    found = next((workspace for workspace in of(caller) if workspace.tenant_id == name), None)
    if found is None:
        raise WorkspaceForbidden()
    return require_usable(found, caller)


def require_usable(workspace: Workspace, caller: Caller) -> Workspace:
    """Refuse a tenant that may not act, and a login without the second factor that the tenant asks for."""
    require_active(workspace.tenant)
    if caller.is_person and workspace.tenant.requires_second_factor and not caller.has_second_factor:
        raise memberships.SecondFactorRequired()
    return workspace


def require_active(tenant: Tenant | None) -> None:
    """Refuse a tenant that is suspended or closed."""
    if tenant is not None and not tenant.is_active:
        raise TenantSuspended()
