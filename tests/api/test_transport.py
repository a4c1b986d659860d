"""Transport, headers and errors: P1, P2, P5, platform-operations 1."""

import pytest

from tests.support.api import body, refusal

pytestmark = pytest.mark.django_db


def test_health_touches_nothing_and_carries_the_protocol(client):
    answer = client.get("/health")
    assert body(answer) == {"ok": True}
    assert answer["x-settld-protocol"] == "1.0"
    assert answer["x-settld-supported-protocols"] == "1.0"


def test_an_unknown_path_is_403_for_a_stranger_and_404_for_a_caller_P1(api):
    assert refusal(api.with_token("").get("/nothing/here")) == (403, "FORBIDDEN")
    answer = api.get("/nothing/here")
    assert refusal(answer) == (404, "NOT_FOUND")
    assert body(answer)["error"] == "not found"


def test_an_unknown_method_is_404_P1(api):
    assert refusal(api.call("DELETE", "/ops/audit")) == (404, "NOT_FOUND")


def test_a_trailing_slash_is_another_path_P1(api):
    assert refusal(api.get("/ops/audit/")) == (404, "NOT_FOUND")


def test_a_body_over_the_limit_is_413_P1(api, settings):
    settings.MAX_BODY_BYTES = 100
    answer = api.post("/ops/api-keys", {"description": "x" * 200, "scopes": ["ops_read"]})
    assert refusal(answer) == (413, "BODY_TOO_LARGE")


@pytest.mark.parametrize(("sent", "read"), [(200, 200), (8_000_001, 0)])
def test_a_refused_body_is_read_away_within_reason_so_that_its_sender_hears_why_P1(settings, sent, read):
    from django.test import RequestFactory

    from settld.api.requests import BodyTooLarge, raw_body

    settings.MAX_BODY_BYTES = 100
    request = RequestFactory().post("/ops/api-keys", b"x" * sent, content_type="application/json")
    with pytest.raises(BodyTooLarge):
        raw_body(request)
    assert len(request.read()) == sent - read


@pytest.mark.parametrize(
    "raw",
    [b"{", b"nul", b"\xff\xfe", b'{"a":NaN}', b'{"a":' + b"[" * 100_000, b'"text"', b"[]", b'{"a":"\\u0000"}',
     b'{"a":"\\ud800"}', b'{"\\udfff":1}', b'{"a":' + b"9" * 5000 + b"}"],
)  # fmt: skip
def test_a_malformed_body_is_400_P1(api, raw):
    assert refusal(api.post("/ops/api-keys", raw=raw)) == (400, "SCHEMA_INVALID")


def test_a_body_of_another_type_is_415_and_json_variants_pass_P1(api):
    assert refusal(api.post("/ops/api-keys", raw=b"a=1", content_type="text/plain")) == (
        415,
        "UNSUPPORTED_MEDIA_TYPE",
    )
    answer = api.post(
        "/ops/api-keys", {"scopes": ["ops_read"]}, content_type="application/vnd.x+json; charset=utf-8"
    )
    assert answer.status_code == 201


def test_an_empty_body_is_an_empty_object_P1(api):
    answer = api.call("POST", "/ops/api-keys", content_type="text/plain")
    assert body(answer)["error"] == "scopes[] is required"


@pytest.mark.parametrize("tenant_id", ["x" * 201, "a\tb"])
def test_an_invalid_tenant_header_is_400_P2(api, tenant_id):
    answer = api.as_tenant(tenant_id).get("/ops/audit")
    assert refusal(answer) == (400, "SCHEMA_INVALID")
    assert body(answer)["error"] == "invalid tenant"


def test_a_blank_tenant_is_the_default_one_P2(api):
    api.as_tenant("  ").post("/ops/api-keys", {"scopes": ["ops_read"]})
    assert len(body(api.as_tenant("tenant_default").get("/ops/api-keys"))["apiKeys"]) == 1


def test_the_request_id_is_echoed_or_replaced_P2(api):
    assert api.get("/ops/audit", headers={"x-request-id": "abc.1"})["x-request-id"] == "abc.1"
    assert api.get("/ops/audit", headers={"x-request-id": "a b"})["x-request-id"].startswith("req_")


@pytest.mark.parametrize("name", ["x-settld-protocol", "x-nooterra-protocol"])
@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1", (400, "INVALID_PROTOCOL_VERSION")),
        ("a.b", (400, "INVALID_PROTOCOL_VERSION")),
        ("0.9", (426, "PROTOCOL_TOO_OLD")),
        ("1.1", (400, "PROTOCOL_TOO_NEW")),
    ],
)
def test_a_protocol_that_we_do_not_speak_is_refused_P2(api, name, version, expected):
    assert refusal(api.get("/ops/audit", headers={name: version})) == expected
    assert api.get("/ops/audit", headers={name: "1.0"}).status_code == 200


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "offset=-1", "limit=1.5", "limit=%D9%A3"]
)
def test_list_bounds_are_400_P6(api, query):
    assert refusal(api.get(f"/ops/audit?{query}")) == (400, "SCHEMA_INVALID")


def test_an_error_nobody_foresaw_is_500_with_the_request_id_and_no_text_P5(api, monkeypatch):
    from settld.audit import queries

    monkeypatch.setattr(queries, "newest", lambda **_kw: 1 / 0)
    answer = api.get("/ops/audit", headers={"x-request-id": "r1"})
    assert body(answer) == {
        "error": "internal error",
        "code": "INTERNAL_ERROR",
        "details": {"requestId": "r1"},
    }
    assert answer.status_code == 500


def test_capabilities_name_protocol_and_artifacts(client):
    answer = body(client.get("/capabilities"))
    assert answer["protocol"] == {
        "current": "1.0", "supported": ["1.0"], "min": "1.0", "max": "1.0", "requireHeader": False,
    }  # fmt: skip
    assert answer["events"]["envelopeVersion"] == 1


def test_healthz_is_503_when_the_database_is_away(client, monkeypatch):
    from django.db import OperationalError

    from settld.api import discovery

    def away():
        raise OperationalError("away")

    monkeypatch.setattr(discovery.connection, "cursor", away)
    answer = client.get("/healthz")
    assert (answer.status_code, body(answer)["ok"], body(answer)["outboxPending"]) == (503, False, None)


def test_healthz_hides_counts_when_private(client, settings):
    settings.HEALTHZ_IS_PRIVATE = True
    assert body(client.get("/healthz"))["outboxPending"] is None


def test_nul_in_path_or_query_is_refused_not_a_500(api):
    assert api.post("/ops/api-keys/a%00b/revoke").status_code == 404
    assert refusal(api.get("/ops/audit?action=a%00b")) == (400, "SCHEMA_INVALID")
