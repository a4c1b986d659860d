"""Reading settings: each function takes the environment and gives a valid value or says what to fix."""

import datetime as dt
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import environ
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.core.exceptions import ImproperlyConfigured

from settld.core.principals import SCOPES
from settld.core.secret_refs import SecretRefFailed, require_form
from settld.core.signatures import key_id, public_pem

TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
EVENT_TYPES = ("submitted", "confirmed", "failed", "cancelled", "reversed")
WEAK_SECRETS = ("changeme", "secret", "insecure", "development")


def refuse(name: str, problem: str) -> ImproperlyConfigured:
    """Make the error that stops the start."""
    return ImproperlyConfigured(f"{name}: {problem}")


def text(env: environ.Env, name: str, default: str = "") -> str:
    """Read a trimmed text; blank counts as absent."""
    return str(env.str(name, "")).strip() or default


def boolean(env: environ.Env, name: str, default: bool) -> bool:
    """Read a switch."""
    value = text(env, name).lower()
    if not value:
        return default
    if value not in TRUE + FALSE:
        raise refuse(name, f"must be one of {', '.join(TRUE + FALSE)}, not {value!r}")
    return value in TRUE


def natural(env: environ.Env, name: str, default: int) -> int:
    """Read a whole number, zero or more."""
    value = text(env, name)
    if not value:
        return default
    if not value.isascii() or not value.isdigit():
        raise refuse(name, f"must be a whole number, zero or more, not {value!r}")
    return int(value)


def positive(env: environ.Env, name: str, default: int) -> int:
    """Read a whole number of one or more."""
    value = natural(env, name, default)
    if value < 1:
        raise refuse(name, "must be a whole number of one or more")
    return value


def choice(env: environ.Env, name: str, choices: tuple[str, ...], default: str) -> str:
    """Read one of a few words."""
    value = text(env, name, default).lower()
    if value not in choices:
        raise refuse(name, f"must be one of {', '.join(choices)}, not {value!r}")
    return value


def json_value(env: environ.Env, name: str) -> Any:
    """Read JSON; None when absent."""
    value = text(env, name)
    if not value:
        return None
    try:
        return json.loads(value)
    except ValueError as error:
        raise refuse(name, f"is not valid JSON ({error})") from error


def counts(env: environ.Env, name: str) -> dict[str, int]:
    """Read a JSON object of whole numbers, zero or more."""
    value = json_value(env, name) or {}
    if not isinstance(value, dict) or not all(type(count) is int and count >= 0 for count in value.values()):
        raise refuse(name, "must be a JSON object whose values are whole numbers, zero or more")
    return value


# --- The basics -----------------------------------------------------------------------------------
def secret_key(env: environ.Env, *, is_production: bool) -> str:
    """Read Django's secret key; production refuses a missing or weak one."""
    key = text(env, "SECRET_KEY")
    if is_production and (len(key) < 50 or any(word in key.lower() for word in WEAK_SECRETS)):
        raise refuse("SECRET_KEY", "production needs a random key of 50 characters or more")
    return key or "development-only-secret-key-that-production-refuses"


def require_production_manners(env: environ.Env, *, debug: bool, allowed_hosts: list[str]) -> None:
    """Refuse what must never be on in production."""
    if debug:
        raise refuse("DEBUG", "must be off in production")
    if not allowed_hosts or "*" in allowed_hosts:
        raise refuse("ALLOWED_HOSTS", "production needs the host names that the API answers to, without *")
    for name in ("DATABASE_URL", "REDIS_URL"):
        if not text(env, name):
            raise refuse(name, "production needs it")


