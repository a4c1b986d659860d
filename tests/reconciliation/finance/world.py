"""A tenant with one of everything that an invariant speaks of, made by our own verbs where that can be."""

import datetime as dt
from typing import Any

from django.db import connections

from reconciliation.models import InvariantCheck, Mismatch
from reconciliation.services import monitor
from settld.core import clock, tenancy, transactions
from tests.reconciliation.finance.month import ADA, closed_books

NOW = dt.datetime(2026, 3, 5, 12, tzinfo=dt.UTC)


def look(tenant_id: str, *, now: dt.datetime = NOW) -> dict[str, str]:
    """Look at a tenant; gives what does not hold, by name."""
    with tenancy.tenant_scope(tenant_id):
        outcomes = monitor.look(tenant_id=tenant_id, now=now)
        return {
            outcome.check.name: str(outcome.check.status)
            for outcome in outcomes
            if outcome.check.status != "pass"
        }


def owner(statement: str, *parameters: Any) -> None:
    """Run a statement as the tables' owner with every trigger off; commits."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        try:
            cursor.execute(statement, parameters)
        finally:
            cursor.execute("RESET session_replication_role")


def broken(tenant_id: str) -> list[InvariantCheck]:
    """The checks that found something."""
    with tenancy.tenant_scope(tenant_id):
        return list(InvariantCheck.objects.filter(tenant_id=tenant_id, status="fail").order_by("name"))


def case_of(tenant_id: str, name: str) -> Mismatch:
    """The case of a broken invariant."""
    with tenancy.tenant_scope(tenant_id):
        return Mismatch.objects.get(tenant_id=tenant_id, source_type="invariant", mismatch_key=name)


def stopped(tenant_id: str) -> str:
    """Why a tenant's payouts are stopped; blank when they go."""
    from moneyrails.services import controls

    with tenancy.tenant_scope(tenant_id):
        found = controls.get(tenant_id=tenant_id)
        return found.kill_switch_reason if found.payout_kill_switch else ""


def lift(tenant_id: str, *, now: dt.datetime = NOW) -> None:
    """Let payouts go again, as a person does."""
    from moneyrails.services import stops
    from settld.core import transactions

    with tenancy.tenant_scope(tenant_id), transactions.atomic():
        stops.lift(tenant_id=tenant_id, reason="looked at it", actor=ADA, now=now)


def make_full(api: Any) -> None:
    """Give tenant_a wallets, a locked and two settled runs, a committed payout, and real money sent."""
    from moneyrails.models import ExposureCounter, PartyBalance
    from tests.kernel import paying, work
    from tests.reconciliation.books import Books

    closed_books(tenant_id=work.TENANT)
    runs = work.Runs(api)
    with clock.freeze(work.NOW):
        work.parties()
        runs.settled("run_1")
        runs.settled("run_2", rate=40)
        assert runs.open("run_3").status_code == 201
    with tenancy.tenant_scope(work.TENANT):
        with transactions.atomic():
            paying.reserve(paying.ref_to("run_1"), now=work.NOW + dt.timedelta(days=9))
        with transactions.atomic():
            paying.payables.commit(**paying.named(now=work.NOW + dt.timedelta(days=9)))
        sent = Books(work.TENANT).pay("p_real", period="2026-01", provider="stripe_x")
        ExposureCounter.objects.create(
            tenant_id=work.TENANT, provider_mode="production", day_key=clock.day_key(sent.initiated_at),
            amount_cents=sent.amount_cents, operation_count=1,
        )  # fmt: skip
        PartyBalance.objects.create(
            tenant_id=work.TENANT, party_id="p_real", currency="USD", provider_mode="production",
            updated_at=NOW,
        )  # fmt: skip
