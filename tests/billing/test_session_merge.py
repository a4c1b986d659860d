"""What the provider tells of a session, merged into the row of its operation (6.2; T-075 to T-079, T-086)."""

import datetime as dt
import itertools

import pytest

from billing.models import CheckoutSession, Customer, Subscription
from billing.provider_time import ProviderTime
from billing.services import checkout_session
from billing.states import Flow, SessionStatus
from settld.core import tenancy
from tests.billing import factories, payloads, session_facts
from tests.billing.checkouts import guardrails
from tests.billing.factories import NOW
from tests.billing.session_facts import EXPIRES, KEY, OTHER_KEY, facts, jobs, merge, rows, session

__all__ = ["guardrails"]
pytestmark = pytest.mark.django_db
OPEN, PENDING, HOLD, DONE, EXPIRED, ABANDONED = (
    "open",
    "completed_pending_subscription",
    "recovery_verification_pending",
    "completed_reconciled",
    "expired",
    "abandoned",
)
LATE = "BILLING_LATE_CHECKOUT_COMPLETION"
CONTRADICTION = "BILLING_CHECKOUT_STATE_CONTRADICTION"
# Provider's status, flow, local status, what stands afterwards: the table of 6.2, cell by cell.
OPEN_CELLS = [
    ("open", flow, local, after)
    for flow in Flow.values
    for local, after in (
        (None, OPEN),
        (OPEN, OPEN),
        (HOLD, OPEN),
        (PENDING, PENDING),
        (DONE, DONE),
        (EXPIRED, EXPIRED),
        (ABANDONED, ABANDONED),
    )
]
COMPLETE_CELLS = [
    ("complete", flow, local, after)
    for flow, completed in (("subscription", PENDING), ("one_off", DONE), ("payment_link", DONE))
    for local, after in (
        (None, completed),
        (OPEN, completed),
        (HOLD, completed),
        (PENDING, completed),
        (DONE, DONE),
        (EXPIRED, EXPIRED),
        (ABANDONED, ABANDONED),
    )
]
EXPIRED_CELLS = [
    ("expired", flow, local, after)
    for flow in Flow.values
    for local, after in (
        (None, EXPIRED),
        (OPEN, EXPIRED),
        (HOLD, EXPIRED),
        (PENDING, PENDING),
        (DONE, DONE),
        (EXPIRED, EXPIRED),
        (ABANDONED, ABANDONED),
    )
]


@pytest.fixture
def entity(db):
    return factories.workspace_entity()


def cell(entity, provider, flow, local):
    """Merge in one cell of the table; the row that comes out."""
    link = None
    told = facts(entity, provider, flow=flow)
    if flow == "payment_link":
        link = session_facts.payment_link(entity, operation_key=KEY)
        told = facts(entity, provider, flow=flow, payment_link="plink_1")
    if local is not None:
        held = {"provider_checkout_session_id": "cs_1"} if flow == "payment_link" else {}
        session(entity, local, flow=flow, payment_link=link, **held)
    if flow != "payment_link":
        session_facts.request(entity, flow=flow)
    return merge(entity, told, flow=flow, payment_link=link)


@pytest.mark.parametrize("flow", Flow.values)
def test_t075_open_at_the_provider(entity, guardrails, flow):
    for provider, _, local, after in (row for row in OPEN_CELLS if row[1] == flow):
        with session_facts.undone():
            assert cell(entity, provider, flow, local).status == after, local
            assert len(rows(entity)) == 1
    assert guardrails == []


@pytest.mark.parametrize("flow", Flow.values)
def test_t076_complete_at_the_provider(entity, guardrails, flow):
    for provider, _, local, after in (row for row in COMPLETE_CELLS if row[1] == flow):
        guardrails.clear()
        with session_facts.undone():
            row = cell(entity, provider, flow, local)
        assert (row.status, row.completed_at) == (after, NOW), local
        assert guardrails == ([LATE] if local in (EXPIRED, ABANDONED) else []), local


@pytest.mark.parametrize("flow", Flow.values)
def test_t077_expired_at_the_provider(entity, guardrails, flow):
    for provider, _, local, after in (row for row in EXPIRED_CELLS if row[1] == flow):
        guardrails.clear()
        with session_facts.undone():
            row = cell(entity, provider, flow, local)
        assert (row.status, row.completed_at) == (after, None), local
        assert guardrails == ([CONTRADICTION] if local == PENDING else []), local


@pytest.mark.parametrize("provider", ["open", "complete", "expired"])
@pytest.mark.parametrize("flow", ["subscription", "one_off"])
def test_t078_whatever_the_cell_what_is_told_is_filled_in(entity, provider, flow):
    for local in (None, *SessionStatus.values):
        with session_facts.undone():
            row = cell(entity, provider, flow, local)
        assert row.provider_checkout_session_id == "cs_1", local
        assert row.provider_customer_id == (None if provider == "open" else "cus_1"), local
        assert row.idempotency_row_id is not None, local