def databases(env: environ.Env, *, home: Path) -> dict[str, dict[str, Any]]:
    """Describe the two connections: `default` for the application role, `owner` for migrations.

    Without DATABASE_OWNER_URL the application connects as the owner and assumes the role settld_app.
    """
    socket_folder = text(env, "SETTLD_POSTGRES_SOCKET", str(home / "run"))
    app_url = text(env, "DATABASE_URL", f"postgresql://settld_app@{quote(socket_folder, safe='')}/settld")
    owner_url = text(env, "DATABASE_OWNER_URL")
    if not owner_url and not text(env, "DATABASE_URL"):
        owner_url = f"postgresql://settld_owner@{quote(socket_folder, safe='')}/settld"
    options: dict[str, Any] = {
        "server_side_binding": True,
        "prepare_threshold": 5,
        "connect_timeout": 10,
        "application_name": "settld",
    }
    app = _database("DATABASE_URL", app_url)
    owner = _database("DATABASE_OWNER_URL", owner_url or app_url)
    app |= {
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": False,
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": options | app["OPTIONS"] | ({} if owner_url else {"assume_role": "settld_app"}),
    }
    owner |= {
        "CONN_MAX_AGE": 0,
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": {"connect_timeout": 10, "application_name": "settld-owner"}
        | owner["OPTIONS"]
        | {"scoped": False},
        "TEST": {"MIRROR": None},
    }
    return {"default": app, "owner": owner}


def _database(name: str, url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql", "pgsql") or not parts.path.strip("/"):
        raise refuse(name, "must look like postgresql://user:password@host:5432/database")
    host = unquote(parts.netloc.rpartition("@")[2])
    port = ""
    if not host.startswith("/"):
        host, port = parts.hostname or "", str(parts.port or "")
    options = dict(parse_qsl(parts.query))  # sslmode, host=/socket/folder and the like
    return {
        "ENGINE": "settld.core.postgres",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or options.pop("user", "")),
        "PASSWORD": unquote(parts.password or options.pop("password", "")),
        "HOST": options.pop("host", host),
        "PORT": options.pop("port", port),
        "ATOMIC_REQUESTS": False,
        "OPTIONS": options,
    }


def redis_url(env: environ.Env, *, home: Path) -> str:
    """Read where Redis listens: redis://host:6379/0, or redis+socket:///path."""
    url = text(env, "REDIS_URL", f"redis+socket://{home / 'run' / 'redis.sock'}")
    if not url.startswith(("redis://", "rediss://", "redis+socket://", "unix://")):
        raise refuse("REDIS_URL", "must start with redis://, rediss:// or redis+socket://")
    return "redis+socket://" + url.removeprefix("unix://") if url.startswith("unix://") else url


@dataclass(frozen=True)
class Protocol:
    """Which protocol versions we speak, and until when."""

    minimum: str = "1.0"
    maximum: str = "1.0"
    current: str = "1.0"
    deprecations: dict[str, str] = field(default_factory=dict)
    is_required: bool = False

    @property
    def supported(self) -> list[str]:
        """List the versions that we name to clients."""
        return sorted({self.minimum, self.maximum})


def protocol(env: environ.Env, *, is_production: bool) -> Protocol:
    """Read the protocol window and the file of cutoffs."""
    bounds = {}
    for name in ("PROXY_PROTOCOL_MIN", "PROXY_PROTOCOL_MAX"):
        value = text(env, name, "1.0")
        major, dot, minor = value.partition(".")
        if not (dot and major.isdigit() and minor.isdigit()):
            raise refuse(name, "must be major.minor")
        bounds[name] = value
    cutoffs = {}
    path = text(env, "PROXY_PROTOCOL_DEPRECATIONS")
    if path:
        try:
            content = json.loads(Path(path).read_text())
            cutoffs = {version: _instant(entry["cutoff"]) for version, entry in content.items()}
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise refuse("PROXY_PROTOCOL_DEPRECATIONS", f"is not a readable cutoff file ({error})") from error
    return Protocol(
        bounds["PROXY_PROTOCOL_MIN"],
        bounds["PROXY_PROTOCOL_MAX"],
        bounds["PROXY_PROTOCOL_MAX"],
        cutoffs,
        boolean(env, "PROXY_PROTOCOL_REQUIRE_HEADER", is_production),
    )


