"""An entity to which one thing of every kind has happened, for the timeline and the explorer."""

import datetime as dt
import json
from typing import Any

from billing.models import (
    BillableEntity,
    BillingOutboxJob,
    Invoice,
    Payment,
    PaymentMethodSync,
    ReconciliationRun,
    Remediation,
)
from settld.core import tenancy, transactions
from settld.stripe_gateway.models import StripeEvent, StripeEventConsumption
from tests.billing import factories as make
from tests.billing.factories import NOW

KEY = "a" * 64
SECONDS = {
    "idempotency": 1, "checkout_session": 2, "subscription": 3, "invoice": 4, "payment": 5,
    "payment_method_sync": 6, "webhook": 7, "outbox_job": 8, "remediation": 9, "reconciliation_run": 10,
}  # fmt: skip


def at(source: str) -> dt.datetime:
    """When the thing of a source happened."""
    return NOW + dt.timedelta(seconds=SECONDS[source])


def webhook(event_id: str = "evt_1", *, entity: BillableEntity | None, when: dt.datetime, **more: Any):
    """An event that the checkout consumer has seen."""
    payload = {"id": event_id, "data": {"object": {"id": "cs_1", "client_secret": "cs_1_secret_x"}}}
    event = StripeEvent.objects.create(
        provider_event_id=event_id, event_type="checkout.session.completed", provider_created_at=NOW,
        livemode=False, payload=json.dumps(payload), payload_sha256="0" * 64, received_at=NOW,
        last_delivered_at=NOW,
    )  # fmt: skip
    values = {"status": "failed", "error": "no such customer", "operation_key": KEY} | more
    consumption = StripeEventConsumption.objects.create(
        event=event, consumer="checkout", billable_entity_id=entity.pk if entity else None,
        tenant_id=entity.tenant_id if entity else "", next_attempt_at=NOW, created_at=NOW, updated_at=when,
        **values,
    )  # fmt: skip
    StripeEventConsumption.objects.create(
        event=event, consumer="connect", next_attempt_at=NOW, created_at=NOW, updated_at=when
    )
    return consumption


def of(entity: BillableEntity, *, number: int = 1, plan=None) -> None:
    """Have one thing of each source happen to an entity, all of one operation and one event."""
    key, event = (KEY, "evt_1") if number == 1 else (f"{number:064d}", f"evt_{number}")
    plan = plan or make.plan()
    payer = make.customer(entity, f"cus_{number}")
    labels = {"operation_key": key, "client_secret": "cs_secret"}

    def stamp(source: str) -> dict[str, Any]:
        return {"created_at": NOW, "updated_at": at(source)}

    make.request(entity, operation_key=key, **stamp("idempotency"))
    make.session(
        entity, operation_key=key, last_provider_event_id=event, **stamp("checkout_session"),
        provider_checkout_session_id=f"cs_{number}",
    )  # fmt: skip
    bought = make.subscription(
        entity, plan, payer, f"sub_{number}", metadata_json=labels, last_provider_event_id=event,
        **stamp("subscription"),
    )  # fmt: skip
    with make.locked(entity):
        mine = {"tenant_id": entity.tenant_id, "billable_entity": entity}
        invoice = Invoice.objects.create(
            billing_customer=payer, subscription=bought, provider_invoice_id=f"in_{number}", status="paid",
            amount_due_minor=4_900, amount_paid_minor=4_900, amount_remaining_minor=0, currency="USD",
            issued_at=NOW, metadata_json=labels, last_provider_event_id=event, **mine, **stamp("invoice"),
        )  # fmt: skip
        Payment.objects.create(
            tenant_id=entity.tenant_id, invoice=invoice, provider_payment_id=f"pi_{number}", type="card",
            status="paid", amount_minor=4_900, currency="USD", metadata_json=labels,
            last_provider_event_id=event, **stamp("payment"),
        )  # fmt: skip
        PaymentMethodSync.objects.create(
            status="succeeded", event_type="payment_method.attached", provider_event_id=event,
            **mine, **stamp("payment_method_sync"),
        )  # fmt: skip
        BillingOutboxJob.objects.create(
            job_type="expire_checkout_session", dedupe_key=f"k{number}", available_at=NOW, operation_key=key,
            provider_event_id=event, last_error_text="the provider is away", **mine, **stamp("outbox_job"),
        )  # fmt: skip
        Remediation.objects.create(
            canonical_provider_subscription_id=f"sub_{number}", operation_key=key, provider_event_id=event,
            duplicate_provider_subscription_id=f"sub_{number}_double", **mine, **stamp("remediation"),
        )  # fmt: skip
    webhook(event, entity=entity, when=at("webhook"), operation_key=key)


def run() -> ReconciliationRun:
    """A reconciliation run, which belongs to no entity."""
    return ReconciliationRun.objects.create(
        scope="checkout_open", status="succeeded", runner_id="r", started_at=NOW, created_at=NOW,
        updated_at=at("reconciliation_run"),
    )  # fmt: skip


def more_invoices(entity: BillableEntity, count: int) -> None:
    """Many invoices of an entity, all changed at one instant."""
    with tenancy.tenant_scope(entity.tenant_id), transactions.atomic():
        first = Invoice.objects.filter(billable_entity=entity).first()
        Invoice.objects.bulk_create(
            Invoice(
                tenant_id=entity.tenant_id, billable_entity=entity, billing_customer=first.billing_customer,
                subscription=first.subscription, provider_invoice_id=f"in_more_{number}", status="open",
                amount_due_minor=1, amount_paid_minor=0, amount_remaining_minor=1, currency="USD",
                issued_at=NOW + dt.timedelta(minutes=number), created_at=NOW, updated_at=NOW,
            )
            for number in range(count)
        )  # fmt: skip
