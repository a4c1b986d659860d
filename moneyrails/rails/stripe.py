"""The Stripe rail: transfers to connected accounts (spec 3.3)."""

import re

from moneyrails.rails.base import Transfer, TransferOrder
from settld.stripe_gateway import answers, client
from settld.stripe_gateway.outcomes import ProviderRejected

PREFIX = "stripe_connect:"
_CONNECTED = re.compile(rf"{PREFIX}(acct_[A-Za-z0-9_]+)")


def is_configured() -> bool:
    """Tell whether there is a secret key to call Stripe with."""
    return client.is_configured()


def destination_of(counterparty_ref: str) -> str | None:
    """Give the connected account that a counterparty names; None when it names none."""
    named = _CONNECTED.fullmatch(counterparty_ref)
    return named.group(1) if named else None


def metadata_of(order: TransferOrder) -> dict[str, str]:
    """Say in Stripe's books whose transfer it is; the inbox claims its events by it."""
    return {
        "settld_tenant_id": order.tenant_id,
        "settld_operation_id": order.operation_id,
        "settld_provider_id": order.provider_id,
        "settld_payout_key": order.payout_key,
    }


def as_transfer(found: answers.Transfer) -> Transfer:
    """Put Stripe's object into our words."""
    return Transfer(
        transfer_id=found.id,
        amount_cents=found.amount,
        currency=found.currency,
        destination=found.destination,
        operation_id=found.metadata.get("settld_operation_id", ""),
        created_at=found.created_at,
    )


class StripeRail:
    """Sends transfers with the official client and looks them up by their group."""

    def create_transfer(self, order: TransferOrder) -> Transfer:
        """POST /v1/transfers; see Rail."""
        params = {
            "amount": order.amount_cents,
            "currency": order.currency.lower(),
            "destination": order.destination,
            "transfer_group": order.payout_key,
            "description": f"Settld payout {order.operation_id}",
            "metadata": metadata_of(order),
        }
        return as_transfer(client.create_transfer(params=params, idempotency_key=order.idempotency_key))

    def find_transfers(self, order: TransferOrder) -> list[Transfer]:
        """GET /v1/transfers by transfer_group, all pages, those of this operation; see Rail."""
        listed = [as_transfer(found) for found in client.list_transfers(order.payout_key)]
        return [transfer for transfer in listed if transfer.operation_id == order.operation_id]

    def retrieve_transfer(self, transfer_id: str) -> Transfer | None:
        """GET /v1/transfers/{id}; see Rail."""
        try:
            return as_transfer(client.retrieve_transfer(transfer_id))
        except ProviderRejected as refusal:
            if refusal.error["httpStatus"] == 404:
                return None
            raise
