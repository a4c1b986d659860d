"""A payout and a month that is opened again meet, on real connections: the later one sees the earlier one."""

import pytest

from settld.closing.models import PartyStatement
from settld.closing.services import close, months
from settld.core import transactions
from settld.kernel.models import PayoutReservation
from tests.kernel import paying
from tests.kernel.conftest import live_runs
from tests.kernel.test_payables_races import rival, scoped
from tests.kernel.work import NOW, TENANT
from tests.moneyrails.test_kernel_payouts import pay
from tests.support.factories import ACTOR

__all__ = ["live_runs", "rival", "scoped"]
PLACE = {"tenant_id": TENANT, "month": "2026-03", "basis": "settledAt"}


def shut():
    months.request_close(**PLACE, actor=ACTOR, now=NOW)
    return close.close_month(**PLACE, now=NOW)


def open_again():
    return months.reopen(**PLACE, reason="late", actor=ACTOR, now=NOW)


@pytest.fixture
def closed(scoped):
    """A run is settled and its running month closed: its payee's statement pays 10.00."""
    scoped.settled(window_days=0)
    assert shut().is_new
    return scoped


def stated():
    row = PartyStatement.objects.get(party_id=paying.PARTY, superseded_at__isnull=True)
    return row.generation, row.payout_cents, row.payable_carry_out_cents


def test_a_reopen_waits_for_the_payout_and_the_next_generation_counts_it(closed, rival):
    with transactions.atomic():
        paid = pay("2026-03").operation
        reopening = rival(open_again)  # it waits for the month, which the payout holds
    assert reopening.result(10).type == "MONTH_CLOSE_REOPENED"
    assert shut().is_new

    assert (paid.amount_cents, stated()) == (1000, (2, 0, 0))
    assert pay("2026-03").operation is None  # nothing is due any more
    assert PayoutReservation.objects.count() == 1


def test_a_payout_that_comes_while_the_month_is_opened_again_pays_nothing(closed, rival):
    with transactions.atomic():
        open_again()
        payout = rival(lambda: pay("2026-03"))
    refusal = payout.result(10)

    assert (refusal.code, PayoutReservation.objects.count()) == ("PARTY_STATEMENT_NOT_CLOSED", 0)
    assert shut().is_new
    assert stated() == (2, 1000, 0)
    assert pay("2026-03").operation.amount_cents == 1000
