"""manage.py bench_seed: the seeding hook for outside measurements."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

from settld.artifacts.models import Artifact
from settld.closing.models import PartyStatement
from settld.core import tenancy

ORDER = {
    "tenantId": "tenant_bench", "period": "2026-01", "prefix": "pty_", "count": 5,
    "payoutCents": 1000, "partyRole": "operator",
}  # fmt: skip


def seed(monkeypatch, **changes):
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(ORDER | changes)))
    out = io.StringIO()
    call_command("bench_seed", stdout=out)
    return json.loads(out.getvalue())["seeded"]


def parties():
    with tenancy.tenant_scope("tenant_bench"):
        rows = PartyStatement.objects.order_by("period", "party_id")
        return [(row.party_id, row.period, row.status, row.payout_cents) for row in rows]


def test_it_leaves_closed_statements_with_their_instructions(live_db, monkeypatch):
    assert seed(monkeypatch) == {"2026-01": 5}
    assert parties() == [(f"pty_{number}", "2026-01", "CLOSED", 1000) for number in range(5)]
    with tenancy.tenant_scope("tenant_bench"):
        assert Artifact.objects.filter(artifact_type="PayoutInstruction.v1").count() == 5


def test_it_may_run_again_on_a_closed_month(live_db, monkeypatch):
    seed(monkeypatch)
    assert seed(monkeypatch, count=7) == {"2026-01": 2}
    assert {status for _, _, status, _ in parties()} == {"CLOSED"}
    with tenancy.tenant_scope("tenant_bench"):
        assert Artifact.objects.filter(artifact_type="PayoutInstruction.v1").count() == 7


def test_items_name_party_and_period(live_db, monkeypatch):
    items = [{"partyId": "a", "period": "2026-01"}, {"partyId": "a", "period": "2026-02"}]
    assert seed(monkeypatch, items=items) == {"2026-01": 1, "2026-02": 1}


def test_it_refuses_in_production(db, monkeypatch, settings):
    settings.IS_PRODUCTION = True
    with pytest.raises(CommandError, match="refuses"):
        seed(monkeypatch)
    assert parties() == []


@pytest.mark.parametrize(
    "fault", [{"count": -1}, {"count": True}, {"payoutCents": 1.5}, {"period": "2026-13"}, {"prefix": ""}]
)
def test_a_faulty_order_is_refused(db, monkeypatch, fault):
    with pytest.raises(CommandError):
        seed(monkeypatch, **fault)
