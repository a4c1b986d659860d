"""The environment of a `make run`: what the reader gave, and the demo's values for the rest."""

import json
from collections.abc import Mapping

from settld.launcher.home import Home
from settld.launcher.secrets_store import Secrets

STRIPE_API_VERSION = "2026-10-28.endive"  # the one that the pinned SDK and the simulator speak
BILLING_NEEDS = (
    "PROXY_BILLING_STRIPE_SECRET_KEY",
    "PROXY_BILLING_STRIPE_WEBHOOK_SECRET",
    "PROXY_BILLING_STRIPE_API_VERSION",
    "BILLING_OPERATION_KEY_SECRET",
    "BILLING_PROVIDER_IDEMPOTENCY_KEY_SECRET",
    "APP_PUBLIC_URL",
)
ALL_SCOPES = "ops_write,finance_write,audit_read,governance_tenant_write,governance_global_write"


def demo_environment(
    *, given: Mapping[str, str], home: Home, secrets: Secrets, port: int, simulator_url: str
) -> dict[str, str]:
    """Complete the given environment; every setting that is given, even as an empty text, wins."""
    here = f"http://127.0.0.1:{port}"
    demo = {
        "SETTLD_ENV": "development",
        "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
        "CSRF_TRUSTED_ORIGINS": f"http://localhost:{port},{here}",
        "PUBLIC_API_BASE_URL": here,
        "SECRET_KEY": secrets.secret_key,
        "SETTLD_KEY_PEPPERS": f"demo:{secrets.key_pepper}",
        "PROXY_OPS_TOKENS": f"{secrets.ops_token}:{ALL_SCOPES}",
        "PROXY_MONEY_RAIL_PROVIDERS": json.dumps(
            [
                {"providerId": "stub_default", "mode": "sandbox"},
                {"providerId": "stripe_sim", "mode": "production"},
            ]
        ),
        "PROXY_MONEY_RAIL_PROVIDER_ID": "stub_default",
        "PROXY_BILLING_STRIPE_API_BASE_URL": simulator_url,
        "PROXY_PROVIDER_STATEMENT_LAG_SECONDS": "60",  # a first look shows what the provider alone has
        "PROXY_BILLING_STRIPE_SECRET_KEY": secrets.stripe_key,
        "PROXY_BILLING_STRIPE_WEBHOOK_SECRET": secrets.webhook_secret,
        "PROXY_BILLING_STRIPE_API_VERSION": STRIPE_API_VERSION,
        "BILLING_ENABLED": "1",
        "BILLING_OPERATION_KEY_SECRET": secrets.operation_key_secret,
        "BILLING_PROVIDER_IDEMPOTENCY_KEY_SECRET": secrets.provider_key_secret,
        "APP_PUBLIC_URL": f"http://localhost:{port}",  # as the report names it: a login holds for one name
    }
    if not (given.get("SETTLD_SIGNING_KEY_PEM") or given.get("SETTLD_SIGNING_KEY_FILE")):
        demo["SETTLD_SIGNING_KEY_FILE"] = str(home.signing_key)
    if "PROXY_OPS_TOKEN" in given:
        del demo["PROXY_OPS_TOKENS"]  # the single token counts only where the list is empty
    if given.get("PROXY_MONEY_RAIL_MODE", "").strip().lower() in {"production", "prod"}:
        demo["PROXY_MONEY_RAIL_PROVIDER_ID"] = "stripe_sim"  # production refuses a stub as its default
    if "PROXY_MONEY_RAIL_PROVIDERS" in given:
        del demo["PROXY_MONEY_RAIL_PROVIDER_ID"]  # ours may not be among theirs; the first of theirs leads
    complete = demo | dict(given) | {"SETTLD_HOME": str(home.root), "PORT": str(port)}
    if "BILLING_ENABLED" not in given and not all(complete[name].strip() for name in BILLING_NEEDS):
        complete["BILLING_ENABLED"] = "0"  # who blanked what selling needs did not ask for it
    complete["DJANGO_SETTINGS_MODULE"] = "settld.settings"
    return complete | {
        "SETTLD_DEMO_BASE_URL": here,
        "SETTLD_DEMO_OPS_TOKEN": strongest_ops_token(complete),
        "SETTLD_DEMO_PASSWORD": given.get("SETTLD_DEMO_PASSWORD") or secrets.demo_password,
        "SETTLD_DEMO_SIMULATOR_URL": simulator_url,
    }


def strongest_ops_token(environment: Mapping[str, str]) -> str:
    """The ops token with the most scopes; what the demo is seeded with."""
    entries = [entry for entry in environment.get("PROXY_OPS_TOKENS", "").split(";") if entry.strip()]
    if not entries:
        return environment.get("PROXY_OPS_TOKEN", "").strip()
    best = max(entries, key=lambda entry: len([s for s in entry.partition(":")[2].split(",") if s.strip()]))
    return best.partition(":")[0].strip()


def uses_simulator(given: Mapping[str, str]) -> bool:
    """Whether Stripe is played by our simulator: yes, unless the reader named another address."""
    return not given.get("PROXY_BILLING_STRIPE_API_BASE_URL")
