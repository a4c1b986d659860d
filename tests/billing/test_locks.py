"""One order of locks, no deadlock, no call while one is held (INV-3 to INV-5; T-065 to T-069)."""

import concurrent.futures
import dataclasses
import datetime as dt
import random
import time

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from billing.models import (
    BillableEntity,
    BillingRequest,
    CheckoutSession,
    Customer,
    Plan,
    Remediation,
    Subscription,
    UsageCounter,
)
from billing.services import locks, recovery, transactions
from billing.states import Writer
from settld.core import clock, tenancy
from settld.core.transactions import atomic
from tests.billing import checkouts, factories, payloads
from tests.billing.checkout_provider import FakeProvider, provider
from tests.billing.checkouts import guardrails

__all__ = ["guardrails", "provider"]
NOW = factories.NOW
ROUNDS = 200


@pytest.fixture
def live_entity(live_db):
    factories.plan()
    return factories.workspace_entity()


def _closing(verb):
    """Threads of a pool end with their own connection closed."""

    def run(*args):
        try:
            return verb(*args)
        finally:
            connection.close()

    return run


# --- T-065: the deferred rule ----------------------------------------------------------------------
def _end(row: BillingRequest, entity, **columns) -> None:
    with factories.locked(entity):
        BillingRequest.objects.filter(pk=row.pk).update(pending_lease_expires_at=None, **columns)


FAR = {
    "provider_checkout_session_expires_at_upper_bound": NOW + dt.timedelta(days=1),
}
NOTHING = [
    {"status": "succeeded", "response_json": {}},
    {"status": "expired", "failure_code": "checkout_recovery_window_elapsed"},
    {"status": "failed", "failure_code": "checkout_replay_provenance_mismatch"},
]


@pytest.mark.parametrize("columns", NOTHING, ids=["succeeded", "window", "provenance"])
@pytest.mark.parametrize("beside", [None, "session", "another"])
def test_t_065_a_claim_is_cleared_only_into_a_session_or_a_hold(live_entity, columns, beside):
    with clock.freeze(NOW):
        row = factories.request(live_entity, **FAR)
        if beside is not None:
            key = {"operation_key": row.operation_key} if beside == "session" else {}
            factories.session(live_entity, status="recovery_verification_pending", **key)
        if beside == "session":
            _end(row, live_entity, **columns)
        else:
            with pytest.raises(IntegrityError) as refusal:
                _end(row, live_entity, **columns)
            assert refusal.value.__cause__.diag.constraint_name == "request_never_into_nothing"
    ended = beside == "session"
    assert checkouts.request(live_entity).status == (columns["status"] if ended else "pending")


@pytest.mark.parametrize("columns", NOTHING[1:], ids=["window", "provenance"])
@pytest.mark.parametrize(("seconds", "is_refused"), [(-1, True), (0, False), (1, False)])
def test_t_065_after_the_horizon_nothing_needs_to_stand_beside_it(live_entity, columns, seconds, is_refused):
    with clock.freeze(NOW):
        row = factories.request(live_entity, **FAR)
    with clock.freeze(NOW + dt.timedelta(days=1, seconds=90 + seconds)):
        if is_refused:
            with pytest.raises(IntegrityError):
                _end(row, live_entity, **columns)
        else:
            _end(row, live_entity, **columns)


def test_t_065_a_session_written_later_in_the_same_transaction_is_as_good(live_entity):
    with clock.freeze(NOW):
        row = factories.request(live_entity, **FAR)
        with factories.locked(live_entity):
            BillingRequest.objects.filter(pk=row.pk).update(pending_lease_expires_at=None, **NOTHING[0])
            CheckoutSession.objects.create(
                tenant_id=live_entity.tenant_id,
                billable_entity=live_entity,
                flow="subscription",
                status="open",
                operation_key=row.operation_key,
            )
    assert checkouts.request(live_entity).status == "succeeded"


