"""Where a browser may be sent back to (7.1, INV-47; T-157)."""

import dataclasses
from urllib.parse import urlsplit

import pytest

from billing.api import paths
from billing.api.errors import ValidationFailed
from billing.services import creations
from tests.billing import checkouts, factories
from tests.support.api import body

HOME = "https://app.example.com"
CONTROLS = [chr(code) for code in (*range(0x20), 0x7F)]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/done",
        "/w/acme/billing?checkout=success&x=%20y#top",
        "/%2F%2Fevil.example",
        "/%5Cevil.example",
        "/%09/evil.example",
        "/a//b",
        "/@evil.example",
        "/a:b",
        "/?next=https://evil.example",
        "/..//evil.example",
        "/żółw",
        "/" + "x" * 2_047,
    ],
)
def test_t157_a_path_of_ours_stays_on_our_origin(path):
    assert paths.require(successPath=path) == {"successPath": path}
    for joined in (paths.absolute(path), creations.absolute(path)):
        assert urlsplit(joined)[:2] == ("https", "app.example.com")


@pytest.mark.parametrize(
    "path",
    [
        "",
        " ",
        "done",
        "?x",
        "#x",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "/a\\b",
        "https://evil.example/",
        "https:/evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        HOME + "/done",
        "/" + "x" * 2_048,
        "/\t/evil.example",
        "\t/done",
        "/done\n",
    ],
)
def test_t157_anything_else_is_refused(path):
    with pytest.raises(ValidationFailed) as caught:
        paths.require(successPath=path)
    assert caught.value.faults == {"successPath": "successPath must be a relative path starting with '/'."}


def test_t157_no_control_character_anywhere():
    for control in CONTROLS:
        for path in (f"/{control}x", f"/x{control}", f"{control}/x", f"/x?{control}"):
            assert not paths.is_ours(path), repr(path)


def test_t157_white_space_within_a_path_is_encoded_and_nothing_else():
    """A provider refuses a URL with a space in it, and the key would be burnt for a path that is allowed."""
    path = "/r\u00e9glages/done now?next=%2Fa&session={CHECKOUT_SESSION_ID}#\u2028x"
    assert paths.is_ours(path)
    assert creations.absolute(path) == (
        HOME + "/r\u00e9glages/done%20now?next=%2Fa&session={CHECKOUT_SESSION_ID}#%E2%80%A8x"
    )


def test_t157_spaces_around_a_path_are_trimmed():
    assert paths.require(returnPath="  /done  ") == {"returnPath": "/done"}


@pytest.mark.parametrize(
    "home", ["https://app.example.com/base", "http://localhost:8000", "https://app.example.com"]
)
def test_t157_the_origin_is_that_of_the_public_address_port_included(settings, home):
    settings.BILLING = dataclasses.replace(settings.BILLING, app_public_url=home)
    assert paths.is_ours("/done")
    joined = paths.absolute("/done")
    assert joined == creations.absolute("/done")
    assert urlsplit(joined)[:2] == urlsplit(home)[:2]


@pytest.mark.parametrize(
    ("route", "sent", "fields"),
    [
        (
            "checkout",
            {"planCode": "pro", "successPath": "//x", "cancelPath": "/\\x"},
            ["cancelPath", "successPath"],
        ),
        ("portal", {"returnPath": "/\tx"}, ["returnPath"]),
        ("payment-links", {"successPath": "x", "oneOff": {"name": "a", "amountMinor": 1}}, ["successPath"]),
    ],
)
def test_t157_every_route_names_every_path_that_is_wrong(api, db, route, sent, fields):
    entity = factories.workspace_entity()
    answer = api.post(f"/api/billing/{route}", sent, headers={"Idempotency-Key": "key-1"})
    assert answer.status_code == 400
    told = body(answer)
    assert sorted(told["fieldErrors"]) == fields
    assert told["details"] == {"code": "VALIDATION_ERROR", "fieldErrors": told["fieldErrors"]}
    assert checkouts.requests(entity) == []
