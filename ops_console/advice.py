"""What a person can do about a refusal. The API names the code; a page also says the next step."""

from typing import Final

NEXT: Final[dict[str, str]] = {
    "APPROVAL_PERSON_REQUIRED": "Decide it with a login, or with a key that a person made.",
    "APPROVAL_SELF_FORBIDDEN": "Ask somebody else who may change money.",
    "CHARGEBACK_OUTSTANDING_LIMIT_EXCEEDED": (
        "Settle the party's debt first, under Chargebacks, or raise the threshold in Controls."
    ),
    "FINANCE_ACCOUNT_MAP_MISSING": "Name the account in the account map, under Finance; then download again.",
    "FINANCE_ACCOUNT_MAP_REQUIRED": "Fill in the account map, under Finance; the CSV names accounts by it.",
    "FINANCE_EXPORT_FAILED": "Nothing of the file was sent. Try again, and name the request if it stays so.",
    "MAINTENANCE_ALREADY_RUNNING": "A run is at work. Look again in a minute.",
    "MONEY_RAIL_CANCEL_IN_FLIGHT": "Wait until the outcome of its attempt is known, under Unknown outcomes.",
    "MONEY_RAIL_PERSON_REQUIRED": "Settle it with a login, or with a key that a person made.",
    "MONEY_RAIL_PROVIDER_NOT_ALLOWED": "Choose another provider, or allow this one in Controls.",
    "MONEY_RAIL_SECOND_PERSON_REQUIRED": "Ask a colleague who has not submitted it.",
    "MONEY_RAIL_SUBMIT_INDETERMINATE": "Settle the attempt under Unknown outcomes; nothing is sent before.",
    "MONEY_RAIL_SUBMIT_IN_PROGRESS": "Somebody else is on it. Look again in a minute.",
    "MONTH_CLOSE_PERIOD_NOT_ENDED": "Close the month once it is over.",
    "MONTH_NOT_CLOSED": "Close the month first, under Statements.",
    "NEGATIVE_BALANCE_PAYOUT_HOLD": (
        "Settle the party's debt first: adjust it under Chargebacks, or let the policy pay the rest."
    ),
    "MONTH_CLOSE_NOT_FOUND": "Close the month first, under Statements.",
    "NET_CLOSE_PRECONDITIONS_FAILED": "Nothing was written. Find what differs before you close on it.",
    "PARTY_STATEMENT_CLOSED": "Reopen the month under Statements before you replace a statement of it.",
    "PAYOUT_AMOUNT_LIMIT_EXCEEDED": "Raise the cap of one payout in Controls, or state a smaller amount.",
    "PAYOUT_DAILY_LIMIT_EXCEEDED": "Wait for the next UTC day, or raise the daily cap in Controls.",
    "PAYOUT_HOLDBACK_ACTIVE": "Wait until then: it is the end of the challenge window.",
    "PAYOUT_KILL_SWITCH_ACTIVE": "Controls say who stopped payouts and why, and lift the stop.",
    "PAYOUT_PERIOD_CONFLICT": "Look at the payout that the party has for the month: one is not paid twice.",
    "REAL_MONEY_DISABLED": "Switch real money on in Controls, or choose a sandbox provider.",
    "STRIPE_CONNECT_ACCOUNT_REQUIRED": (
        "Connect accounts show which account the party has, and what keeps it from being paid."
    ),
    "STRIPE_CONNECT_COUNTERPARTY_MISMATCH": "Leave the destination empty to pay the party's own account.",
    "TENANT_SWITCHED": "Switch back to the tenant of this form, or open it anew.",
}


def next_step(code: str) -> str:
    """Say what to do about a refusal; blank when its own words already do."""
    return NEXT.get(code, "")
