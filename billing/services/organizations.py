"""Organizations: several people who are billed as one, in a tenant of their own (decision: home tenants)."""

from django.db import connection

from billing.models import Organization
from billing.services.entities import ORGANIZATION
from settld.core import clock
from settld.tenants.services import tenants


def insert(organization: Organization) -> Organization:
    """Insert an organization together with its home tenant, which its id names; part of a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id'))", [Organization._meta.db_table])
        organization.pk = cursor.fetchone()[0]
    organization.tenant_id = f"org_{organization.pk}"
    tenants.ensure(
        tenant_id=organization.tenant_id, source=ORGANIZATION, name=organization.name, now=clock.now()
    )
    organization.save(force_insert=True)
    return organization
