"""What is sold. Deployment-wide: the catalog belongs to whoever runs the deployment, not to a tenant."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from billing.models import fields, triggers
from billing.models.fields import Stamped
from billing.states import BillingComponent, Interval, UsageType

SELLABLE = Q(is_active=True, usage_type=UsageType.LICENSED, billing_component=BillingComponent.BASE)
ENTITLEMENT_SCHEMAS = ("entitlement.boolean.v1", "entitlement.quota.v1", "entitlement.string_list.v1")


class Plan(Stamped):
    """What a customer subscribes to. Deployment-wide."""

    code = models.CharField(max_length=120, db_collation="C")
    plan_family_code = models.CharField(max_length=120, db_collation="C")
    version = models.IntegerField(default=1)
    name = models.CharField(max_length=160)
    description = models.TextField(null=True, blank=True)  # noqa: DJ001  (absent is NULL here)
    applies_to = models.CharField(max_length=40, default="workspace")
    is_active = models.BooleanField(default=True)
    metadata_json = fields.metadata()

    class Meta:
        db_table = "billing_plans"
        ordering = ("-is_active", "id")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["code"], name="billing_plan_code"),
            models.UniqueConstraint(fields=["plan_family_code", "version"], name="billing_plan_version"),
            models.CheckConstraint(condition=Q(version__gte=1), name="billing_plan_version_counts"),
        ]
        triggers: ClassVar = [
            triggers.immutable(
                "billing_plan", "code", "plan_family_code", "version", "applies_to", rule="plan_commercial"
            )
        ]

    def __str__(self) -> str:
        return self.code


class PlanPrice(Stamped):
    """A provider's price that maps to a plan, also after it is no longer sold. Deployment-wide."""

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="prices")
    provider = fields.provider()
    billing_component = fields.word(BillingComponent, default=BillingComponent.BASE)
    usage_type = fields.word(UsageType, default=UsageType.LICENSED)
    interval = fields.word(Interval, default=Interval.MONTH)
    interval_count = models.IntegerField(default=1)
    currency = models.CharField(max_length=3, db_collation="C")
    unit_amount_minor = models.BigIntegerField()
    provider_product_id = fields.optional_ref()
    provider_price_id = fields.ref()
    is_active = models.BooleanField(default=True)
    metadata_json = fields.metadata()

    class Meta:
        db_table = "billing_plan_prices"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["provider", "provider_price_id"], name="plan_price_provider_id"),
            models.UniqueConstraint(fields=["id", "provider"], name="plan_price_of_provider"),
            models.UniqueConstraint(
                fields=["plan", "provider"], condition=SELLABLE, name="plan_price_one_sellable"
            ),
            models.CheckConstraint(
                condition=~SELLABLE | Q(interval=Interval.MONTH, interval_count=1),
                name="plan_price_sellable_monthly",
            ),
            models.CheckConstraint(
                condition=Q(unit_amount_minor__gte=0, interval_count__gte=1), name="plan_price_amounts"
            ),
            fields.is_currency("currency", name="plan_price_currency"),
            fields.one_of("billing_component", BillingComponent, name="plan_price_component"),
            fields.one_of("usage_type", UsageType, name="plan_price_usage"),
            fields.one_of("interval", Interval, name="plan_price_interval"),
        ]
        triggers: ClassVar = [
            triggers.immutable(
                "plan_price",
                "plan_id",
                "provider",
                "billing_component",
                "usage_type",
                "interval",
                "interval_count",
                "currency",
                "unit_amount_minor",
                "provider_product_id",
                "provider_price_id",
                rule="price_commercial",
            )
        ]

    def __str__(self) -> str:
        return self.provider_price_id


class CatalogItem(Stamped):
    """A one-time price offered for purchase. Deployment-wide."""

    provider = fields.provider()
    provider_price_id = fields.ref()
    name = models.CharField(max_length=160)
    currency = models.CharField(max_length=3, db_collation="C")
    unit_amount_minor = models.BigIntegerField()
    is_active = models.BooleanField(default=True)

    class Meta:
        db_table = "billing_catalog_items"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["provider", "provider_price_id"], name="catalog_item_price"),
            models.CheckConstraint(condition=Q(unit_amount_minor__gte=0), name="catalog_item_amount"),
            fields.is_currency("currency", name="catalog_item_currency"),
        ]

    def __str__(self) -> str:
        return self.name


class Entitlement(Stamped):
    """What a plan grants, valid by its schema when written and when read (INV-44). Deployment-wide."""

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="entitlements")
    code = models.CharField(max_length=120, db_collation="C")
    schema_version = models.CharField(max_length=40, db_collation="C")
    value_json = models.JSONField()

    class Meta:
        db_table = "billing_entitlements"
        ordering = ("code",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["plan", "code"], name="entitlement_once"),
            models.CheckConstraint(
                condition=Q(schema_version__in=ENTITLEMENT_SCHEMAS), name="entitlement_schema_known"
            ),
            models.CheckConstraint(condition=~Q(code=""), name="entitlement_code_given"),
        ]

    def __str__(self) -> str:
        return self.code
