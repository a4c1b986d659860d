"""What must be true of a tenant's money at any moment; the monitor looks at each of these again and again."""

from typing import Final

from reconciliation.invariants import books, payouts, records, wallets
from reconciliation.invariants.kinds import MOST_ROWS, Invariant, Sweep

INVARIANTS: Final[tuple[Invariant, ...]] = (*books.ALL, *wallets.ALL, *payouts.ALL, *records.ALL)
BY_NAME: Final = {invariant.name: invariant for invariant in INVARIANTS}

__all__ = ["BY_NAME", "INVARIANTS", "MOST_ROWS", "Invariant", "Sweep"]