@pytest.mark.parametrize("provider", ["open", "complete", "expired"])
@pytest.mark.parametrize("local", SessionStatus.values)
def test_t078_ids_and_times_that_are_set_stay(entity, provider, local):
    began = NOW - dt.timedelta(hours=2)
    session(
        entity,
        local,
        provider_checkout_session_id="cs_1",
        provider_customer_id="cus_1",
        provider_subscription_id="sub_1",
        checkout_url="https://old.example/cs_1",
        completed_at=began,
        expires_at=NOW + dt.timedelta(hours=5),
    )
    row = merge(entity, facts(entity, provider, customer="cus_1", url="https://new.example/cs_1"))
    assert (row.provider_checkout_session_id, row.provider_customer_id) == ("cs_1", "cus_1")
    assert (row.provider_subscription_id, row.completed_at) == ("sub_1", began)
    # Only what is open takes a fresh address and expiry; a hold's own end gives way to the session's.
    is_open = row.status == OPEN
    assert row.checkout_url == ("https://new.example/cs_1" if is_open else "https://old.example/cs_1")
    assert (row.expires_at == EXPIRES.at) == (is_open or local == HOLD)


def test_t079_merging_twice_is_merging_once(entity):
    session_facts.request(entity)
    told = facts(entity, "complete", subscription="sub_1")
    first = merge(entity, told)
    second = merge(entity, told, now=NOW + dt.timedelta(minutes=1))
    assert (first.pk, first.status, first.completed_at) == (second.pk, second.status, second.completed_at)
    assert len(rows(entity)) == 1


STORY = {
    "open": ("open", {}),
    "complete": ("complete", {"subscription": "sub_1"}),
    "again": ("complete", {"subscription": "sub_1"}),
}


@pytest.mark.parametrize("order", list(itertools.permutations(STORY)))
def test_t079_the_order_of_what_is_told_does_not_matter(entity, order):
    session_facts.request(entity)
    for name in order:
        status, more = STORY[name]
        merge(entity, facts(entity, status, **more))
    (row,) = rows(entity)
    assert (row.status, row.provider_checkout_session_id, row.provider_subscription_id) == (
        PENDING,
        "cs_1",
        "sub_1",
    )


@pytest.mark.parametrize("status", ["active", "trialing", "incomplete", "past_due", "canceled"])
@pytest.mark.parametrize("names", ["by its id", "by the operation key"])
def test_t079_a_completion_after_its_subscription_is_reconciled_at_once(entity, status, names):
    """The subscription's events may come before anything is known of the session (INV-32)."""
    payer = factories.customer(entity)
    factories.subscription(
        entity,
        factories.plan(),
        payer,
        status=status,
        is_current=status != "canceled",
        metadata_json={"operation_key": KEY},
    )
    session_facts.request(entity)
    told = facts(entity, "complete", subscription="sub_1" if names == "by its id" else None)
    row = merge(entity, told)
    assert (row.status, row.provider_subscription_id) == (DONE, "sub_1")


def test_t079_a_completion_waits_for_a_subscription_that_is_another_operations(entity):
    session_facts.request(entity)
    payer = factories.customer(entity)
    factories.subscription(entity, factories.plan(), payer, metadata_json={"operation_key": OTHER_KEY})
    assert merge(entity, facts(entity, "complete", subscription="sub_2")).status == PENDING


def test_t079_watermarks_keep_the_newest_event_and_the_newest_look(entity):
    session_facts.request(entity)
    seen = ProviderTime(1_772_000_100)
    for event_id, created in (("evt_2", seen), ("evt_1", seen), ("evt_9", ProviderTime(1_772_000_099))):
        row = merge(entity, facts(entity), provider_event_id=event_id, event_created=created)
    assert (row.last_provider_event_created_at, row.last_provider_event_id) == (seen.at, "evt_2")
    for second in (1_772_000_200, 1_772_000_150):
        row = merge(entity, facts(entity), snapshot_at=ProviderTime(second), is_reading=second % 100 == 0)
    assert row.last_provider_snapshot_at == ProviderTime(1_772_000_200).at
    assert row.last_read_at == NOW


def test_an_unknown_status_is_nobodys_guess():
    with pytest.raises(ValueError, match="not paused"):
        checkout_session.merged_status(provider_status="paused", flow="subscription", local=None)


# --- Late completion ---------------------------------------------------------------------------------
@pytest.mark.parametrize("local", [EXPIRED, ABANDONED])
def test_t086_a_late_completion_keeps_the_state_and_stores_what_it_tells(entity, guardrails, local):
    session(entity, local, expires_at=NOW - dt.timedelta(days=1))
    row = merge(entity, facts(entity, "complete", subscription="sub_1"))
    assert (row.status, row.completed_at) == (local, NOW)
    assert (row.provider_checkout_session_id, row.provider_customer_id, row.provider_subscription_id) == (
        "cs_1",
        "cus_1",
        "sub_1",
    )
    assert guardrails == [LATE]
    assert jobs(entity) == []


