"""Statements over random months against a plain oracle: nothing is paid twice, and nothing is forgotten."""

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from settld.closing import comparison, payouts_made
from settld.closing.models import PartyStatement
from settld.closing.queries import current
from settld.closing.services import close, months
from settld.core import tenancy
from tests.closing.general_book import ACTOR, TENANT, instant, post

MONTHS = ("2026-01", "2026-02", "2026-03")
PARTIES = ("pty_operator:a", "pty_operator:b")


@dataclasses.dataclass
class Oracle:
    """What must hold, kept with lists and dicts alone."""

    earned: dict = dataclasses.field(default_factory=dict)  # (party, month) -> cents
    paid: dict = dataclasses.field(default_factory=dict)  # (party, month) -> live gross cents
    entries: dict = dataclasses.field(default_factory=dict)  # (party, month) -> entry ids
    closed: set = dataclasses.field(default_factory=set)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(
            st.just("post"),
            st.sampled_from(MONTHS),
            st.sampled_from(PARTIES),
            st.integers(-90, 90).filter(bool),
        ),
        st.tuples(st.just("close"), st.sampled_from(MONTHS), st.none(), st.none()),
        st.tuples(st.just("reopen"), st.sampled_from(MONTHS), st.none(), st.none()),
        st.tuples(st.just("pay"), st.sampled_from(MONTHS), st.sampled_from(PARTIES), st.none()),
        st.tuples(st.just("fail"), st.sampled_from(MONTHS), st.sampled_from(PARTIES), st.none()),
    ),
    min_size=4, max_size=22,
)  # fmt: skip


def statement(party, month):
    return current(tenant_id=TENANT).filter(party_id=party, period=month).first()


def close_month(month):
    place = {"tenant_id": TENANT, "month": month, "basis": "settledAt"}
    months.request_close(**place, actor=ACTOR, now=instant("2026-05"))
    assert close.close_month(**place, now=instant("2026-05")).is_new


def act(oracle, number, kind, month, party, cents):
    if kind == "post" and month not in oracle.closed:
        entry_id = f"e{number}"
        post(
            entry_id,
            [
                ("acct_operator_payable", -cents, party, "operator"),
                ("acct_customer_escrow", cents, "pty_customer:c", "customer"),
            ],
            at=instant(month),
        )  # fmt: skip
        oracle.earned[party, month] = oracle.earned.get((party, month), 0) + cents
        oracle.entries.setdefault((party, month), set()).add(entry_id)
    elif kind == "close" and month not in oracle.closed:
        close_month(month)
        oracle.closed.add(month)
        check_month(oracle, month)
    elif kind == "reopen" and month in oracle.closed:
        months.reopen(
            tenant_id=TENANT, month=month, basis="settledAt", reason="x", actor=ACTOR, now=instant("2026-05")
        )
        oracle.closed.discard(month)
    elif kind == "pay" and month in oracle.closed:
        row = statement(party, month)
        # the rails let one live payout per party and period through, of a closed statement
        if row is not None and row.payable_cents > 0 and (party, month) not in oracle.paid:
            oracle.paid[party, month] = row.payable_cents
    elif kind == "fail" and month not in oracle.closed:
        # while the month is open, so that the next close has it due again
        oracle.paid.pop((party, month), None)


def check_month(oracle, month):
    for party in PARTIES:
        row = statement(party, month)
        earned = oracle.earned.get((party, month))
        if row is None:
            assert earned is None
            continue
        assert row.period_payout_cents == (earned or 0)
        gross = row.period_payout_cents + row.payable_carry_in_cents
        paid = oracle.paid.get((party, month))
        if paid is None:
            assert (row.payout_cents, row.payable_carry_out_cents) == (gross, min(0, gross))
        else:
            assert (row.payout_cents, row.payable_carry_out_cents) == (0, gross - paid)
        check_document(oracle, row, party, month)


def check_document(oracle, row, party, month):
    from settld.artifacts.models import Artifact

    document = Artifact.objects.get(artifact_id=row.artifact_id).document
    body = document["statement"]
    assert body["includedEntryIds"] == sorted(oracle.entries.get((party, month), set()))
    assert document["artifactHash"] == row.statement_hash


def check_books(oracle):
    """Close everything in order, pay everything that is due, and see that the sums meet."""
    for month in MONTHS:
        if month not in oracle.closed:
            close_month(month)
            oracle.closed.add(month)
        for party in PARTIES:
            act(oracle, 0, "pay", month, party, None)
    close_month("2026-04")  # takes up what the others left open
    for party in PARTIES:
        row = statement(party, "2026-04")
        if row is not None and row.payable_cents > 0:
            oracle.paid[party, "2026-04"] = row.payable_cents
        earned = sum(cents for (whose, _), cents in oracle.earned.items() if whose == party)
        paid = sum(cents for (whose, _), cents in oracle.paid.items() if whose == party)
        left = sum(
            own.payable_carry_out_cents - own.payable_carry_in_cents
            for own in PartyStatement.objects.filter(party_id=party, superseded_at__isnull=True)
        )
        assert earned - paid == left  # every cent earned is paid, or stands open as a carry
        assert left <= 0  # and nobody is owed anything when all is closed and paid


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(actions=ACTIONS)
def test_any_history_of_months_pays_what_was_earned_and_recovers_the_rest(db, monkeypatch_payouts, actions):
    from django.db import transaction

    class Undone(Exception):
        """Ends an example without a trace."""

    oracle = Oracle()
    monkeypatch_payouts.paid = oracle.paid
    with pytest.raises(Undone), transaction.atomic(), tenancy.tenant_scope(TENANT):
        for number, (kind, month, party, cents) in enumerate(actions):
            act(oracle, number, kind, month, party, cents)
        check_books(oracle)
        raise Undone


class Payouts:
    """Stands where the money rails register."""

    def __init__(self):
        self.paid = {}

    def __call__(self, *, tenant_id, period):
        return {(party, "USD"): cents for (party, month), cents in self.paid.items() if month == period}


@pytest.fixture
def monkeypatch_payouts(monkeypatch):
    payouts = Payouts()
    monkeypatch.setattr(payouts_made, "_registered", payouts)
    return payouts


def test_the_comparison_of_an_empty_month_is_a_pass_of_nothing():
    batch = {"artifactType": "GLBatch.v1", "schemaVersion": "GLBatch.v1", "artifactId": "gl",
             "batch": {"period": "2026-01", "basis": "settledAt", "lines": []}}  # fmt: skip
    report = comparison.reconcile(batch, [])
    assert report["mismatchCodes"] == ["GL_BATCH_HASH_MISSING"]
