"""The directory of the provider's identifiers: whose each is, known before the tenant is."""

from collections.abc import Mapping
from typing import NamedTuple

from django.db import connection

from billing.models import BillableEntity, ProviderRef
from billing.services import rows
from billing.states import PROVIDER, RefKind
from settld.core import clock


class Owner(NamedTuple):
    """Whose an identifier is."""

    tenant_id: str
    billable_entity_id: int


Name = tuple[RefKind, str]
Owners = Mapping[Name, Owner]


class RefOwnedByAnother(Exception):
    """The identifier belongs to another entity, for ever; nothing was written."""

    def __init__(self, *, kind: RefKind, ref: str, owner: Owner) -> None:
        super().__init__(f"{kind} belongs to another entity")
        self.kind, self.ref, self.owner = kind, ref, owner


def claim(*, kind: RefKind, ref: str, entity: BillableEntity, provider: str = PROVIDER) -> None:
    """Enter an identifier for an entity; that it is there already for the same entity is fine.

    Raises RefOwnedByAnother. Part of the transaction that writes the row which carries the identifier.
    """
    row = ProviderRef(
        provider=provider,
        kind=kind,
        ref=ref,
        tenant_id=entity.tenant_id,
        billable_entity_id=entity.pk,
        created_at=clock.now(),
    )
    if rows.insert_once(row, target=("provider", "kind", "ref")):
        return
    owner = find(kind=kind, ref=ref, provider=provider)
    if owner is not None and owner != Owner(entity.tenant_id, entity.pk):
        raise RefOwnedByAnother(kind=kind, ref=ref, owner=owner)


def find(*, kind: RefKind, ref: str | None, provider: str = PROVIDER) -> Owner | None:
    """Find whose an identifier is; no tenant scope is needed."""
    return next(iter(find_all((kind, ref), provider=provider).values()), None)


def find_all(*wanted: tuple[RefKind, str | None], provider: str = PROVIDER) -> Owners:
    """Find whose identifiers are, in one statement; those that nobody has are left out, as are empty ones."""
    names = [(kind, ref) for kind, ref in wanted if ref]
    if not names:
        return {}
    places = ", ".join(["(%s, %s)"] * len(names))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT kind, ref, tenant_id, billable_entity_id FROM billing_provider_refs"  # noqa: S608
            f" WHERE provider = %s AND (kind, ref) IN ({places})",
            [provider, *(value for kind, ref in names for value in (kind.value, ref))],
        )
        found = cursor.fetchall()
    return {(RefKind(kind), ref): Owner(tenant_id, entity_id) for kind, ref, tenant_id, entity_id in found}
