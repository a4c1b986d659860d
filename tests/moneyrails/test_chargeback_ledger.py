"""The debt ledger as the database keeps it, whoever writes: raw statements against constraints (spec 4)."""

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

NET = {"enabled": True, "negativeBalanceMode": "net"}
INSERT = """
INSERT INTO chargeback_entry (id, tenant_id, party_id, currency, provider_mode, seq, kind, amount_cents,
  outstanding_after_cents, operation_id, payout_key, reversal_id, reason_code, note, recorded_by, at,
  recorded_at)
VALUES (gen_random_uuid(), %(tenant_id)s, %(party_id)s, %(currency)s, %(provider_mode)s, %(seq)s, %(kind)s,
  %(amount_cents)s, %(after)s, %(operation_id)s, %(payout_key)s, %(reversal_id)s, '', '', 'raw', now(), now())
RETURNING seq, outstanding_after_cents
"""

BALANCE = """
INSERT INTO party_balance (id, tenant_id, party_id, currency, provider_mode, outstanding_cents, updated_at)
VALUES (gen_random_uuid(), 'tenant_a', 'x', 'USD', 'sandbox', 1, now())
"""


@pytest.fixture
def reversal(world):
    """A debt of 10,000 cents: its entry."""
    return owe(world)


def owe(world, party_id="party1", period="2025-12", cents=10_000):
    from moneyrails.models import ChargebackEntry

    operation = world.walked(world.enqueued(party_id, period, cents), "submitted", "confirmed", "reversed")
    return ChargebackEntry.objects.select_related("operation").get(operation=operation, kind="reversal")


def insert(reversal, kind, **changes):
    row = {
        "tenant_id": reversal.tenant_id, "party_id": reversal.party_id, "currency": reversal.currency,
        "provider_mode": reversal.provider_mode, "seq": 0, "kind": kind, "amount_cents": 1, "after": 0,
        "operation_id": None, "payout_key": "key" if kind in ("recovery", "release") else "",
        "reversal_id": reversal.pk,
    }  # fmt: skip
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(INSERT, row | changes)
        return cursor.fetchone()


def outstanding(party_id="party1"):
    from moneyrails.models import PartyBalance

    return PartyBalance.objects.get(party_id=party_id).outstanding_cents


def test_places_and_sums_are_the_databases_to_set(reversal):
    assert insert(reversal, "adjustment", amount_cents=3_000, seq=77, after=5) == (2, 7_000)
    assert insert(reversal, "recovery", amount_cents=2_000) == (3, 5_000)
    assert insert(reversal, "release", amount_cents=2_000) == (4, 7_000)
    assert outstanding() == 7_000


@pytest.mark.parametrize(
    ("kind", "changes", "problem"),
    [
        ("adjustment", {"amount_cents": 10_001}, "balance_not_negative"),
        ("recovery", {"amount_cents": 10_001}, "balance_not_negative"),
        ("adjustment", {"amount_cents": 0}, "entry_amount_positive"),
        ("adjustment", {"amount_cents": -5}, "entry_amount_positive"),
        ("recovery", {"payout_key": ""}, "entry_names_its_cause"),
        ("recovery", {"reversal_id": None}, "a reversal of its own account"),
        ("adjustment", {"party_id": "party2"}, "no balance row"),
        ("adjustment", {"provider_mode": "production"}, "no balance row"),
        ("adjustment", {"currency": "EUR"}, "no balance row"),
        ("release", {}, "a whole recovery"),
        ("gift", {}, "entry_kind_known"),
        ("reversal", {"reversal_id": None}, "the whole amount of a reversed operation"),
    ],
)
def test_an_entry_that_is_not_so_is_refused_and_leaves_no_trace(reversal, kind, changes, problem):
    from moneyrails.models import ChargebackEntry

    with pytest.raises(IntegrityError, match=problem):
        insert(reversal, kind, **changes)
    assert (ChargebackEntry.objects.count(), outstanding()) == (1, 10_000)


