"""Making entities: of workspaces and people on first use, of an organization by its owner (section 3.6)."""

from billing.models import BillableEntity, Organization
from billing.queries import entities as queries
from billing.services import rows
from billing.services.policy_refusals import EntityForbidden, HomeTenantTaken
from billing.states import EntityType, OrganizationRole
from settld.core import clock, tenancy, transactions
from settld.tenants.services import memberships, tenants

PERSONAL = "personal"
ORGANIZATION = "organization"
HOMES = (PERSONAL, ORGANIZATION)  # sources of tenants that are no workspaces
_WORKSPACE_KEY = ("tenant_id", "workspace_id")
_REF_KEY = ("tenant_id", "entity_type", "entity_ref")


def of_workspace(*, tenant_id: str) -> BillableEntity:
    """Give the entity of a workspace, made on its first use; concurrent first uses make one."""
    with tenancy.tenant_scope(tenant_id):
        found = queries.of_workspace(tenant_id)
        if found is not None:
            return found if found.owner_user_id is not None else _owned(found)
        with transactions.atomic():
            made = BillableEntity(
                tenant_id=tenant_id,
                entity_type=EntityType.WORKSPACE,
                workspace_id=tenant_id,
                owner_user_id=memberships.first_owner(tenant_id=tenant_id),
            )
            if rows.insert_once(made, target=_WORKSPACE_KEY):
                return made
        return _must(queries.of_workspace(tenant_id))


def _owned(entity: BillableEntity) -> BillableEntity:
    """Give its owner to a workspace that a credential used before anybody owned it; its scope is entered."""
    owner_id = memberships.first_owner(tenant_id=entity.tenant_id)
    if owner_id is not None:
        with transactions.atomic():
            rows_of_it = BillableEntity.objects.filter(tenant_id=entity.tenant_id, pk=entity.pk)
            rows_of_it.filter(owner_user=None).update(owner_user_id=owner_id)
        entity.refresh_from_db()
    return entity


def of_user(*, user_id: int) -> BillableEntity:
    """Give a person's own entity, made with their personal tenant on its first use."""
    return _by_ref(
        BillableEntity(
            tenant_id=_home(f"user_{user_id}", source=PERSONAL),
            entity_type=EntityType.USER,
            entity_ref=f"user:{user_id}",
            owner_user_id=user_id,
        )
    )


def of_organization(*, organization_id: int, user_id: int) -> BillableEntity:
    """Give an organization's entity, made now if there is none; EntityForbidden unless the person owns it."""
    role = queries.organization_role(organization_id=organization_id, user_id=user_id)
    if role != OrganizationRole.OWNER:
        raise EntityForbidden()
    organization = Organization.objects.get(pk=organization_id)
    return _by_ref(
        BillableEntity(
            tenant_id=_home(organization.tenant_id, source=ORGANIZATION),
            entity_type=EntityType.ORGANIZATION,
            entity_ref=f"organization:{organization_id}",
            organization_id=organization_id,
            owner_user_id=user_id,
        )
    )


def external(*, tenant_id: str, namespace: str, external_id: str) -> tuple[BillableEntity, bool]:
    """Give the entity of somebody outside whom a tenant bills, and whether it was made now."""
    made = BillableEntity(
        tenant_id=tenant_id,
        entity_type=EntityType.EXTERNAL,
        entity_ref=f"external:{namespace}:{external_id}",
    )
    found = _by_ref(made)
    return found, found is made


def _by_ref(made: BillableEntity) -> BillableEntity:
    with tenancy.tenant_scope(made.tenant_id):
        key = {"tenant_id": made.tenant_id, "entity_ref": str(made.entity_ref)}
        entity_type = EntityType(made.entity_type)
        found = queries.by_ref(entity_type=entity_type, **key)
        if found is not None:
            return found
        with transactions.atomic():
            if rows.insert_once(made, target=_REF_KEY):
                return made
        return _must(queries.by_ref(entity_type=entity_type, **key))


def _home(tenant_id: str, *, source: str) -> str:
    """Make the tenant that an entity lives in; one that was made for something else is left alone."""
    tenant, _ = tenants.ensure(tenant_id=tenant_id, source=source, now=clock.now())
    if tenant.source != source:
        raise HomeTenantTaken()
    return str(tenant.tenant_id)


def _must(found: BillableEntity | None) -> BillableEntity:
    if found is None:
        raise RuntimeError("an entity that was in the way of ours is not there")
    return found
