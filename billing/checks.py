"""System checks of checkout billing: what would be wrong to run with, and how to mend it."""

import inspect
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.urls import get_resolver

from billing.providers import base
from settld.core.capabilities import call_sites
from settld.settings_billing import OLDEST_API_VERSION, Billing

PAUSES_SECONDS = 10


@register()
def calls_end_before_their_leases(
    *, app_configs: Sequence[AppConfig] | None = None, **_kwargs: Any
) -> list[CheckMessage]:
    """Require that the longest call to the provider ends before the lease that it is made under (INV-46)."""
    billing: Billing = settings.BILLING
    if not billing.enabled:
        return []
    asked = worst_call_seconds(billing.stripe_timeout_ms, billing.stripe_max_network_retries)
    worked = worst_call_seconds(billing.worker_timeout_ms, billing.worker_max_network_retries)
    leases = [
        ("a checkout request", asked, billing.pending_lease_seconds),
        ("an outbox job", worked, billing.outbox_lease_seconds),
        ("a remediation", worked, billing.remediation_lease_seconds),
        ("a reconciliation run", worked, billing.run_lease_seconds),
    ]
    return [
        Error(
            f"the longest call of {whose} takes {seconds:g} s, its lease only {lease} s",
            hint="Lower BILLING_STRIPE_TIMEOUT_MS or BILLING_STRIPE_MAX_NETWORK_RETRIES, or raise"
            " BILLING_CHECKOUT_PENDING_LEASE_SECONDS.",
            id="billing.E010",
        )
        for whose, seconds, lease in leases
        if not seconds < lease
    ]


def worst_call_seconds(timeout_ms: int, retries: int) -> float:
    """Give the longest that a call may take: every send to its limit, and the pauses between them."""
    return timeout_ms / 1000 * (1 + retries) + PAUSES_SECONDS


@register()
def the_provider_interface_has_a_version(
    *, app_configs: Sequence[AppConfig] | None = None, **_kwargs: Any
) -> list[CheckMessage]:
    """Require an explicit version of the provider's interface, of the shapes that we read."""
    if not settings.BILLING.enabled:
        return []
    version = base.active().api_version
    if version >= OLDEST_API_VERSION:
        return []
    return [
        Error(
            f"the provider's API version is {version or 'not set'}",
            hint=f"Set PROXY_BILLING_STRIPE_API_VERSION to {OLDEST_API_VERSION} or later.",
            id="billing.E011",
        )
    ]


@register()
def the_adapter_keeps_its_contract(
    *, app_configs: Sequence[AppConfig] | None = None, **_kwargs: Any
) -> list[CheckMessage]:
    """Require that the active adapter has every method of the contract, with its parameters."""
    try:
        adapter = base.active()
    except base.ProviderUnknown as error:
        return [
            Error(
                f"there is no provider called {error}",
                hint="Set BILLING_PROVIDER to stripe.",
                id="billing.E012",
            )
        ]
    return [
        Error(
            f"{type(adapter).__name__} breaks the provider's contract: {breach}",
            hint="Compare it with billing.providers.base.Provider.",
            id="billing.E013",
        )
        for breach in breaches(adapter)
    ]


def breaches(adapter: object) -> list[str]:
    """Name what an adapter lacks of the contract, or takes in another form."""
    found = [
        f"{name} is missing"
        for name in (*base.Provider.__annotations__, "api_version")
        if not hasattr(type(adapter), name)
    ]
    for name, promised in inspect.getmembers(base.Provider, inspect.isfunction):
        if name.startswith("_"):
            continue
        kept = getattr(type(adapter), name, None)
        if kept is None:
            found.append(f"{name} is missing")
        elif _form(kept) != _form(promised):
            found.append(f"{name} takes other parameters")
    return found


def _form(method: Any) -> list[tuple[str, Any, Any]]:
    parameters = inspect.signature(method).parameters.values()
    return [(parameter.name, parameter.kind, parameter.default) for parameter in parameters]


@register()
def capabilities_have_call_sites(
    *, app_configs: Sequence[AppConfig] | None = None, **_kwargs: Any
) -> list[CheckMessage]:
    """Require that each capability that a plan may limit is called here, or said to be called elsewhere."""
    billing: Billing = settings.BILLING
    get_resolver().url_patterns  # noqa: B018  (imports every room, and with it every call site)
    missing = set(billing.capabilities) - set(call_sites) - billing.external_capabilities
    unknown = set(call_sites) - set(billing.capabilities)
    return [
        *(
            Error(
                f"no function carries out the capability {name}",
                hint="Mark its call site with @capability, or list it as external in the billing settings.",
                id="billing.E020",
            )
            for name in sorted(missing)
        ),
        *(
            Error(
                f"the capability {name} is marked in {', '.join(sorted(call_sites[name]))} and unknown",
                hint="Name its limitation code in the billing settings.",
                id="billing.E021",
            )
            for name in sorted(unknown)
        ),
    ]
