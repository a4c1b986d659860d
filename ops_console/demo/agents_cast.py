"""Who plays in the demo's third tenant: agents that work for other agents, and what becomes of their runs.

Everything follows from positions in these lists and from the month, so two seedings tell the same story.
"""

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Final

from ops_console.demo.cast import Party, Troupe

PARTY: Final = "pty_operator:"
MONTH_RUNS: Final = 18
FRESH_RUNS: Final = 14
FUNDING_CENTS: Final = 900_000


@dataclass(frozen=True)
class Worker:
    """An agent that is paid for runs."""

    agent_id: str
    name: str
    task: str
    uses_stripe: bool


WORKERS: Final = (
    Worker("agt_surveyor", "Roof Surveyor", "roof.survey", uses_stripe=True),
    Worker("agt_inspector", "Shelf Inspector", "shelf.inspection", uses_stripe=True),
    Worker("agt_translator", "Manual Translator", "manual.translation", uses_stripe=False),
    Worker("agt_router", "Route Planner", "route.planning", uses_stripe=False),
    Worker("agt_labeler", "Image Labeler", "image.labeling", uses_stripe=False),
    Worker("agt_dispatcher", "Night Dispatcher", "night.dispatch", uses_stripe=True),
)
PAYERS: Final = (("agt_northgrid", "Northgrid Utilities"), ("agt_harborretail", "Harbor Retail"))
INSPECTOR, TRANSLATOR, ROUTER, LABELER = (worker.agent_id for worker in WORKERS[1:5])


def _party(worker: Worker) -> Party:
    return Party(f"{PARTY}{worker.agent_id}", worker.name, "operator", worker.uses_stripe)


CEDAR: Final = Troupe(
    "tenant_cedar",
    "Cedar Agents",
    "finance@cedar.example",
    tuple(_party(worker) for worker in WORKERS),
    most_payout_cents=400_000,
    most_daily_cents=20_000_000,
)
ACCOUNTS: Final = {
    "acct_cash": "1000",
    "acct_payout_clearing": "1050",
    "acct_chargeback_recovery": "1190",
    "acct_customer_escrow": "2100",
    "acct_operator_payable": "2200",
    "acct_owner_payable": "2210",
    "acct_customer_credits_payable": "2300",
    "acct_developer_royalty_payable": "2400",
    "acct_insurance_reserve": "2500",
    "acct_claims_payable": "2510",
    "acct_platform_revenue": "4000",
    "acct_claims_expense": "5100",
}


@dataclass(frozen=True)
class Step:
    """One event of a run."""

    event: str
    payload: dict[str, object]


@dataclass(frozen=True)
class RunPlan:
    """One run: who works for whom, for how much, when, and how it goes; times are spread over its slot."""

    run_id: str
    worker: Worker
    payer_id: str
    cents: int
    window_days: int
    starts_at: dt.datetime
    pause: dt.timedelta
    steps: tuple[Step, ...]
    agreement_id: str | None = None


STARTED: Final = Step("RUN_STARTED", {})


def runs_of(month: str, *, starts_at: dt.datetime, ends_at: dt.datetime, is_over: bool) -> list[RunPlan]:
    """Plan the runs of a month, evenly over the time given; those of a running month have not all ended."""
    count = MONTH_RUNS if is_over else FRESH_RUNS
    slot = (ends_at - starts_at) / (count + 1)
    return [
        _run(month, number, starts_at=starts_at + slot * number, pause=slot / 8, is_over=is_over)
        for number in range(1, count + 1)
    ]


def _run(month: str, number: int, *, starts_at: dt.datetime, pause: dt.timedelta, is_over: bool) -> RunPlan:
    worker = WORKERS[number % len(WORKERS)]
    run_id = f"run_{month.replace('-', '')}_{number:02d}"
    needs_person = not is_over and number == FRESH_RUNS - 4
    return RunPlan(
        run_id=run_id,
        worker=worker,
        payer_id=PAYERS[number % 2][0],
        cents=9_500 + int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:2]) // 2,
        window_days=(0, 3, 7)[number % 3],
        starts_at=starts_at,
        pause=pause,
        steps=_steps(run_id, number, is_over=is_over or needs_person),
        agreement_id=f"agr_cedar_{number}" if needs_person else None,
    )


def _steps(run_id: str, number: int, *, is_over: bool) -> tuple[Step, ...]:
    evidence = Step("EVIDENCE_ADDED", {"evidenceRef": f"obj://cedar/{run_id}/result.json"})
    halfway = Step("RUN_HEARTBEAT", {"progressPct": 50, "stage": "working"})
    if not is_over and number > FRESH_RUNS - 3:
        return () if number == FRESH_RUNS else (STARTED, halfway)
    if number % 9 == 5:
        failure: dict[str, object] = {"code": "SITE_CLOSED", "message": "nobody was there to open"}
        return (STARTED, Step("RUN_FAILED", failure))
    metrics: dict[str, object] = {"durationSeconds": 600 + 37 * number}
    if number % 7 == 3:
        metrics["settlementReleaseRatePct"] = 60
    done = Step("RUN_COMPLETED", {"outputRef": f"obj://cedar/{run_id}/result.json", "metrics": metrics})
    return (STARTED, halfway, evidence, done)


def hash_of(text: str) -> str:
    """Make a hash for an agreement or a receipt that the demo speaks of."""
    return hashlib.sha256(f"cedar:{text}".encode()).hexdigest()
