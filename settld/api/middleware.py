"""The frame round every request: its id, its headers, its count, and a last resort for errors."""

import time
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from prometheus_client import Counter

from settld.api.views import OpsView
from settld.core import clock, ids

REQUESTS = Counter("http_requests_total", "Requests answered", ["route", "method", "status"])
# What the middleware for pages would have said of any answer.
API_ANSWER = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
log = structlog.get_logger(__name__)


class RequestFrame:
    """Give each request an id and one instant; answer with them, and count the answer.

    A call of the API that carries no login goes straight to its view: session, CSRF, second factor and
    page policies are about browsers, and such a call has nothing for them to look at.
    """

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
        response = self._answer(request)
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

    def _answer(self, request: HttpRequest) -> HttpResponse:
        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            return self.get_response(request)
        try:
            match = resolve(request.path_info)
        except Resolver404:
            return self.get_response(request)
        if not _is_of_the_api(match.func):
            return self.get_response(request)
        request.resolver_match = match
        response: HttpResponse = match.func(request, *match.args, **match.kwargs)
        for name, value in API_ANSWER.items():
            response.setdefault(name, value)
        return response


def _is_of_the_api(view: Any) -> bool:
    """Tell whether a view has the API's manners: it authenticates and turns every error into an answer."""
    return issubclass(getattr(view, "view_class", object), OpsView)
