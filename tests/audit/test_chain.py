"""The audit chain: P7 and platform-operations 4."""

import threading

import pytest
from django.db import connection, connections

from settld.audit import services as audit
from settld.audit.models import OpsAudit, OpsAuditCheckpoint
from settld.audit.services.checkpoints import sign_due
from settld.audit.services.verify import verify
from settld.core import clock, signatures, tenancy, transactions
from settld.core.hashing import canonical_hash
from settld.core.principals import Actor
from tests.support.api import body
from tests.support.servers import admin_connection, process_database

STRANGE = Actor('p"\\\u2028é\x07\x7f/😀', key_id=None, request_id="r\n1")


def append(tenant_id="tenant_a", *, actor=STRANGE, details=None, action="ACT"):
    with tenancy.tenant_scope(tenant_id), transactions.atomic():
        audit.append(
            tenant_id=tenant_id,
            actor=actor,
            action=action,
            target_type="t",
            target_id="ü\t1",
            details=details,
        )


def test_rows_are_numbered_chained_and_hashed_over_canonical_json(db):
    append(details={"n": 1.5})
    append(details=None)
    with tenancy.tenant_scope("tenant_a"):
        first, second = OpsAudit.objects.order_by("seq")
        verdict = verify(tenant_id="tenant_a")
    assert (first.seq, second.seq, first.prev_hash, second.prev_hash) == (1, 2, "0" * 64, first.row_hash)
    assert first.details_hash == canonical_hash({"n": 1.5})
    assert second.details_hash == canonical_hash(None)
    assert (verdict.ok, verdict.rows, verdict.head_hash) == (True, 2, second.row_hash)


def test_secret_values_are_redacted_before_hashing_and_what_cannot_be_hashed_says_so(db):
    append(details={"apiKey": "x", "inner": [{"password": "y", "keyId": "k"}], "tokens": 3})
    append(details={"n": float("nan")})
    with tenancy.tenant_scope("tenant_a"):
        rows = [row.details for row in OpsAudit.objects.order_by("seq")]
    assert rows == [
        {"apiKey": "[REDACTED]", "inner": [{"keyId": "k", "password": "[REDACTED]"}], "tokens": 3},
        {"error": "DETAILS_UNSERIALIZABLE"},
    ]


@pytest.mark.parametrize(
    ("statement", "seq", "reason"),
    [
        ("UPDATE ops_audit SET action = 'x' WHERE seq = 2", 2, "row_changed"),
        ("UPDATE ops_audit SET details_text = '{}' WHERE seq = 2", 2, "details_changed"),
        ("DELETE FROM ops_audit WHERE seq = 2", 2, "row_missing"),
        ("DELETE FROM ops_audit WHERE seq = 3", 3, "rows_missing_at_the_end"),
        ("UPDATE ops_audit SET prev_hash = repeat('1', 64) WHERE seq = 3", 3, "prev_hash_differs"),
        ("UPDATE ops_audit_head SET row_hash = repeat('1', 64)", 4, "head_differs"),
    ],
)
def test_tampering_behind_the_triggers_is_found(live_db, statement, seq, reason):
    for _ in range(3):
        append()
    with connections["owner"].cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(statement)
        cursor.execute("SET session_replication_role = DEFAULT")
    with tenancy.tenant_scope("tenant_a"):
        verdict = verify(tenant_id="tenant_a")
    assert (verdict.ok, verdict.first_bad_seq, verdict.reason) == (False, seq, reason)


def test_concurrent_writers_make_one_unbroken_chain(live_db):
    def work():
        for _ in range(10):
            append()
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with tenancy.tenant_scope("tenant_a"):
        verdict = verify(tenant_id="tenant_a")
    assert (verdict.ok, verdict.rows) == (True, 60)


def test_when_the_row_cannot_be_written_the_effect_does_not_happen(live_db, api):
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER FUNCTION ops_audit_append RENAME TO ops_audit_append_away")
    try:
        answer = api.post("/ops/api-keys", {"scopes": ["ops_read"]}, key="k")
    finally:
        with connections["owner"].cursor() as cursor:
            cursor.execute("ALTER FUNCTION ops_audit_append_away RENAME TO ops_audit_append")
    assert (answer.status_code, body(answer)["code"]) == (500, "AUDIT_LOG_FAILED")
    assert body(api.get("/ops/api-keys"))["apiKeys"] == []
    assert api.post("/ops/api-keys", {"scopes": ["ops_read"]}, key="k").status_code == 201


