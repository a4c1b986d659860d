"""The routes over HTTP: shapes, order of checks, idempotency, signatures (spec P4, 2.1 to 2.3)."""

import hashlib
import hmac
import json
from urllib.parse import quote

import pytest

from tests.support.api import body, refusal

ENQUEUE = "/ops/payouts/party1/2026-01/enqueue"
INGEST = "/ops/money-rails/{}/events/ingest"


def path_of(operation, *more):
    return "/".join(
        [f"/ops/money-rails/{operation['providerId']}/operations", operation["operationId"], *more]
    )


@pytest.fixture
def made(api, world):
    """An operation made over HTTP."""
    world.closed()
    return body(api.post(ENQUEUE))["moneyRailOperation"]


def test_enqueue_answers_the_operation_in_full(api, world):
    row = world.closed()
    answer = api.post(ENQUEUE, {"counterpartyRef": " ", "moneyRailProviderId": None})

    assert answer.status_code == 201
    shown = body(answer)
    assert list(shown) == ["ok", "payout", "chargeback", "moneyRailOperation"]
    operation = shown["moneyRailOperation"]
    assert set(operation) == {
        "schemaVersion", "providerId", "operationId", "tenantId", "direction", "idempotencyKey",
        "amountCents", "currency", "counterpartyRef", "metadata", "state", "providerRef", "reasonCode",
        "initiatedAt",
        "submittedAt", "confirmedAt", "failedAt", "cancelledAt", "reversedAt", "createdAt", "updatedAt",
    }  # fmt: skip
    assert operation["idempotencyKey"] == row.payout_key
    assert operation["initiatedAt"] == "2026-03-10T12:00:00.000Z"
    assert (operation["providerRef"], operation["submittedAt"]) == (None, None)


@pytest.mark.parametrize("period", ["2026-13", "202601", "2026-1"])
def test_gate_1_refuses_a_malformed_period(api, world, period):
    assert refusal(api.post(f"/ops/payouts/party1/{period}/enqueue")) == (400, "SCHEMA_INVALID")


def test_nothing_due_is_an_answer(api, world):
    world.closed(payout_cents=0)
    assert body(api.post(ENQUEUE)) == {"ok": True, "enqueued": False, "reason": "no_payout_due"}


def test_the_same_key_replays_byte_for_byte_and_other_content_conflicts(api, world):
    world.closed()
    first = api.post(ENQUEUE, {}, key="k1")
    again = api.post(ENQUEUE, {}, key="k1")
    assert (again.status_code, again.content) == (201, first.content)
    assert again["x-idempotent-replay"] == "true"
    assert refusal(api.post(ENQUEUE, {"counterpartyRef": "x"}, key="k1")) == (409, "IDEMPOTENCY_CONFLICT")


def test_a_refused_enqueue_leaves_no_row_and_its_key_free(api, world):
    from moneyrails.models import ExposureCounter, Operation, PayoutOutcome

    world.set_controls(dailyPayoutLimitCents=9_999)
    world.closed()
    assert refusal(api.post(ENQUEUE, key="k1")) == (409, "PAYOUT_DAILY_LIMIT_EXCEEDED")
    assert not any(table.objects.exists() for table in (Operation, PayoutOutcome, ExposureCounter))
    world.set_controls()
    assert api.post(ENQUEUE, {"counterpartyRef": "bank:1"}, key="k1").status_code == 201


def test_operations_are_read_and_listed(api, world, made):
    assert body(api.get(path_of(made))) == {"operation": made, "dispatch": None}
    listing = body(
        api.get("/ops/money-rails/stub_default/operations?state=initiated&partyId=party1&period=2026-01")
    )
    assert listing == {"operations": [made], "total": 1, "limit": 200, "offset": 0}
    assert body(api.get("/ops/money-rails/stub_default/operations?state=failed"))["total"] == 0
    assert refusal(api.get("/ops/money-rails/stub_default/operations?state=lost")) == (400, "SCHEMA_INVALID")
    encoded = path_of(made).replace(":", "%3A")
    assert api.get(encoded).status_code == 200


def test_unknown_providers_operations_and_other_tenants_are_not_found(api, made):
    unknown = api.get("/ops/money-rails/nobody/operations")
    assert (unknown.status_code, body(unknown)["error"]) == (404, "money rail provider not found")
    absent = api.get("/ops/money-rails/stub_default/operations/mop_x")
    assert (absent.status_code, body(absent)["error"]) == (404, "money rail operation not found")
    assert refusal(api.as_tenant("tenant_b").get(path_of(made))) == (404, "NOT_FOUND")
    assert refusal(api.post("/ops/money-rails/nobody/operations/x/cancel")) == (404, "NOT_FOUND")


