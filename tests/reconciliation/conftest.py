"""Fixtures of the reconciliation tests; models are imported late, once Django is set up."""

import pytest

from tests.support.simulator import stripe_sim, stripe_simulator

__all__ = ["stripe_sim", "stripe_simulator"]


@pytest.fixture
def books(db):
    """An empty tenant's books, inside its scope."""
    from settld.core import tenancy
    from tests.reconciliation.books import TENANT, Books

    with tenancy.tenant_scope(TENANT):
        yield Books()


@pytest.fixture
def stripe(settings, monkeypatch):
    """A provider whose statement the test writes; the deployment has a Stripe provider in production."""
    from reconciliation.services import statement_pull
    from tests.reconciliation.statement import Stripe, with_stripe

    settings.MONEY_RAILS = with_stripe(settings.MONEY_RAILS)
    made = Stripe()
    monkeypatch.setattr(statement_pull, "client", made)
    return made


@pytest.fixture
def paid(db, stripe):
    """A tenant that pays through Stripe, inside its scope."""
    from settld.core import clock, tenancy
    from settld.tenants.models import Tenant
    from tests.reconciliation.books import NOW, TENANT
    from tests.reconciliation.statement import StripeBooks

    Tenant.objects.create(tenant_id=TENANT, created_at=NOW, updated_at=NOW)
    with tenancy.tenant_scope(TENANT), clock.freeze(NOW):
        yield StripeBooks()
