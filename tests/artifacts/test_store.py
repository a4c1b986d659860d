"""Storing artifacts: spec/money-rails.md 5, spec/settld-billing-and-finance.md 0.4."""

import datetime as dt

import pytest
from django.db import DatabaseError, connection, connections, transaction

from settld.artifacts.models import Artifact
from settld.artifacts.queries import verify
from settld.artifacts.services import ArtifactConflict, Draft, get_or_create, seal, store_missing
from settld.core import canonical_json, tenancy
from settld.core.hashing import artifact_hash, canonical_hash
from settld.core.signatures import is_valid, server_public_pem

NOW = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
BODY = {"schemaVersion": "Note.v1", "zeta": [1, True, None], "é": "\u2028\n/", "period": "2026-01"}


@pytest.fixture
def tenant(db):
    with tenancy.tenant_scope("tenant_a"):
        yield "tenant_a"


def store(body=BODY, artifact_id="note_1", tenant_id="tenant_a"):
    return get_or_create(
        tenant_id=tenant_id, artifact_id=artifact_id, artifact_type="Note.v1", body=body, now=NOW
    )


def test_a_document_is_stored_as_canonical_json_with_its_hash(tenant):
    artifact, created = store()
    stored = Artifact.objects.get()
    assert created
    assert stored.artifact_hash == artifact.artifact_hash == canonical_hash(BODY)
    assert stored.body.encode() == canonical_json.dumps({**BODY, "artifactHash": stored.artifact_hash})
    assert artifact_hash(stored.document) == stored.artifact_hash


def test_members_outside_ascii_are_ordered_as_rfc_8785_orders_them(tenant):
    sealed = seal(Draft("x", "Note.v1", {"é": 1, "z": 2, "a": 3, "A": 4, "amount": 5}))
    assert sealed.text.encode() == canonical_json.dumps({**sealed.document})
    assert sealed.artifact_hash == canonical_hash({"é": 1, "z": 2, "a": 3, "A": 4, "amount": 5})


def test_the_signature_covers_the_raw_bytes_of_the_hash(tenant):
    artifact, _ = store()
    assert is_valid(
        hash_hex=artifact.artifact_hash,
        signature_base64=artifact.signature_base64,
        public_key_pem=server_public_pem(),
    )
    assert verify(artifact).is_verified


def test_a_new_document_costs_one_statement(tenant, django_assert_num_queries):
    with django_assert_num_queries(1):
        store()


def test_the_first_row_wins_and_equal_content_is_no_op(tenant):
    first, _ = store()
    second, created = store(dict(reversed(BODY.items())))
    assert (created, second.pk) == (False, first.pk)


def test_other_content_under_the_same_id_is_a_conflict(tenant):
    first, _ = store()
    with pytest.raises(ArtifactConflict) as refused:
        store({**BODY, "zeta": []})
    assert (refused.value.status, refused.value.code) == (409, "ARTIFACT_CONFLICT")
    assert Artifact.objects.get().artifact_hash == first.artifact_hash


def test_many_are_stored_in_one_statement_and_taken_ids_keep_their_first_content(
    tenant, django_assert_num_queries
):
    store()
    documents = [
        seal(Draft(f"note_{number}", "Note.v1", {"n": number, "t": 'a "quoted" \\ text'}))
        for number in range(300)
    ]
    with django_assert_num_queries(1):
        new = store_missing(tenant_id=tenant, documents=documents, now=NOW)
    assert new == {f"note_{number}" for number in range(300)} - {"note_1"}
    assert Artifact.objects.get(artifact_id="note_1").document["zeta"] == [1, True, None]
    stored = Artifact.objects.get(artifact_id="note_7")
    assert (stored.body, stored.pk) == (documents[7].text, documents[7].row_id)


def test_amount_currency_and_key_stand_beside_the_document(tenant):
    body = {"payoutKey": "k", "period": "2026-01", "payout": {"amountCents": 5, "currency": "USD"}}
    store(body, "with")
    store({"payout": {"amountCents": True}}, "without")
    amounts = Artifact.objects.order_by("-artifact_id").values_list("amount_cents", "currency", "payout_key")
    assert list(amounts) == [(None, None, None), (5, "USD", "k")]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE artifact SET artifact_hash = artifact_hash", "DELETE FROM artifact", "TRUNCATE artifact"],
)
@pytest.mark.parametrize("alias", ["default", "owner"])
def test_a_stored_document_cannot_be_changed_by_anyone_P9(live_db, alias, statement):
    with tenancy.tenant_scope("tenant_a"):
        store()
        with (
            pytest.raises(DatabaseError),
            transaction.atomic(using=alias),
            connections[alias].cursor() as cursor,
        ):
            cursor.execute(statement)
        assert Artifact.objects.count() == 1


def test_raw_sql_sees_no_other_tenants_document_ruling_2(tenant):
    store()
    with tenancy.tenant_scope("tenant_b"), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM artifact")
        assert cursor.fetchone() == (0,)
        with pytest.raises(DatabaseError), transaction.atomic():
            store(tenant_id="tenant_a", artifact_id="other")
    artifact, created = store()
    assert (created, artifact.artifact_id) == (False, "note_1")


def test_two_tenants_may_have_the_same_id(db):
    for tenant_id in ("tenant_a", "tenant_b"):
        with tenancy.tenant_scope(tenant_id):
            assert store({"t": tenant_id}, tenant_id=tenant_id)[1]
