"""The scheduler as people see it: where it stands, what it did, and how that went over time."""

from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings

from ops_console import words
from ops_console.access import Visit
from ops_console.errors import Fact
from reconciliation.queries import provider_comparison, reports
from reconciliation.services import statement_lines
from settld.maintenance import status
from settld.maintenance.models import MaintenanceRun, MaintenanceState

RUNS: Final = 40
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 190, 40, 636, 26, 166
OUTCOMES: Final = {"ok": "good", "error": "bad", "already_running": "quiet", "running": "info"}


@dataclass(frozen=True)
class RunRow:
    """One run."""

    at: str
    who: str
    outcome: str
    tone: str
    compared: str
    mismatches: str
    runtime: str
    code: str


@dataclass(frozen=True)
class Bar:
    """One run in the plot."""

    x: float
    y: float
    width: float
    height: float
    title: str
    is_bad: bool


@dataclass(frozen=True)
class Plot:
    """Mismatches as bars against the left axis, running time as a line against the right one."""

    bars: list[Bar]
    line: str
    most: str
    longest: str
    first: str
    last: str
    summary: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    top: int = TOP
    bottom: int = BOTTOM


@dataclass(frozen=True)
class Scheduler:
    """The whole section."""

    facts: list[Fact]
    statement: list[Fact]
    statement_problem: str
    results: list[dict[str, Any]]
    runs: list[RunRow]
    plot: Plot | None


def build(visit: Visit) -> Scheduler:
    """Read the state and the latest runs that covered this tenant."""
    state = reports.scheduler_state(tenant_id=visit.tenant_id)
    runs = reports.runs(tenant_id=visit.tenant_id, limit=RUNS)
    statement, problem = _statement(visit)
    return Scheduler(
        facts=_facts(state, visit),
        statement=statement,
        statement_problem=problem,
        results=_results(state),
        runs=[_row(run) for run in runs],
        plot=plot([run for run in reversed(runs) if run.finished_at is not None and run.summary]),
    )


def _facts(state: MaintenanceState | None, visit: Visit) -> list[Fact]:
    limits = settings.MONEY_RAIL_RECONCILE
    is_on = bool(limits["enabled"]) and status.is_scheduled(status.RAILS_TASK)
    facts = [
        Fact("Schedule", f"On, every {limits['interval_seconds']} seconds at most" if is_on else "Off"),
        Fact("Covers", f"The newest {limits['max_periods_per_tenant']} months at every provider"),
    ]
    if state is None:
        return [*facts, Fact("Last run", "Never")]
    facts.append(Fact("Last run", _when(state.last_run_at, visit)))
    if state.last_success_at != state.last_run_at and state.outcome != "ok":
        facts.append(Fact("Last without an error", _when(state.last_success_at, visit)))
    if state.next_eligible_at and state.next_eligible_at > visit.now:
        facts.append(Fact("Next not before", f"{words.moment(state.next_eligible_at)} UTC"))
    return [*facts, Fact("Took", _seconds(state.runtime_ms))]


def _when(instant: Any, visit: Visit) -> str:
    if instant is None:
        return "Never"
    return f"{words.moment(instant)} UTC, {words.age(instant, now=visit.now)} ago"


def _statement(visit: Visit) -> tuple[list[Fact], str]:
    """Tell how far the provider's statement has been read, where there is one."""
    providers = statement_lines.statement_providers()
    if not providers:
        return [], ""
    covered = provider_comparison.coverage()
    facts = [Fact("Statement of", ", ".join(providers)), Fact("Read", _when(covered.read_at, visit))]
    if covered.made_from:
        facts.append(Fact("Transfers made from", f"{words.moment(covered.made_from)} UTC"))
    if covered.made_to:
        facts.append(Fact("Newest transfer", f"{words.moment(covered.made_to)} UTC"))
    problem = ""
    if covered.error_at:
        age = words.age(covered.error_at, now=visit.now)
        problem = f"The last read broke off {age} ago ({words.label(covered.error_code).lower()})."
        problem += " What was read before stands; the next read goes on there."
    return facts, problem


def _results(state: MaintenanceState | None) -> list[dict[str, Any]]:
    """List what the last run did, item by item; both comparisons."""
    result = (state.last_result if state else None) or {}
    sides = [("Our books", row) for row in result.get("results", [])]
    sides += [("Provider", row) for row in (result.get("providerSide") or {}).get("results", [])]
    tones = {"pass": "good", "fail": "bad", "error": "bad"}
    labels = {"pass": "Ties out", "fail": "Differs", "error": "Error", "skipped": "Skipped"}
    return [
        {
            "side": side,
            "period": row.get("period") or "",
            "provider_id": row.get("providerId") or "",
            "status": labels.get(row["status"], words.label(row["status"])),
            "tone": tones.get(row["status"], "quiet"),
            "note": row.get("error") or words.label(row.get("reason") or ""),
            "artifact_id": row.get("artifactId") or "",
        }
        for side, row in sides
    ][:200]


def _row(run: MaintenanceRun) -> RunRow:
    summary = run.summary or {}
    mismatches = run.figures.get("mismatchCount")
    return RunRow(
        at=words.moment(run.started_at)[5:],
        who="Scheduled" if run.scope == "global" else "By hand",
        outcome=words.label(run.outcome) if run.outcome != "ok" else "Done",
        tone=OUTCOMES.get(run.outcome, "quiet"),
        compared=f"{summary['reconciled']:,}" if "reconciled" in summary else "",
        mismatches=f"{mismatches:,}" if mismatches is not None else "",
        runtime=_seconds(run.runtime_ms),
        code=run.code or "",
    )


def _seconds(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return f"{milliseconds:,} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:,.0f} s"


def plot(runs: list[MaintenanceRun]) -> Plot | None:
    """Lay runs out from the oldest to the newest; None when there are too few to see anything."""
    if len(runs) < 2:
        return None
    counts = [int(run.figures.get("mismatchCount") or 0) for run in runs]
    times = [int(run.runtime_ms or 0) for run in runs]
    most, longest = max(*counts, 1), max(*times, 1)
    step = (RIGHT - LEFT) / len(runs)
    width = min(step * 0.7, 22)
    bars, points = [], []
    for index, (run, count, took) in enumerate(zip(runs, counts, times, strict=True)):
        height = max((BOTTOM - TOP) * count / most, 2.0) if count else 0.0
        x = LEFT + index * step
        title = f"{words.moment(run.started_at)} UTC: {words.count(count, 'mismatch', 'mismatches')}"
        bars.append(
            Bar(
                round(x + (step - width) / 2, 1), round(BOTTOM - height, 1),
                round(width, 1), round(height, 1),
                f"{title}, {_seconds(took)}", run.outcome == "error",
            )
        )  # fmt: skip
        points.append(f"{round(x + step / 2, 1)},{round(BOTTOM - (BOTTOM - TOP) * took / longest, 1)}")
    return Plot(
        bars=bars,
        line=" ".join(points),
        most=f"{most:,}",
        longest=_seconds(longest),
        first=words.moment(runs[0].started_at)[5:16],
        last=words.moment(runs[-1].started_at)[5:16],
        summary=f"{len(runs)} runs; at most {most:,} mismatches, the longest took {_seconds(longest)}",
    )
