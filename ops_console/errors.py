"""Refusals as people see them: a page, or a fragment where htmx asked; always with the request id."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ops_console import words
from ops_console.advice import next_step
from settld.core import clock, money
from settld.core.errors import Refusal

TITLES: Final[dict[int, str]] = {
    400: "This request cannot be read",
    403: "This is not open to you",
    404: "There is nothing here",
    409: "Refused as things stand",
    422: "Something is missing",
    429: "Too many requests",
    500: "Something went wrong on our side",
    502: "The provider did not give a clear answer",
    503: "Not now",
}
TEXTS: Final[dict[str, str]] = {
    "FORBIDDEN": "Your role in this tenant does not include it.",
    "NOT_FOUND": "It does not exist in this tenant. Perhaps you have switched tenants since.",
    "INTERNAL_ERROR": "The error has been recorded. Name the request when you report it.",
}
CURRENCY: Final = "USD"
UNKNOWN_OUTCOME: Final = (
    "Whether money moved is not known yet. The attempt is kept and settles itself against the provider;"
    " sending this form again is safe."
)


@dataclass(frozen=True)
class Fact:
    """One labelled value."""

    label: str
    value: str
    href: str = ""
    is_code: bool = False


@dataclass(frozen=True)
class Shown:
    """A refusal, ready to print."""

    status: int
    title: str
    text: str
    code: str
    request_id: str = ""
    is_unknown: bool = False
    facts: list[Fact] = field(default_factory=list)
    next_step: str = ""


def shown(refusal: Refusal, *, request_id: str, is_unknown: bool = False) -> Shown:
    """Put a refusal into words; details become labelled values.

    `is_unknown` says that the attempt is in doubt now, so that nobody reads the refusal as a no.
    """
    text = TEXTS.get(refusal.code) or _sentence(refusal.message)
    return Shown(
        status=refusal.status,
        title=TITLES.get(refusal.status, "Refused"),
        text=f"{text} {UNKNOWN_OUTCOME}" if is_unknown else text,
        code=refusal.code,
        request_id=request_id,
        is_unknown=is_unknown,
        facts=facts_of(refusal.details),
        next_step=next_step(refusal.code),
    )


def facts_of(details: Any) -> list[Fact]:
    """List a document's members as labelled values, in their order."""
    if isinstance(details, str) and details:
        return [Fact("Details", details)]
    if not isinstance(details, dict):
        return []
    currency = details.get("currency")
    code = currency if isinstance(currency, str) else CURRENCY
    return [
        _fact(str(key), value, currency=code)
        for key, value in details.items()
        if value is not None and value != "" and key != "currency"
    ]


def _fact(key: str, value: Any, *, currency: str) -> Fact:
    """Name a member for people: cents as money, an instant as the console writes them."""
    if key.endswith("Cents") and isinstance(value, int) and not isinstance(value, bool):
        return Fact(words.label(key.removesuffix("Cents")), money.show(value, currency))
    if key.endswith(("At", "After")) and isinstance(value, str):
        try:
            return Fact(words.label(key), f"{words.moment(clock.parse_iso(value))} UTC")
        except ValueError:
            pass
    return Fact(words.label(key), plain(value))


def plain(value: Any) -> str:
    """Write a JSON value on one line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def refused(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """Answer with a refusal."""
    request_id = str(getattr(request, "request_id", ""))
    response = answer(request, shown(refusal, request_id=request_id))
    for name, value in refusal.headers.items():
        response[name] = value
    return response


def answer(request: HttpRequest, what: Shown) -> HttpResponse:
    """Print a refusal as a fragment or as a page of its own."""
    template = "ops_console/_refusal.html" if getattr(request, "htmx", False) else "ops_console/refusal.html"
    return render(request, template, {"refusal": what}, status=what.status)


def _sentence(text: str) -> str:
    sentence = text[:1].upper() + text[1:]
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."


# --- For the whole project: answers that Django itself would give as bare text -------------------------
def page(request: HttpRequest, *, status: int, code: str, text: str = "") -> HttpResponse:
    """Answer a person's request (console, login, admin) with an error page."""
    return answer(
        request,
        Shown(
            status=status,
            title=TITLES.get(status, "Refused"),
            text=text or TEXTS.get(code, ""),
            code=code,
            request_id=str(getattr(request, "request_id", "")),
        ),
    )


def is_for_people(request: HttpRequest) -> bool:
    """Tell whether a path belongs to pages rather than to the API."""
    return request.path.startswith(("/console", "/w/", "/login", "/logout", "/admin"))
