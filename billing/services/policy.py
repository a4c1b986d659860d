"""Whose billing a request is about, and whether the caller may see or change it (section 3, INV-2).

Nothing decides here but what the caller is a member of or was granted, and the two selectors; no surface
header, no workspace used last, no provider's id.
"""

import re
from dataclasses import dataclass

from django.conf import settings

from billing import clock
from billing.models import BillableEntity
from billing.queries import entities as queries
from billing.services import entities, workspaces
from billing.services.permissions import ORGANIZATION_MANAGERS
from billing.services.policy_refusals import (
    EntityForbidden,
    EntityInactive,
    PermissionRequired,
    SelectionRequired,
    SelectorConflict,
    SelectorInvalid,
)
from billing.services.principals import Caller
from billing.services.workspaces import Workspace
from billing.states import EntityType
from settld.core import tenancy
from settld.tenants.models import Tenant

_DIGITS = re.compile(r"[0-9]{1,100}", re.ASCII)


@dataclass(frozen=True)
class Selectors:
    """What a request names; texts as they came, empty for nothing."""

    billable_entity_id: str = ""
    workspace_slug: str = ""


@dataclass(frozen=True)
class EntityAccess:
    """An entity that the caller may read, and whether they may change what belongs to it."""

    entity: BillableEntity
    can_manage: bool

    @property
    def tenant_id(self) -> str:
        """Name the entity's home tenant, whose scope its rows are read and written in."""
        return str(self.entity.tenant_id)


def resolve(caller: Caller, selectors: Selectors, *, write: bool) -> EntityAccess:
    """Find the entity that a request is about; makes a workspace's or a person's on its first use.

    Raises the refusals of section 3. No transaction may be open. Gives an entity outside any scope: enter
    that of `tenant_id` to read its rows.
    """
    entity_id = _entity_id(selectors.billable_entity_id)
    if entity_id is not None:
        access = _by_id(caller, entity_id)
        if selectors.workspace_slug:
            named = workspaces.choose(caller, selectors.workspace_slug)
            if access.entity.workspace_id != named.tenant_id:
                raise SelectorConflict()
    elif selectors.workspace_slug:
        access = _of_workspace(workspaces.choose(caller, selectors.workspace_slug))
    else:
        access = _by_default(caller)
    if write:
        _require_writable(access)
    return access


def _entity_id(text: str) -> int | None:
    if not text:
        return None
    if not _DIGITS.fullmatch(text) or int(text) < 1:
        raise SelectorInvalid()
    return int(text)


def _require_writable(access: EntityAccess) -> None:
    if not access.can_manage:
        raise PermissionRequired()
    if not access.entity.is_active:
        raise EntityInactive()


# --- No entity named ------------------------------------------------------------------------------
def _by_default(caller: Caller) -> EntityAccess:
    """Take the only workspace; with none, or where the deployment says so, the person's own entity."""
    if caller.is_person and settings.BILLING.default_entity == "user":
        return _of_user(caller)
    mine = workspaces.of(caller)
    if len(mine) > 1:
        raise SelectionRequired()
    if mine:
        return _of_workspace(workspaces.require_usable(mine[0], caller))
    if not caller.is_person:
        return _of_workspace(workspaces.choose(caller, caller.tenant_id))  # refuses: there is no such tenant
    return _of_user(caller)


def _of_workspace(workspace: Workspace) -> EntityAccess:
    return EntityAccess(entities.of_workspace(tenant_id=workspace.tenant_id), can_manage=workspace.can_manage)


def _of_user(caller: Caller) -> EntityAccess:
    if caller.user_id is None:
        raise EntityForbidden()
    return EntityAccess(entities.of_user(user_id=caller.user_id), can_manage=True)


