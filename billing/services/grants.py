"""Entities of somebody outside, and who may act for them; operators make them (section 3.6)."""

import datetime as dt
import re
from typing import Final

from django.db.models import QuerySet

from billing import clock
from billing.models import BillableEntity, EntityGrant
from billing.queries import entities as queries
from billing.services import console_audit, entities, rows
from billing.states import EntityStatus, EntityType, PrincipalType
from settld.core import tenancy, transactions
from settld.core.errors import Conflict, Invalid, NotFound
from settld.core.principals import Actor
from settld.tenants.services import tenants

NAMESPACE: Final = re.compile(r"[a-z0-9_-]{1,40}")
LONGEST_REF: Final = 191
_LIVE: Final = ("tenant_id", "billable_entity", "principal_type", "principal_id")


class EntityUnknown(NotFound):
    """There is no such entity."""

    code = "BILLING_ENTITY_NOT_FOUND"
    message = "Billable entity not found."


class GrantUnknown(NotFound):
    """There is no such grant on the entity."""

    code = "BILLING_GRANT_NOT_FOUND"
    message = "Grant not found."


class GrantExists(Conflict):
    """The principal has a live grant on the entity; revoke it to give another."""

    code = "BILLING_GRANT_EXISTS"
    message = "The principal already has a grant on this billable entity."


class NotExternal(Conflict):
    """Grants are for external entities; others are opened by memberships."""

    code = "BILLING_ENTITY_NOT_EXTERNAL"
    message = "Only external billable entities have grants."


def register(*, tenant_id: str, namespace: str, external_id: str, actor: Actor) -> BillableEntity:
    """Give the external entity of a tenant, made now if there is none; Invalid for a bad name of it."""
    ref = f"external:{namespace}:{external_id}"
    if not NAMESPACE.fullmatch(namespace) or not external_id or len(ref) > LONGEST_REF:
        raise Invalid("namespace or externalId is invalid", code="VALIDATION_ERROR")
    tenants.require_known(tenant_id=tenant_id)
    entity, is_new = entities.external(tenant_id=tenant_id, namespace=namespace, external_id=external_id)
    if is_new:
        _note("BILLING_ENTITY_CREATE", entity, actor, ref=ref)
    return entity


def set_status(*, entity_id: int, status: EntityStatus, actor: Actor) -> BillableEntity:
    """Let an entity be written for, or only read."""
    entity = find(entity_id)
    with tenancy.tenant_scope(entity.tenant_id), transactions.atomic(durable=True):
        entity = BillableEntity.objects.select_for_update().get(tenant_id=entity.tenant_id, pk=entity.pk)
        entity.status = status
        entity.save(update_fields=["status"])
    _note("BILLING_ENTITY_STATUS", entity, actor, status=status.value)
    return entity


def give(
    *,
    entity_id: int,
    principal_type: PrincipalType,
    principal_id: str,
    can_manage: bool,
    expires_at: dt.datetime | None,
    actor: Actor,
) -> EntityGrant:
    """Let a principal read an external entity, and change what belongs to it if `can_manage`."""
    entity = find(entity_id)
    if entity.entity_type != EntityType.EXTERNAL:
        raise NotExternal()
    if expires_at is not None and expires_at <= clock.now():
        raise Invalid(
            code="VALIDATION_ERROR",
            message="Validation failed.",
            details={"fieldErrors": {"expiresAt": "expiresAt must be in the future."}},
        )
    with tenancy.tenant_scope(entity.tenant_id), transactions.atomic(durable=True):
        _end_expired(entity, principal_type=principal_type, principal_id=principal_id)
        grant = EntityGrant(
            tenant_id=entity.tenant_id,
            billable_entity=entity,
            principal_type=principal_type,
            principal_id=principal_id,
            can_read=True,
            can_manage=can_manage,
            expires_at=expires_at,
        )
        if not rows.insert_once(grant, target=_LIVE, where="revoked_at IS NULL"):
            raise GrantExists()
    _note("BILLING_GRANT_GIVE", entity, actor, principal=principal_id, canManage=can_manage)
    return grant


def revoke(*, entity_id: int, grant_id: int, actor: Actor) -> EntityGrant:
    """End a grant; again is no change, and the first time stays."""
    entity = find(entity_id)
    with tenancy.tenant_scope(entity.tenant_id), transactions.atomic(durable=True):
        grant = (
            EntityGrant.objects.select_for_update()
            .filter(tenant_id=entity.tenant_id, billable_entity=entity, pk=grant_id)
            .first()
        )
        if grant is None:
            raise GrantUnknown()
        if grant.revoked_at is None:
            grant.revoked_at = clock.now()
            grant.save(update_fields=["revoked_at"])
    _note("BILLING_GRANT_REVOKE", entity, actor, principal=grant.principal_id)
    return grant


def of(entity: BillableEntity) -> "QuerySet[EntityGrant]":
    """List the grants on an entity, the newest first; its tenant's scope is entered."""
    rows_of_it = EntityGrant.objects.filter(tenant_id=entity.tenant_id, billable_entity=entity)
    return rows_of_it.order_by("-id")


def find(entity_id: int) -> BillableEntity:
    """Give an entity of whatever tenant; EntityUnknown when there is none."""
    with tenancy.platform_scope(reason="billing: find an entity"):
        entity = queries.by_id(entity_id)
    if entity is None:
        raise EntityUnknown()
    return entity


def _end_expired(entity: BillableEntity, *, principal_type: str, principal_id: str) -> None:
    """Revoke a grant that has run out, so that it does not stand in the way of a new one."""
    now = clock.now()
    run_out = EntityGrant.objects.filter(
        tenant_id=entity.tenant_id,
        billable_entity=entity,
        principal_type=principal_type,
        principal_id=principal_id,
        revoked_at=None,
        expires_at__lte=now,
    )
    run_out.update(revoked_at=now)


def _note(action: str, entity: BillableEntity, actor: Actor, **details: object) -> None:
    with console_audit.act():
        console_audit.append(
            actor=actor,
            action=action,
            target_type="billable_entity",
            target_id=str(entity.pk),
            details={"tenantId": entity.tenant_id} | details,
        )
