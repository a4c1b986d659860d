"""The tables of checkout billing (spec/checkout-billing.md 2); webhook events live in the gateway's inbox."""

from billing.models.catalog import CatalogItem, Entitlement, Plan, PlanPrice
from billing.models.customer import Customer, PaymentMethod, PaymentMethodSync
from billing.models.entity import (
    BillableEntity,
    EntityGrant,
    Organization,
    OrganizationMembership,
    ProviderRef,
)
from billing.models.invoice import Invoice, Payment
from billing.models.request import BillingRequest
from billing.models.session import CheckoutSession, PaymentLink
from billing.models.subscription import Remediation, Subscription, SubscriptionItem
from billing.models.usage import UsageCounter, UsageEvent
from billing.models.work import BillingOutboxJob, ReconciliationRun

__all__ = [
    "BillableEntity",
    "BillingOutboxJob",
    "BillingRequest",
    "CatalogItem",
    "CheckoutSession",
    "Customer",
    "Entitlement",
    "EntityGrant",
    "Invoice",
    "Organization",
    "OrganizationMembership",
    "Payment",
    "PaymentLink",
    "PaymentMethod",
    "PaymentMethodSync",
    "Plan",
    "PlanPrice",
    "ProviderRef",
    "ReconciliationRun",
    "Remediation",
    "Subscription",
    "SubscriptionItem",
    "UsageCounter",
    "UsageEvent",
]
