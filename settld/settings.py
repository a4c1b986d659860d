"""Every setting, read once from the environment and validated before anything starts.

Names on the left are what code reads from `django.conf.settings`; `.env.example` lists the variables.
An invalid value stops the process with a message that says what to fix.
"""

from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

from settld import settings_parsing as parsing
from settld.settings_billing import billing

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
if (BASE_DIR / ".env").is_file():
    env.read_env(BASE_DIR / ".env")  # the environment wins over the file

# --- Where we run ---------------------------------------------------------------------------------
ENVIRONMENT = parsing.choice(env, "SETTLD_ENV", ("development", "test", "production"), "development")
IS_PRODUCTION = ENVIRONMENT == "production"
SETTLD_HOME = Path(env.str("SETTLD_HOME", str(BASE_DIR / ".local"))).resolve()
DEBUG = parsing.boolean(env, "DEBUG", False)
SECRET_KEY = parsing.secret_key(env, is_production=IS_PRODUCTION)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[] if IS_PRODUCTION else ["*"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
PUBLIC_API_BASE_URL = env.str("PUBLIC_API_BASE_URL", "").rstrip("/")
BUILD_ID = next(
    (env.str(n, "") for n in ("PROXY_BUILD", "SETTLD_BUILD", "GIT_SHA", "SOURCE_VERSION") if env.str(n, "")),
    "",
)
if IS_PRODUCTION:
    parsing.require_production_manners(env, debug=DEBUG, allowed_hosts=ALLOWED_HOSTS)

# --- Apps -----------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "settld.core.apps.CoreConfig",
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "axes",
    "django_htmx",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_structlog",
    "drf_spectacular",
    "pgtrigger",
    "rest_framework",
    "settld.api",
    "settld.tenants",
    "settld.audit",
    "settld.idempotency",
    "settld.outbox",
    "settld.maintenance",
    "settld.artifacts",
    "settld.metering",
    "settld.stripe_gateway",
    "settld.ledger",
    "settld.kernel",
    "settld.closing",
    "moneyrails",
    "billing",
    "billing.plans",
    "reconciliation",
    "ops_console",
]
MIDDLEWARE = [
    "settld.api.middleware.RequestFrame",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "settld.tenants.middleware.AdminPlatformReads",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "settld.urls"
WSGI_APPLICATION = "settld.wsgi.application"
APPEND_SLASH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATA_UPLOAD_MAX_MEMORY_SIZE = None  # the API bounds bodies itself and answers 413
FILE_UPLOAD_HANDLERS = [
    "ops_console.uploads.BoundedUpload",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ]
        },
    }
]

# --- Database, cache, workers ---------------------------------------------------------------------
DATABASES = parsing.databases(env, home=SETTLD_HOME)
REDIS_URL = parsing.redis_url(env, home=SETTLD_HOME)
CELERY_BROKER_URL = REDIS_URL
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # an outage of Redis may last; the work waits in PostgreSQL
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": 2,
    "socket_timeout": 10,
    "retry_on_timeout": False,
    "max_retries": 0,  # a bell that cannot ring must not hold the one who rings; workers still reconnect
}
CELERY_TASK_ALWAYS_EAGER = parsing.boolean(env, "CELERY_TASK_ALWAYS_EAGER", False)

# --- People ---------------------------------------------------------------------------------------
AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
if ENVIRONMENT == "test":  # a test's passwords protect nothing, and a slow hash would cost minutes
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/console"
LOGOUT_REDIRECT_URL = "/login"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_PRODUCTION
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IS_PRODUCTION else None
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_HTTP_RESPONSE_CODE = 429
AXES_LOCKOUT_CALLABLE = "settld.tenants.pages.locked_out"
STAFF_SECOND_FACTOR = parsing.boolean(env, "SETTLD_STAFF_SECOND_FACTOR", IS_PRODUCTION)
OTP_TOTP_ISSUER = "Settld"

from csp.constants import NONCE, NONE, SELF  # noqa: E402  (a constant of the library, used only here)

CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ("/admin",),
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    },
}

# --- Language, time, files ------------------------------------------------------------------------
LANGUAGE_CODE = "en-us"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = SETTLD_HOME / "static"
STATICFILES_DIRS = [BASE_DIR / "templates" / "static"] if (BASE_DIR / "templates" / "static").is_dir() else []
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if IS_PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not IS_PRODUCTION

