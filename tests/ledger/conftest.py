"""The books of one tenant."""

import pytest


@pytest.fixture
def books(db):
    """Accounts to post on, inside the tenant's scope and a transaction that is undone."""
    from settld.core import tenancy
    from tests.ledger.books import TENANT, open_accounts

    with tenancy.tenant_scope(TENANT):
        open_accounts()
        yield


@pytest.fixture
def live_books(live_db):
    """The same, committed for real, for races."""
    from settld.core import tenancy
    from tests.ledger.books import TENANT, open_accounts

    with tenancy.tenant_scope(TENANT):
        open_accounts()
        yield
