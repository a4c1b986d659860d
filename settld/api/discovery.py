"""Routes without a credential: health, capabilities and the API description."""

import time
from functools import lru_cache
from typing import Any, Protocol

import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

from settld.api import openapi, requests
from settld.api.responses import Json
from settld.api.views import authenticate
from settld.core import signatures
from settld.core.errors import Refusal

PROBE_TIMEOUT_MS = 2_000
log = structlog.get_logger(__name__)
DETAIL_SECONDS = 5.0
KEYS_MAY_BE_KEPT = "public, max-age=300"
PEM = "application/x-pem-file"


class HealthDetail(Protocol):
    """Counts for /healthz, supplied by rooms above; each may be None when it cannot be told."""

    def __call__(self) -> dict[str, Any]: ...


health_details: list[HealthDetail] = []
_cached: tuple[float, dict[str, Any]] = (0.0, {})
artifact_types: set[str] = set()
schema_versions: dict[str, list[int]] = {}

COUNTS = (
    "outboxPending", "deliveriesPending", "deliveriesFailed", "ingestRejected",
    "autotickLastTickAt", "autotickLastSuccessAt", "cacheOk",
)  # fmt: skip


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Say that the process answers; touches nothing."""
    return Json({"ok": True})


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Probe the database within two seconds; counts are platform-wide and at most five seconds old."""
    started = time.perf_counter()
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {PROBE_TIMEOUT_MS}")
            cursor.execute("SELECT 1")
        is_ok = True
    except DatabaseError:
        is_ok = False
    milliseconds = round((time.perf_counter() - started) * 1000, 1)
    is_ok = is_ok and milliseconds <= PROBE_TIMEOUT_MS
    body: dict[str, Any] = {"ok": is_ok, "dbOk": is_ok, "dbLatencyMs": milliseconds}
    body |= dict.fromkeys(COUNTS)
    if is_ok and (not settings.HEALTHZ_IS_PRIVATE or _is_insider(request)):
        body |= _details()
    return Json(body, status=200 if is_ok else 503)


def _is_insider(request: HttpRequest) -> bool:
    """Tell whether the caller may see the counts of a deployment that keeps them private."""
    try:
        principal = authenticate(request, tenant_id=requests.tenant_id(request), is_write=False)
    except Refusal:
        return False
    return principal.has("ops_read")


def _details() -> dict[str, Any]:
    global _cached
    read_at, known = _cached
    if time.monotonic() - read_at > DETAIL_SECONDS or not known:
        known = {}
        for supplier in health_details:
            try:
                known |= supplier()
            except DatabaseError as error:  # its counts stay null
                log.warning("health_detail_failed", error=type(error).__name__)
        _cached = (time.monotonic(), known)
    return known


@require_safe
def signing_keys(request: HttpRequest) -> HttpResponse:
    """Give out the public halves of the keys that sign evidence, the one in use first."""
    keys = [
        {"keyId": name, "algorithm": "Ed25519", "isInUse": number == 0, "publicKeyPem": pem}
        for number, (name, pem) in enumerate(signatures.public_pems().items())
    ]
    return Json({"keys": keys}, headers={"cache-control": KEYS_MAY_BE_KEPT})


@require_safe
def signing_keys_pem(request: HttpRequest) -> HttpResponse:
    """Give out the same keys as one PEM text, ready for the verifier."""
    return HttpResponse(
        "".join(signatures.public_pems().values()),
        content_type=PEM,
        headers={"cache-control": KEYS_MAY_BE_KEPT},
    )


@require_safe
def capabilities(request: HttpRequest) -> HttpResponse:
    """Tell clients what this deployment speaks."""
    window = settings.PROTOCOL
    return Json(
        {
            "ok": True,
            "protocol": {
                "current": window.current,
                "supported": window.supported,
                "min": window.minimum,
                "max": window.maximum,
                "requireHeader": window.is_required,
            },
            "contracts": {"openapi": "/openapi.json"},
            "connect": {
                "providers": sorted(p for p in settings.MONEY_RAILS.providers if p.startswith("stripe"))
            },
            "events": {"envelopeVersion": 1, "schemaVersionsByType": schema_versions},
            "artifacts": {"supportedTypes": sorted(artifact_types)},
        }
    )


@require_safe
def openapi_json(request: HttpRequest) -> HttpResponse:
    """Serve the API description; equal to the committed snapshot."""
    return Json(description())


@lru_cache(maxsize=1)
def description() -> dict[str, Any]:
    """Make the API description; it is the same for the life of the process."""
    generator: Any = SchemaGenerator
    schema: dict[str, Any] = generator().get_schema(request=None, public=True)
    return schema


_FLAG = openapi.obj({"ok": openapi.BOOL})
openapi.plain("/health", "get", summary="Tell that the process answers", answers={200: _FLAG})
openapi.plain(
    "/healthz",
    "get",
    summary="Probe the database and count what waits",
    answers={
        code: openapi.obj({"ok": openapi.BOOL, "dbOk": openapi.BOOL, "dbLatencyMs": {"type": "number"}})
        for code in (200, 503)
    },
)
openapi.plain(
    "/capabilities", "get", summary="Tell what this deployment speaks", answers={200: openapi.OBJECT}
)
openapi.plain(
    "/.well-known/settld-signing-keys.json",
    "get",
    summary="Give the public keys that verify what we signed, the one in use first",
    answers={
        200: openapi.obj(
            {
                "keys": openapi.many(
                    openapi.obj(
                        {
                            "keyId": openapi.TEXT,
                            "algorithm": openapi.one_of("Ed25519"),
                            "isInUse": openapi.BOOL,
                            "publicKeyPem": openapi.TEXT,
                        }
                    )
                )
            }
        )
    },
)
openapi.plain(
    "/.well-known/settld-signing-keys.pem",
    "get",
    summary="Give the same public keys as one PEM text",
    answers={200: openapi.TEXT},
    answer_type=PEM,
)
openapi.plain("/openapi.json", "get", summary="Describe the API", answers={200: openapi.OBJECT})
