"""Fixtures of the rails' tests: the deployment's providers, a tenant in scope, a stopped clock."""

import pytest


@pytest.fixture(autouse=True)
def _providers(settings):
    from tests.support.factories import rails

    settings.MONEY_RAILS = rails()


@pytest.fixture
def world(db, _providers):
    """One transaction, tenant_a in scope, our clock stopped at NOW."""
    from settld.core import clock, tenancy
    from tests.support import factories

    with tenancy.tenant_scope(factories.TENANT), clock.freeze(factories.NOW):
        yield factories


@pytest.fixture
def live_world(live_db, _providers):
    """Real commits, tenant_a in scope, our clock stopped at NOW (in this thread)."""
    from settld.core import clock, tenancy
    from tests.support import factories

    with tenancy.tenant_scope(factories.TENANT), clock.freeze(factories.NOW):
        yield factories


@pytest.fixture
def refused(world):
    """Expect a refusal by its code, and prove by counting rows that nothing moved."""
    from contextlib import contextmanager

    from moneyrails import models
    from settld.audit.models import OpsAudit
    from settld.core.errors import Refusal

    tables = [getattr(models, name) for name in models.__all__] + [OpsAudit]

    def counts():
        return {table.__name__: table.objects.count() for table in tables}

    @contextmanager
    def expecting(code: str):
        before = counts()
        with pytest.raises(Refusal) as caught:
            yield caught
        assert caught.value.code == code
        assert counts() == before

    return expecting
