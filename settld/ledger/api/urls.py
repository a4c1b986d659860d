"""Ledger routes."""

from django.urls import path

from settld.ledger.api.accounts import Accounts, Balances
from settld.ledger.api.entries import Entries, EntryDetail

urlpatterns = [
    path("ops/ledger/entries", Entries.as_view()),
    # An entry id holds the id of what it came from; a slash in that, sent as %2F, reaches us decoded.
    path("ops/ledger/entries/<path:entry_id>", EntryDetail.as_view()),
    path("ops/ledger/balances", Balances.as_view()),
    path("ops/ledger/accounts", Accounts.as_view()),
]
