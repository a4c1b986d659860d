"""Reading wallets; whoever moves money locks them instead."""

from settld.core import rows
from settld.kernel.models import Wallet


def find(*, tenant_id: str, agent_id: str) -> Wallet | None:
    """Give an agent's wallet; None while nothing has touched it."""
    return rows.first(Wallet, "tenant_id = %s AND agent_id = %s", [tenant_id, agent_id])