def _instant(value: str) -> str:
    """Read a date or date-time as the wire writes it, so that two of them compare as texts."""
    instant = dt.datetime.fromisoformat(value)
    instant = instant if instant.tzinfo else instant.replace(tzinfo=dt.UTC)
    return instant.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@dataclass(frozen=True)
class RateLimit:
    """A token bucket: `burst` tokens at most, `rpm` new ones a minute."""

    rpm: int
    burst: int


def rate_limits(env: environ.Env) -> dict[str, RateLimit | None]:
    """Read the three layers; a blank or 0 turns one off."""
    names = {
        "ip": ("PROXY_RATE_LIMIT_UNAUTH_RPM", "PROXY_RATE_LIMIT_UNAUTH_BURST", 120),
        "tenant": ("PROXY_RATE_LIMIT_RPM", "PROXY_RATE_LIMIT_BURST", 0),
        "api_key": ("PROXY_RATE_LIMIT_PER_KEY_RPM", "PROXY_RATE_LIMIT_PER_KEY_BURST", 0),
    }
    limits: dict[str, RateLimit | None] = {}
    for layer, (rpm_name, burst_name, default) in names.items():
        rpm = natural(env, rpm_name, default)
        burst = natural(env, burst_name, 0) or rpm
        limits[layer] = RateLimit(rpm, burst) if rpm else None
    return limits


# --- Credentials ----------------------------------------------------------------------------------
def ops_tokens(env: environ.Env, *, is_production: bool) -> dict[str, frozenset[str]]:
    """Read `token:scope,scope;token2:scope`; with none, PROXY_OPS_TOKEN holds every scope."""
    tokens: dict[str, frozenset[str]] = {}
    for entry in filter(None, (part.strip() for part in text(env, "PROXY_OPS_TOKENS").split(";"))):
        token, _, scope_list = entry.partition(":")
        token = token.strip()
        scopes = frozenset(filter(None, (scope.strip() for scope in scope_list.split(","))))
        if not token:
            raise refuse("PROXY_OPS_TOKENS", "holds an entry without a token")
        if token in tokens:
            raise refuse("PROXY_OPS_TOKENS", "names one token twice")
        if unknown := scopes - SCOPES:
            raise refuse("PROXY_OPS_TOKENS", f"names unknown scopes: {', '.join(sorted(unknown))}")
        tokens[token] = scopes
    legacy = text(env, "PROXY_OPS_TOKEN")
    if not tokens and legacy:
        if is_production and not boolean(env, "PROXY_ALLOW_LEGACY_OPS_TOKEN", False):
            raise refuse("PROXY_OPS_TOKEN", "production needs PROXY_ALLOW_LEGACY_OPS_TOKEN=1 for it")
        tokens[legacy] = SCOPES
    if is_production and any(len(token) < 24 for token in tokens):
        raise refuse("PROXY_OPS_TOKENS", "production refuses tokens under 24 characters")
    return tokens


def key_peppers(env: environ.Env, *, is_production: bool) -> dict[str, str]:
    """Read `id:secret,id2:secret2`; the first is used for new keys, the others still verify."""
    ring: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in text(env, "SETTLD_KEY_PEPPERS").split(","))):
        pepper_id, colon, secret = entry.partition(":")
        if not (pepper_id.isalnum() and colon and secret):
            raise refuse("SETTLD_KEY_PEPPERS", "must look like id:secret,id2:secret2")
        ring[pepper_id] = secret
    if is_production and (not ring or any(len(secret) < 32 for secret in ring.values())):
        raise refuse("SETTLD_KEY_PEPPERS", "production needs one or more peppers of 32 characters or more")
    return ring or {"dev": "development-only-pepper-that-production-refuses"}