def test_t086_a_late_completion_does_not_block_and_its_subscription_still_counts(entity, guardrails):
    factories.plan()
    session(entity, ABANDONED)
    row = merge(entity, facts(entity, "complete", subscription="sub_1"))
    assert not checkout_session.blocks(row, now=NOW)
    bought = payloads.subscription(metadata=payloads.labels(entity, KEY))
    payloads.deliver(payloads.event("customer.subscription.created", bought))
    with tenancy.tenant_scope(entity.tenant_id):
        subscription = Subscription.objects.get()
    assert (subscription.status, subscription.is_current) == ("active", True)
    assert [kept.status for kept in rows(entity)] == [ABANDONED]


def test_t086_a_session_found_open_after_its_place_was_given_up_is_owed_an_end(entity):
    session(entity, ABANDONED)
    merge(entity, facts(entity, "open"))
    merge(entity, facts(entity, "open"))
    assert jobs(entity) == ["cs_1"]


# --- Customers ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("flow", "origin", "is_primary"),
    [
        ("subscription", "checkout", True),
        ("one_off", "one_off", True),
        ("payment_link", "payment_link", False),
    ],
)
def test_a_session_makes_its_customer_known(entity, flow, origin, is_primary):
    cell(entity, "complete", flow, None)
    with tenancy.tenant_scope(entity.tenant_id):
        (customer,) = Customer.objects.filter(billable_entity=entity)
    assert (customer.provider_customer_id, customer.origin, customer.is_primary, customer.email) == (
        "cus_1",
        origin,
        is_primary,
        "payer@example.com",
    )


def test_a_second_customer_does_not_become_primary(entity):
    session_facts.request(entity)
    factories.customer(entity, "cus_0")
    merge(entity, facts(entity, "complete"))
    with tenancy.tenant_scope(entity.tenant_id):
        found = dict(Customer.objects.values_list("provider_customer_id", "is_primary"))
    assert found == {"cus_0": True, "cus_1": False}


# --- Another subscription is current (5.3 step 3) ------------------------------------------------------
@pytest.mark.parametrize(
    ("provider", "local", "after", "owed"),
    [
        ("open", None, ABANDONED, ["cs_1"]),
        ("open", OPEN, ABANDONED, ["cs_1"]),
        ("open", HOLD, ABANDONED, ["cs_1"]),
        ("open", PENDING, PENDING, []),
        ("open", DONE, DONE, []),
        ("open", EXPIRED, EXPIRED, []),
        ("complete", None, PENDING, []),
        ("complete", OPEN, PENDING, []),
        ("expired", None, EXPIRED, []),
    ],
)
def test_a_surplus_session_is_abandoned_and_ended_but_never_a_completed_one(
    entity, provider, local, after, owed
):
    session_facts.request(entity)
    if local is not None:
        session(entity, local)
    row = merge(entity, facts(entity, provider), is_surplus=True)
    assert (row.status, jobs(entity)) == (after, owed)
    assert row.status_reason == ("subscription_exists" if after == ABANDONED else None)


@pytest.mark.parametrize("local", [None, OPEN, HOLD])
@pytest.mark.parametrize(
    ("current", "after", "owed"),
    [
        ({"metadata_json": {"operation_key": OTHER_KEY}}, ABANDONED, ["cs_1"]),
        ({"metadata_json": {}}, ABANDONED, ["cs_1"]),
        ({"metadata_json": {"operation_key": KEY}}, OPEN, []),
        ({"status": "canceled", "is_current": False}, OPEN, []),
    ],
    ids=["anothers", "nobodys", "ours", "ended"],
)
def test_t085_a_session_found_open_beside_a_current_subscription_is_not_opened_again(
    entity, local, current, after, owed
):
    """5.3 step 3, 6.3: whoever finds it, a loop or the browser, it could only sell a second subscription."""
    session_facts.request(entity)
    factories.subscription(entity, factories.plan(), factories.customer(entity), **current)
    if local is not None:
        session(entity, local)
    row = merge(entity, facts(entity, "open"))
    assert (row.status, jobs(entity)) == (after, owed)


def test_sessions_of_a_payment_link_are_many(entity):
    link = session_facts.payment_link(entity, operation_key=KEY)
    for number in (1, 2, 3):
        told = facts(
            entity,
            "complete",
            flow="payment_link",
            session_id=f"cs_{number}",
            customer=f"cus_{number}",
            payment_link="plink_1",
        )
        merge(entity, told, flow="payment_link", payment_link=link)
    found = rows(entity)
    assert [row.provider_checkout_session_id for row in found] == ["cs_1", "cs_2", "cs_3"]
    assert {(row.status, row.payment_link_id, row.idempotency_row_id) for row in found} == {
        (DONE, link.pk, None)
    }
    with tenancy.tenant_scope(entity.tenant_id):
        assert CheckoutSession.objects.filter(flow="payment_link").count() == 3
        assert not Customer.objects.filter(is_primary=True).exists()
