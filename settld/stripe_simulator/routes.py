"""Which endpoint answers which method and path."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from settld.stripe_simulator.errors import StripeError
from settld.stripe_simulator.resources import (
    accounts,
    balance,
    balance_transactions,
    charges,
    checkout_sessions,
    customer_calls,
    customers,
    disputes,
    events,
    invoice_calls,
    invoice_payments,
    payment_intents,
    payment_links,
    payment_methods,
    portal_configurations,
    portal_sessions,
    prices,
    products,
    refunds,
    reversals,
    setup_intents,
    subscription_calls,
    subscription_items,
    transfers,
    webhook_endpoints,
)
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, World

Endpoint = Callable[[World, Call], Json]


@dataclass(frozen=True, kw_only=True)
class Route:
    """`per_account`: the endpoint honours the `Stripe-Account` header."""

    method: str
    path: re.Pattern[str]
    endpoint: Endpoint
    per_account: bool = False


def _route(method: str, path: str, endpoint: Endpoint, *, per_account: bool = False) -> Route:
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
    return Route(method=method, path=re.compile(pattern), endpoint=endpoint, per_account=per_account)


# Modules that list their calls themselves, as (method, path, endpoint).
RESOURCES = (
    checkout_sessions,
    customer_calls,
    customers,
    invoice_calls,
    invoice_payments,
    payment_intents,
    payment_links,
    payment_methods,
    portal_configurations,
    portal_sessions,
    prices,
    products,
    refunds,
    setup_intents,
    subscription_calls,
    subscription_items,
)
ROUTES = (
    *(_route(*entry) for module in RESOURCES for entry in module.ROUTES),
    _route("GET", "/v1/account", accounts.retrieve_current, per_account=True),
    _route("GET", "/v1/accounts", accounts.list_all),
    _route("POST", "/v1/accounts", accounts.create),
    _route("GET", "/v1/accounts/{id}", accounts.retrieve),
    _route("POST", "/v1/accounts/{id}", accounts.update),
    _route("DELETE", "/v1/accounts/{id}", accounts.delete),
    _route("GET", "/v1/balance", balance.retrieve, per_account=True),
    _route("GET", "/v1/balance_transactions", balance_transactions.list_all),
    _route("GET", "/v1/balance_transactions/{id}", balance_transactions.retrieve),
    _route("GET", "/v1/charges", charges.list_all),
    _route("GET", "/v1/charges/{id}", charges.retrieve),
    _route("GET", "/v1/disputes", disputes.list_all),
    _route("GET", "/v1/disputes/{id}", disputes.retrieve),
    _route("GET", "/v1/events", events.list_all, per_account=True),
    _route("GET", "/v1/events/{id}", events.retrieve, per_account=True),
    _route("GET", "/v1/transfers", transfers.list_all),
    _route("POST", "/v1/transfers", transfers.create),
    _route("GET", "/v1/transfers/{id}", transfers.retrieve),
    _route("POST", "/v1/transfers/{id}", transfers.update),
    _route("GET", "/v1/transfers/{id}/reversals", reversals.list_all),
    _route("POST", "/v1/transfers/{id}/reversals", reversals.create),
    _route("GET", "/v1/transfers/{id}/reversals/{reversal_id}", reversals.retrieve),
    _route("POST", "/v1/transfers/{id}/reversals/{reversal_id}", reversals.update),
    _route("GET", "/v1/webhook_endpoints", webhook_endpoints.list_all),
    _route("POST", "/v1/webhook_endpoints", webhook_endpoints.create),
    _route("GET", "/v1/webhook_endpoints/{id}", webhook_endpoints.retrieve),
    _route("POST", "/v1/webhook_endpoints/{id}", webhook_endpoints.update),
    _route("DELETE", "/v1/webhook_endpoints/{id}", webhook_endpoints.delete),
)


def find(*, method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The route and the names in its path; 404 as Stripe words it."""
    for route in ROUTES:
        match = route.path.fullmatch(path) if route.method == method else None
        if match is not None:
            return route, match.groupdict()
    raise StripeError(f"Unrecognized request URL ({method}: {path}).", status=404)
