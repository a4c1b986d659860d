"""Servers and databases of a test run; the rest of the fixtures live beside their rooms."""

import os
from collections.abc import Iterator

import pytest

from tests.support import pristine, servers

_started = pytest.StashKey[servers.Servers]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers before pytest-django, which configures last, lets Django read its settings."""
    if not hasattr(config, "workerinput"):
        config.stash[_started] = servers.start_for_tests()
    os.environ["DJANGO_SETTINGS_MODULE"] = "settld.settings"
    from django.conf import settings

    assert settings.DATABASES  # pytest-django sets Django up only where the settings are loaded


def pytest_unconfigure(config: pytest.Config) -> None:
    if (started := config.stash.get(_started, None)) is not None:
        started.stop()


@pytest.fixture(scope="session")
def _pristine(django_test_environment, django_db_blocker) -> Iterator[pristine.Pristine]:
    """This process's own database, cloned from the run's migrated template."""
    from django.core.management import call_command
    from django.db import connections

    def point_at(name: str) -> None:
        for connection in connections.all():
            connection.close()
            connection.settings_dict["NAME"] = name

    def migrate(name: str) -> None:
        point_at(name)
        call_command("migrate", database="owner", verbosity=0, interactive=False)
        point_at(name)  # closes, so that the template has no session left

    database = servers.process_database()
    with django_db_blocker.unblock():
        with servers.template_database(migrate) as template:
            servers.clone_database(template=template, name=database)
        point_at(database)
    yield pristine.remember(database)
    with django_db_blocker.unblock():
        connections.close_all()
    servers.drop_database(database)


@pytest.fixture(scope="session")
def django_db_setup(_pristine) -> None:
    """Take the place of pytest-django's own: both aliases look at this process's database."""


@pytest.fixture
def live_db(_pristine, django_db_blocker) -> Iterator[None]:
    """Real commits, for threads, other processes and locks; afterwards the database is as migrated.

    Not together with `db`, which wraps the test in a transaction. It takes the place of pytest-django's
    `transactional_db`, whose flush the application's role may not do.
    """
    from django.db import connections

    with django_db_blocker.unblock():
        yield
        connections.close_all()
    pristine.restore(_pristine)


@pytest.fixture(autouse=True)
def _no_rate_limits(settings) -> None:
    """Buckets live in the run's one Redis and fill over all tests; the tests of the limits set their own."""
    settings.RATE_LIMITS = {"ip": None, "tenant": None, "api_key": None}


@pytest.fixture(autouse=True)
def _no_measured_skew() -> None:
    """A clock that one test stopped says nothing about the next one's."""
    from settld.stripe_gateway import skew

    skew.forget()


@pytest.fixture
def api(settings):
    """A caller with every tenant scope, for tenant_a."""
    from tests.support.api import OPS_TOKEN, SCOPES, Api

    settings.OPS_TOKENS = {OPS_TOKEN: SCOPES, "tok_read": frozenset({"ops_read", "finance_read"})}
    return Api()
