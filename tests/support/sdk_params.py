"""Requests checked against the parameter types of the pinned Stripe SDK.

The simulator refuses what it does not know; the SDK's types are the second opinion, from Stripe itself:
unknown names, missing names, wrong types and words outside an enumeration.
"""

import functools
import re
import typing
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NotRequired, Required

import stripe
from stripe import _request_options as request_options
from typing_extensions import is_typeddict

from tests.support.simulator import Simulator

# The calls that billing makes, and what the SDK calls their parameters.
CALLS = {
    "GET /v1/account": None,
    "POST /v1/billing_portal/configurations": "billing_portal.ConfigurationCreateParams",
    "GET /v1/billing_portal/configurations": "billing_portal.ConfigurationListParams",
    "GET /v1/billing_portal/configurations/{id}": "billing_portal.ConfigurationRetrieveParams",
    "POST /v1/billing_portal/configurations/{id}": "billing_portal.ConfigurationUpdateParams",
    "POST /v1/billing_portal/sessions": "billing_portal.SessionCreateParams",
    "GET /v1/charges": "ChargeListParams",
    "GET /v1/charges/{id}": "ChargeRetrieveParams",
    "GET /v1/checkout/sessions": "checkout.SessionListParams",
    "POST /v1/checkout/sessions": "checkout.SessionCreateParams",
    "GET /v1/checkout/sessions/{id}": "checkout.SessionRetrieveParams",
    "POST /v1/checkout/sessions/{id}": "checkout.SessionUpdateParams",
    "POST /v1/checkout/sessions/{id}/expire": "checkout.SessionExpireParams",
    "GET /v1/checkout/sessions/{id}/line_items": "checkout.SessionLineItemListParams",
    "GET /v1/customers": "CustomerListParams",
    "POST /v1/customers": "CustomerCreateParams",
    "DELETE /v1/customers/{id}": "CustomerDeleteParams",
    "GET /v1/customers/{id}": "CustomerRetrieveParams",
    "POST /v1/customers/{id}": "CustomerUpdateParams",
    "GET /v1/customers/{id}/payment_methods": "CustomerPaymentMethodListParams",
    "GET /v1/customers/{id}/payment_methods/{id}": "CustomerPaymentMethodRetrieveParams",
    "GET /v1/disputes": "DisputeListParams",
    "GET /v1/disputes/{id}": "DisputeRetrieveParams",
    "GET /v1/events": "EventListParams",
    "GET /v1/events/{id}": "EventRetrieveParams",
    "GET /v1/invoice_payments": "InvoicePaymentListParams",
    "GET /v1/invoice_payments/{id}": "InvoicePaymentRetrieveParams",
    "GET /v1/invoices": "InvoiceListParams",
    "GET /v1/invoices/{id}": "InvoiceRetrieveParams",
    "POST /v1/invoices/{id}/pay": "InvoicePayParams",
    "POST /v1/invoices/{id}/void": "InvoiceVoidInvoiceParams",
    "GET /v1/payment_intents": "PaymentIntentListParams",
    "GET /v1/payment_intents/{id}": "PaymentIntentRetrieveParams",
    "GET /v1/payment_links": "PaymentLinkListParams",
    "POST /v1/payment_links": "PaymentLinkCreateParams",
    "GET /v1/payment_links/{id}": "PaymentLinkRetrieveParams",
    "POST /v1/payment_links/{id}": "PaymentLinkUpdateParams",
    "GET /v1/payment_links/{id}/line_items": "PaymentLinkLineItemListParams",
    "GET /v1/payment_methods": "PaymentMethodListParams",
    "POST /v1/payment_methods": "PaymentMethodCreateParams",
    "GET /v1/payment_methods/{id}": "PaymentMethodRetrieveParams",
    "POST /v1/payment_methods/{id}": "PaymentMethodUpdateParams",
    "POST /v1/payment_methods/{id}/attach": "PaymentMethodAttachParams",
    "POST /v1/payment_methods/{id}/detach": "PaymentMethodDetachParams",
    "GET /v1/prices": "PriceListParams",
    "POST /v1/prices": "PriceCreateParams",
    "GET /v1/prices/{id}": "PriceRetrieveParams",
    "POST /v1/prices/{id}": "PriceUpdateParams",
    "GET /v1/products": "ProductListParams",
    "POST /v1/products": "ProductCreateParams",
    "GET /v1/products/{id}": "ProductRetrieveParams",
    "POST /v1/products/{id}": "ProductUpdateParams",
    "GET /v1/refunds": "RefundListParams",
    "POST /v1/refunds": "RefundCreateParams",
    "GET /v1/refunds/{id}": "RefundRetrieveParams",
    "GET /v1/setup_intents": "SetupIntentListParams",
    "GET /v1/setup_intents/{id}": "SetupIntentRetrieveParams",
    "GET /v1/subscription_items": "SubscriptionItemListParams",
    "GET /v1/subscription_items/{id}": "SubscriptionItemRetrieveParams",
    "GET /v1/subscriptions": "SubscriptionListParams",
    "POST /v1/subscriptions": "SubscriptionCreateParams",
    "DELETE /v1/subscriptions/{id}": "SubscriptionCancelParams",
    "GET /v1/subscriptions/{id}": "SubscriptionRetrieveParams",
    "POST /v1/subscriptions/{id}": "SubscriptionUpdateParams",
}
PATTERNS = [(re.compile(name.replace("{id}", "[^/]+")), params) for name, params in CALLS.items()]
# Names that the SDK imports for type checkers only, in the options that every parameter type inherits.
UNRESOLVED = {"Mapping": Mapping, "StripeContext": object}
OPTIONS = frozenset(request_options.RequestOptions.__annotations__)


