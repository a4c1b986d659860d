"""What an entity's current subscription says about one limit, in one cheap read."""

from dataclasses import dataclass

from django.db.models import FilteredRelation, Q, QuerySet

from billing.models import Subscription
from billing.services import entitlements
from billing.services.entitlements import Granted


@dataclass(frozen=True)
class Standing:
    """An entity with a current subscription, and the entitlement asked about; None when its plan has none."""

    tenant_id: str
    billable_entity_id: int
    granted: Granted | None


def of_entity(*, tenant_id: str, billable_entity_id: int, code: str) -> Standing | None:
    """Read the standing of an entity; None without a current subscription. The scope is entered."""
    return _read(Subscription.objects.filter(billable_entity_id=billable_entity_id), tenant_id, code)


def of_workspace(*, tenant_id: str, code: str) -> Standing | None:
    """Read the standing of a tenant's own entity; None when there is no entity or no subscription."""
    return _read(Subscription.objects.filter(billable_entity__workspace_id=tenant_id), tenant_id, code)


def _read(whose: QuerySet[Subscription], tenant_id: str, code: str) -> Standing | None:
    row = (
        whose.filter(tenant_id=tenant_id, is_current=True)
        .annotate(granted=FilteredRelation("plan__entitlements", condition=Q(plan__entitlements__code=code)))
        .values_list(
            "billable_entity_id",
            "plan__code",
            "plan__version",
            "granted__schema_version",
            "granted__value_json",
        )
        .first()
    )
    if row is None:
        return None
    entity_id, plan_code, plan_version, schema_version, value = row
    if schema_version is None:
        return Standing(tenant_id, entity_id, granted=None)
    granted = entitlements.understand(
        code=code,
        schema_version=schema_version,
        value=value,
        plan_code=plan_code,
        plan_version=plan_version,
    )
    return Standing(tenant_id, entity_id, granted)
