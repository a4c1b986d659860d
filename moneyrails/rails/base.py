"""What a rail does, and the words that orders and transfers are described with."""

import datetime as dt
from dataclasses import dataclass
from typing import Protocol

from settld.core.hashing import sha256_hex


@dataclass(frozen=True)
class TransferOrder:
    """Everything a provider needs to pay one operation once; frozen when the attempt is opened."""

    tenant_id: str
    provider_id: str
    operation_id: str
    payout_key: str
    amount_cents: int
    currency: str
    destination: str
    idempotency_key: str


@dataclass(frozen=True)
class Transfer:
    """What a provider says it made."""

    transfer_id: str
    amount_cents: int
    currency: str
    destination: str
    operation_id: str
    created_at: dt.datetime | None

    def matches(self, order: TransferOrder) -> bool:
        """Tell whether it is exactly what was ordered."""
        return (self.amount_cents, self.currency.upper(), self.destination) == (
            order.amount_cents,
            order.currency.upper(),
            order.destination,
        )


class Rail(Protocol):
    """Moves money at a provider.

    All methods raise ProviderRejected (a clear no: nothing moved), ProviderNotExecuted (certainly not
    carried out) or ProviderInDoubt (money may have moved).
    """

    def create_transfer(self, order: TransferOrder) -> Transfer:
        """Ask for the transfer; the same key asks for the same transfer again, never for a second."""
        ...

    def find_transfers(self, order: TransferOrder) -> list[Transfer]:
        """List every transfer that the provider has for the order's operation, all pages."""
        ...

    def retrieve_transfer(self, transfer_id: str) -> Transfer | None:
        """Look one transfer up by its id, whosever it is; None when the provider has none of that name."""
        ...


def idempotency_key(*, tenant_id: str, provider_id: str, operation_id: str, attempt: int) -> str:
    """Make the key that a provider knows an attempt by (spec 3.3)."""
    return f"st_tr_{sha256_hex(f'{tenant_id}{chr(10)}{provider_id}{chr(10)}{operation_id}')[:48]}_a{attempt}"
