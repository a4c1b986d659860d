"""Finding entities, and what makes them a caller's."""

import datetime as dt
from collections.abc import Iterable

from django.db.models import Q, QuerySet

from billing.models import BillableEntity, EntityGrant, OrganizationMembership
from billing.states import EntityType, MembershipStatus

LARGEST_ID = 2**63 - 1


def by_id(entity_id: int) -> BillableEntity | None:
    """Find an entity of whatever tenant; the caller has entered a platform scope."""
    if not 0 < entity_id <= LARGEST_ID:
        return None
    return BillableEntity.objects.filter(pk=entity_id).first()


def of_workspace(tenant_id: str) -> BillableEntity | None:
    """Find the entity of a workspace."""
    return BillableEntity.objects.filter(tenant_id=tenant_id, workspace_id=tenant_id).first()


def of_workspaces(tenant_ids: Iterable[str]) -> QuerySet[BillableEntity]:
    """Find the entities of several workspaces; the caller has entered a platform scope."""
    return BillableEntity.objects.filter(
        tenant_id__in=list(tenant_ids), entity_type=EntityType.WORKSPACE
    ).order_by("workspace_id")


def by_ref(*, tenant_id: str, entity_type: EntityType, entity_ref: str) -> BillableEntity | None:
    """Find an entity that is no workspace by what it stands for."""
    return BillableEntity.objects.filter(
        tenant_id=tenant_id, entity_type=entity_type, entity_ref=entity_ref
    ).first()


def organization_role(*, organization_id: int, user_id: int) -> str | None:
    """Tell what a person is in an organization; None for nobody."""
    mine = OrganizationMembership.objects.filter(
        organization_id=organization_id, user_id=user_id, status=MembershipStatus.ACTIVE
    )
    return mine.values_list("role", flat=True).first()


def organization_roles(*, user_id: int) -> dict[int, str]:
    """Give a person's role in each organization that they belong to."""
    mine = OrganizationMembership.objects.filter(user_id=user_id, status=MembershipStatus.ACTIVE)
    return dict(mine.values_list("organization_id", "role"))


def live_grants(*, principal_type: str, principal_id: str, now: dt.datetime) -> QuerySet[EntityGrant]:
    """Find the grants that let a caller in; the caller has entered a platform scope."""
    return EntityGrant.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=now),
        principal_type=principal_type,
        principal_id=principal_id,
        revoked_at=None,
        can_read=True,
    )
