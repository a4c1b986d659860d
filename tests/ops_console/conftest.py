"""Fixtures of the console's tests."""

from collections.abc import Iterator

import pytest


@pytest.fixture
def world(db, api):
    """An empty tenant_a."""
    from tests.ops_console.world import World

    return World(api)


@pytest.fixture
def finance(world):
    """A browser of somebody who may change money."""
    return world.person("finance")


@pytest.fixture
def approver(world):
    """A browser of somebody who may look at money."""
    return world.person("approver")


@pytest.fixture(scope="session")
def standing_deployment(_pristine) -> Iterator:
    """A simulator and the production server, started once for all browser tests of this process."""
    from tests.support.deployment import running

    with running("simulator", "web") as started:
        yield started


@pytest.fixture
def deployment(live_db, standing_deployment):
    """The standing deployment, on a database that is as migrated again after the test."""
    return standing_deployment
