"""Writing down what the provider will be asked, once, before it is asked (5.2, INV-9, INV-12...14).

A replay sends these stored parameters under the stored key and nothing else, whatever has become of plans,
prices or our code since; where that would not be the same request, it is not sent at all.
"""

import datetime as dt
from typing import Any, Final, NamedTuple

from django.conf import settings

from billing.guardrail_codes import Guardrail
from billing.models import BillingRequest
from billing.providers import base as providers
from billing.services import guardrails
from billing.states import Action
from settld.core import clock as process_clock
from settld.core import hashing
from settld.stripe_gateway import skew

MOST_SKEW_SECONDS: Final = 300
DEADLINE_COLUMN: Final = "provider_idempotency_replay_deadline_at"
BOUND_COLUMN: Final = "provider_checkout_session_expires_at_upper_bound"
SCHEMAS: Final[dict[str, str]] = {
    Action.CHECKOUT: "checkout_session_create_params_v1",
    Action.PORTAL: "billing_portal_session_create_params_v1",
    Action.PAYMENT_LINK: "payment_link_create_params_v1",
}
FROZEN: Final = (
    "provider_request_params_json",
    "provider_request_hash",
    "provider_request_schema_version",
    "provider_sdk_name",
    "provider_sdk_version",
    "provider_api_version",
    "provider_request_frozen_at",
    DEADLINE_COLUMN,
)


class Horizons(NamedTuple):
    """The instants that a frozen request lives by; the upper bound of what is no checkout is its deadline."""

    frozen_at: dt.datetime
    deadline: dt.datetime
    upper_bound: dt.datetime


class NotFreezable(Exception):
    """The parameters are not such that their outcome could be bounded; nothing may be sent."""


def frozen_at(now: dt.datetime) -> dt.datetime:
    """Give the instant of freezing: whole seconds, as the provider counts."""
    return now.replace(microsecond=0)


def deadline(now: dt.datetime) -> dt.datetime:
    """Give the instant from which the provider may have forgotten our key, so that nothing is sent again."""
    return frozen_at(now) + dt.timedelta(seconds=settings.BILLING.replay_window_seconds)


def session_expiry(now: dt.datetime, *, request: BillingRequest) -> int:
    """Give when a checkout session shall run out, in seconds since 1970 on the provider's clock.

    A day after freezing; when our clock runs ahead of the provider's, as much earlier and one second, since
    the provider refuses what lies more than a day ahead of its own clock. Five minutes at most. `now` is the
    database's clock; what was measured is this process's, so that what the former is ahead of it counts, too.
    """
    expires_at = int(frozen_at(now).timestamp()) + settings.BILLING.checkout_expires_seconds
    ahead = skew.local_ahead_seconds() + max(0, round((now - process_clock.now()).total_seconds()))
    if ahead < 1:
        return expires_at
    guardrails.emit(
        Guardrail.PROVIDER_CLOCK_SKEW,
        operation_key=request.operation_key,
        billable_entity_id=request.billable_entity_id,
        seconds=ahead,
    )
    return expires_at - min(ahead + 1, MOST_SKEW_SECONDS)


def schema_version(request: BillingRequest) -> str:
    """Name the shape of an action's parameters."""
    return f"{request.provider}_{SCHEMAS[request.action]}"


def freeze(request: BillingRequest, *, params: dict[str, Any], now: dt.datetime) -> None:
    """Store the parameters with their hash, where they come from and until when they may be sent.

    In the caller's transaction, the entity locked; `now` is the instant of the claim. A deadline that the
    row has already stays. A checkout must say when its session expires, which bounds what a lost answer can
    have made. Raises NotFreezable, and nothing was written.
    """
    bound = _upper_bound(params, now=now) if request.action == Action.CHECKOUT else None
    provider = providers.named(request.provider)
    try:
        params_hash = hashing.canonical_hash(params)
    except ValueError as error:
        raise NotFreezable(f"the parameters have no canonical form: {error}") from error
    values: dict[str, Any] = {
        "provider_request_params_json": params,
        "provider_request_hash": params_hash,
        "provider_request_schema_version": schema_version(request),
        "provider_sdk_name": provider.sdk_name,
        "provider_sdk_version": provider.sdk_version,
        "provider_api_version": provider.api_version,
        "provider_request_frozen_at": frozen_at(now),
    }
    if request.provider_idempotency_replay_deadline_at is None:
        values[DEADLINE_COLUMN] = deadline(now)
    if bound is not None:
        values[BOUND_COLUMN] = bound
    BillingRequest.objects.filter(tenant_id=request.tenant_id, pk=request.pk).update(**values)
    for name, value in values.items():
        setattr(request, name, value)


def _upper_bound(params: dict[str, Any], *, now: dt.datetime) -> dt.datetime:
    """Read when the session expires; it must lie ahead, and no further than the provider allows."""
    expires_at = params.get("expires_at")
    if isinstance(expires_at, bool) or not isinstance(expires_at, int):
        raise NotFreezable("expires_at is missing or no whole number of seconds")
    began = int(frozen_at(now).timestamp())
    if not began < expires_at <= began + 86_400:
        raise NotFreezable("expires_at is not within a day")
    return dt.datetime.fromtimestamp(expires_at, dt.UTC)


def horizons(request: BillingRequest) -> Horizons | None:
    """Read when a request was frozen and until when it may be sent; None unless it is whole and intact."""
    at, until = request.provider_request_frozen_at, request.provider_idempotency_replay_deadline_at
    if at is None or until is None or not is_whole(request) or not is_intact(request):
        return None
    return Horizons(at, until, request.provider_checkout_session_expires_at_upper_bound or until)


def is_whole(request: BillingRequest) -> bool:
    """Tell whether everything that a replay relies on is there."""
    names = (*FROZEN, BOUND_COLUMN) if request.action == Action.CHECKOUT else FROZEN
    return all(getattr(request, name) is not None for name in names)


def is_intact(request: BillingRequest) -> bool:
    """Tell whether the stored parameters are those that were hashed; asked before every dispatch."""
    params = request.provider_request_params_json
    try:
        return isinstance(params, dict) and hashing.canonical_hash(params) == request.provider_request_hash
    except ValueError:
        return False


def drift(request: BillingRequest) -> list[str]:
    """Name what would make a replay another request than the stored one; empty when nothing would."""
    provider = providers.named(request.provider)
    stored = {
        "sdk_name": (request.provider_sdk_name, provider.sdk_name),
        "sdk_major": (_major(request.provider_sdk_version), _major(provider.sdk_version)),
        "api_version": (request.provider_api_version, provider.api_version),
    }
    return [name for name, (then, today) in stored.items() if then != today]


def _major(version: str | None) -> str:
    return (version or "").split(".", 1)[0]
