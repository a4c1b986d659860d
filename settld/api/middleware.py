"""The frame round every request: its id, its headers, its count, and a last resort for errors."""

import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from prometheus_client import Counter

from settld.core import clock, ids

REQUESTS = Counter("http_requests_total", "Requests answered", ["route", "method", "status"])
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
log = structlog.get_logger(__name__)


class RequestFrame:
    """Give each request an id and one instant; answer with them, and count the answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.headers = {
            "x-settld-protocol": settings.PROTOCOL.current,
            "x-settld-supported-protocols": ", ".join(settings.PROTOCOL.supported),
        }
        if settings.BUILD_ID:
            self.headers["x-settld-build"] = settings.BUILD_ID

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        request_id = ids.request_id(request.headers.get("x-request-id"))
        request.request_id = request_id  # type: ignore[attr-defined]
        request.received_at = clock.now()  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        response = self.get_response(request)
        response["x-request-id"] = request_id
        for name, value in self.headers.items():
            response[name] = value
        match = request.resolver_match
        route = match.route if match else "unmatched"
        method = request.method if request.method in METHODS else "OTHER"
        REQUESTS.labels(route=route, method=method, status=str(response.status_code)).inc()
        if response.status_code >= 500:
            log.warning(
                "request_failed",
                route=route,
                method=method,
                status=response.status_code,
                milliseconds=round((time.perf_counter() - started) * 1000, 1),
            )
        return response