# --- An entity named ------------------------------------------------------------------------------
def _by_id(caller: Caller, entity_id: int) -> EntityAccess:
    """Let the caller in to the entity by its type; EntityForbidden whether it exists or not."""
    with tenancy.platform_scope(reason="billing: find an entity"):
        entity = queries.by_id(entity_id)
    if entity is None:
        raise EntityForbidden()
    if entity.entity_type == EntityType.WORKSPACE:
        return _by_membership(caller, entity)
    can_manage = {
        EntityType.USER.value: _as_user,
        EntityType.ORGANIZATION.value: _as_organization,
        EntityType.EXTERNAL.value: _by_grant,
    }[entity.entity_type](caller, entity)
    if can_manage is None:
        raise EntityForbidden()
    workspaces.require_active(Tenant.objects.filter(tenant_id=entity.tenant_id).first())
    return EntityAccess(entity, can_manage=can_manage)


def _by_membership(caller: Caller, entity: BillableEntity) -> EntityAccess:
    found = next((one for one in workspaces.of(caller) if one.tenant_id == entity.workspace_id), None)
    if found is None:
        raise EntityForbidden()
    workspaces.require_usable(found, caller)
    return EntityAccess(entity, can_manage=found.can_manage)


def _as_user(caller: Caller, entity: BillableEntity) -> bool | None:
    is_own = caller.user_id is not None and caller.user_id == entity.owner_user_id
    return True if is_own else None


def _as_organization(caller: Caller, entity: BillableEntity) -> bool | None:
    if caller.user_id is None or entity.organization_id is None:
        return None
    role = queries.organization_role(organization_id=entity.organization_id, user_id=caller.user_id)
    return None if role is None else role in ORGANIZATION_MANAGERS


def _by_grant(caller: Caller, entity: BillableEntity) -> bool | None:
    """Only a live grant leads to somebody outside; who registered or owns the entity has none by that."""
    with tenancy.platform_scope(reason="billing: find a grant"):
        grants = queries.live_grants(
            principal_type=caller.kind, principal_id=caller.grant_id, now=clock.now()
        )
        mine = list(grants.filter(billable_entity_id=entity.pk).values_list("can_manage", flat=True))
    return any(mine) and caller.may_write if mine else None


# --- All of them ----------------------------------------------------------------------------------
def selectable(caller: Caller) -> list[EntityAccess]:
    """List every entity that the caller may select: workspaces, their own, organizations, granted ones.

    Makes those of workspaces and of the person that were never used before. Workspaces that may not act, or
    that ask for a second factor not given, are left out.
    """
    found = [*_all_workspaces(caller)]
    if caller.user_id is not None:
        found.append(_of_user(caller))
        found += _all_organizations(caller.user_id)
    return found + _all_granted(caller)


def _all_workspaces(caller: Caller) -> list[EntityAccess]:
    open_ones = {
        one.tenant_id: one
        for one in workspaces.of(caller)
        if one.tenant.is_active
        and (caller.has_second_factor or not (caller.is_person and one.tenant.requires_second_factor))
    }
    with tenancy.platform_scope(reason="billing: list a caller's entities"):
        made = {entity.tenant_id: entity for entity in queries.of_workspaces(open_ones)}
    return [
        EntityAccess(made.get(tenant_id) or entities.of_workspace(tenant_id=tenant_id), one.can_manage)
        for tenant_id, one in open_ones.items()
    ]


def _all_organizations(user_id: int) -> list[EntityAccess]:
    roles = queries.organization_roles(user_id=user_id)
    if not roles:
        return []
    with tenancy.platform_scope(reason="billing: list a caller's entities"):
        found = list(BillableEntity.objects.filter(organization_id__in=roles).order_by("id"))
    return [
        EntityAccess(entity, can_manage=roles[entity.organization_id or 0] in ORGANIZATION_MANAGERS)
        for entity in found
    ]


def _all_granted(caller: Caller) -> list[EntityAccess]:
    with tenancy.platform_scope(reason="billing: list a caller's entities"):
        grants = queries.live_grants(
            principal_type=caller.kind, principal_id=caller.grant_id, now=clock.now()
        )
        mine = list(grants.select_related("billable_entity").order_by("billable_entity_id"))
    return [
        EntityAccess(grant.billable_entity, can_manage=grant.can_manage and caller.may_write)
        for grant in mine
    ]
