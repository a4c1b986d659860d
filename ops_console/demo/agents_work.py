"""Agents' work in months that are over, written by the product's own verbs with the clock at those days.

The public API books at the server's present, as it must: nobody outside can post into the past. A demo needs
months that have passed, so this one part of it does not speak HTTP. It calls the verbs that the routes call,
in this process and on the deployment's database, under a stopped clock. Each act finds its earlier effect.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ops_console.demo import agents_cast as cast
from ops_console.demo.agents_cast import CEDAR, PAYERS, WORKERS, RunPlan
from settld.closing.services import account_maps, close, months
from settld.core import clock, tenancy
from settld.core.principals import Actor
from settld.core.signatures import public_pem
from settld.kernel.models import FundingReceipt, Run, Settlement
from settld.kernel.services import (
    agents,
    dispute_closing,
    disputes,
    funding,
    holdback_release,
    holds,
    run_events,
)
from settld.kernel.services import runs as opening
from settld.kernel.services.agents import AgentIdentityExists, NewAgent
from settld.kernel.services.dispute_closing import Given
from settld.kernel.services.holdback_release import Round
from settld.kernel.services.holds import HoldAlreadyExists, HoldTerms
from settld.kernel.services.runs import SettlementTerms
from settld.kernel.states import DisputeStatus, FundingSource
from settld.ledger import queries as ledger
from settld.tenants.models import Tenant

TENANT: Final = CEDAR.tenant_id
ACTOR: Final = Actor.system("demo")
BASIS: Final = "settledAt"
DAY: Final = dt.timedelta(days=1)
Act = tuple[dt.datetime, Callable[[dt.datetime], None]]


@dataclass(frozen=True)
class Calendar:
    """The two months that are over, the running one, and now."""

    first: str
    second: str
    running: str
    now: dt.datetime


def reaches_database() -> bool:
    """Tell whether this process is on the database of the deployment that it talks to."""
    with tenancy.tenant_scope(TENANT):
        return Tenant.objects.filter(tenant_id=TENANT).exists()


def was_begun_in(month: str) -> bool:
    """Tell whether an earlier seeding took a month as its first."""
    with tenancy.tenant_scope(TENANT):
        return Run.objects.filter(tenant_id=TENANT, run_id__startswith=_prefix(month)).exists()


def play(calendar: Calendar) -> None:
    """Let everything happen, in the order in which it happened."""
    with tenancy.tenant_scope(TENANT), clock.freeze(calendar.now) as set_clock:
        for at, act in sorted(_acts(calendar), key=lambda one: one[0]):
            set_clock(at)
            act(clock.now())


# --- What happens, and when -------------------------------------------------------------------------
def _acts(calendar: Calendar) -> Iterator[Act]:
    opens_at = _start(calendar.first)
    yield opens_at, _register_all
    yield opens_at, _map_accounts
    for month in (calendar.first, calendar.second, calendar.running):
        starts_at, is_over = _start(month), month != calendar.running
        ends_at = _start(_after(month)) - DAY if is_over else calendar.now
        yield starts_at, partial(_fund, month)
        for plan in cast.runs_of(month, starts_at=starts_at, ends_at=ends_at, is_over=is_over):
            yield plan.starts_at, partial(_work, plan)
        if is_over:
            yield min(_start(_after(month)) + dt.timedelta(hours=2), calendar.now), partial(_close, month)
    yield from _disputes(calendar)
    yield from _holds(calendar)


def _disputes(calendar: Calendar) -> Iterator[Act]:
    """One dispute that came to nothing in the first month, and one of the second that is open."""
    for month, worker, days in ((calendar.first, 3, 14), (calendar.second, 2, 60)):
        run_id = f"{_prefix(month)}disputed"
        at = _start(month) + dt.timedelta(days=11, hours=9)
        done = cast.Step("RUN_COMPLETED", {"outputRef": f"obj://cedar/{run_id}/result.json"})
        plan = RunPlan(
            run_id=run_id,
            worker=WORKERS[worker],
            payer_id=PAYERS[0][0],
            cents=48_000 + 1_500 * worker,
            window_days=days,
            starts_at=at,
            pause=dt.timedelta(hours=1),
            steps=(cast.STARTED, done),
        )
        yield at, partial(_work, plan)
        yield at + 3 * DAY, partial(_dispute, run_id)
        if month == calendar.first:
            yield at + 6 * DAY, partial(_settle_dispute, run_id)


def _holds(calendar: Calendar) -> Iterator[Act]:
    """One hold whose window ran out in the first month, and one that is held now."""
    first = _start(calendar.first) + dt.timedelta(days=4, hours=9)
    yield first, partial(_hold, "warehouse scan", 2)
    yield first + 3 * DAY, _release_due
    lately = max(calendar.now - dt.timedelta(minutes=1), _start(calendar.running))
    yield lately, partial(_hold, "pallet count", 30)


# --- Acts: each is the product's verb, and passes where it was done ---------------------------------
def _register_all(now: dt.datetime) -> None:
    known = [(worker.agent_id, worker.name, [worker.task]) for worker in WORKERS]
    for agent_id, name, capabilities in [*known, *((*payer, []) for payer in PAYERS)]:
        key = public_pem(Ed25519PrivateKey.generate().public_key())
        new = NewAgent(key, agent_id=agent_id, display_name=name, capabilities=capabilities)
        with suppress(AgentIdentityExists):
            agents.register(tenant_id=TENANT, new=new, actor=ACTOR, now=now)


def _map_accounts(now: dt.datetime) -> None:
    mapping = {
        "schemaVersion": account_maps.SCHEMA,
        "accounts": cast.ACCOUNTS,
        "exportPolicy": {"gateMode": "warn"},
    }
    account_maps.put(tenant_id=TENANT, mapping=mapping, actor=ACTOR, now=now)


def _fund(month: str, now: dt.datetime) -> None:
    """Credit the payers; the reference is looked for first, since a closed month refuses before it is met."""
    for agent_id, _ in PAYERS:
        external_ref = f"ch_demo_{agent_id}_{month}"
        if FundingReceipt.objects.filter(tenant_id=TENANT, external_ref=external_ref).exists():
            continue
        funding.credit(
            tenant_id=TENANT, agent_id=agent_id, amount_cents=cast.FUNDING_CENTS, currency="USD",
            source_type=FundingSource.MONEY_RAIL, external_ref=external_ref, actor=ACTOR, now=now,
        )  # fmt: skip


def _work(plan: RunPlan, _now: dt.datetime) -> None:
    """Open a run and append its events, each a while after the one before; those there are passed over."""
    run = Run.objects.filter(tenant_id=TENANT, run_id=plan.run_id).first()
    if run is None:
        terms = SettlementTerms(
            payer_agent_id=plan.payer_id,
            amount_cents=plan.cents,
            dispute_window_days=plan.window_days,
            agreement_id=plan.agreement_id,
        )
        opened = opening.open_run(
            tenant_id=TENANT, agent_id=plan.worker.agent_id, run_id=plan.run_id, task_type=plan.worker.task,
            input_ref=f"obj://cedar/{plan.run_id}/order.json", terms=terms, now=plan.starts_at,
        )  # fmt: skip
        done, head = 0, opened.event["chainHash"]
    else:
        done, head = run.revision, run.last_chain_hash
    for number, step in list(enumerate(plan.steps, start=1))[done:]:
        appended = run_events.append(
            tenant_id=TENANT, agent_id=plan.worker.agent_id, run_id=plan.run_id, event_type=step.event,
            payload=step.payload, expected_prev_chain_hash=head, now=plan.starts_at + plan.pause * number,
        )  # fmt: skip
        head = appended.event["chainHash"]


def _dispute(run_id: str, now: dt.datetime) -> None:
    if _dispute_status(run_id) != DisputeStatus.NONE:
        return
    wish = {
        "disputeType": "quality",
        "disputePriority": "high",
        "openedByAgentId": PAYERS[0][0],
        "reason": "Two of the eight chapters are missing",
        "evidenceRefs": [f"obj://cedar/{run_id}/complaint.pdf"],
    }
    disputes.open_dispute(
        tenant_id=TENANT, run_id=run_id, context=disputes.context_of(wish), actor=ACTOR, now=now
    )


def _settle_dispute(run_id: str, now: dt.datetime) -> None:
    if _dispute_status(run_id) != DisputeStatus.OPEN:
        return
    given = Given(outcome="withdrawn", closed_by_agent_id=PAYERS[0][0], summary="They were in the appendix")
    dispute_closing.close(tenant_id=TENANT, run_id=run_id, given=given, actor=ACTOR, now=now)


def _dispute_status(run_id: str) -> str:
    return str(
        Settlement.objects.values_list("dispute_status", flat=True).get(tenant_id=TENANT, run_id=run_id)
    )


def _hold(name: str, days: int, now: dt.datetime) -> None:
    terms = HoldTerms(
        agreement_hash=cast.hash_of(f"{name} agreement"),
        receipt_hash=cast.hash_of(f"{name} receipt"),
        payer_agent_id=PAYERS[1][0],
        payee_agent_id=cast.ROUTER,
        amount_cents=120_000,
        currency="USD",
        holdback_bps=1_500,
        challenge_window_ms=days * 86_400_000,
    )
    with suppress(HoldAlreadyExists):
        holds.lock(tenant_id=TENANT, terms=terms, actor=ACTOR, now=now)


def _release_due(now: dt.datetime) -> None:
    holdback_release.release_due(Round(is_dry_run=False), tenant_id=TENANT, limit=100, actor=ACTOR, now=now)


def _close(month: str, now: dt.datetime) -> None:
    """Ask for a month's close and carry it out at once; a worker that is quicker does no harm."""
    found = ledger.find_month(tenant_id=TENANT, month=month, basis=BASIS)
    if found is not None and found.is_closed:
        return
    months.request_close(tenant_id=TENANT, month=month, basis=BASIS, actor=ACTOR, now=now)
    close.close_month(tenant_id=TENANT, month=month, basis=BASIS, now=now)


# --- Months -----------------------------------------------------------------------------------------
def _start(month: str) -> dt.datetime:
    return dt.datetime(int(month[:4]), int(month[5:]), 1, tzinfo=dt.UTC)


def _after(month: str) -> str:
    return clock.period_of(_start(month) + 32 * DAY)


def _prefix(month: str) -> str:
    return f"run_{month.replace('-', '')}_"
