"""Structured logs: one JSON object a line, with correlation ids, without secrets."""

import re
from collections.abc import MutableMapping
from typing import Any

import structlog

from settld.core.redaction import REDACTED, blanked

SECRET_KEYS = re.compile(r"secret|token|password|authorization|api[-_]?key|signature|cookie", re.IGNORECASE)
HARMLESS = {"idempotency_key_present", "key_id", "keyId", "token_kind"}


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blank every value whose name says that it is secret, at any depth."""
    return {key: _redacted(key, value) for key, value in event.items()}


def _redacted(key: str, value: Any) -> Any:
    if key not in HARMLESS and SECRET_KEYS.search(key):
        return REDACTED
    if isinstance(value, dict):
        return {str(inner): _redacted(str(inner), member) for inner, member in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted("", member) for member in value]
    return value


def redact_texts(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blank secrets inside any text of a finished record, tracebacks and foreign records included."""
    known = _known_secrets()
    return {key: _blanked(value, known) for key, value in event.items()}


def _blanked(value: Any, known: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        return blanked(value, known=known)
    if isinstance(value, dict):
        return {key: _blanked(member, known) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_blanked(member, known) for member in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return blanked(str(value), known=known)


def _known_secrets() -> tuple[str, ...]:
    """Give the deployment's own secrets, as far as the settings are there yet."""
    from django.conf import settings

    if not settings.configured:
        return ()
    stripe, billing = getattr(settings, "STRIPE", None), getattr(settings, "BILLING", None)
    found = [settings.SECRET_KEY]
    if stripe is not None:
        found += [stripe.secret_key, *stripe.webhook_secrets]
    if billing is not None:
        found += [billing.operation_key_secret, billing.provider_idempotency_key_secret]
    return tuple(filter(None, found))


SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    redact,
]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact_texts,
                structlog.processors.JSONRenderer(),
            ],
            "foreign_pre_chain": SHARED,
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "settld": {"level": "INFO"},
        "moneyrails": {"level": "INFO"},
        "reconciliation": {"level": "INFO"},
        "billing": {"level": "INFO"},
        "ops_console": {"level": "INFO"},
        "axes": {"level": "ERROR"},
        "django.request": {"level": "ERROR"},
    },
}


def configure_structlog() -> None:
    """Send structlog's records through the standard library's handlers."""
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
