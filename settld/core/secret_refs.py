"""Secrets by reference (platform-operations 3.7): `env:NAME` and `file:/absolute`; `vault:` is reserved.

A resolved value is kept for a few seconds, so that a rotated file is soon read and a busy loop reads it
seldom. Neither a value nor a file's content is ever part of an error.
"""

import os
import re
import threading
import time
from pathlib import Path
from typing import Final

from django.conf import settings

from settld.core.errors import Refusal

ENV_NAME: Final = re.compile(r"[A-Z0-9_]+")
PROVIDERS: Final = ("env", "file", "vault")
MOST_BYTES: Final = 64 * 1024


class SecretRefFailed(Refusal):
    """A secret could not be had; `code` says why, and `details.ref` names it."""

    status = 500
    code = "SECRET_READ_FAILED"
    message = "a secret could not be read"

    def __init__(self, code: str, ref: str, problem: str) -> None:
        super().__init__(problem, code=code, details={"ref": ref})


_lock = threading.Lock()
_known: dict[str, tuple[float, str]] = {}


def require_form(ref: str) -> tuple[str, str]:
    """Take a reference apart into provider and name; SECRET_REF_INVALID when it is none."""
    provider, colon, name = ref.partition(":")
    if not colon or provider not in PROVIDERS or not name or "\x00" in name:
        raise SecretRefFailed("SECRET_REF_INVALID", ref, "must be env:NAME or file:/absolute/path")
    if provider == "env" and not ENV_NAME.fullmatch(name):
        raise SecretRefFailed("SECRET_REF_INVALID", ref, "env: names are made of A-Z 0-9 _")
    if provider == "file" and not name.startswith("/"):
        raise SecretRefFailed("SECRET_REF_INVALID", ref, "file: paths are absolute")
    return provider, name


def resolve(ref: str) -> str:
    """Give the secret that a reference names; SecretRefFailed when there is none to be had."""
    provider, name = require_form(ref)
    with _lock:
        read_at, value = _known.get(ref, (0.0, ""))
        if value and time.monotonic() - read_at < settings.SECRETS_CACHE_TTL_SECONDS:
            return value
    value = _read(provider, name, ref=ref)
    with _lock:
        _known[ref] = (time.monotonic(), value)
    return value


def forget() -> None:
    """Drop every kept value; the next use reads anew."""
    with _lock:
        _known.clear()


def _read(provider: str, name: str, *, ref: str) -> str:
    if provider == "vault":
        raise SecretRefFailed("SECRET_PROVIDER_UNAVAILABLE", ref, "vault: is reserved and not served yet")
    value = _from_environment(name, ref=ref) if provider == "env" else _from_file(name, ref=ref)
    if not value.strip():
        raise SecretRefFailed("SECRET_NOT_FOUND", ref, "the secret is missing or blank")
    return value


def _from_environment(name: str, *, ref: str) -> str:
    if not settings.ENV_SECRETS_ENABLED:
        raise SecretRefFailed("SECRET_PROVIDER_FORBIDDEN", ref, "env: needs PROXY_ENABLE_ENV_SECRETS=1")
    return os.environ.get(name, "")


def _from_file(path: str, *, ref: str) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise SecretRefFailed("SECRET_NOT_FOUND", ref, "the file does not exist") from error
    except OSError as error:
        raise SecretRefFailed("SECRET_READ_FAILED", ref, "the file cannot be read") from error
    if len(content) > MOST_BYTES:
        raise SecretRefFailed("SECRET_READ_FAILED", ref, "the file is too large for a secret")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        # Not chained: the decoding error carries the bytes.
        raise SecretRefFailed("SECRET_READ_FAILED", ref, "the file is not text in UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")
