"""Checkout billing switched on, with secrets that tests may know."""

import dataclasses

import pytest

from settld.settings_billing import Billing
from settld.stripe_simulator.world import API_VERSION
from tests.support import sdk_params

WEBHOOK_SECRET = "whsec_billing_tests"


@pytest.fixture(autouse=True)
def billing_on(settings) -> Billing:
    """The deployment sells subscriptions; a test may put another `settings.BILLING` in place."""
    settings.STRIPE = dataclasses.replace(
        settings.STRIPE,
        secret_key="sk_test_billing",
        webhook_secrets=(WEBHOOK_SECRET,),
        pinned_api_version=API_VERSION,
        retry_base_ms=1,
        retry_max_ms=1,
    )
    settings.BILLING = Billing(
        enabled=True,
        app_public_url="https://app.example.com",
        operation_key_secret="operation-key-secret-of-the-tests",
        provider_idempotency_key_secret="provider-key-secret-of-the-tests",
        stripe_api_version=API_VERSION,
    )
    return settings.BILLING


@pytest.fixture
def stripe_at(settings):
    """Point the one Stripe client at a server, such as the simulator's url."""

    def point(url: str) -> None:
        settings.STRIPE = dataclasses.replace(settings.STRIPE, api_base_url=url)

    return point


@pytest.fixture
def world(db, monkeypatch):
    """An entity whose checkout is under way, and the provider's events about it."""
    from tests.billing import projections

    yield from projections.begin(monkeypatch)


@pytest.fixture
def fired(monkeypatch) -> list[str]:
    """The codes of the guardrails that fired, in order, without their prefix."""
    from tests.billing import projections

    return projections.listen(monkeypatch)


@pytest.fixture(autouse=True)
def _requests_fit_the_sdk(request):
    """What the simulator was asked in a test has the parameters by which the pinned SDK types it."""
    simulator = request.getfixturevalue("stripe_sim") if "stripe_sim" in request.fixturenames else None
    yield
    if simulator is not None:
        sdk_params.assert_log_matches(simulator)
