"""What a call to make a checkout session asks for, refused where Stripe refuses it."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from settld.stripe_simulator.errors import StripeError
from settld.stripe_simulator.params import Params, within
from settld.stripe_simulator.wire import Json

MODES = ("payment", "setup", "subscription")
SHORTEST_SECONDS, LONGEST_SECONDS = 30 * 60, 24 * 3600
# Kept on the session as they were sent; they change nothing that the simulator does.
PLAIN_TEXTS = (
    "billing_address_collection",
    "integration_identifier",
    "locale",
    "origin_context",
    "submit_type",
)
CREATE_PARAMS = (
    *PLAIN_TEXTS,
    "allow_promotion_codes",
    "cancel_url",
    "client_reference_id",
    "currency",
    "customer",
    "customer_creation",
    "customer_email",
    "expires_at",
    "invoice_creation",
    "line_items",
    "metadata",
    "mode",
    "payment_intent_data",
    "payment_method_collection",
    "payment_method_types",
    "setup_intent_data",
    "subscription_data",
    "success_url",
    "ui_mode",
)
# Stripe knows these; to take them and do nothing would be a lie, so they are refused by name.
NOT_SIMULATED = (
    "adaptive_pricing",
    "after_expiration",
    "allowed_payment_method_types",
    "automatic_tax",
    "branding_settings",
    "consent_collection",
    "custom_fields",
    "custom_text",
    "customer_account",
    "customer_update",
    "discounts",
    "excluded_payment_method_types",
    "managed_payments",
    "name_collection",
    "optional_items",
    "payment_method_configuration",
    "payment_method_data",
    "payment_method_options",
    "permissions",
    "phone_number_collection",
    "redirect_on_completion",
    "return_url",
    "saved_payment_method_options",
    "shipping_address_collection",
    "shipping_options",
    "tax_id_collection",
    "wallet_options",
)
ONLY_IN = {
    "invoice_creation": ("payment",),
    "line_items": ("payment", "subscription"),
    "payment_intent_data": ("payment",),
    "payment_method_collection": ("subscription",),
    "setup_intent_data": ("setup",),
    "subscription_data": ("subscription",),
    "customer_creation": ("payment", "setup"),
}
METHODS = ("card", "sepa_debit", "us_bank_account")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A session as asked for, all but its line items. `body` are fields of the session itself."""

    mode: str
    body: Json
    customer: str | None
    expires_at: int
    subscription_data: Json = field(default_factory=dict)
    intent_data: Json = field(default_factory=dict)


def read(form: Json, *, now: int) -> Wanted:
    """Raises StripeError as Stripe does; nothing is stored before this has passed."""
    params = simulated(form, allowed=CREATE_PARAMS, not_simulated=NOT_SIMULATED)
    params.required_text("mode")
    mode = params.choice("mode", MODES) or ""
    if (params.choice("ui_mode", ("hosted_page", "hosted")) or "hosted_page") not in (
        "hosted_page",
        "hosted",
    ):
        raise StripeError("The simulator has hosted pages only.", param="ui_mode")
    for name, modes in ONLY_IN.items():
        if params.has(name) and mode not in modes:
            raise StripeError(f"You can not pass `{name}` in `{mode}` mode.", param=name)
    body: Json = {name: params.text(name) for name in PLAIN_TEXTS if params.has(name)}
    body |= {
        "allow_promotion_codes": params.boolean("allow_promotion_codes"),
        "cancel_url": url(params, "cancel_url"),
        "client_reference_id": params.text("client_reference_id", max_length=200),
        "metadata": params.metadata({}),
        "mode": mode,
        "success_url": required_url(params, "success_url"),
        "payment_method_types": _methods(params),
    }
    _read_customer(params, body, mode)
    if mode == "payment":
        body["invoice_creation"] = invoice_creation(params)
        body["payment_method_collection"] = "if_required"
    if mode == "subscription":
        collected = params.choice("payment_method_collection", ("always", "if_required"))
        body["payment_method_collection"] = collected or "always"
    if mode == "setup" and not params.has("currency") and not params.has("payment_method_types"):
        raise missing_param("currency")
    if (currency := params.text("currency")) is not None:
        body["currency"] = currency.lower()
    return Wanted(
        mode=mode,
        body=body,
        customer=params.text("customer"),
        expires_at=_expires_at(params, now),
        subscription_data=subscription_data(params),
        intent_data=intent_data(params, "payment_intent_data") or intent_data(params, "setup_intent_data"),
    )


