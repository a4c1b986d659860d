"""Fixtures of the finance reconciliation's tests; models are imported late, once Django is set up."""

import pytest


@pytest.fixture
def closed(db):
    """A tenant with a closed month, inside its scope and a transaction that is undone."""
    from settld.core import tenancy
    from tests.reconciliation.finance.month import TENANT, closed_books

    closed_books()
    with tenancy.tenant_scope(TENANT):
        yield


@pytest.fixture
def live_closed(live_db):
    """The same, committed for real: for tampering as the owner, for races and for crashes."""
    from settld.core import tenancy
    from tests.reconciliation.finance.month import TENANT, closed_books

    closed_books()
    with tenancy.tenant_scope(TENANT):
        yield