def signing_key(env: environ.Env, *, is_production: bool) -> bytes:
    """Read the Ed25519 key that signs artifacts, from a PEM file or the variable itself."""
    pem = text(env, "SETTLD_SIGNING_KEY_PEM").replace("\\n", "\n").encode()
    path = text(env, "SETTLD_SIGNING_KEY_FILE")
    if not pem and path:
        try:
            pem = Path(path).read_bytes()
        except OSError as error:
            raise refuse("SETTLD_SIGNING_KEY_FILE", f"cannot be read ({error.strerror})") from error
    if not pem:
        if is_production:
            raise refuse("SETTLD_SIGNING_KEY_FILE", "production needs a PKCS#8 PEM file with an Ed25519 key")
        seed = Ed25519PrivateKey.from_private_bytes(b"settld development signing key 0")
        return seed.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    try:
        if not isinstance(serialization.load_pem_private_key(pem, password=None), Ed25519PrivateKey):
            raise ValueError("another kind of key")
    except (ValueError, TypeError) as error:
        raise refuse(
            "SETTLD_SIGNING_KEY_FILE", f"is not a PKCS#8 PEM with an Ed25519 key ({error})"
        ) from error
    return pem


def retired_signing_keys(env: environ.Env) -> dict[str, str]:
    """Read the public halves of keys that signed before, by key id, from a file of PEM blocks."""
    name = "SETTLD_RETIRED_SIGNING_KEYS_FILE"
    path = text(env, name)
    if not path:
        return {}
    end = "-----END PUBLIC KEY-----"
    ring = {}
    try:
        for block in Path(path).read_text().split(end)[:-1]:
            key = serialization.load_pem_public_key((block.strip() + "\n" + end + "\n").encode())
            if not isinstance(key, Ed25519PublicKey):
                raise ValueError("holds another kind of key")
            pem = public_pem(key)
            ring[key_id(pem)] = pem
    except (OSError, ValueError) as error:
        raise refuse(name, f"is not a readable file of Ed25519 public keys in PEM ({error})") from error
    return ring


# --- Money rails ----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Provider:
    """One configured rail; the secret never leaves this object."""

    provider_id: str
    mode: str
    allow_payout: bool = True
    allow_collection: bool = True
    status_map: dict[str, str] = field(default_factory=dict)
    webhook_secret: str = field(default="", repr=False)
    requires_signed_ingest: bool = False
    signature_tolerance_seconds: int = 300

    @property
    def is_stripe(self) -> bool:
        """Tell whether the Stripe rail serves it (spec 3.2)."""
        return self.provider_id.lower().startswith("stripe")

    @property
    def is_production(self) -> bool:
        """Tell whether real money moves."""
        return self.mode == "production"


@dataclass(frozen=True)
class MoneyRails:
    """The deployment's providers and which one is the default."""

    mode: str
    default_provider_id: str
    providers: dict[str, Provider]

    @property
    def default(self) -> Provider:
        """Give the default provider."""
        return self.providers[self.default_provider_id]


def four_eyes(env: environ.Env, *, is_production: bool) -> bool:
    """Tell whether loosening a tenant's controls needs a second person where the tenant does not say."""
    return boolean(env, "SETTLD_FOUR_EYES", is_production)