# --- API ------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "settld.api.openapi.OpsSchema",
    "UNAUTHENTICATED_USER": None,
    "EXCEPTION_HANDLER": "settld.api.errors.drf_exception_handler",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Settld API",
    "DESCRIPTION": "Finance operations: statements, payouts over money rails, reconciliation.",
    "VERSION": "1.0",
    "OAS_VERSION": "3.0.3",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": ["settld.api.openapi.finish"],
    "PREPROCESSING_HOOKS": ["settld.api.openapi.only_public_routes"],
}
PROTOCOL = parsing.protocol(env, is_production=IS_PRODUCTION)
MAX_BODY_BYTES = parsing.positive(env, "PROXY_MAX_BODY_BYTES", 1_000_000)
RATE_LIMITS = parsing.rate_limits(env)
IMPLICIT_TENANTS = parsing.boolean(env, "PROXY_IMPLICIT_TENANTS", not IS_PRODUCTION)
HEALTHZ_IS_PRIVATE = parsing.choice(env, "HEALTHZ_DETAIL", ("public", "private"), "public") == "private"

# --- Credentials and signing ----------------------------------------------------------------------
OPS_TOKENS = parsing.ops_tokens(env, is_production=IS_PRODUCTION)
KEY_PEPPERS = parsing.key_peppers(env, is_production=IS_PRODUCTION)
AUTH_KEY_TOUCH_MIN_SECONDS = parsing.positive(env, "PROXY_AUTH_KEY_TOUCH_MIN_SECONDS", 60)
ENV_SECRETS_ENABLED = parsing.boolean(env, "PROXY_ENABLE_ENV_SECRETS", ENVIRONMENT == "development")
SECRETS_CACHE_TTL_SECONDS = parsing.natural(env, "PROXY_SECRETS_CACHE_TTL_SECONDS", 30)
SIGNING_KEY_PEM = parsing.signing_key(env, is_production=IS_PRODUCTION)
RETIRED_SIGNING_KEYS = parsing.retired_signing_keys(env)

