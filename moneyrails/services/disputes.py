"""Disputes at Stripe: a buyer's bank takes back what a buyer paid us, and a payout hangs on that charge.

A dispute is between the platform and the buyer's bank: no payout is taken back by it, so no operation and
no debt moves. It becomes a case for each payout that the charge paid for, with both ids and both amounts;
a person decides (docs/chargebacks.md). A dispute that is lost is a case of its own, so that nobody's
earlier decision covers it.
"""

import datetime as dt
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from moneyrails import findings
from moneyrails.models import Operation
from moneyrails.services import claims
from moneyrails.services.claims import Claim
from settld.core import clock, failpoints, tenancy, transactions
from settld.stripe_gateway import answers, client, consumers
from settld.stripe_gateway.answers import Charge, Dispute, Transfer
from settld.stripe_gateway.models import StripeEvent
from settld.stripe_gateway.outcomes import ProviderRejected
from settld.stripe_gateway.states import Outcome

CONSUMER: Final = "rails_disputes"
EVENT_TYPES: Final = tuple(
    f"charge.dispute.{word}"
    for word in ("created", "updated", "closed", "funds_withdrawn", "funds_reinstated")
)
MISMATCH: Final = "provider_dispute"
SEVERITIES: Final = {
    "lost": "critical",
    "needs_response": "high",
    "under_review": "high",
    "warning_needs_response": "medium",
    "warning_under_review": "medium",
}


@dataclass(frozen=True)
class Link:
    """A payout that hangs on the disputed charge, and what says so."""

    claim: Claim
    linked_by: str
    transfer: Transfer | None = None

    @property
    def key(self) -> str:
        """Name it among the links of one dispute."""
        return self.transfer.id if self.transfer else self.claim.operation_id


def register() -> None:
    """Claim the inbox's dispute events."""
    consumers.register(name=CONSUMER, event_types=EVENT_TYPES, handler=consume)


def consume(event: StripeEvent) -> tuple[Outcome, str]:
    """File a case for each payout that a disputed charge paid for; safe to run again, and in any order.

    The dispute is read as it is now, so an event that comes late never turns a case back.
    """
    dispute = _as_it_is_now(answers.dispute(event.data_object))
    links = links_of(dispute)
    if not links:
        return Outcome.IGNORED, "no payout of ours hangs on the disputed charge"
    for tenant_id, of_tenant in groupby(links, key=lambda link: link.claim.tenant_id):
        with tenancy.tenant_scope(tenant_id):
            now = clock.now()
            with transactions.atomic(durable=True):
                for link in of_tenant:
                    _file(dispute, link, event, now=now)
                failpoints.hit("consume.before_commit")
    failpoints.hit("consume.after_commit")
    return Outcome.UNMATCHED, f"the dispute is {dispute.status}"


def _as_it_is_now(told: Dispute) -> Dispute:
    """Ask Stripe for the dispute with its charge; one that our account does not know is taken as told."""
    try:
        return client.retrieve_dispute(told.id)
    except ProviderRejected as refusal:
        if refusal.error["httpStatus"] != 404:
            raise
        return told


def links_of(dispute: Dispute) -> list[Link]:
    """Find the payouts that hang on a disputed charge, by tenant; asks Stripe, so outside any transaction.

    What counts: our metadata on the dispute or its charge, a transfer that Stripe made along with the
    charge, transfers of the charge's group (those paid out of it by source_transaction are among them),
    and a group that is itself one of our payout keys.
    """
    found = [_link(claims.of_metadata(dispute.metadata), "dispute metadata")]
    charge = dispute.charge
    if charge is not None:
        found.append(_link(claims.of_metadata(charge.metadata), "charge metadata"))
        found += [_of_transfer(transfer, charge) for transfer in _transfers(charge)]
        found.append(_link(claims.of_payout_key(charge.transfer_group or ""), "transfer group"))
    return _distinct([link for link in found if link is not None])


