"""Scope invoices_recent: what the customers were billed in the last thirty days."""

import datetime as dt
from collections.abc import Sequence
from typing import Final

from billing import clock
from billing.models import BillableEntity, Customer, Invoice, Payment
from billing.provider_time import ProviderTime
from billing.providers.errors import ProviderProblem
from billing.providers.facts import Answer, InvoiceFacts
from billing.services import invoices, payments, revisions
from billing.services.reconciliation import batches, comparison
from billing.services.reconciliation.runs import Item, Run, RunFenced
from billing.services.reconciliation.walk import Plain
from billing.services.revisions import Revisions
from billing.states import InvoiceStatus, PaymentStatus, Scope
from settld.core import tenancy
from settld.core.transactions import atomic

# A day more than the thirty: the span is told by our clock and judged by the provider's.
LOOKS_BACK: Final = dt.timedelta(days=31)


class InvoicesRecent(Plain):
    """Missing here -> fetched; other status or amounts -> refreshed; made-up payment ids -> real ones."""

    scope = Scope.INVOICES_RECENT

    def batch(self, *, after: int, limit: int, now: dt.datetime) -> Sequence[Item]:
        """List the customers that the provider has not deleted, payers of links included."""
        return batches.after(
            Customer.objects.filter(provider_deleted_at=None), after_id=after, limit=limit, scope=self.scope
        )

    def examine(self, run: Run, item: Item) -> None:
        """Compare one customer's recent invoices with the stored ones."""
        with tenancy.tenant_scope(item.tenant_id), atomic():
            customer = Customer.objects.get(pk=item.id)
        before = revisions.of_invoices(tenant_id=item.tenant_id, entity_id=item.entity_id)
        run.seen += 1
        since = ProviderTime(int((clock.now() - LOOKS_BACK).timestamp()))
        try:
            listing = run.ask().list_invoices(
                customer=customer.provider_customer_id, created_from=since, profile="worker"
            )
        except ProviderProblem as problem:
            if not problem.is_missing:
                raise
            run.note_missing(id=item.id, tenant_id=item.tenant_id, entity_id=item.entity_id)
            return
        run.count_pages(len(listing.items))
        listed = {answer.facts.id for answer in listing.items}
        flagged = [
            self._retrieve(run, invoice_id) for invoice_id in _flagged(item) if invoice_id not in listed
        ]
        failures = []
        for answer in (*listing.items, *filter(None, flagged)):
            try:
                self._compare(run, item, answer, before)
            except RunFenced:
                raise
            except Exception as error:  # the customer's other invoices have their turn first
                failures.append(error)
        if failures:
            raise failures[0]

    def _retrieve(self, run: Run, invoice_id: str) -> Answer[InvoiceFacts] | None:
        """Read an invoice that ordering could not decide about and that is older than the listing."""
        try:
            return run.ask().retrieve_invoice(invoice_id, profile="worker")
        except ProviderProblem as problem:
            if problem.is_missing:
                return None
            raise

    def _compare(self, run: Run, item: Item, answer: Answer[InvoiceFacts], before: Revisions) -> None:
        if not _differs(item, answer.facts):
            return
        run.drift += 1
        if not run.is_dry:
            run.repair(item, lambda entity: _project(entity, answer, before))


def _differs(item: Item, facts: InvoiceFacts) -> bool:
    with tenancy.tenant_scope(item.tenant_id), atomic():
        row = Invoice.objects.filter(billable_entity_id=item.entity_id, provider_invoice_id=facts.id).first()
        if row is None:
            return facts.status != InvoiceStatus.DRAFT
        stored = list(Payment.objects.filter(invoice=row))
        return row.needs_reconciliation or bool(comparison.invoice_differs(row, stored, facts))


def _flagged(item: Item) -> list[str]:
    with tenancy.tenant_scope(item.tenant_id), atomic():
        rows = Invoice.objects.filter(billing_customer_id=item.id, needs_reconciliation=True)
        return list(rows.order_by("id").values_list("provider_invoice_id", flat=True))


def _project(entity: BillableEntity, answer: Answer[InvoiceFacts], before: Revisions) -> None:
    revisions.require_invoice_unchanged(answer.facts.id, before)
    invoice = invoices.project(
        entity=entity,
        facts=answer.facts,
        event=None,
        snapshot_at=answer.provider_time,
        now=clock.now(),
    )
    failed = [told for told in answer.facts.payments if told.status == "open"]
    if not answer.facts.is_paid and failed and _has_unnamed_failure(invoice):
        told = failed[0]
        payments.record(
            invoice=invoice,
            seen=payments.Seen(told.id, told.kind, PaymentStatus.FAILED, answer.facts.amount_remaining),
            event=None,
            snapshot_at=answer.provider_time,
        )


def _has_unnamed_failure(invoice: Invoice) -> bool:
    return Payment.objects.filter(invoice=invoice, is_fallback_id=True, status=PaymentStatus.FAILED).exists()