def money_rails(env: environ.Env) -> MoneyRails:
    """Read the deployment mode and its providers (spec 3.2)."""
    mode = _rail_mode("PROXY_MONEY_RAIL_MODE", text(env, "PROXY_MONEY_RAIL_MODE"))
    providers = {}
    for entry in _provider_entries(json_value(env, "PROXY_MONEY_RAIL_PROVIDERS")):
        provider = _provider(entry, deployment_mode=mode)
        if provider.provider_id in providers:
            raise refuse("PROXY_MONEY_RAIL_PROVIDERS", f"names provider {provider.provider_id!r} twice")
        providers[provider.provider_id] = provider
    if mode == "production" and not providers:
        raise refuse("PROXY_MONEY_RAIL_PROVIDERS", "production mode needs at least one provider")
    default = text(env, "PROXY_MONEY_RAIL_PROVIDER_ID") or next(iter(providers), "stub_default")
    if mode == "production" and default.lower().startswith("stub"):
        raise refuse("PROXY_MONEY_RAIL_PROVIDER_ID", "production mode refuses a default provider named stub*")
    if default not in providers:
        if mode == "production":
            raise refuse("PROXY_MONEY_RAIL_PROVIDER_ID", f"names {default!r}, which is not configured")
        providers[default] = Provider(provider_id=default, mode="sandbox", status_map=_status_map({}))
    return MoneyRails(mode, default, providers)


def _rail_mode(name: str, value: str) -> str:
    words = {"": "sandbox", "sandbox": "sandbox", "stub": "sandbox", "test": "sandbox"}
    words |= {"production": "production", "prod": "production"}
    if value.lower() not in words:
        raise refuse(name, f"must be sandbox or production, not {value!r}")
    return words[value.lower()]


def _provider_entries(value: Any) -> list[dict[str, Any]]:
    if value is None:
        return []
    if isinstance(value, dict):
        value = [
            {"providerId": key, **entry} if isinstance(entry, dict) else entry for key, entry in value.items()
        ]
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise refuse(
            "PROXY_MONEY_RAIL_PROVIDERS", "must be a JSON array of objects, or an object keyed by id"
        )
    return value


def _provider(entry: dict[str, Any], *, deployment_mode: str) -> Provider:
    name = "PROXY_MONEY_RAIL_PROVIDERS"
    provider_id = entry.get("providerId")
    if not isinstance(provider_id, str) or not provider_id.strip():
        raise refuse(name, "needs a providerId for each provider")
    for key in ("allowPayout", "allowCollection", "requireSignedIngest"):
        if key in entry and not isinstance(entry[key], bool):
            raise refuse(name, f"{key} of {provider_id} must be true or false")
    secret = entry.get("webhookSecret") or ""
    if not isinstance(secret, str):
        raise refuse(name, f"webhookSecret of {provider_id} must be a text")
    if entry.get("requireSignedIngest") and not secret:
        raise refuse(name, f"requireSignedIngest of {provider_id} needs a webhookSecret")
    tolerance = entry.get("webhookSignatureToleranceSeconds", 300)
    if isinstance(tolerance, bool) or not isinstance(tolerance, int) or tolerance < 1:
        raise refuse(name, f"webhookSignatureToleranceSeconds of {provider_id} must be a positive integer")
    mode = entry.get("mode")
    if mode is not None and not isinstance(mode, str):
        raise refuse(name, f"mode of {provider_id} must be sandbox or production")
    return Provider(
        provider_id=provider_id.strip(),
        mode=_rail_mode(name, mode) if mode else deployment_mode,
        allow_payout=entry.get("allowPayout", True),
        allow_collection=entry.get("allowCollection", True),
        status_map=_status_map(entry.get("providerStatusMap") or {}),
        webhook_secret=secret,
        requires_signed_ingest=bool(secret),
        signature_tolerance_seconds=tolerance,
    )


def _status_map(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(target, str) for target in value.values()):
        raise refuse("PROXY_MONEY_RAIL_PROVIDERS", "providerStatusMap must map a status to an event type")
    mapped = {status.strip().lower(): target.strip().lower() for status, target in value.items()}
    if unknown := set(mapped.values()) - set(EVENT_TYPES):
        raise refuse(
            "PROXY_MONEY_RAIL_PROVIDERS", f"providerStatusMap names unknown event types: {sorted(unknown)}"
        )
    return mapped | {event_type: event_type for event_type in EVENT_TYPES}