def test_no_reversal_is_repaid_above_its_amount_even_where_the_party_owes_more(world, reversal):
    owe(world, period="2025-11", cents=50_000)
    insert(reversal, "recovery", amount_cents=9_999)
    with pytest.raises(IntegrityError, match="repaid at most once"):
        insert(reversal, "adjustment", amount_cents=2)
    insert(reversal, "adjustment", amount_cents=1)
    assert outstanding() == 50_000


def test_an_entry_repays_a_reversal_of_its_own_party_only(world, reversal):
    owe(world, "party2")
    with pytest.raises(IntegrityError, match="own account"):
        insert(reversal, "adjustment", party_id="party2")
    assert outstanding("party2") == 10_000


def test_a_recovery_and_its_release_are_written_once(reversal):
    insert(reversal, "recovery", amount_cents=4_000)
    with pytest.raises(IntegrityError, match="entry_once_per_payout_and_reversal"):
        insert(reversal, "recovery", amount_cents=1)
    with pytest.raises(IntegrityError, match="a whole recovery"):
        insert(reversal, "release", amount_cents=3_999)
    insert(reversal, "release", amount_cents=4_000)
    with pytest.raises(IntegrityError, match="entry_once_per_payout_and_reversal"):
        insert(reversal, "release", amount_cents=4_000)
    assert outstanding() == 10_000


def test_an_operation_is_owed_once_and_whole(world, reversal):
    operation = reversal.operation
    again = {"reversal_id": None, "operation_id": operation.pk, "amount_cents": operation.amount_cents}
    with pytest.raises(IntegrityError, match="entry_one_reversal_per_operation"):
        insert(reversal, "reversal", **again)
    other = world.walked(world.enqueued("party1", "2026-02", 700), "submitted", "confirmed")
    with pytest.raises(IntegrityError, match="whole amount"):
        insert(reversal, "reversal", reversal_id=None, operation_id=other.pk, amount_cents=700)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE party_balance SET outstanding_cents = 0",
        "UPDATE party_balance SET entry_count = entry_count + 1",
        "UPDATE party_balance SET last_reversed_at = NULL",
        "UPDATE party_balance SET outstanding_cents = -1",
        "DELETE FROM party_balance",
        "UPDATE chargeback_entry SET amount_cents = 1",
        "DELETE FROM chargeback_entry",
        "TRUNCATE chargeback_entry",
        BALANCE,
    ],
)
def test_the_sums_and_entries_cannot_be_changed_by_hand(reversal, statement):
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert outstanding() == 10_000


def test_the_check_finds_what_the_database_would_not_let_happen(live_world):
    """The proof is worth something: each of its questions finds its own fault when the guards are off."""
    from moneyrails.services import checks

    insert(owe(live_world), "adjustment", amount_cents=1_000)
    assert checks.check_tenant(live_world.TENANT) == []
    faults = {
        "party_balance": ("party_balance SET outstanding_cents = {}", 1, 9_000),
        "chargeback_place": ("chargeback_entry SET outstanding_after_cents = {} WHERE seq = 2", 8, 9_000),
        "chargeback_reversal": ("chargeback_entry SET amount_cents = {} WHERE seq = 2", 10_001, 1_000),
        "chargeback_payout": ("chargeback_entry SET amount_cents = {} WHERE seq = 1", 9_999, 10_000),
    }
    for kind, (change, wrong, right) in faults.items():
        unguarded(f"UPDATE {change.format(wrong)}")
        assert kind in {problem["kind"] for problem in checks.check_tenant(live_world.TENANT)}
        unguarded(f"UPDATE {change.format(right)}")
    assert checks.check_tenant(live_world.TENANT) == []


def unguarded(statement):
    """Run a statement past the guards, as somebody with the keys of the database might."""
    from django.db import connections

    with connections["owner"].cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(statement)
        cursor.execute("RESET session_replication_role")