# --- Money rails ----------------------------------------------------------------------------------
MONEY_RAILS = parsing.money_rails(env)
# Whether a workspace page takes an ops token in its address, which then becomes a session of that browser.
OPS_WORKSPACE_QUERY_TOKEN = parsing.boolean(env, "OPS_WORKSPACE_QUERY_TOKEN", not IS_PRODUCTION)
MONTH_CLOSE_REQUIRE_ENDED_PERIOD = parsing.boolean(env, "PROXY_MONTH_CLOSE_REQUIRE_ENDED_PERIOD", False)
MONTH_CLOSE_HOLD_POLICY = parsing.choice(
    env,
    "PROXY_MONTH_CLOSE_HOLD_POLICY",
    ("block_any_open_holds", "block_holds_originated_in_period", "allow_with_disclosure"),
    "block_holds_originated_in_period",
).upper()
MISMATCH_ALERT_THRESHOLD = parsing.positive(env, "PROXY_MONEY_RAIL_MISMATCH_ALERT_THRESHOLD", 1)
CONNECT_MAX_SYNC_AGE_SECONDS = parsing.natural(env, "PROXY_STRIPE_CONNECT_MAX_SYNC_AGE_SECONDS", 0)
CONNECT_SYNC_INTERVAL_SECONDS = parsing.positive(env, "PROXY_STRIPE_CONNECT_SYNC_INTERVAL_SECONDS", 900)
MONEY_RAIL_RECONCILE = {
    "enabled": parsing.boolean(env, "PROXY_MONEY_RAIL_RECONCILE_ENABLED", True),
    "interval_seconds": parsing.natural(env, "PROXY_MONEY_RAIL_RECONCILE_INTERVAL_SECONDS", 300),
    "max_tenants": parsing.positive(env, "PROXY_MONEY_RAIL_RECONCILE_MAX_TENANTS", 50),
    "max_periods_per_tenant": parsing.positive(env, "PROXY_MONEY_RAIL_RECONCILE_MAX_PERIODS_PER_TENANT", 2),
    "max_providers_per_tenant": parsing.positive(
        env, "PROXY_MONEY_RAIL_RECONCILE_MAX_PROVIDERS_PER_TENANT", 10
    ),
}
FINANCE_RECONCILE = {
    "enabled": parsing.boolean(env, "PROXY_FINANCE_RECONCILE_ENABLED", True),
    "interval_seconds": parsing.natural(env, "PROXY_FINANCE_RECONCILE_INTERVAL_SECONDS", 300),
    "max_tenants": min(parsing.positive(env, "PROXY_FINANCE_RECONCILE_MAX_TENANTS", 50), 1000),
    "max_periods_per_tenant": min(
        parsing.positive(env, "PROXY_FINANCE_RECONCILE_MAX_PERIODS_PER_TENANT", 2), 24
    ),
}
INVARIANTS = {
    "enabled": parsing.boolean(env, "PROXY_INVARIANTS_ENABLED", True),
    "interval_seconds": parsing.natural(env, "PROXY_INVARIANTS_INTERVAL_SECONDS", 60),
    "max_tenants": parsing.positive(env, "PROXY_INVARIANTS_MAX_TENANTS", 200),
    "batch_size": parsing.positive(env, "PROXY_INVARIANTS_BATCH_SIZE", 2000),
    "statement_timeout_ms": parsing.positive(env, "PROXY_INVARIANTS_STATEMENT_TIMEOUT_MS", 5000),
}
FOUR_EYES = parsing.four_eyes(env, is_production=IS_PRODUCTION)
APPROVAL_TTL_SECONDS = parsing.positive(env, "SETTLD_APPROVAL_TTL_SECONDS", 72 * 3600)
PROVIDER_STATEMENT = {
    "enabled": parsing.boolean(env, "PROXY_PROVIDER_STATEMENT_ENABLED", True),
    "lag_seconds": parsing.natural(env, "PROXY_PROVIDER_STATEMENT_LAG_SECONDS", 900),
    "overlap_seconds": parsing.natural(env, "PROXY_PROVIDER_STATEMENT_OVERLAP_SECONDS", 3600),
    "lookback_days": parsing.positive(env, "PROXY_PROVIDER_STATEMENT_LOOKBACK_DAYS", 400),
    "max_pages": parsing.positive(env, "PROXY_PROVIDER_STATEMENT_MAX_PAGES", 100),
}
EVIDENCE_RETENTION_MAX_DAYS = parsing.positive(env, "PROXY_EVIDENCE_RETENTION_MAX_DAYS", 365)
RETENTION_DEFAULT_DAYS = parsing.natural(env, "PROXY_RETENTION_DEFAULT_DAYS", 0)
RETENTION_MAX_DAYS = parsing.natural(env, "PROXY_RETENTION_MAX_DAYS", 0)
QUOTA_DEFAULTS = parsing.counts(env, "PROXY_QUOTA_DEFAULTS")
QUOTA_MAXIMA = parsing.counts(env, "PROXY_QUOTA_MAXIMA")
MAINTENANCE_INTERVAL_SECONDS = parsing.positive(env, "PROXY_MAINTENANCE_INTERVAL_SECONDS", 300)

# --- Stripe ---------------------------------------------------------------------------------------
STRIPE = parsing.stripe(env)
BILLING = billing(env, stripe=STRIPE)

# --- Export destinations (spec ruling 19) ---------------------------------------------------------
EXPORT_DESTINATIONS = parsing.export_destinations(env, is_production=IS_PRODUCTION)

# --- Logs, admin, beat ----------------------------------------------------------------------------
from settld.settings_beat import BILLING_BEAT_SCHEDULE, CELERY_BEAT_SCHEDULE  # noqa: E402
from settld.settings_logging import LOGGING, configure_structlog  # noqa: E402, F401
from settld.settings_look import UNFOLD  # noqa: E402, F401

CELERY_BEAT_SCHEDULE["retention"]["schedule"] = float(MAINTENANCE_INTERVAL_SECONDS)
# More often than the interval: the gate in the database decides, and a tick a moment early costs no round.
CELERY_BEAT_SCHEDULE["money-rails-reconcile"]["schedule"] = float(min(60, MAINTENANCE_INTERVAL_SECONDS))
CELERY_BEAT_SCHEDULE["finance-reconcile"]["schedule"] = float(min(60, MAINTENANCE_INTERVAL_SECONDS))
if BILLING.enabled:
    CELERY_BEAT_SCHEDULE |= BILLING_BEAT_SCHEDULE
LOGGING_CONFIG = "logging.config.dictConfig"
configure_structlog()

if IS_PRODUCTION and DEBUG:  # pragma: no cover - require_production_manners has said so already
    raise ImproperlyConfigured("DEBUG must be off in production")