# --- T-066: no deadlock ----------------------------------------------------------------------------
def test_t_066_checkout_webhook_and_recovery_interleave_without_a_deadlock(
    live_db, provider, monkeypatch, settings
):
    """T-066: 200 rounds, the order and the pauses drawn from a seed, with real threads and connections.

    In every other round a lease is over as it is taken, so that retries and the worker take each other's
    requests away at every point.
    """
    factories.plan()
    draw = random.Random(66)
    again: list[str] = []
    monkeypatch.setattr(transactions, "pause", lambda _seconds: again.append("begun again"))
    usual = settings.BILLING
    homes = [factories.workspace_entity(f"tenant_{number}") for number in range(ROUNDS)]
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        for number, home in enumerate(homes):
            settings.BILLING = dataclasses.replace(usual, pending_lease_seconds=120 * (number % 2))
            keys = ["key-1", draw.choice(("key-1", "key-2"))]
            verbs = [lambda home=home, key=key: _checkout(home, key) for key in keys]
            verbs += [lambda home=home: _events(home, provider), _recover]
            draw.shuffle(verbs)
            pauses = [draw.choice((0, 0, 0.001, 0.003, 0.006)) for _ in verbs]
            running = [pool.submit(_after, *pair) for pair in zip(pauses, verbs, strict=True)]
            for each in running:
                each.result(timeout=60)
        list(pool.map(_closing(lambda _number: time.sleep(0.02)), range(8)))
    assert again == []
    for home in homes:
        _is_sound(home)
    assert len(provider.made) == ROUNDS


def _after(pause: float, verb) -> None:
    time.sleep(pause)
    verb()


def _checkout(home: BillableEntity, key: str = "key-1") -> None:
    status, code = checkouts.told(home, key)
    assert status in (200, 409), code


def _events(home: BillableEntity, fake: FakeProvider) -> None:
    """The events of whichever session the home has, if it has one by now; the payer is quick."""
    for told in list(fake.sessions.values()):
        if told.client_reference_id == str(home.pk):
            customer, subscription = f"cus_{home.pk}", f"sub_{home.pk}"
            known = {"metadata": dict(told.metadata), "customer": customer}
            session = payloads.session(told.id, subscription=subscription, **known)
            payloads.deliver(payloads.event("customer.subscription.created", payloads.subscription(
                subscription, items=[payloads.item(f"si_{home.pk}")], **known
            )))  # fmt: skip
            payloads.deliver(payloads.event("checkout.session.completed", session))


def _recover() -> None:
    assert "error" not in recovery.recover_pending(limit=5)


def _is_sound(home: BillableEntity) -> None:
    """One session at the provider, one success; whoever was fenced said so and wrote nothing."""
    rows, sessions = checkouts.requests(home), checkouts.sessions(home)
    assert [row.status for row in rows].count("succeeded") == 1
    assert {row.status for row in rows} <= {"succeeded", "failed"}
    assert len([session for session in sessions if session.status != "abandoned"]) == 1


def test_t_066_writers_of_two_entities_do_not_wait_for_each_other(live_db):
    first, second = (factories.workspace_entity(name) for name in ("tenant_a", "tenant_b"))
    with factories.locked(first):
        with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
            assert pool.submit(_closing(_lock_and_leave), second).result(timeout=10) == second.pk


def _lock_and_leave(entity: BillableEntity) -> int:
    with factories.locked(entity):
        return entity.pk


def test_one_transaction_locks_one_entity(live_db):
    first, second = (factories.workspace_entity(name) for name in ("tenant_a", "tenant_b"))
    with factories.locked(first), pytest.raises(RuntimeError, match="one entity per transaction"):
        locks.lock_entity(entity_id=second.pk)


