"""The processes and the tenant of a crash test."""

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING

import environ
import pytest

from settld import settings_parsing
from tests.support import deployment
from tests.support.deployment import Deployment
from tests.support.http import Server

if TYPE_CHECKING:
    from tests.crash.scene import Scene


@pytest.fixture(scope="module")
def deployed(_pristine) -> Iterator[Deployment]:
    """A simulator and a web process that live as long as the module's tests."""
    with deployment.running("simulator", "web", web_workers=1) as running:
        yield running


@pytest.fixture
def scene(deployed, live_db, settings, monkeypatch) -> "Scene":
    """A tenant that may pay with real money, and an account that takes it; this process has its settings."""
    from tests.crash.scene import Scene  # knows the models, so not before Django is set up

    for name, value in deployed.environment.items():
        if name.startswith("PROXY_"):
            monkeypatch.setenv(name, value)
    settings.MONEY_RAILS = settings_parsing.money_rails(environ.Env())
    settings.STRIPE = settings_parsing.stripe(environ.Env())
    made = Scene(deployed, Server(deployed.base_url), f"tenant_crash_{secrets.token_hex(4)}")
    made("PUT", "/ops/finance/billing/plan", {"moneyRails": {"realMoneyEnabled": True}})
    made.account(preset="verified")
    return made