def test_checkpoints_are_signed_once_a_day_and_verify(live_db):
    append()
    now = clock.now()
    assert sign_due(now=now) >= 1
    assert sign_due(now=now) == 0
    with tenancy.tenant_scope("tenant_a"):
        point = OpsAuditCheckpoint.objects.get(tenant_id="tenant_a")
    statement = {
        "schemaVersion": "OpsAuditCheckpoint.v1", "tenantId": "tenant_a", "seq": point.seq,
        "rowHash": point.row_hash, "at": clock.iso(point.at),
    }  # fmt: skip
    assert canonical_hash(statement) == point.artifact_hash
    assert signatures.is_valid(
        hash_hex=point.artifact_hash, signature_base64=point.signature_base64,
        public_key_pem=signatures.server_public_pem(),
    )  # fmt: skip


def test_the_list_is_newest_first_filtered_and_paged(db, api):
    for number in range(5):
        append(action="ODD" if number % 2 else "EVEN", details={"n": number})
    append("tenant_b")
    rows = body(api.get("/ops/audit"))["audit"]
    assert [row["details"]["n"] for row in rows] == [4, 3, 2, 1, 0]
    assert {row["tenantId"] for row in rows} == {"tenant_a"}
    assert [row["seq"] for row in body(api.get("/ops/audit?action=ODD"))["audit"]] == [4, 2]
    page = body(api.get("/ops/audit?limit=2"))["audit"]
    after = body(api.get(f"/ops/audit?limit=2&beforeId={page[-1]['id']}"))["audit"]
    assert [row["seq"] for row in page + after] == [5, 4, 3, 2]
    verdict = body(api.get("/ops/audit/verify"))
    assert (verdict["ok"], verdict["rows"], verdict["firstBadSeq"]) == (True, 5, None)


def test_what_is_about_a_secret_is_kept_and_a_secret_of_any_shape_is_not(db):
    append(
        details={
            "apiKeyId": "k", "apiKeyCreated": True, "secretRefs": {"a": "b"}, "tokens": ["t"],
            "x-api-key": "s", "authorization": "Bearer s",
        }
    )  # fmt: skip
    with tenancy.tenant_scope("tenant_a"):
        assert OpsAudit.objects.get().details == {
            "apiKeyId": "k", "apiKeyCreated": True, "secretRefs": "[REDACTED]", "tokens": "[REDACTED]",
            "x-api-key": "[REDACTED]", "authorization": "[REDACTED]",
        }  # fmt: skip


def test_a_long_chain_is_walked_in_bites(db, monkeypatch):
    from settld.audit.services import verify as verifying

    monkeypatch.setattr(verifying, "BITE", 2)
    for _ in range(5):
        append()
    with tenancy.tenant_scope("tenant_a"):
        verdict = verify(tenant_id="tenant_a")
    assert (verdict.ok, verdict.rows) == (True, 5)


CUT = (
    "DELETE FROM ops_audit WHERE seq > 2",
    "UPDATE ops_audit_head SET seq = 2, row_hash = (SELECT row_hash FROM ops_audit WHERE seq = 2)",
)


@pytest.mark.parametrize(
    ("tampering", "reason"),
    [
        (CUT, "checkpoint_differs"),
        (("UPDATE ops_audit_checkpoint SET seq = 2",), "checkpoint_changed"),
        (("UPDATE ops_audit_checkpoint SET signature_base64 = 'AAAA'",), "checkpoint_signature_wrong"),
    ],
)
def test_an_end_cut_off_with_its_head_contradicts_the_checkpoint_4_3(live_db, tampering, reason):
    for _ in range(3):
        append()
    assert sign_due(now=clock.now()) >= 1
    with admin_connection(process_database()) as owner:  # the one whom checkpoints guard against
        owner.execute("SET session_replication_role = replica")
        for statement in tampering:
            owner.execute(statement)
    with tenancy.tenant_scope("tenant_a"):
        verdict = verify(tenant_id="tenant_a")
    assert (verdict.ok, verdict.reason) == (False, reason)
