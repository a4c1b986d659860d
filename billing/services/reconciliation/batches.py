"""Reading the next rows of a scope, over all tenants, by id."""

from typing import Any

from django.db.models import QuerySet

from billing.services.reconciliation.runs import Item
from settld.core import tenancy
from settld.core.transactions import atomic


def after(rows: QuerySet[Any], *, after_id: int, limit: int, scope: str) -> list[Item]:
    """Give the items of the rows after an id; a platform-wide read of ids alone."""
    with tenancy.platform_scope(reason=f"billing reconciliation: {scope}"), atomic():
        found = rows.filter(pk__gt=after_id).order_by("pk")
        return [
            Item(*values) for values in found.values_list("pk", "tenant_id", "billable_entity_id")[:limit]
        ]
