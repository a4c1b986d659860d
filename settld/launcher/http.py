"""The few HTTP calls of a start, on loopback and past any proxy of the machine."""

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from settld.launcher.errors import LauncherError


def status_of(url: str, *, timeout_seconds: float = 5) -> int | None:
    """The status of a GET; None while nobody answers."""
    try:
        return _exchange("GET", url, None, {}, timeout_seconds)[0]
    except (OSError, http.client.HTTPException):
        return None


def get_json(url: str) -> dict[str, Any]:
    return _json("GET", url, None, {})


def post_json(url: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """POST JSON and read the JSON answer; anything but 2xx is an error with the answer's text."""
    return _json("POST", url, json.dumps(body), {"content-type": "application/json"})


def post_form(url: str, fields: Mapping[str, str], *, token: str) -> dict[str, Any]:
    """POST a form as Stripe's clients do."""
    headers = {"content-type": "application/x-www-form-urlencoded", "authorization": f"Bearer {token}"}
    return _json("POST", url, urlencode(fields), headers)


def _json(method: str, url: str, body: str | None, headers: dict[str, str]) -> dict[str, Any]:
    try:
        status, text = _exchange(method, url, body, headers, timeout_seconds=10)
    except (OSError, http.client.HTTPException) as error:
        raise LauncherError(f"{url} did not answer: {error}.") from error
    if not 200 <= status < 300:
        raise LauncherError(f"{url} answered {status}: {text[:300]}")
    try:
        answer = json.loads(text or "{}")
    except ValueError as error:
        raise LauncherError(f"{url} answered something that is not JSON: {text[:300]}") from error
    return answer if isinstance(answer, dict) else {}


def _exchange(
    method: str, url: str, body: str | None, headers: dict[str, str], timeout_seconds: float
) -> tuple[int, str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_seconds)
    try:
        connection.request(method, parts.path or "/", body, headers)
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace")
    finally:
        connection.close()
