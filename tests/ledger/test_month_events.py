"""The stream of a month: spec/settld-billing-and-finance.md 5.2 and 9."""

import datetime as dt

import pytest
from django.db import DatabaseError, IntegrityError, connections, transaction

from settld.core import ids, tenancy
from settld.core.principals import Actor
from settld.ledger.models import MonthClose, MonthEvent
from settld.ledger.queries import proof_at, verify_chain
from settld.ledger.services import events, months

NOW = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
STREAM = {"tenant_id": "tenant_a", "stream_id": "month_close_2026-01_settledAt"}


def add(count=1):
    with transaction.atomic():
        month = months.lock_exclusively(tenant_id="tenant_a", month="2026-01", basis="settledAt", now=NOW)
        made = [
            events.append(
                month=month, event_type="NOTE", payload={"n": n}, actor=Actor.system("test"), at=NOW
            )
            for n in range(count)
        ]
    return month, made


@pytest.fixture
def tenant(db):
    with tenancy.tenant_scope("tenant_a"):
        yield


def test_each_event_names_the_one_before_it(tenant):
    month, made = add(3)
    assert [event.seq for event in made] == [1, 2, 3]
    assert [event.prev_chain_hash for event in made] == [None, made[0].chain_hash, made[1].chain_hash]
    assert (month.last_event_id, month.last_chain_hash) == (made[2].event_id, made[2].chain_hash)
    assert verify_chain(**STREAM).ok


def test_the_wire_form_is_the_same_before_and_after_storage(tenant):
    _, (event,) = add()
    assert list(event.as_json().items()) == list(MonthEvent.objects.get().as_json().items())


def test_a_proof_tells_where_the_stream_stood(tenant):
    _, made = add(3)
    proof = proof_at(made[1]).as_json()
    assert proof == {
        "lastChainHash": made[1].chain_hash,
        "eventCount": 2,
        "signatures": {"signedEventCount": 2, "signerKeyIds": [made[1].signature_key_id]},
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("payload = '{\"n\": 9}'", "payload_changed"),
        ("payload_hash = repeat('0', 64)", "payload_changed"),
        ("chain_hash = repeat('0', 64)", "chain_hash_differs"),
        ("signature_base64 = repeat('A', 86) || '=='", "signature_invalid"),
    ],
)
def test_a_change_behind_our_back_shows(live_db, change, reason):
    with tenancy.tenant_scope("tenant_a"):
        add(3)
        with connections["owner"].cursor() as cursor:
            cursor.execute("ALTER TABLE month_event DISABLE TRIGGER USER")
            cursor.execute(f"UPDATE month_event SET {change} WHERE seq = 2")
            cursor.execute("ALTER TABLE month_event ENABLE TRIGGER USER")
        verdict = verify_chain(**STREAM)
    assert (verdict.ok, verdict.first_bad_seq, verdict.reason) == (False, 2, reason)


def test_two_events_cannot_follow_the_same_one(tenant):
    _, (first,) = add()
    first.pk, first.event_id, first.seq = ids.uuid7(), "evt_fork", 1
    with pytest.raises(IntegrityError), transaction.atomic():
        first.save(force_insert=True)


@pytest.mark.parametrize("alias", ["default", "owner"])
@pytest.mark.parametrize(
    "statement", ["UPDATE month_event SET type = 'X'", "DELETE FROM month_event", "TRUNCATE month_event"]
)
def test_events_are_append_only(live_db, alias, statement):
    with tenancy.tenant_scope("tenant_a"):
        add()
        with (
            pytest.raises(DatabaseError),
            transaction.atomic(using=alias),
            connections[alias].cursor() as cursor,
        ):
            cursor.execute(statement)
        assert MonthEvent.objects.get().type == "NOTE"


@pytest.mark.parametrize(
    "columns",
    [
        {"month": "2026-13"}, {"basis": "bookedAt"}, {"status": "HALF"}, {"status": "CLOSED"},
        {"request_pending": True}, {"generation": 0}, {"last_event_id": "evt"},
    ],
)  # fmt: skip
def test_a_month_that_cannot_be_is_refused_by_the_database(tenant, columns):
    with pytest.raises(DatabaseError), transaction.atomic():
        MonthClose.objects.create(
            **{"tenant_id": "tenant_a", "month": "2026-01", "created_at": NOW, "updated_at": NOW, **columns}
        )