# --- Stripe and exports ---------------------------------------------------------------------------
@dataclass(frozen=True)
class Stripe:
    """How we reach Stripe, and whose signatures we trust."""

    api_base_url: str
    secret_key: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)
    webhook_tolerance_seconds: int
    retry_max_attempts: int
    retry_base_ms: int
    retry_max_ms: int
    circuit_failure_threshold: int
    circuit_open_ms: int
    connect_timeout_ms: int
    total_timeout_ms: int
    pinned_api_version: str


def stripe(env: environ.Env) -> Stripe:
    """Read the Stripe client's settings."""
    prefix = "PROXY_BILLING_STRIPE_"
    base_url = text(env, f"{prefix}API_BASE_URL", "https://api.stripe.com").rstrip("/")
    if urlsplit(base_url).scheme not in ("http", "https") or not urlsplit(base_url).netloc:
        raise refuse(f"{prefix}API_BASE_URL", "must be an absolute http(s) address")
    secrets = text(env, f"{prefix}WEBHOOK_SECRET").split(",")
    return Stripe(
        api_base_url=base_url,
        secret_key=text(env, f"{prefix}SECRET_KEY"),
        webhook_secrets=tuple(filter(None, (secret.strip() for secret in secrets))),
        webhook_tolerance_seconds=natural(env, f"{prefix}WEBHOOK_TOLERANCE_SECONDS", 300),
        retry_max_attempts=positive(env, f"{prefix}RETRY_MAX_ATTEMPTS", 3),
        retry_base_ms=positive(env, f"{prefix}RETRY_BASE_MS", 200),
        retry_max_ms=positive(env, f"{prefix}RETRY_MAX_MS", 2000),
        circuit_failure_threshold=positive(env, f"{prefix}CIRCUIT_FAILURE_THRESHOLD", 3),
        circuit_open_ms=positive(env, f"{prefix}CIRCUIT_OPEN_MS", 30_000),
        connect_timeout_ms=positive(env, f"{prefix}CONNECT_TIMEOUT_MS", 5_000),
        total_timeout_ms=positive(env, f"{prefix}TOTAL_TIMEOUT_MS", 20_000),
        pinned_api_version=text(env, f"{prefix}API_VERSION") or text(env, "BILLING_STRIPE_API_VERSION"),
    )


def export_destinations(env: environ.Env, *, is_production: bool) -> dict[str, list[dict[str, Any]]]:
    """Read where artifacts are delivered (spec ruling 19)."""
    name = "PROXY_EXPORT_DESTINATIONS"
    value = json_value(env, name) or {}
    if not isinstance(value, dict):
        raise refuse(name, "must be a JSON object from tenant id to a list of destinations")
    for tenant_id, destinations in value.items():
        if not isinstance(destinations, list):
            raise refuse(name, f"destinations of {tenant_id} must be a list")
        for destination in destinations:
            _require_destination(name, destination, env=env, is_production=is_production)
    return value


def _require_destination(name: str, destination: Any, *, env: environ.Env, is_production: bool) -> None:
    if not isinstance(destination, dict) or not isinstance(destination.get("destinationId"), str):
        raise refuse(name, "each destination needs a destinationId")
    identity = destination["destinationId"]
    if destination.get("kind") != "webhook" or not isinstance(destination.get("url"), str):
        raise refuse(name, f'destination {identity} needs kind "webhook" and a url')
    if not (destination.get("secret") or destination.get("secretRef")):
        raise refuse(name, f"destination {identity} needs a secret or a secretRef")
    if destination.get("secretRef"):
        try:
            require_form(str(destination["secretRef"]))
        except SecretRefFailed as error:
            raise refuse(name, f"secretRef of destination {identity} {error.message}") from error
    inline_allowed = boolean(env, "PROXY_ALLOW_INLINE_SECRETS", False)
    if is_production and destination.get("secret") and not inline_allowed:
        raise refuse(
            name,
            f"destination {identity} holds an inline secret; use secretRef or PROXY_ALLOW_INLINE_SECRETS=1",
        )