def assert_params_match(
    path: str, method: str, params: Mapping[str, Any], *, from_wire: bool = False
) -> None:
    """Raise AssertionError naming everything in `params` that the SDK's types do not allow for the call.

    `params` as the SDK is given them; with `from_wire` as a form decodes: texts for numbers and booleans,
    `{"0": ...}` for lists.
    """
    name = _params_name(method.upper(), path)
    wrong = (
        [f"{key}: the call takes no parameters" for key in params]
        if name is None
        else list(_walk(dict(params), _typed_dict(name), "", from_wire))
    )
    assert wrong == [], f"{method} {path}: {'; '.join(wrong)}"


def assert_log_matches(simulator: Simulator, *, after: int = 0) -> int:
    """Check every call that the simulator has answered with success since `after`; how many there were."""
    entries = simulator.control(f"/_sim/log?after={after}&details=1")["entries"]
    calls = [one for one in entries if one["kind"] == "call" and one["status"] == 200]
    for call in calls:
        assert_params_match(call["path"], call["method"], call["form"], from_wire=True)
    return len(calls)


def _params_name(method: str, path: str) -> str | None:
    for pattern, name in PATTERNS:
        if pattern.fullmatch(f"{method} {path}"):
            return name
    raise AssertionError(f"no parameter type is listed for {method} {path}: add it to CALLS")


@functools.cache
def _typed_dict(name: str) -> Any:
    module, _, last = f"stripe.params.{name}".rpartition(".")
    return getattr(functools.reduce(getattr, module.split(".")[1:], stripe), last)


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    return {
        name: hint
        for name, hint in typing.get_type_hints(cls, localns=UNRESOLVED, include_extras=True).items()
        if name not in OPTIONS
    }


def _walk(value: Any, hint: Any, where: str, from_wire: bool) -> typing.Iterator[str]:
    """What is wrong with a value, as texts that name the place."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (NotRequired, Required):
        yield from _walk(value, arguments[0], where, from_wire)
    elif is_typeddict(hint):
        yield from _walk_dict(value, hint, where, from_wire)
    elif _is_union(hint):
        yield from _walk_union(value, arguments, where, from_wire)
    elif origin is list:
        yield from _walk_list(value, arguments[0], where, from_wire)
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{where}: not a hash"
            return
        for name, inner in value.items():
            yield from _walk(inner, arguments[1], f"{where}[{name}]", from_wire)
    elif origin is typing.Literal:
        if value not in arguments:
            yield f"{where}: {value!r} is not one of {', '.join(map(repr, arguments))}"
    elif not _is_plain(value, hint, from_wire):
        yield f"{where}: {value!r} is no {getattr(hint, '__name__', hint)}"


def _walk_dict(value: Any, hint: Any, where: str, from_wire: bool) -> typing.Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: not a hash"
        return
    hints = _hints(hint)
    for name, inner in value.items():
        place = f"{where}[{name}]" if where else name
        if name in hints:
            yield from _walk(inner, hints[name], place, from_wire)
        else:
            yield f"{place}: unknown"
    for name in hint.__required_keys__ & hints.keys():
        if name not in value:
            yield f"{where}[{name}]: missing"


def _walk_union(value: Any, choices: tuple[Any, ...], where: str, from_wire: bool) -> typing.Iterator[str]:
    """`Literal[...] | str` means the literals: the `str` is for words that Stripe may add one day."""
    literals = [
        word
        for choice in choices
        if typing.get_origin(choice) is typing.Literal
        for word in typing.get_args(choice)
    ]
    if isinstance(value, str) and any(literals):
        if value not in literals:
            yield f"{where}: {value!r} is not one of {', '.join(map(repr, literals))}"
        return
    findings = [
        list(_walk(value, choice, where, from_wire)) for choice in choices if choice is not type(None)
    ]
    if [] not in findings:
        yield from min(findings, key=len)


def _walk_list(value: Any, hint: Any, where: str, from_wire: bool) -> typing.Iterator[str]:
    if from_wire and isinstance(value, dict) and all(name.isdigit() for name in value):
        value = [value[name] for name in sorted(value, key=int)]
    if not isinstance(value, list):
        yield f"{where}: not a list"
        return
    for number, inner in enumerate(value):
        yield from _walk(inner, hint, f"{where}[{number}]", from_wire)


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) is typing.Union or type(hint).__name__ == "UnionType"


def _is_plain(value: Any, hint: Any, from_wire: bool) -> bool:
    if hint is Any:
        return True
    if from_wire and isinstance(value, str):
        patterns = {bool: "true|false", int: r"-?\d+", float: r"-?\d+(\.\d+)?", Decimal: r"-?\d+(\.\d+)?"}
        return hint is str or (hint in patterns and re.fullmatch(patterns[hint], value) is not None)
    if hint in (int, float, Decimal) and isinstance(value, bool):
        return False
    wanted = {float: (int, float), Decimal: (Decimal, str)}.get(hint, hint)
    return isinstance(value, wanted) if isinstance(wanted, type | tuple) else False
