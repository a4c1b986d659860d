"""The history of the demo's agents lies in past months; cut short, it is finished by the next seeding."""

import datetime as dt

import pytest

from ops_console.demo import agents_work
from ops_console.demo.agents_cast import CEDAR
from ops_console.demo.agents_work import Calendar
from settld.core import tenancy
from settld.kernel.models import FundingHold, FundingReceipt, Run, RunEvent, Settlement
from settld.ledger.models import JournalEntry, MonthClose

TABLES = (Run, RunEvent, Settlement, FundingReceipt, FundingHold, JournalEntry)


def calendar(now: str, first: str, second: str) -> Calendar:
    return Calendar(first, second, now[:7], dt.datetime.fromisoformat(now))


@pytest.fixture
def cedar(db):
    with tenancy.tenant_scope(CEDAR.tenant_id):
        yield


def counts() -> dict[str, int]:
    return {table.__name__: table.objects.filter(tenant_id=CEDAR.tenant_id).count() for table in TABLES}


def cut(*_: object) -> None:
    raise KeyboardInterrupt


def months() -> dict[str, str]:
    return dict(MonthClose.objects.filter(tenant_id=CEDAR.tenant_id).values_list("month", "status"))


def test_a_history_that_was_cut_short_is_finished_and_then_stays_as_it_is(cedar, monkeypatch):
    told = calendar("2026-03-18T12:00:00+00:00", "2026-01", "2026-02")
    with monkeypatch.context() as patched:
        patched.setattr(agents_work, "_dispute", cut)
        with pytest.raises(KeyboardInterrupt):
            agents_work.play(told)
    half = counts()
    assert 0 < half["Run"] < 20

    agents_work.play(told)
    whole = counts()
    assert months() == {"2026-01": "CLOSED", "2026-02": "CLOSED", "2026-03": "OPEN"}
    agents_work.play(told)
    assert counts() == whole

    settlements = Settlement.objects.filter(tenant_id=CEDAR.tenant_id)
    assert settlements.filter(dispute_status="open").count() == 1
    assert settlements.filter(decision_status="manual_review_required").count() == 1
    assert sorted(FundingHold.objects.values_list("status", flat=True)) == ["held", "released"]
    for entry in JournalEntry.objects.filter(tenant_id=CEDAR.tenant_id):
        assert entry.at <= told.now


@pytest.mark.parametrize("now", ["2026-03-01T00:00:20+00:00", "2026-03-31T23:59:00+00:00"])
def test_any_moment_of_a_month_will_do(cedar, now):
    agents_work.play(calendar(now, "2026-01", "2026-02"))
    assert months() == {"2026-01": "CLOSED", "2026-02": "CLOSED", "2026-03": "OPEN"}
    assert not JournalEntry.objects.filter(at__gt=dt.datetime.fromisoformat(now)).exists()
