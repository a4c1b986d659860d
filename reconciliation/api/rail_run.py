"""POST /ops/maintenance/money-rails-reconcile/run"""

from typing import Any, ClassVar

from django.conf import settings

from reconciliation.api import schemas
from reconciliation.services import scheduler
from settld.api.fields import Body
from settld.api.openapi import BOOL, INT, TEXT, describe, obj
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import clock
from settld.core.errors import Invalid

MOST_TENANTS, MOST_PERIODS, MOST_PROVIDERS = 1000, 24, 200
_LIMIT = {"anyOf": [INT, {"type": "string", "pattern": "^[0-9]+$"}]}
BODY = {
    "period": schemas.PERIOD,
    "month": schemas.PERIOD,
    "providerId": TEXT,
    "force": BOOL,
    "maxTenants": _LIMIT,
    "maxPeriodsPerTenant": _LIMIT,
    "maxPeriods": _LIMIT,
    "maxProvidersPerTenant": _LIMIT,
    "maxProviders": _LIMIT,
    "providerSide": BOOL,
}


class RailReconcileRun(OpsView):
    """Reconcile the caller's tenant now."""

    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"POST": ("ops_write", "finance_write")}

    @describe(
        "Reconcile the tenant's newest months at every provider, and keep the reports",
        description="Runs for the caller's tenant alone. One run at a time over beat, API and command.",
        body=obj(BODY, optional=tuple(BODY)),
        answers={200: schemas.RAIL_RUN},
        refusals=(409,),
    )
    def post(self, request: OpsRequest) -> Json:
        """Run; 409 at once while another run is at work."""
        order = read_order(request.tenant_id, request.body_json)
        result = scheduler.run(order, actor=request.actor, path=request.path)
        told = ("ok", "period", "providerId", "runtimeMs", "summary", "results")
        more = ("skipped", "reason", "nextEligibleAt", "providerSide")
        return Json(
            {name: result[name] for name in told} | {name: result[name] for name in more if name in result}
        )


def read_order(tenant_id: str, values: dict[str, Any]) -> scheduler.Order:
    """Read the body; limits above the most are cut to it."""
    given = Body(values)
    limits = settings.MONEY_RAIL_RECONCILE
    return scheduler.Order(
        tenant_id=tenant_id,
        period=_period(given),
        provider_id=given.text("providerId", most=200),
        force=bool(given.boolean("force", default=True)),
        max_tenants=_limit(given, "maxTenants", default=limits["max_tenants"], most=MOST_TENANTS),
        max_periods_per_tenant=_limit(
            given, "maxPeriodsPerTenant", "maxPeriods", default=limits["max_periods_per_tenant"],
            most=MOST_PERIODS,
        ),
        max_providers_per_tenant=_limit(
            given, "maxProvidersPerTenant", "maxProviders", default=limits["max_providers_per_tenant"],
            most=MOST_PROVIDERS,
        ),
        with_provider_side=bool(
            given.boolean("providerSide", default=bool(settings.PROVIDER_STATEMENT["enabled"]))
        ),
    )  # fmt: skip


def _period(given: Body) -> str | None:
    named = {text for key in ("period", "month") if (text := given.text(key))}
    if not named:
        return None
    period = named.pop()
    if named or not clock.is_period(period):
        raise Invalid("invalid period", details={"message": "period must match YYYY-MM"})
    return period


def _limit(given: Body, *names: str, default: int, most: int) -> int:
    """Read a positive integer under its name or alias."""
    for name in names:
        value = given.values.get(name)
        if value is None:
            continue
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value) if len(value) <= 15 else most
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise Invalid(f"invalid {name}")
        return min(value, most)
    return min(default, most)