def test_a_lock_that_does_not_come_begins_the_transaction_again_and_then_says_so(live_entity, monkeypatch):
    """Section 0: 55P03, three times more."""
    monkeypatch.setattr(locks, "LOCK_TIMEOUT", "50ms")
    pauses: list[float] = []
    monkeypatch.setattr(transactions, "pause", pauses.append)

    def try_it() -> str:
        try:
            transactions.retried(
                tenant_id=live_entity.tenant_id,
                work=lambda: locks.lock_entity(entity_id=live_entity.pk),
            )
        except OperationalError as error:
            return error.__cause__.sqlstate
        return "got it"

    with factories.locked(live_entity), concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
        assert pool.submit(_closing(try_it)).result(timeout=20) == "55P03"
    assert len(pauses) == 3
    assert try_it() == "got it"


# --- T-067: the lock lets children in --------------------------------------------------------------
def _child(entity: BillableEntity) -> str:
    with tenancy.tenant_scope(entity.tenant_id), atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '2s'")
        Customer.objects.create(
            tenant_id=entity.tenant_id, billable_entity=entity, provider_customer_id="cus_child",
            origin="checkout",
        )  # fmt: skip
        UsageCounter.objects.create(
            tenant_id=entity.tenant_id, billable_entity=entity, entitlement_code="runs",
            window_start_at=NOW, window_end_at=NOW + dt.timedelta(days=1),
        )  # fmt: skip
    return "inserted"


def test_t_067_a_child_is_inserted_beside_the_entity_lock(live_entity):
    """T-067: foreign-key checks take KEY SHARE, which our NO KEY UPDATE lets through."""
    with factories.locked(live_entity), concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
        assert pool.submit(_closing(_child), live_entity).result(timeout=10) == "inserted"


def test_t_067_a_stronger_lock_would_have_kept_it_out(live_entity):
    """The control of the test above."""
    with tenancy.tenant_scope(live_entity.tenant_id), transaction.atomic():
        BillableEntity.objects.select_for_update().get(pk=live_entity.pk)
        with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
            child = pool.submit(_closing(_child), live_entity)
            with pytest.raises(OperationalError):
                child.result(timeout=10)


# --- T-068: the lock is asserted -------------------------------------------------------------------
def _rows(entity: BillableEntity, other: BillableEntity) -> dict:
    plan, payer = Plan.objects.get(), factories.customer(entity)
    factories.subscription(entity, plan, payer)
    factories.request(entity)
    factories.session(entity)
    with factories.locked(entity):
        Remediation.objects.create(
            tenant_id=entity.tenant_id, billable_entity=entity, canonical_provider_subscription_id="sub_1",
            duplicate_provider_subscription_id="sub_2",
        )  # fmt: skip
    return {
        "subscription": (Subscription, {"current_period_end": NOW}),
        "request": (BillingRequest, {"lease_owner": "somebody"}),
        "session": (CheckoutSession, {"status_reason": "why not"}),
        "remediation": (Remediation, {"error_text": "why not"}),
    }


@pytest.mark.parametrize("holding", ["nothing", "another"])
@pytest.mark.parametrize("name", ["subscription", "request", "session", "remediation"])
def test_t_068_the_database_refuses_a_writer_without_the_lock(live_entity, name, holding):
    other = factories.workspace_entity("tenant_b")
    model, change = _rows(live_entity, other)[name]
    with tenancy.tenant_scope(live_entity.tenant_id), atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('billing.writer', 'reconciliation', true)")
            if holding == "another":
                cursor.execute("SELECT set_config('billing.locked_entity', %s, true)", [str(other.pk)])
        with pytest.raises(IntegrityError) as refusal, transaction.atomic():
            model.objects.filter(billable_entity=live_entity).update(**change)
    assert refusal.value.__cause__.diag.constraint_name == "entity_lock_held"
    with tenancy.tenant_scope(live_entity.tenant_id), atomic():
        row = model.objects.get(billable_entity=live_entity)
        row.pk = None
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('billing.writer', 'reconciliation', true)")
        with pytest.raises(IntegrityError) as refusal, transaction.atomic():
            row.save(force_insert=True)
    assert refusal.value.__cause__.diag.constraint_name == "entity_lock_held"


