"""Why a caller does not get the entity they want (section 3)."""

from settld.core.errors import Conflict, Invalid, Refusal


class SelectorInvalid(Invalid):
    """The entity selector is no positive integer; no default takes its place."""

    code = "VALIDATION_ERROR"
    message = "Validation failed."

    def __init__(self) -> None:
        fault = {"billableEntityId": "billableEntityId must be a positive integer."}
        super().__init__(details={"fieldErrors": fault})


class EntityForbidden(Refusal):
    """There is no such entity, or it is none of the caller's; the two look alike."""

    status = 403
    code = "BILLING_ENTITY_FORBIDDEN"
    message = "You do not have access to this billable entity."


class WorkspaceForbidden(Refusal):
    """There is no such workspace, or it is none of the caller's; the two look alike."""

    status = 403
    code = "BILLING_WORKSPACE_FORBIDDEN"
    message = "You do not have access to this workspace."


class PermissionRequired(Refusal):
    """The caller may look, not change."""

    status = 403
    code = "BILLING_PERMISSION_REQUIRED"
    message = "You do not have permission to manage billing."


class SelectorConflict(Conflict):
    """Two selectors name different entities."""

    code = "BILLING_SELECTOR_CONFLICT"
    message = "The billable entity and the workspace selected are not the same."


class SelectionRequired(Conflict):
    """The caller has several workspaces and named none."""

    code = "BILLING_WORKSPACE_SELECTION_REQUIRED"
    message = "Workspace selection required."


class EntityInactive(Conflict):
    """The entity may be read, not written for."""

    code = "BILLING_ENTITY_INACTIVE"
    message = "This billable entity is inactive."


class HomeTenantTaken(Conflict):
    """The tenant that would be the entity's home was made for something else."""

    code = "BILLING_HOME_TENANT_TAKEN"
    message = "The tenant reserved for this entity is used for something else."
