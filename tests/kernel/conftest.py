"""Fixtures of the kernel's writing routes: a payer with money, a stopped clock, one caller."""

import pytest


@pytest.fixture
def runs(db, api):
    """Parties are there, the payer has 1,000.00; our clock stands at NOW. `runs.at` moves it."""
    from django.db import connection

    from settld.core import clock, tenancy
    from tests.kernel import work

    with clock.freeze(work.NOW) as move:
        work.parties()
        caller = work.Runs(api)
        caller.at = move
        yield caller
        with tenancy.tenant_scope(work.TENANT):  # what a commit would check, in the scope of a commit
            connection.check_constraints()


@pytest.fixture
def live_runs(live_db, api):
    """The same with real commits, for threads."""
    from settld.core import clock
    from tests.kernel import work

    with clock.freeze(work.NOW):
        work.parties()
        yield work.Runs(api)
