"""The ledger app."""

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    """Periods, which posting locks and closing drives."""

    name = "settld.ledger"
    label = "ledger"
    verbose_name = "Ledger"
