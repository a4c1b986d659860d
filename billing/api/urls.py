"""The routes of checkout billing; what nobody names under its two prefixes is not found (spec 5.5)."""

from django.urls import URLPattern, path, re_path

from billing.api import (
    console_catalog_items,
    console_entities,
    console_events,
    console_operations,
    console_plans,
    entities,
    limitations,
    plans,
    subscription,
    timeline,
)
from billing.api.checkout import Checkout
from billing.api.missing import Missing
from billing.api.payment_links import DeactivatePaymentLink, PaymentLinks
from billing.api.payment_methods import PaymentMethods, SyncPaymentMethods
from billing.api.portal import Portal
from billing.api.refresh import Refresh

urlpatterns: list[URLPattern] = [
    path("api/billing/entities", entities.Entities.as_view()),
    path("api/billing/plans", plans.Plans.as_view()),
    path("api/billing/subscription", subscription.CurrentSubscription.as_view()),
    path("api/billing/limitations", limitations.CurrentLimitations.as_view()),
    path("api/billing/timeline", timeline.Timeline.as_view()),
    path("api/console/billing/events", console_events.Events.as_view()),
    path("api/console/billing/plans", console_plans.Plans.as_view()),
    path("api/console/billing/plans/<int:plan_id>", console_plans.OnePlan.as_view()),
    path("api/console/billing/provider-prices", console_plans.ProviderPrices.as_view()),
    path("api/console/billing/catalog-items", console_catalog_items.CatalogItems.as_view()),
    path("api/console/billing/catalog-items/<int:item_id>", console_catalog_items.OneCatalogItem.as_view()),
    path("api/console/billing/entities", console_entities.ExternalEntities.as_view()),
    path("api/console/billing/entities/<int:entity_id>", console_entities.OneEntity.as_view()),
    path("api/console/billing/entities/<int:entity_id>/grants", console_entities.Grants.as_view()),
    path(
        "api/console/billing/entities/<int:entity_id>/grants/<int:grant_id>/revoke",
        console_entities.GrantRevoke.as_view(),
    ),
    path("api/billing/checkout", Checkout.as_view()),
    *console_operations.urlpatterns,
    path("api/billing/checkout/refresh", Refresh.as_view()),
    path("api/billing/portal", Portal.as_view()),
    path("api/billing/payment-links", PaymentLinks.as_view()),
    path("api/billing/payment-links/<str:payment_link_id>/deactivate", DeactivatePaymentLink.as_view()),
    path("api/billing/payment-methods", PaymentMethods.as_view()),
    path("api/billing/payment-methods/sync", SyncPaymentMethods.as_view()),
    # Each part of the room adds its routes above this line.
    re_path(r"^api/(?:console/)?billing(?:/|$)", Missing.as_view()),
]