def _transfers(charge: Charge) -> list[Transfer]:
    own = [client.retrieve_transfer(charge.transfer_id)] if charge.transfer_id else []
    return own + (client.list_transfers(charge.transfer_group) if charge.transfer_group else [])


def _of_transfer(transfer: Transfer, charge: Charge) -> Link | None:
    source = transfer.raw.get("source_transaction")
    source_id = source.get("id") if isinstance(source, dict) else source
    if source_id == charge.id:
        return _link(claims.of_metadata(transfer.metadata), "source transaction", transfer)
    if transfer.id == charge.transfer_id:
        return _link(claims.of_metadata(transfer.metadata), "destination charge", transfer)
    return _link(claims.of_metadata(transfer.metadata), "transfer group", transfer)


def _link(claim: Claim | None, linked_by: str, transfer: Transfer | None = None) -> Link | None:
    return Link(claim, linked_by, transfer) if claim is not None else None


def _distinct(links: list[Link]) -> list[Link]:
    """Keep one link per transfer; one without a transfer only where its payout has none with."""
    transfers = {link.transfer.id: link for link in reversed(links) if link.transfer is not None}
    paid = {(link.claim.tenant_id, link.claim.operation_id) for link in transfers.values()}
    others = {
        (link.claim.tenant_id, link.claim.operation_id): link
        for link in reversed(links)
        if link.transfer is None and (link.claim.tenant_id, link.claim.operation_id) not in paid
    }
    kept = [*transfers.values(), *others.values()]
    return sorted(kept, key=lambda link: (link.claim.tenant_id, link.key))


def _file(dispute: Dispute, link: Link, event: StripeEvent, *, now: dt.datetime) -> None:
    claim, is_lost = link.claim, dispute.status == "lost"
    operation = Operation.objects.filter(tenant_id=claim.tenant_id, operation_id=claim.operation_id).first()
    findings.note(
        tenant_id=claim.tenant_id,
        period=claim.period or (operation.period if operation else ""),
        provider_id=claim.provider_id or (operation.provider_id if operation else ""),
        mismatch_type=MISMATCH,
        mismatch_key=f"{dispute.id}:{link.key}" + (":lost" if is_lost else ""),
        mismatch_code=f"MONEY_RAIL_{MISMATCH.upper()}",
        severity=SEVERITIES.get(dispute.status, "low"),
        details=_details(dispute, link, operation, event),
        now=now,
    )


def _details(dispute: Dispute, link: Link, operation: Operation | None, event: StripeEvent) -> dict[str, Any]:
    """Say what is disputed and what was paid out, side by side."""
    transfer, charge = link.transfer, dispute.charge
    paid = operation.amount_cents if operation else transfer.amount if transfer else None
    return {
        "disputeId": dispute.id,
        "disputeStatus": dispute.status,
        "disputeReason": dispute.reason,
        "disputedCents": dispute.amount,
        "disputeCurrency": dispute.currency,
        "respondBy": _instant(dispute.respond_by),
        "chargeId": dispute.charge_id,
        "chargeAmountCents": charge.amount if charge else None,
        "operationId": link.claim.operation_id,
        "payoutKey": link.claim.payout_key,
        "partyId": operation.party_id if operation else None,
        "operationState": str(operation.state) if operation else None,
        "transferId": transfer.id if transfer else (operation.provider_ref or None) if operation else None,
        "amountCents": paid,
        "amountReversedCents": transfer.amount_reversed if transfer else None,
        "currency": operation.currency if operation else transfer.currency.upper() if transfer else None,
        "linkedBy": link.linked_by,
        "eventId": event.provider_event_id,
        "eventType": event.event_type,
        "problem": f"the charge behind this payout is disputed: {dispute.status}",
    }


def _instant(seconds: int | None) -> str | None:
    return clock.iso(dt.datetime.fromtimestamp(seconds, dt.UTC)) if seconds is not None else None
