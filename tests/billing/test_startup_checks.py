"""T-165: a deployment that could not work does not start, and says what to change."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import environ
import pytest
from django.core.checks import registry
from django.core.exceptions import ImproperlyConfigured

from billing import checks
from billing.providers import base
from billing.providers.stripe import StripeProvider
from settld import settings_parsing as parsing
from settld.settings_billing import Billing, billing

PROJECT = Path(__file__).resolve().parents[2]
COMPLETE = {
    "BILLING_ENABLED": "true",
    "BILLING_OPERATION_KEY_SECRET": "operation-key-secret",
    "BILLING_PROVIDER_IDEMPOTENCY_KEY_SECRET": "provider-key-secret",
    "PROXY_BILLING_STRIPE_SECRET_KEY": "sk_test_x",
    "PROXY_BILLING_STRIPE_WEBHOOK_SECRET": "whsec_x",
    "PROXY_BILLING_STRIPE_API_VERSION": "2026-10-28.endive",
    "APP_PUBLIC_URL": "https://app.example.com",
}
NEEDED = [name for name in COMPLETE if name != "BILLING_ENABLED"]


@pytest.fixture
def read(monkeypatch):
    """Read the settings from an environment that is complete but for the given changes."""

    def parse(**changes: str) -> Billing:
        for name in [*COMPLETE, *changes]:
            monkeypatch.delenv(name, raising=False)
        for name, value in (COMPLETE | changes).items():
            monkeypatch.setenv(name, value)
        env = environ.Env()
        return billing(env, stripe=parsing.stripe(env))

    return parse


def test_t165_a_complete_environment_is_taken_with_the_defaults(read):
    settings = read()
    assert (settings.enabled, settings.stripe_timeout_ms, settings.stripe_max_network_retries) == (
        True,
        30_000,
        2,
    )
    assert (settings.worker_timeout_ms, settings.worker_max_network_retries) == (15_000, 1)
    assert settings.stripe_api_version == "2026-10-28.endive"


@pytest.mark.parametrize("name", NEEDED)
def test_t165_billing_does_not_start_without_a_secret_it_needs(read, name):
    with pytest.raises(ImproperlyConfigured, match=name):
        read(**{name: ""})


def test_t165_switched_off_it_starts_without_any(read):
    assert read(**dict.fromkeys(NEEDED, ""), BILLING_ENABLED="false").enabled is False


@pytest.mark.parametrize("version", ["2024-06-20", "2025-03-30.basil", "1"])
def test_t165_an_older_api_version_is_refused(read, version):
    with pytest.raises(ImproperlyConfigured, match=r"2025-03-31\.basil or later"):
        read(PROXY_BILLING_STRIPE_API_VERSION=version)


def test_t165_the_oldest_api_version_is_taken(read):
    assert read(PROXY_BILLING_STRIPE_API_VERSION="2025-03-31.basil").enabled


@pytest.mark.parametrize(
    "url", ["app.example.com", "/app", "ftp://app.example.com", "https://", "https://a.b/?x=1"]
)
def test_t165_the_public_address_is_absolute(read, url):
    with pytest.raises(ImproperlyConfigured, match="APP_PUBLIC_URL"):
        read(APP_PUBLIC_URL=url)


def test_t165_a_process_without_its_secrets_ends_before_it_serves():
    import os

    environment = os.environ | COMPLETE | {"BILLING_OPERATION_KEY_SECRET": "", "SETTLD_ENV": "test"}
    ended = subprocess.run(
        [sys.executable, "-c", "import django; django.setup()"],
        cwd=PROJECT,
        env=environment | {"DJANGO_SETTINGS_MODULE": "settld.settings"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode != 0
    assert "BILLING_OPERATION_KEY_SECRET: checkout billing needs it" in ended.stderr


def ids(messages) -> list[str]:
    return [message.id for message in messages]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"stripe_timeout_ms": 36_666}, []),
        ({"stripe_timeout_ms": 36_667}, ["billing.E010"]),  # 3 sends and 10 s: 120.001 s
        ({"stripe_max_network_retries": 3}, ["billing.E010"]),
        ({"pending_lease_seconds": 100}, ["billing.E010"]),  # exactly as long is too long
        ({"pending_lease_seconds": 101}, []),
        ({"worker_timeout_ms": 25_000}, ["billing.E010"]),
        ({"outbox_lease_seconds": 40}, ["billing.E010"]),
        ({"stripe_timeout_ms": 60_000, "enabled": False}, []),
    ],
)
def test_t165_the_longest_call_ends_before_its_lease(settings, changes, found):
    settings.BILLING = dataclasses.replace(settings.BILLING, **changes)
    assert ids(checks.calls_end_before_their_leases()) == found


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("", ["billing.E011"]),
        ("2024-06-20", ["billing.E011"]),
        ("2025-03-31.basil", []),
        ("2026-10-28.endive", []),
    ],
)
def test_t165_the_version_of_the_providers_interface_is_named(settings, version, found):
    settings.STRIPE = dataclasses.replace(settings.STRIPE, pinned_api_version=version)
    assert ids(checks.the_provider_interface_has_a_version()) == found


def test_t165_an_unknown_provider_is_refused(settings):
    settings.BILLING = dataclasses.replace(settings.BILLING, provider="paypal")
    assert ids(checks.the_adapter_keeps_its_contract()) == ["billing.E012"]


def test_t174_the_adapter_keeps_its_contract():
    assert checks.the_adapter_keeps_its_contract() == []


class Incomplete(StripeProvider):
    retrieve_event = None  # type: ignore[assignment]

    def cancel_subscription(self, subscription_id):  # type: ignore[override]
        """Without a key."""


def test_t174_an_adapter_that_breaks_the_contract_is_named(monkeypatch):
    monkeypatch.setattr(base, "active", Incomplete)
    messages = checks.the_adapter_keeps_its_contract()
    assert ids(messages) == ["billing.E013", "billing.E013"]
    told = " ".join(message.msg for message in messages)
    assert "cancel_subscription takes other parameters" in told
    assert "retrieve_event is missing" in told


def test_t174_an_empty_adapter_lacks_everything():
    lacking = checks.breaches(object())
    assert "name is missing" in lacking
    assert "api_version is missing" in lacking
    assert "create_checkout_session is missing" in lacking
    assert len(lacking) > 20


def test_t165_the_checks_are_registered():
    names = {check.__name__ for check in registry.registry.get_checks()}
    assert {
        "calls_end_before_their_leases",
        "the_provider_interface_has_a_version",
        "the_adapter_keeps_its_contract",
    } <= names
