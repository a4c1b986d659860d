"""Keys that arrive together, and inserts that meet (section 0, section 4; T-023, T-024, T-031)."""

import threading
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from billing.models import BillingRequest, ProviderRef
from billing.services import rows
from settld.core import clock, tenancy
from tests.billing import checkouts, factories
from tests.billing.checkout_provider import provider
from tests.billing.checkouts import BODY, PATH, guardrails

__all__ = ["guardrails", "provider"]
NOW = factories.NOW
REPLAYED = "Idempotent-Replayed"


@pytest.fixture
def stopped():
    with clock.freeze(NOW) as move:
        yield move


@pytest.fixture
def entity(db, stopped):
    factories.plan()
    return factories.workspace_entity()


def post(api, key: str | None = "key-1", **changes: Any):
    sent = {name: value for name, value in (BODY | changes).items() if value is not ...}
    return api.post(PATH, sent, headers={} if key is None else {"Idempotency-Key": key})


# --- Races, with real connections ------------------------------------------------------------------
def _race(*work) -> list[Any]:
    """Run each in a thread of its own, begun together; gives what each returned or raised."""
    barrier, results = threading.Barrier(len(work)), [None] * len(work)

    def run(number: int, verb) -> None:
        try:
            barrier.wait(20)
            results[number] = verb()
        except BaseException as error:
            results[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(work)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


@pytest.fixture
def live_entity(live_db):
    factories.plan()
    return factories.workspace_entity()


def test_t_023_of_two_keys_in_parallel_one_succeeds(live_entity, provider):
    arrived = threading.Event()

    def hold_on(_told) -> None:
        arrived.set()
        finished.wait(20)

    finished, provider.before_answer = threading.Event(), hold_on
    results: list[Any] = []

    def first() -> None:
        results.append(checkouts.told(live_entity, "key-1"))
        connection.close()

    thread = threading.Thread(target=first)
    thread.start()
    assert arrived.wait(20)
    assert checkouts.told(live_entity, "key-2") == (409, "checkout_in_progress")
    finished.set()
    thread.join(20)
    assert results == [(200, "")]
    assert len(provider.made) == 1


def test_t_023_two_keys_that_begin_together_make_one_session(live_entity, provider):
    told = _race(*(lambda key=key: checkouts.told(live_entity, key) for key in ("key-1", "key-2")))
    assert sorted(status for status, _code in told) == [200, 409]
    assert next(code for status, code in told if status == 409) in (
        "checkout_in_progress",
        "checkout_session_open",
    )
    assert len(provider.made) == 1


def test_t_024_twenty_times_the_same_key_dispatches_once(live_entity, provider):
    told = _race(*(lambda: checkouts.told(live_entity) for _ in range(20)))
    assert set(told) <= {(200, ""), (409, "request_in_progress")}
    assert (200, "") in told
    assert (len(provider.creates), len(checkouts.requests(live_entity))) == (1, 1)
    assert len(checkouts.sessions(live_entity)) == 1


def _request_row(entity, **changes: Any) -> BillingRequest:
    values = {
        "tenant_id": entity.tenant_id, "billable_entity": entity, "action": "portal",
        "client_idempotency_key": "same", "request_fingerprint_hash": "f" * 64,
        "normalized_request_json": {}, "operation_key": "0" * 64, "provider_idempotency_key": "p",
        "pending_lease_expires_at": NOW, "expires_at": NOW,
    }  # fmt: skip
    return BillingRequest(**(values | changes))


INDEXES = {
    "request_client_key": (
        ("tenant_id", "billable_entity", "action", "client_idempotency_key"), "",
        [{"operation_key": "1" * 64, "provider_idempotency_key": "p1"},
         {"operation_key": "2" * 64, "provider_idempotency_key": "p2"}],
    ),
    "request_operation_key": (
        ("tenant_id", "action", "operation_key"), "",
        [{"client_idempotency_key": "a", "provider_idempotency_key": "p1"},
         {"client_idempotency_key": "b", "provider_idempotency_key": "p2"}],
    ),
    "request_provider_key": (
        ("tenant_id", "provider", "provider_idempotency_key"), "",
        [{"client_idempotency_key": "a", "operation_key": "1" * 64},
         {"client_idempotency_key": "b", "operation_key": "2" * 64}],
    ),
    "request_one_pending_checkout": (
        ("tenant_id", "billable_entity"), "action = 'checkout' AND status = 'pending'",
        [{"action": "checkout", "client_idempotency_key": "a", "operation_key": "1" * 64,
          "provider_idempotency_key": "p1"},
         {"action": "checkout", "client_idempotency_key": "b", "operation_key": "2" * 64,
          "provider_idempotency_key": "p2"}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("index", INDEXES)
def test_t_031_who_loses_a_race_for_a_unique_index_inserts_nothing_and_reads_on(live_entity, index):
    """T-031: the second waits for the first by ON CONFLICT, and its transaction lives on."""
    target, where, (mine, theirs) = INDEXES[index]
    barrier = threading.Barrier(2)

    def insert(changes: dict[str, Any]):
        # Two transactions of one entity exclude one another by its lock; the index is tried without it.
        with tenancy.tenant_scope(live_entity.tenant_id), transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('billing.locked_entity', %s, true)", [str(live_entity.pk)])
            barrier.wait(20)
            inserted = rows.insert_once(_request_row(live_entity, **changes), target=target, where=where)
            return inserted, BillingRequest.objects.count()

    results = _race(lambda: insert(mine), lambda: insert(theirs))
    assert sorted(results) == [(False, 1), (True, 1)]
    assert len(checkouts.requests(live_entity)) == 1


CLASHES = {
    "request_client_key": {"client_idempotency_key": "b", "provider_idempotency_key": "p9"},
    "request_operation_key": {"client_idempotency_key": "b", "operation_key": "9" * 64},
    "request_provider_key": {"client_idempotency_key": "b", "provider_idempotency_key": "p9"},
    "request_one_pending_checkout": {"action": "portal", "client_idempotency_key": "same"},
}


@pytest.mark.parametrize("index", INDEXES)
def test_t_031_a_collision_with_another_index_is_never_swallowed(entity, index):
    """T-031: the clause names one index; a row that meets another one is a mistake, and is told."""
    target, where, _rows = INDEXES[index]
    with factories.locked(entity):
        _request_row(entity).save()
        clash = _request_row(entity, **CLASHES[index])
        with pytest.raises(IntegrityError) as refusal, transaction.atomic():
            rows.insert_once(clash, target=target, where=where)
    assert refusal.value.__cause__.diag.constraint_name != index


def test_t_031_the_directory_of_identifiers_is_entered_once(live_entity):
    def enter() -> bool:
        with tenancy.tenant_scope(live_entity.tenant_id), transaction.atomic():
            return rows.insert_once(
                ProviderRef(
                    kind="customer", ref="cus_race", tenant_id=live_entity.tenant_id,
                    billable_entity_id=live_entity.pk, created_at=NOW,
                ),
                target=("provider", "kind", "ref"),
            )  # fmt: skip

    assert sorted(_race(enter, enter, enter)) == [False, False, True]