def simulated(form: Json, *, allowed: tuple[str, ...], not_simulated: tuple[str, ...]) -> Params:
    """The parameters, refusing what Stripe does not know, and by another word what the simulator does not."""
    params = Params(form, allowed=(*allowed, *not_simulated))
    for name in not_simulated:
        if params.has(name):
            raise StripeError(f"The simulator does not simulate `{name}`.", param=name)
    return params


def missing_param(name: str) -> StripeError:
    return StripeError(f"Missing required param: {name}.", code="parameter_missing", param=name)


def url(params: Params, name: str) -> str | None:
    text = params.text(name)
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and text.isprintable()
    except ValueError:
        is_good = False
    if not is_good or " " in text or "\\" in text:
        raise StripeError("Not a valid URL", code="url_invalid", param=name)
    return text


def required_url(params: Params, name: str) -> str:
    params.required_text(name)
    return url(params, name) or ""


def _read_customer(params: Params, body: Json, mode: str) -> None:
    customer, email = params.text("customer"), params.text("customer_email", max_length=800)
    if customer is not None and email is not None:
        message = "You may only specify one of these parameters: customer, customer_email."
        raise StripeError(message, param="customer_email")
    if customer is not None and params.has("customer_creation"):
        message = "You may only specify one of these parameters: customer, customer_creation."
        raise StripeError(message, param="customer_creation")
    if email is not None and "@" not in email:
        raise StripeError(f"Invalid email address: {email}", code="email_invalid", param="customer_email")
    body["customer_email"] = email
    if customer is None:
        wanted = params.choice("customer_creation", ("always", "if_required"))
        body["customer_creation"] = "always" if mode == "subscription" else wanted or "if_required"


def _methods(params: Params) -> list[str]:
    named = params.strings("payment_method_types")
    for method in named:
        if method not in METHODS:
            message = f"The simulator knows the payment methods {', '.join(METHODS)}, not {method}."
            raise StripeError(message, param="payment_method_types")
    return named or ["card"]


def _expires_at(params: Params, now: int) -> int:
    at = params.integer("expires_at")
    if at is None:
        return now + LONGEST_SECONDS
    if at < now + SHORTEST_SECONDS:
        message = "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
        raise StripeError(message, param="expires_at")
    if at > now + LONGEST_SECONDS:
        message = "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
        raise StripeError(message, param="expires_at")
    return at


def invoice_creation(params: Params) -> Json:
    """`{enabled, invoice_data}` in full, whether or not it was asked for."""
    asked = params.mapping("invoice_creation")
    data: Json = dict.fromkeys(
        ("account_tax_ids", "custom_fields", "description", "footer", "issuer", "rendering_options")
    )
    found: Json = {"enabled": False, "invoice_data": {**data, "metadata": {}}}
    if asked is None:
        return found
    with within("invoice_creation"):
        inner = Params(asked, allowed=("enabled", "invoice_data"))
        inner.required_text("enabled")
        found["enabled"] = inner.boolean("enabled")
        with within("invoice_data"):
            told = Params(inner.mapping("invoice_data") or {}, allowed=("description", "footer", "metadata"))
            found["invoice_data"] |= {
                "description": told.text("description", max_length=1500),
                "footer": told.text("footer"),
                "metadata": told.metadata({}),
            }
    return found


def subscription_data(params: Params) -> Json:
    """`metadata`, `description` and `trial_period_days` of the subscription to come."""
    with within("subscription_data"):
        told = simulated(
            params.mapping("subscription_data") or {},
            allowed=("description", "metadata", "trial_period_days"),
            not_simulated=(
                "application_fee_percent",
                "billing_cycle_anchor",
                "billing_mode",
                "default_tax_rates",
                "invoice_settings",
                "on_behalf_of",
                "pending_invoice_item_interval",
                "proration_behavior",
                "transfer_data",
                "trial_end",
                "trial_settings",
            ),
        )
        return {
            "description": told.text("description", max_length=500),
            "metadata": told.metadata({}),
            "trial_period_days": told.integer("trial_period_days", minimum=1, maximum=730),
        }


def intent_data(params: Params, name: str) -> Json:
    """`metadata`, `description` and the like of the payment or set-up to come; empty when not given."""
    asked = params.mapping(name)
    if asked is None:
        return {}
    with within(name):
        allowed = ("description", "metadata", "receipt_email", "setup_future_usage", "statement_descriptor")
        told = Params(asked, allowed=allowed)
        texts = {text: told.text(text) for text in allowed if text != "metadata" and told.has(text)}
        return {**texts, "metadata": told.metadata({})}
