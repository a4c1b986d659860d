"""The inbox for looking; the one action has consumptions tried again."""

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline

from settld.core import clock
from settld.core.admin import ReadOnlyAdmin
from settld.stripe_gateway.models import StripeEvent, StripeEventConsumption
from settld.stripe_gateway.services import consumption


class ConsumptionInline(TabularInline):  # type: ignore[misc]  # untyped base
    """Who consumes the event, and how far they are."""

    model = StripeEventConsumption
    fields = (
        "consumer",
        "status",
        "outcome",
        "detail",
        "attempts",
        "next_attempt_at",
        "error_code",
        "error",
        "tenant_id",
        "billable_entity_id",
        "operation_key",
    )
    readonly_fields = fields
    extra = 0
    max_num = 0
    can_delete = False

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.is_active and request.user.is_staff


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnlyAdmin):
    """Every authentic event, as Stripe sent it."""

    list_display = (
        "provider_event_id",
        "event_type",
        "object_id",
        "livemode",
        "received_at",
        "delivery_count",
    )
    list_filter = ("event_type", "livemode")
    search_fields = ("=provider_event_id", "=object_id")
    inlines = (ConsumptionInline,)


@admin.register(StripeEventConsumption)
class StripeEventConsumptionAdmin(ReadOnlyAdmin):
    """What each consumer made of each event."""

    list_display = (
        "event",
        "consumer",
        "status",
        "outcome",
        "error_code",
        "attempts",
        "next_attempt_at",
        "finished_at",
    )
    list_filter = ("status", "outcome", "consumer")
    list_select_related = ("event",)
    search_fields = ("=event__provider_event_id", "=event__object_id", "=operation_key")
    actions = ("consume_again",)

    @admin.action(description="Consume again (failed and dead only)", permissions=["act"])
    def consume_again(self, request: HttpRequest, queryset: QuerySet[StripeEventConsumption]) -> None:
        """Make the chosen consumptions due now, with a fresh count of attempts."""
        chosen = list(queryset.values_list("pk", flat=True))
        revived = consumption.consume_again(consumption_ids=chosen, now=clock.now())
        LogEntry.objects.log_actions(
            user_id=str(request.user.pk),
            queryset=StripeEventConsumption.objects.filter(pk__in=revived),
            action_flag=CHANGE,
            change_message="consume again",
        )
        messages.info(request, f"{len(revived)} of {len(chosen)} will be consumed again.")
