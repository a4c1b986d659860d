"""The settings of checkout billing (spec/checkout-billing.md 5.5); off unless BILLING_ENABLED is on."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import environ

from settld import settings_parsing as parsing

DAY_SECONDS: Final = 86_400
OLDEST_API_VERSION: Final = "2025-03-31.basil"
# Which limit counts a capability. A capability is either called in this project or named as external.
CAPABILITIES: Final[dict[str, str]] = {
    "projects.create": "projects_created_monthly",
    "ai.chat.turn": "ai_chat_turns_monthly",
    "payouts.submit": "payouts_submitted_monthly",
    "payment_links.create": "payment_links_created_monthly",
}
EXTERNAL_CAPABILITIES: Final = frozenset({"projects.create", "ai.chat.turn"})


@dataclass(frozen=True, kw_only=True)
class Billing:
    """How subscriptions are sold and recovered; seconds unless a name says otherwise."""

    enabled: bool = False
    provider: str = "stripe"
    currency: str = "USD"
    app_public_url: str = ""
    operation_key_secret: str = field(default="", repr=False)
    provider_idempotency_key_secret: str = field(default="", repr=False)
    stripe_api_version: str = ""
    stripe_max_network_retries: int = 2
    stripe_timeout_ms: int = 30_000
    worker_max_network_retries: int = 1
    worker_timeout_ms: int = 15_000
    replay_window_seconds: int = 82_800
    checkout_expires_seconds: int = DAY_SECONDS
    expires_at_grace_seconds: int = 90
    pending_lease_seconds: int = 120
    completion_sla_seconds: int = 300
    outbox_retry_delay_seconds: int = 60
    outbox_max_attempts: int = 8
    outbox_lease_seconds: int = 60
    remediation_retry_delay_seconds: int = 120
    remediation_max_attempts: int = 6
    remediation_lease_seconds: int = 90
    run_lease_seconds: int = 180
    idempotency_retention_days: int = 30
    webhook_payload_retention_days: int = 30
    usage_retention_days: int = 400
    sync_event_retention_days: int = 400
    reservation_seconds: int = 900
    default_entity: str = "workspace"
    payment_link_catalog: str = "open"
    stripe_account_shared: bool = False
    deny_without_subscription: bool = False
    require_configured_limit: bool = False
    capabilities: dict[str, str] = field(default_factory=lambda: dict(CAPABILITIES))
    external_capabilities: frozenset[str] = EXTERNAL_CAPABILITIES


def billing(env: environ.Env, *, stripe: parsing.Stripe) -> Billing:
    """Read what checkout billing needs; switched on, it refuses to start without its secrets."""
    read = Billing(
        enabled=parsing.boolean(env, "BILLING_ENABLED", False),
        provider=parsing.choice(env, "BILLING_PROVIDER", ("stripe",), "stripe"),
        currency=_currency(env),
        app_public_url=parsing.text(env, "APP_PUBLIC_URL").rstrip("/"),
        operation_key_secret=parsing.text(env, "BILLING_OPERATION_KEY_SECRET"),
        provider_idempotency_key_secret=parsing.text(env, "BILLING_PROVIDER_IDEMPOTENCY_KEY_SECRET"),
        stripe_api_version=stripe.pinned_api_version,
        stripe_max_network_retries=parsing.natural(env, "BILLING_STRIPE_MAX_NETWORK_RETRIES", 2),
        stripe_timeout_ms=parsing.positive(env, "BILLING_STRIPE_TIMEOUT_MS", 30_000),
        replay_window_seconds=_between(
            env, "BILLING_PROVIDER_IDEMPOTENCY_REPLAY_WINDOW_SECONDS", 82_800, 60, DAY_SECONDS - 1
        ),
        checkout_expires_seconds=_between(
            env, "BILLING_CHECKOUT_PROVIDER_EXPIRES_SECONDS", DAY_SECONDS, 1_800, DAY_SECONDS
        ),
        expires_at_grace_seconds=parsing.natural(
            env, "BILLING_CHECKOUT_SESSION_EXPIRES_AT_GRACE_SECONDS", 90
        ),
        pending_lease_seconds=parsing.positive(env, "BILLING_CHECKOUT_PENDING_LEASE_SECONDS", 120),
        completion_sla_seconds=parsing.positive(env, "BILLING_CHECKOUT_COMPLETION_SLA_SECONDS", 300),
        outbox_retry_delay_seconds=parsing.positive(env, "BILLING_OUTBOX_RETRY_DELAY_SECONDS", 60),
        outbox_max_attempts=parsing.positive(env, "BILLING_OUTBOX_MAX_ATTEMPTS", 8),
        remediation_retry_delay_seconds=parsing.positive(env, "BILLING_REMEDIATION_RETRY_DELAY_SECONDS", 120),
        remediation_max_attempts=parsing.positive(env, "BILLING_REMEDIATION_MAX_ATTEMPTS", 6),
        idempotency_retention_days=_between(env, "BILLING_IDEMPOTENCY_RETENTION_DAYS", 30, 1, 3_650),
        webhook_payload_retention_days=_between(env, "BILLING_WEBHOOK_PAYLOAD_RETENTION_DAYS", 30, 1, 3_650),
        default_entity=parsing.choice(env, "BILLING_DEFAULT_ENTITY", ("workspace", "user"), "workspace"),
        payment_link_catalog=parsing.choice(env, "BILLING_PAYMENT_LINK_CATALOG", ("open", "strict"), "open"),
        stripe_account_shared=parsing.boolean(env, "BILLING_STRIPE_ACCOUNT_SHARED", False),
        deny_without_subscription=parsing.boolean(env, "BILLING_DENY_WITHOUT_SUBSCRIPTION", False),
        require_configured_limit=parsing.boolean(env, "BILLING_REQUIRE_CONFIGURED_LIMIT", False),
    )
    if read.enabled:
        _require_complete(read, stripe)
    return read


def _require_complete(read: Billing, stripe: parsing.Stripe) -> None:
    needed = {
        "BILLING_OPERATION_KEY_SECRET": read.operation_key_secret,
        "BILLING_PROVIDER_IDEMPOTENCY_KEY_SECRET": read.provider_idempotency_key_secret,
        "PROXY_BILLING_STRIPE_SECRET_KEY": stripe.secret_key,
        "PROXY_BILLING_STRIPE_WEBHOOK_SECRET": stripe.webhook_secrets,
        "PROXY_BILLING_STRIPE_API_VERSION": stripe.pinned_api_version,
        "APP_PUBLIC_URL": read.app_public_url,
    }
    for name, value in needed.items():
        if not value:
            raise parsing.refuse(name, "checkout billing needs it (BILLING_ENABLED is on)")
    if stripe.pinned_api_version < OLDEST_API_VERSION:
        raise parsing.refuse("PROXY_BILLING_STRIPE_API_VERSION", f"must be {OLDEST_API_VERSION} or later")
    address = urlsplit(read.app_public_url)
    if address.scheme not in ("http", "https") or not address.netloc or address.query or address.fragment:
        raise parsing.refuse("APP_PUBLIC_URL", "must be an absolute http(s) address")


def _currency(env: environ.Env) -> str:
    value = parsing.text(env, "BILLING_CURRENCY", "USD").upper()
    if len(value) != 3 or not value.isascii() or not value.isalpha():
        raise parsing.refuse("BILLING_CURRENCY", "must be three letters")
    return value


def _between(env: environ.Env, name: str, default: int, least: int, most: int) -> int:
    value = parsing.natural(env, name, default)
    if not least <= value <= most:
        raise parsing.refuse(name, f"must be between {least} and {most}")
    return value