def test_reading_needs_no_right_to_write_and_writing_does(api, made):
    reader = api.with_token("tok_read")
    assert reader.get(path_of(made)).status_code == 200
    for path in (ENQUEUE, path_of(made, "submit"), path_of(made, "cancel"), INGEST.format("stub_default")):
        assert refusal(reader.post(path)) == (403, "FORBIDDEN")


def test_submit_and_its_replay(api, made):
    first = api.post(path_of(made, "submit"), {"providerRef": "ref_1"}, key="s1")
    shown = body(first)
    assert (first.status_code, shown["applied"], shown["operation"]["state"]) == (200, True, "submitted")
    assert list(shown) == ["operation", "applied", "providerSubmission"]
    again = api.post(path_of(made, "submit"), {"providerRef": "ref_1"}, key="s1")
    assert (again.content, again["x-idempotent-replay"]) == (first.content, "true")
    other = body(api.post(path_of(made, "submit"), key="s2"))
    assert (other["applied"], other["reason"], other["providerSubmission"]) == (
        False,
        "already_submitted",
        None,
    )
    assert body(api.get(path_of(made)))["dispatch"]["status"] == "succeeded"
    assert refusal(api.post(path_of(made, "submit"), {"providerRef": 7})) == (400, "SCHEMA_INVALID")


def test_cancel_and_its_replay(api, made):
    first = api.post(path_of(made, "cancel"), {"reasonCode": "duplicate"}, key="c1")
    shown = body(first)
    assert (shown["applied"], shown["operation"]["state"], shown["operation"]["reasonCode"]) == (
        True,
        "cancelled",
        "duplicate",
    )
    assert api.post(path_of(made, "cancel"), {"reasonCode": "duplicate"}, key="c1").content == first.content
    assert body(api.post(path_of(made, "cancel")))["applied"] is False


# --- ingest ---------------------------------------------------------------------------------------------
def test_ingest_answers_operation_event_and_verdict(api, made):
    sent = {
        "operationId": made["operationId"],
        "providerStatus": "SUBMITTED",
        "eventId": "e1",
        "payload": {"a": 1},
    }
    answer = api.post(INGEST.format("stub_default"), sent)
    shown = body(answer)
    assert (answer.status_code, shown["applied"], shown["eventType"], shown["providerStatus"]) == (
        200,
        True,
        "submitted",
        "submitted",
    )
    assert shown["event"] == {
        "schemaVersion": "MoneyRailProviderEvent.v1", "providerId": "stub_default", "tenantId": "tenant_a",
        "operationId": made["operationId"], "eventType": "submitted", "eventId": "e1",
        "eventDedupeKey": "submitted\ne1", "at": "2026-03-10T12:00:00.000Z", "payload": {"a": 1},
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{"operationId": None}, {"eventType": "exploded"}, {"at": "yesterday"}, {"payload": []}, {"eventId": 5}],
)
def test_ingest_refuses_malformed_bodies(api, made, change):
    sent = {"operationId": made["operationId"], "eventType": "submitted"} | change
    assert refusal(api.post(INGEST.format("stub_default"), sent)) == (400, "SCHEMA_INVALID")


def test_a_refused_event_is_kept_although_the_request_failed_and_its_key_stays_free(api, made):
    from moneyrails.models import ProviderEvent

    sent = {"operationId": made["operationId"], "eventType": "confirmed", "eventId": "e1"}
    path = INGEST.format("stub_default")
    assert refusal(api.post(path, sent, key="i1")) == (409, "MONEY_RAIL_INVALID_TRANSITION")
    assert ProviderEvent.objects.get().outcome == "rejected"
    api.post(path, sent | {"eventType": "submitted", "eventId": "e0"})
    assert body(api.post(path, sent, key="i1"))["applied"] is True


