"""The finance scheduler as people see it: whether it runs, what it did last, and its latest runs."""

from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings

from ops_console import words
from ops_console.access import Visit
from ops_console.errors import Fact
from settld.maintenance import status
from settld.maintenance.models import MaintenanceRun, MaintenanceState

RUNS: Final = 8
TONES: Final = {"pass": "good", "fail": "bad", "error": "bad", "skipped": "quiet"}
LABELS: Final = {"pass": "Ties out", "fail": "Differs", "error": "Error", "skipped": "Skipped"}
OUTCOMES: Final = {"ok": "good", "error": "bad", "already_running": "quiet", "running": "info"}


@dataclass(frozen=True)
class Result:
    """What the last run did with one month."""

    period: str
    verdict: str
    tone: str
    note: str


@dataclass(frozen=True)
class Run:
    """One run."""

    at: str
    who: str
    verdict: str
    tone: str
    compared: str
    code: str


@dataclass(frozen=True)
class Schedule:
    """The section."""

    verdict: str
    tone: str
    facts: list[Fact]
    results: list[Result]
    runs: list[Run]


def build(visit: Visit) -> Schedule:
    """Read the state and the latest runs that covered this tenant: two queries."""
    state = MaintenanceState.objects.filter(tenant_id=visit.tenant_id, kind=status.FINANCE).first()
    runs = MaintenanceRun.objects.filter(tenant_id=visit.tenant_id, kind=status.FINANCE)
    limits = settings.FINANCE_RECONCILE
    is_on = bool(limits["enabled"]) and status.is_scheduled(status.FINANCE_TASK)
    return Schedule(
        verdict="On" if is_on else "Off",
        tone="good" if is_on else "quiet",
        facts=_facts(state, visit, limits, is_on=is_on),
        results=_results(state),
        runs=[_run(run) for run in runs.order_by("-started_at")[:RUNS]],
    )


def _facts(
    state: MaintenanceState | None, visit: Visit, limits: dict[str, Any], *, is_on: bool
) -> list[Fact]:
    every = f"Every {limits['interval_seconds']} seconds at most" if is_on else "Only by hand"
    facts = [
        Fact("Runs", every),
        Fact("Covers", f"The newest {limits['max_periods_per_tenant']} closed months"),
    ]
    if state is None or state.last_run_at is None:
        return [*facts, Fact("Last run", "Never")]
    facts.append(
        Fact(
            "Last run",
            f"{words.moment(state.last_run_at)} UTC, {words.age(state.last_run_at, now=visit.now)} ago",
        )
    )
    facts.append(Fact("Ended", words.label(state.outcome or "unknown") if state.outcome != "ok" else "Done"))
    if state.runtime_ms is not None:
        facts.append(Fact("Took", f"{state.runtime_ms:,} ms"))
    return facts


def _results(state: MaintenanceState | None) -> list[Result]:
    rows = ((state.last_result if state else None) or {}).get("results") or []
    return [
        Result(
            period=row.get("period") or "",
            verdict=LABELS.get(row["status"], words.label(row["status"])),
            tone=TONES.get(row["status"], "quiet"),
            note=row.get("error") or words.label(row.get("reason") or ""),
        )
        for row in rows[:24]
    ]


def _run(run: MaintenanceRun) -> Run:
    summary = run.summary or {}
    return Run(
        at=words.moment(run.started_at),
        who="Scheduled" if run.scope == "global" else "By hand",
        verdict="Done" if run.outcome == "ok" else words.label(run.outcome),
        tone=OUTCOMES.get(run.outcome, "quiet"),
        compared=f"{summary['reconciledPeriods']:,}" if "reconciledPeriods" in summary else "",
        code=run.code or "",
    )
