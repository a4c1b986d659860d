"""What a careless or hostile client sends: P1, P2, P6 and platform-operations 1."""

import io
import json

import pytest
from django.core.exceptions import ImproperlyConfigured
from environ import Env

from settld import settings_parsing as parsing
from tests.support.api import OPS_TOKEN, body, refusal

pytestmark = pytest.mark.django_db
KEY = {"scopes": ["ops_read"]}


def chunked(client, content, path="/ops/api-keys"):
    """Send a body whose length nobody announces, as `transfer-encoding: chunked` does."""
    return client.generic(
        "POST", path, b"", content_type="application/json",
        headers={"x-proxy-ops-token": OPS_TOKEN, "x-proxy-tenant-id": "tenant_a"},
        **{
            "CONTENT_LENGTH": "", "CONTENT_TYPE": "application/json",
            "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": io.BytesIO(content),
            "wsgi.input_terminated": True,
        },
    )  # fmt: skip


def test_a_chunked_body_is_read_not_taken_for_an_empty_one_P1(api, client):
    assert chunked(client, json.dumps(KEY).encode()).status_code == 201
    assert body(chunked(client, b'{"scopes":["nope"]}'))["error"] == "unknown scope"


def test_a_chunked_body_over_the_limit_is_413_P1(api, client, settings):
    settings.MAX_BODY_BYTES = 100
    assert refusal(chunked(client, b" " * 101)) == (413, "BODY_TOO_LARGE")


def test_numbers_that_no_one_can_store_are_400_P1(api):
    for number in (b"1e999", b"-1e999"):
        answer = api.post("/ops/api-keys", raw=b'{"scopes":["ops_read"],"x":' + number + b"}")
        assert refusal(answer) == (400, "SCHEMA_INVALID")


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_deep_nesting_is_400_and_wide_bodies_pass_P1(api, opening, closing):
    deep = b'{"scopes":["ops_read"],"\\u0041":' + opening * 101 + b"1" + closing * 101 + b"}"
    for key in (None, "k"):
        assert refusal(api.post("/ops/api-keys", raw=deep, key=key)) == (400, "SCHEMA_INVALID")
    wide = b'{"scopes":["ops_read"],"x":[' + b",".join([b"[]"] * 500) + b"]}"
    assert api.post("/ops/api-keys", raw=wide).status_code == 201


def test_a_flood_of_query_parameters_is_400_P6(api):
    assert refusal(api.get("/ops/audit?" + "&".join(["a=1"] * 1500))) == (400, "SCHEMA_INVALID")


@pytest.mark.parametrize("path", ["/%0Afoo", "/ops/audit%0A", "/ops/%0D%0Afoo", "//ops/audit", "/%ff"])
def test_a_strange_path_is_403_for_strangers_and_404_for_callers_1_1(api, path):
    assert refusal(api.with_token("").get(path)) == (403, "FORBIDDEN")
    assert refusal(api.get(path)) == (404, "NOT_FOUND")


def test_path_parameters_are_decoded_once_P1(api):
    api.post("/ops/api-keys", KEY | {"keyId": "k"})
    assert api.post("/ops/api-keys/%6B/revoke").status_code == 200
    assert refusal(api.post("/ops/api-keys/%256B/revoke")) == (404, "NOT_FOUND")


@pytest.mark.parametrize("label", ["x" * 201, "a\tb"])
def test_an_invalid_principal_label_is_400_whoever_calls_1_2(api, label):
    for caller in (api, api.with_token("")):
        answer = caller.get("/ops/audit", headers={"x-proxy-principal-id": label})
        assert (answer.status_code, body(answer)["error"]) == (400, "invalid principal")


def test_a_principal_label_renames_nobody_who_authenticates_1_2(api):
    api.post("/ops/api-keys", KEY, headers={"x-proxy-principal-id": "auth:somebody"})
    assert body(api.get("/ops/audit"))["audit"][0]["actorPrincipalId"].startswith("ops_token:")


def test_months_are_written_in_ascii_digits_P1(api):
    assert refusal(api.get("/ops/party-statements?period=%D9%A2%D9%A0%D9%A2%D9%A6-01"))[0] == 400


