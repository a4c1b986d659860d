"""Names of the escrow accounts (kernel spec 4): two for each wallet, and where money enters and leaves."""

from settld.ledger.states import EXTERNAL_PREFIX, WALLET_PREFIX, Book


def available(*, tenant_id: str, wallet_id: str) -> str:
    """Name the account of what a wallet may spend."""
    return f"{WALLET_PREFIX}{tenant_id}:{wallet_id}:available"


def escrow_locked(*, tenant_id: str, wallet_id: str) -> str:
    """Name the account of what a wallet has locked for work and holds."""
    return f"{WALLET_PREFIX}{tenant_id}:{wallet_id}:escrow_locked"


def funding(tenant_id: str) -> str:
    """Name the account that money comes from; it goes as far below zero as wallets have been funded."""
    return f"{EXTERNAL_PREFIX}{tenant_id}:funding"


def payout_clearing(tenant_id: str) -> str:
    """Name the account that payouts leave to."""
    return f"{EXTERNAL_PREFIX}{tenant_id}:payout_clearing"


def chargeback_recovery(tenant_id: str) -> str:
    """Name the account that withheld pay goes to."""
    return f"{EXTERNAL_PREFIX}{tenant_id}:chargeback_recovery"


def of_wallet(*, tenant_id: str, wallet_id: str) -> list[tuple[str, Book, bool]]:
    """Give a wallet's accounts and those of its tenant, as `ledger.services.accounts.ensure` takes them."""
    exact = [
        available(tenant_id=tenant_id, wallet_id=wallet_id),
        escrow_locked(tenant_id=tenant_id, wallet_id=wallet_id),
    ]
    spread = [funding(tenant_id), payout_clearing(tenant_id), chargeback_recovery(tenant_id)]
    return [(name, Book.ESCROW, True) for name in exact] + [(name, Book.ESCROW, False) for name in spread]
