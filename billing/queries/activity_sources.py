"""Where the activity of an entity is read from: one branch of the union for each source (spec 7.6).

The texts below are SQL of our own; nothing that a client sends is ever put into them.
"""

from dataclasses import dataclass
from typing import Final

from django.db.models import Model

from billing.models import (
    BillingOutboxJob,
    BillingRequest,
    CheckoutSession,
    Invoice,
    Payment,
    PaymentMethodSync,
    ReconciliationRun,
    Remediation,
    Subscription,
)
from settld.stripe_gateway.models import StripeEventConsumption

CONSUMER: Final = "checkout"
RUN: Final = "reconciliation_run"
WEBHOOK: Final = "webhook"
IDEMPOTENCY: Final = "idempotency"


@dataclass(frozen=True)
class Branch:
    """One source: its rows are `r`; an empty expression means that its rows do not have the thing.

    `joins` is for a statement that filters by what it gives (`gives`: entity or event). Any other reads
    `looks_up`: the same, row by row behind the order, so that the planner walks the newest rows and stops.
    """

    source: str
    model: type[Model]
    event_type: str
    joins: str = ""
    looks_up: str = ""
    gives: str = ""
    where: str = ""
    row_id: str = "r.id"
    entity: str = "r.billable_entity_id"
    provider: str = "r.provider"
    operation_key: str = ""
    event_id: str = ""
    status: str = "r.status"
    message: str = ""

    @property
    def table(self) -> str:
        """Name the table of the rows."""
        return self.model._meta.db_table

    def columns(self) -> str:
        """Write what the branch selects, in the order that all branches share."""
        return ", ".join(
            (
                f"'{self.source}'::text COLLATE \"C\" AS source",
                f"{self.row_id} AS source_id",
                f"{self.entity or 'NULL'}::bigint AS entity_id",
                f"{self.provider or 'NULL'}::text AS provider",
                f"nullif({self.operation_key or 'NULL'}::text, '') AS operation_key",
                f"{self.event_id or 'NULL'}::text AS provider_event_id",
                f"{self.event_type}::text AS event_type",
                f"{self.status}::text AS status",
                f"nullif({self.message or 'NULL'}::text, '') AS message",
                "r.updated_at AS occurred_at",
            )
        )


_OF_METADATA: Final = "(r.metadata_json ->> 'operation_key')"
_WEBHOOK_STATUS: Final = (
    "CASE r.status WHEN 'pending' THEN 'received' WHEN 'leased' THEN 'processing'"
    " WHEN 'done' THEN 'processed' ELSE 'failed' END"
)

BRANCHES: Final = (
    Branch(
        source="checkout_session",
        model=CheckoutSession,
        event_type="r.flow",
        operation_key="r.operation_key",
        event_id="r.last_provider_event_id",
        message="r.status_reason",
    ),
    Branch(
        source=IDEMPOTENCY,
        model=BillingRequest,
        event_type="r.action",
        operation_key="r.operation_key",
        message="r.failure_reason",
    ),
    Branch(
        source="invoice",
        model=Invoice,
        event_type="'invoice'",
        operation_key=_OF_METADATA,
        event_id="r.last_provider_event_id",
    ),
    Branch(
        source="outbox_job",
        model=BillingOutboxJob,
        event_type="r.job_type",
        provider="",
        operation_key="r.operation_key",
        event_id="r.provider_event_id",
        message="r.last_error_text",
    ),
    Branch(
        source="payment",
        model=Payment,
        event_type="r.type",
        joins="JOIN billing_invoices i ON i.tenant_id = r.tenant_id AND i.id = r.invoice_id",
        looks_up="LEFT JOIN LATERAL (SELECT x.billable_entity_id FROM billing_invoices x"
        " WHERE x.tenant_id = r.tenant_id AND x.id = r.invoice_id OFFSET 0) i ON true",
        gives="entity",
        entity="i.billable_entity_id",
        operation_key=_OF_METADATA,
        event_id="r.last_provider_event_id",
    ),
    Branch(
        source="payment_method_sync",
        model=PaymentMethodSync,
        event_type="r.event_type",
        event_id="r.provider_event_id",
        message="r.error_text",
    ),
    Branch(
        source=RUN,
        model=ReconciliationRun,
        event_type="r.scope",
        entity="",
        message="r.error_text",
    ),
    Branch(
        source="remediation",
        model=Remediation,
        event_type="r.action",
        operation_key="r.operation_key",
        event_id="r.provider_event_id",
        message="coalesce(r.error_text, r.metadata_json ->> 'note')",  # a refund review may be due
    ),
    Branch(
        source="subscription",
        model=Subscription,
        event_type="'subscription'",
        operation_key=_OF_METADATA,
        event_id="r.last_provider_event_id",
    ),
    Branch(
        source=WEBHOOK,
        model=StripeEventConsumption,
        event_type="e.event_type",
        joins="JOIN billing_webhook_events e ON e.id = r.event_id",
        looks_up="LEFT JOIN LATERAL (SELECT x.provider, x.event_type, x.provider_event_id"
        " FROM billing_webhook_events x WHERE x.id = r.event_id OFFSET 0) e ON true",
        gives="event",
        where=f"r.consumer = '{CONSUMER}'",
        row_id="r.event_id",
        provider="e.provider",
        operation_key="r.operation_key",
        event_id="e.provider_event_id",
        status=_WEBHOOK_STATUS,
        message="r.error",
    ),
)
SOURCES: Final = tuple(branch.source for branch in BRANCHES)