def test_t_068_a_lock_ends_with_its_transaction(live_entity):
    with factories.locked(live_entity):
        pass
    with pytest.raises(IntegrityError), tenancy.tenant_scope(live_entity.tenant_id), atomic():
        BillingRequest(
            tenant_id=live_entity.tenant_id, billable_entity=live_entity, action="portal",
            client_idempotency_key="k", request_fingerprint_hash="f" * 64, normalized_request_json={},
            operation_key="0" * 64, provider_idempotency_key="p", pending_lease_expires_at=NOW,
            expires_at=NOW,
        ).save()  # fmt: skip


def test_a_lock_outside_a_transaction_is_refused(live_entity):
    with tenancy.tenant_scope(live_entity.tenant_id), pytest.raises(RuntimeError):
        locks.lock_entity(entity_id=live_entity.pk, writer=Writer.RECONCILIATION)


# --- T-069: no call in a transaction ---------------------------------------------------------------
class WatchfulProvider(FakeProvider):
    """Looks at the connection of whoever asks it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def __getattribute__(self, name: str):
        found = super().__getattribute__(name)
        if name.startswith(("create_", "retrieve_checkout", "list_")):
            assert not connection.in_atomic_block, name
            self.asked.append(name)
        return found


def test_t_069_no_path_of_a_checkout_asks_the_provider_inside_a_transaction(live_entity, monkeypatch):
    """T-069: first dispatch, replay, saved answer, known session, lookup; with real transactions."""
    fake = WatchfulProvider()
    monkeypatch.setattr("billing.providers.base.named", lambda name: fake)
    with clock.freeze(NOW) as move:
        with checkouts.dying_at("billing.checkout.dispatched"):
            checkouts.start(live_entity)
        row = checkouts.request(live_entity)
        fake.retrieve_script.append(ZeroDivisionError())
        move(NOW + dt.timedelta(minutes=3))
        assert checkouts.again(live_entity) == "pending"  # replay, saved answer, unread
        move(NOW + dt.timedelta(minutes=9))
        fake.retrieve_script.append(ZeroDivisionError())
        assert checkouts.again(live_entity) == "pending"  # known session
        move(NOW + dt.timedelta(minutes=30))
        assert checkouts.again(live_entity) == "succeeded"
        assert checkouts.request(live_entity).pk == row.pk
        other = factories.workspace_entity("tenant_b")
        with checkouts.dying_at("billing.checkout.claimed"):
            checkouts.start(other)
        move(NOW + dt.timedelta(hours=24))
        assert checkouts.again(other) == "expired"  # lookup
    assert set(fake.asked) == {
        "create_checkout_session",
        "retrieve_checkout_session",
        "list_checkout_sessions_by_operation_key",
    }


@pytest.mark.parametrize("verb", ["start", "recover"])
def test_t_069_a_checkout_begun_inside_a_transaction_is_refused(live_entity, provider, verb):
    with clock.freeze(NOW):
        with checkouts.dying_at("billing.checkout.claimed"):
            checkouts.start(live_entity)
        row = checkouts.request(live_entity)
        with transaction.atomic(), pytest.raises(RuntimeError, match="inside a transaction"):
            if verb == "start":
                checkouts.start(live_entity, "key-2")
            else:
                recovery.recover(tenant_id=live_entity.tenant_id, request_id=row.pk, is_same_key_retry=True)
    assert provider.creates == []


def test_t_069_the_first_transaction_of_recovery_is_over_before_anybody_is_asked(live_entity, provider):
    with clock.freeze(NOW) as move:
        with checkouts.dying_at("billing.checkout.claimed"):
            checkouts.start(live_entity)
        move(NOW + dt.timedelta(minutes=3))
        with checkouts.dying_at("billing.checkout.before_dispatch"):
            recovery.recover_pending(limit=1)
        assert checkouts.request(live_entity).lease_version == 2
