"""The plans app."""

from django.apps import AppConfig


class PlansConfig(AppConfig):
    """Tenant plans."""

    name = "billing.plans"
    label = "plans"
    verbose_name = "Plans"

    def ready(self) -> None:
        """Answer for the plan when a tenant is made or a run is billed; carry out approved plan changes."""
        from billing.plans import queries
        from billing.plans.services.bootstrap import settle_plan
        from billing.plans.services.plan import PlanReplacement
        from moneyrails.services import approvals
        from settld.metering import limit
        from settld.tenants.services.bootstrap import billing_desk

        billing_desk.append(settle_plan)
        approvals.register(PlanReplacement())
        limit.register(queries.verified_run_limit)
