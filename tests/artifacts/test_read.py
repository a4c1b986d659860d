"""GET /artifacts/{artifactId} and its status: ruling 20."""

import datetime as dt
import json

import pytest
from django.db import connections

from settld.artifacts.models import Artifact
from settld.artifacts.services import get_or_create
from settld.core import tenancy
from tests.support.api import body, refusal

NOW = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)


def store(artifact_id="note:1"):
    with tenancy.tenant_scope("tenant_a"):
        return get_or_create(
            tenant_id="tenant_a", artifact_id=artifact_id, artifact_type="Note.v1",
            body={"zeta": 1, "alpha": "é"}, now=NOW,
        )[0]  # fmt: skip


def test_it_answers_with_the_stored_bytes(db, api):
    artifact = store()
    answer = api.get("/artifacts/note%3A1")
    assert answer.status_code == 200
    assert artifact.body.encode() in answer.content
    assert body(answer) == {"artifact": artifact.document, "signature": artifact.signature}
    assert api.get("/artifacts/note:1").content == answer.content


def test_status_says_whether_hash_and_signature_hold(db, api):
    artifact = store()
    answer = body(api.get("/artifacts/note:1/status"))
    assert (answer["artifactId"], answer["artifactHash"], answer["verified"]) == (
        "note:1",
        artifact.artifact_hash,
        True,
    )
    assert answer["verifiedAt"].endswith("Z")


def test_status_tells_a_document_changed_behind_our_back(live_db, api):
    artifact = store()
    changed = json.dumps({**artifact.document, "zeta": 2})
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE artifact DISABLE TRIGGER USER")
        cursor.execute("UPDATE artifact SET body = %s", [changed])
        cursor.execute("ALTER TABLE artifact ENABLE TRIGGER USER")
    assert body(api.get("/artifacts/note:1/status"))["verified"] is False


@pytest.mark.parametrize("path", ["/artifacts/none", "/artifacts/none/status", "/artifacts/a%00b"])
def test_an_unknown_id_is_404(db, api, path):
    assert refusal(api.get(path)) == (404, "NOT_FOUND")


def test_another_tenants_artifact_is_404_ruling_20(db, api):
    store()
    assert refusal(api.as_tenant("tenant_b").get("/artifacts/note:1")) == (404, "NOT_FOUND")
    with tenancy.tenant_scope("tenant_b"):
        assert Artifact.objects.count() == 0


@pytest.mark.parametrize(
    ("scope", "status"),
    [("ops_read", 200), ("finance_write", 200), ("audit_read", 200), ("governance_tenant_read", 403)],
)
def test_any_reader_may_read_ruling_20(db, api, settings, scope, status):
    store()
    settings.OPS_TOKENS = {"tok_one": frozenset({scope})}
    assert api.with_token("tok_one").get("/artifacts/note:1").status_code == status
