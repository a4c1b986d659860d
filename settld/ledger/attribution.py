"""Which party a general posting is attributed to (spec/settld-billing-and-finance.md 5.1, Allocations)."""

from typing import Final

CUSTOMER: Final = "customer"
INSURER: Final = "insurer"
SUBCONTRACTOR: Final = "subcontractor"
OPERATOR: Final = "operator"
PLATFORM: Final = "platform"


def role_of(account_id: str) -> str:
    """Tell whose account it is, by its name; the first rule that fits decides."""
    if account_id.startswith("acct_customer_"):
        return CUSTOMER
    if "insurer_" in account_id or "coverage_reserve" in account_id:
        return INSURER
    if "developer_" in account_id:
        return SUBCONTRACTOR
    if "operator_" in account_id or "owner_" in account_id:
        return OPERATOR
    return OPERATOR if account_id == "acct_payout_clearing" else PLATFORM


def party_of(
    account_id: str, *, payee_agent_id: str | None = None, payer_agent_id: str | None = None
) -> tuple[str, str]:
    """Name the party of a posting and its role, as (party_id, party_role).

    The operator is the agent that is paid, the customer the agent that pays or is funded; the id carries
    no agent where that is unknown.
    """
    role = role_of(account_id)
    agent_id = {OPERATOR: payee_agent_id, CUSTOMER: payer_agent_id}.get(role)
    return (f"pty_{role}:{agent_id}" if agent_id else f"pty_{role}"), role
