"""The words of the journal."""

from typing import Final

from django.db import models


class Book(models.TextChoices):
    """Which set of accounts an entry belongs to; an entry never crosses books."""

    ESCROW = "escrow"
    GENERAL = "general"
    PREPAID = "prepaid"


# Every tenant has these accounts of book `general` (spec/settld-billing-and-finance.md 5.1); it may add more.
GENERAL_ACCOUNTS: Final = (
    "acct_cash",
    "acct_customer_escrow",
    "acct_platform_revenue",
    "acct_owner_payable",
    "acct_operator_payable",
    "acct_developer_royalty_payable",
    "acct_insurance_reserve",
    "acct_claims_expense",
    "acct_claims_payable",
    "acct_customer_credits_payable",
    "acct_payout_clearing",
    "acct_chargeback_recovery",
)
WALLET_PREFIX: Final = "wallet:"
EXTERNAL_PREFIX: Final = "external:"

# Balance rows of an account that nothing checks for sufficiency; see docs/adr/0010.
SHARDS: Final = 16
TOTAL: Final = ""  # the bucket of a balance row that holds the sum of all days
