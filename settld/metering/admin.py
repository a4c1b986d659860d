"""Usage in the admin, for looking."""

from django.contrib import admin

from settld.core import money
from settld.core.admin import ReadOnlyAdmin
from settld.metering.models import UsageCounter, UsageEvent
from settld.metering.states import BILLED_CURRENCY


@admin.register(UsageEvent)
class UsageEventAdmin(ReadOnlyAdmin):
    """Billable uses; append-only."""

    list_display = ("event_key", "tenant_id", "event_type", "quantity", "amount", "occurred_at")
    list_filter = ("event_type", "period")
    search_fields = ("=event_key", "=run_id", "=settlement_id")
    ordering = ("-occurred_at",)

    @admin.display(ordering="amount_cents")
    def amount(self, event: UsageEvent) -> str:
        """Show the amount, if the use has one."""
        if event.amount_cents is None:
            return "-"
        return money.show(event.amount_cents, event.currency or BILLED_CURRENCY)


@admin.register(UsageCounter)
class UsageCounterAdmin(ReadOnlyAdmin):
    """A month's running sums."""

    list_display = ("tenant_id", "period", "event_type", "event_count", "quantity", "amount", "updated_at")
    list_filter = ("event_type", "period")
    search_fields = ("=tenant_id",)

    @admin.display(ordering="amount_cents")
    def amount(self, counter: UsageCounter) -> str:
        """Show the sum in the billed currency."""
        return money.show(counter.amount_cents, BILLED_CURRENCY)