# --- Protocol (platform-operations 1.3) -----------------------------------------------------------
@pytest.fixture
def required(settings):
    settings.PROTOCOL = parsing.protocol(Env(), is_production=True)


MONEY_WRITES = (
    ("PUT", "/ops/party-statements/p1/2026-01"),
    ("POST", "/ops/month-close"),
    ("POST", "/ops/payouts/p1/2026-01/enqueue"),
    ("POST", "/ops/money-rails/stub_default/operations/mop_1/submit"),
    ("POST", "/ops/money-rails/stub_default/operations/mop_1/cancel"),
    ("POST", "/ops/money-rails/stub_default/events/ingest"),
    ("PUT", "/ops/finance/billing/plan"),
)


@pytest.mark.parametrize(("method", "path"), MONEY_WRITES)
def test_in_production_a_write_to_money_names_the_protocol_1_3(api, required, method, path):
    assert refusal(api.call(method, path, {})) == (400, "PROTOCOL_VERSION_REQUIRED")
    answer = api.call(method, path, {}, headers={"x-nooterra-protocol": "1.0"})
    assert answer.status_code < 300 or body(answer)["code"] != "PROTOCOL_VERSION_REQUIRED"


def test_reads_and_other_writes_need_no_protocol_1_3(api, required):
    assert api.get("/ops/audit").status_code == 200
    assert api.post("/ops/api-keys", KEY).status_code == 201
    assert body(api.client.get("/capabilities"))["protocol"]["requireHeader"] is True


def test_outside_production_the_protocol_stays_optional_P2(api):
    assert refusal(api.put("/ops/party-statements/p1/2026-01"))[1] != "PROTOCOL_VERSION_REQUIRED"


def test_a_deprecated_protocol_is_426_however_it_is_spelled_1_3(api, settings, tmp_path, monkeypatch):
    cutoffs = tmp_path / "cutoffs.json"
    cutoffs.write_text('{"1.0": {"cutoff": "2026-01-01T02:00:00+02:00"}}')
    monkeypatch.setenv("PROXY_PROTOCOL_DEPRECATIONS", str(cutoffs))
    settings.PROTOCOL = parsing.protocol(Env(), is_production=False)
    for version in ("1.0", "01.00"):
        answer = api.get("/ops/audit", headers={"x-settld-protocol": version})
        assert refusal(answer) == (426, "PROTOCOL_DEPRECATED")
        assert body(answer)["details"] == {"cutoffAt": "2026-01-01T00:00:00.000Z"}


def test_an_unreadable_cutoff_stops_the_start_1_3(tmp_path, monkeypatch):
    cutoffs = tmp_path / "cutoffs.json"
    cutoffs.write_text('{"1.0": {"cutoff": "some day"}}')
    monkeypatch.setenv("PROXY_PROTOCOL_DEPRECATIONS", str(cutoffs))
    with pytest.raises(ImproperlyConfigured, match="PROXY_PROTOCOL_DEPRECATIONS"):
        parsing.protocol(Env(), is_production=False)


# --- Health (platform-operations 6) ---------------------------------------------------------------
def test_private_health_counts_are_for_callers_who_may_read_6(api, client, settings, monkeypatch):
    from settld.api import discovery

    monkeypatch.setattr(discovery, "_details", lambda: {"outboxPending": 7})
    settings.HEALTHZ_IS_PRIVATE = True
    assert body(client.get("/healthz"))["outboxPending"] is None
    assert body(api.with_token("wrong").get("/healthz"))["outboxPending"] is None
    assert body(api.get("/healthz"))["outboxPending"] == 7


def test_a_count_that_cannot_be_had_is_null_and_health_stays_true_6(client, monkeypatch):
    from django.db import DatabaseError

    from settld.api import discovery

    def failing():
        raise DatabaseError("no")

    monkeypatch.setattr(discovery, "health_details", [failing, lambda: {"deliveriesPending": 1}])
    monkeypatch.setattr(discovery, "_cached", (0.0, {}))
    answer = body(client.get("/healthz"))
    assert (answer["ok"], answer["outboxPending"], answer["deliveriesPending"]) == (True, None, 1)
