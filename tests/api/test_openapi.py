"""The published description covers every route (platform-operations 6)."""

import json
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

from settld.api.discovery import description
from tests.support.api import body

FOR_PEOPLE = re.compile(r"^(admin/|console|login|logout|w/|\^|static)")
NOT_FOUND_BY_DESIGN = {
    "api/billing/webhooks/<str:provider>",  # says 404 in its family's words
    "(?s)^.*$",  # what nobody names
}


def routes(patterns, prefix=""):
    for entry in patterns:
        path = prefix + str(entry.pattern)
        if FOR_PEOPLE.match(path):
            continue
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, path)
        elif isinstance(entry, URLPattern):
            yield path, entry.callback


def in_openapi_form(path):
    def camel(match):
        head, *tail = match.group(1).split("_")
        return "{" + head + "".join(word.title() for word in tail) + "}"

    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", camel, path)


def test_every_route_and_method_is_described():
    described = description()["paths"]
    missing = []
    for path, callback in routes(get_resolver().url_patterns):
        if path in NOT_FOUND_BY_DESIGN:
            continue
        view = getattr(callback, "cls", None)
        methods = [m.lower() for m in view.scopes] if view and hasattr(view, "scopes") else [None]
        documented = described.get(in_openapi_form(path), {})
        missing += [
            (path, method) for method in methods if not (method in documented if method else documented)
        ]
    assert missing == []


def test_every_described_operation_names_scopes_summary_and_the_refusals_of_its_kind():
    for path, item in description()["paths"].items():
        for method, operation in item.items():
            assert operation["summary"], (path, method)
            if operation["x-settld-scopes"]:
                expected = {"400", "403", "404", "429", "500"} | (
                    {"413", "415"} if method in ("post", "put") else set()
                )
                assert expected <= set(operation["responses"]), (path, method)


def test_security_schemes_and_protocol_are_named():
    document = description()
    assert document["openapi"] == "3.0.3"
    assert document["info"]["x-settld-protocol"] == "1.0"
    assert set(document["components"]["securitySchemes"]) == {"BearerAuth", "ProxyApiKey", "OpsToken"}


@pytest.mark.django_db
def test_the_route_serves_what_is_committed(client):
    snapshot = json.loads((Path(settings.BASE_DIR) / "docs" / "openapi.json").read_text())
    assert body(client.get("/openapi.json")) == snapshot
