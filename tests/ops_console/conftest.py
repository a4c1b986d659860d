"""Fixtures of the console's tests."""

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
