"""Fixtures of the reconciliation tests; models are imported late, once Django is set up."""

import pytest


@pytest.fixture
def books(db):
    """An empty tenant's books, inside its scope."""
    from settld.core import tenancy
    from tests.reconciliation.books import TENANT, Books

    with tenancy.tenant_scope(TENANT):
        yield Books()