def sign(raw, *, at, secret="whsec_rail_tests"):
    digest = hmac.new(secret.encode(), f"{at}.".encode() + raw, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


@pytest.fixture
def signed(api, world):
    """An operation of the provider that signs, and how to speak for it."""
    world.closed()
    operation = body(api.post(ENQUEUE, {"moneyRailProviderId": "stub_signed"}))["moneyRailOperation"]
    raw = json.dumps(
        {"operationId": operation["operationId"], "eventType": "submitted", "eventId": "e1"}
    ).encode()
    at = int(world.NOW.timestamp())

    def send(header, content=raw, **more):
        headers = {} if header is None else {"x-proxy-provider-signature": header}
        return api.call("POST", INGEST.format("stub_signed"), raw=content, headers=headers, **more)

    send.raw, send.at, send.operation = raw, at, operation
    return send


def test_a_right_signature_moves_the_operation_whatever_the_content_type(signed):
    answer = signed(sign(signed.raw, at=signed.at), content_type="application/octet-stream")
    assert body(answer)["applied"] is True


@pytest.mark.parametrize("age", [-300, 300])
def test_the_tolerance_includes_its_boundary_both_ways(signed, age):
    assert signed(sign(signed.raw, at=signed.at + age)).status_code == 200


def test_any_of_several_digests_in_any_letter_case_will_do(signed):
    right = sign(signed.raw, at=signed.at)
    time, digest = right.split(",v1=")
    assert signed(f"{time},v1={'0' * 64},v1={digest.upper()}").status_code == 200


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (None, "x-proxy-provider-signature header is required"),
        ("v1=00", "missing timestamp"),
        ("t=soon,v1=00", "timestamp is invalid"),
        ("t={at}", "missing v1 digest"),
        ("t={at},v1=00", "digest mismatch"),
        ("stale", "timestamp outside tolerance window"),
        ("early", "timestamp outside tolerance window"),
        ("other key", "digest mismatch"),
        ("other body", "digest mismatch"),
    ],
)
def test_a7_a_wrong_signature_never_changes_state(api, signed, header, problem):
    headers = {
        "stale": sign(signed.raw, at=signed.at - 301),
        "early": sign(signed.raw, at=signed.at + 301),
        "other key": sign(signed.raw, at=signed.at, secret="whsec_other"),
        "other body": sign(signed.raw + b" ", at=signed.at),
    }
    answer = signed(header and headers.get(header, header.format(at=signed.at)))
    assert (answer.status_code, body(answer)["error"]) == (400, "invalid provider signature")
    assert (body(answer)["code"], body(answer)["details"]) == ("SCHEMA_INVALID", {"message": problem})
    assert body(api.get(path_of(signed.operation)))["operation"]["state"] == "initiated"


def test_the_signature_is_checked_before_the_body_is_parsed(signed):
    assert body(signed("t=1,v1=00", content=b"{not json"))["error"] == "invalid provider signature"
    assert (
        body(signed(sign(b"{not json", at=signed.at), content=b"{not json"))["error"] == "invalid JSON body"
    )


def test_a_replayed_signed_body_is_harmless(signed):
    assert body(signed(sign(signed.raw, at=signed.at)))["applied"] is True
    assert body(signed(sign(signed.raw, at=signed.at)))["applied"] is False


def test_a_signature_does_not_replace_the_scope(api, signed):
    header = {"x-proxy-provider-signature": sign(signed.raw, at=signed.at)}
    answer = api.with_token("tok_read").call(
        "POST", INGEST.format("stub_signed"), raw=signed.raw, headers=header
    )
    assert refusal(answer) == (403, "FORBIDDEN")


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ({"eventType": 5}, "eventType must be a string"),
        ({"eventType": "confirmed", "providerStatus": True}, "providerStatus must be a string"),
        (
            {"eventType": "initiated"},
            "eventType must be one of submitted, confirmed, failed, cancelled, reversed",
        ),
        ({}, "eventType or providerStatus is required"),
    ],
)
def test_faults_of_an_events_type_or_status_have_one_text(api, made, fault, problem):
    """Spec 2.3: "invalid provider event" with details.message for type and status faults."""
    answer = api.post(INGEST.format("stub_default"), {"operationId": made["operationId"], **fault})
    assert refusal(answer) == (400, "SCHEMA_INVALID")
    assert body(answer)["error"] == "invalid provider event"
    assert body(answer)["details"] == {"message": problem}


def test_a_party_whose_id_holds_a_slash_is_paid_like_any_other_P1(api, world):
    world.closed(party_id="pty_operator:a/b")
    made = api.post("/ops/payouts/pty_operator%3Aa%2Fb/2026-01/enqueue")
    assert made.status_code == 201
    operation_id = body(made)["moneyRailOperation"]["operationId"]
    path = f"/ops/money-rails/stub_default/operations/{quote(operation_id, safe='')}"
    assert body(api.get(path))["operation"]["operationId"] == operation_id
    assert body(api.post(f"{path}/submit"))["applied"] is True
