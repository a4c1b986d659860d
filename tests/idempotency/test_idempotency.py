"""Idempotency: P4, the concurrent case included."""

import datetime as dt
import threading

import pytest
from django.db import connection, connections

from settld.core import clock, tenancy, transactions
from settld.idempotency.models import IdempotencyRecord
from settld.idempotency.services import purge, records
from tests.support.api import OPS_TOKEN, Api, body, refusal

PAYLOAD = {"scopes": ["ops_read"], "description": "d"}


@pytest.mark.django_db
class TestOneCaller:
    def test_a_repeat_is_replayed_without_effect_or_audit_P4_3(self, api):
        api.post("/ops/api-keys/x/revoke", key="r")  # an error stores nothing: P4.4
        made = body(api.post("/ops/api-keys", PAYLOAD | {"keyId": "k1"}))
        first = api.post("/ops/api-keys/k1/revoke", key="r")
        again = api.post("/ops/api-keys/k1/revoke", key="r")
        assert made["keyId"] == "k1"
        assert (first.status_code, first.content) == (again.status_code, again.content)
        assert again["x-idempotent-replay"] == "true"
        assert "x-idempotent-replay" not in first
        assert len(body(api.get("/ops/audit?action=API_KEY_REVOKE"))["audit"]) == 1

    def test_the_same_key_with_another_request_is_a_conflict_P4_3(self, api):
        api.post("/ops/api-keys", PAYLOAD, key="k")
        answer = api.post("/ops/api-keys", PAYLOAD | {"description": "other"}, key="k")
        assert refusal(answer) == (409, "IDEMPOTENCY_CONFLICT")
        assert body(answer)["details"] == "request differs from initial use of this key"

    def test_key_order_in_the_body_is_no_difference_P4_2(self, api):
        api.post("/ops/api-keys", raw=b'{"scopes":["ops_read"],"description":"d"}', key="k")
        answer = api.post("/ops/api-keys", raw=b'{ "description":"d", "scopes":["ops_read"] }', key="k")
        assert answer.status_code == 201

    def test_identity_has_tenant_principal_and_path_P4_2(self, api, settings):
        settings.OPS_TOKENS = {**settings.OPS_TOKENS, "tok_two": settings.OPS_TOKENS[OPS_TOKEN]}
        for caller in (api, api.as_tenant("tenant_b"), api.with_token("tok_two")):
            assert "x-idempotent-replay" not in caller.post("/ops/api-keys", PAYLOAD, key="k")
        assert "x-idempotent-replay" not in api.post("/ops/auth-keys", PAYLOAD, key="k")

    def test_a_key_that_got_an_error_is_free_P4_4(self, api):
        assert api.post("/ops/api-keys", {"scopes": []}, key="k").status_code == 400
        assert api.post("/ops/api-keys", PAYLOAD, key="k").status_code == 201

    @pytest.mark.parametrize("key", ["", "   ", "x" * 501])
    def test_a_malformed_key_is_400_P4_1(self, api, key):
        answer = api.post("/ops/api-keys", PAYLOAD, key=key)
        assert (refusal(answer), body(answer)["error"]) == (
            (400, "SCHEMA_INVALID"),
            "invalid idempotency key",
        )

    def test_a_number_that_has_no_canonical_form_is_400_not_a_500(self, api):
        answer = api.post("/ops/api-keys", raw=b'{"scopes":["ops_read"],"x":9007199254740993}', key="k")
        assert refusal(answer) == (400, "SCHEMA_INVALID")

    def test_records_live_at_least_thirty_days_and_then_go_P4_6(self, api):
        api.post("/ops/api-keys", PAYLOAD, key="k")
        now = clock.now()
        assert purge.purge_expired(now=now + dt.timedelta(days=30)) == 0
        assert purge.purge_expired(now=now + dt.timedelta(days=46)) == 1


def test_two_requests_at_once_make_one_effect_and_the_second_replays_P4_5(live_db, api):
    answers = []

    def call():
        answers.append(Api("tenant_a").post("/ops/api-keys", PAYLOAD, key="same"))
        connections.close_all()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [201] * 8
    assert sum("x-idempotent-replay" in answer for answer in answers) == 7
    assert len({body(answer)["keyId"] for answer in answers}) == 1
    assert len(body(api.get("/ops/api-keys"))["apiKeys"]) == 1


def test_a_rival_that_does_not_finish_is_409_in_progress_P4_5(live_db, api, monkeypatch):
    monkeypatch.setattr("settld.core.postgres.base.LOCK_TIMEOUT_MS", 200)
    held, release = threading.Event(), threading.Event()

    def hold():
        wanted = records.identity(
            tenant_id="tenant_a",
            principal_id=principal,
            method="POST",
            path="/ops/api-keys",
            key="k",
            body=PAYLOAD,
        )
        with tenancy.tenant_scope("tenant_a"), transactions.atomic():
            records.claim(wanted)
            held.set()
            release.wait(10)
        connection.close()

    api.post("/ops/api-keys", PAYLOAD, key="first")
    with tenancy.tenant_scope("tenant_a"):
        principal = IdempotencyRecord.objects.get().principal_id
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    try:
        answer = api.post("/ops/api-keys", PAYLOAD, key="k")
    finally:
        release.set()
        thread.join()
    assert refusal(answer) == (409, "IDEMPOTENCY_IN_PROGRESS")
    assert answer["retry-after"] == "1"
    assert api.post("/ops/api-keys", PAYLOAD, key="k").status_code == 201


def test_a_handler_that_fails_after_its_effect_leaves_neither_effect_nor_record_P4_5(
    live_db, api, monkeypatch
):
    with monkeypatch.context() as broken:
        broken.setattr(records, "store", lambda *_a, **_kw: 1 / 0)
        assert api.post("/ops/api-keys", PAYLOAD, key="k").status_code == 500
    assert body(api.get("/ops/api-keys"))["apiKeys"] == []
    assert body(api.get("/ops/audit"))["audit"] == []


@pytest.mark.django_db
def test_a_row_that_stays_locked_is_not_called_a_running_request(api, monkeypatch):
    from django.db import OperationalError
    from psycopg.errors import LockNotAvailable

    from settld.tenants.services import keys

    def locked(**_kwargs):
        raise OperationalError("locked") from LockNotAvailable("locked")

    monkeypatch.setattr(keys, "revoke", locked)
    answer = api.post("/ops/api-keys/k1/revoke", key="r")
    assert refusal(answer) == (503, "LOCK_TIMEOUT")
