"""The invariant monitor's look at one tenant: cases are opened and cleared, a grave breach stops payouts.

A look reads each invariant in one statement, bounded in rows, keys and time. What it found is written in
short transactions of its own, so a breach of one invariant never hides behind the trouble of another.
"""

import datetime as dt
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from prometheus_client import Counter

from moneyrails.queries import payout_facts
from moneyrails.services import stops
from reconciliation.invariants import INVARIANTS, MOST_ROWS, Invariant
from reconciliation.models import InvariantCheck, InvariantStop, Mismatch
from reconciliation.services import alerts, keeping, triage
from reconciliation.services.rows import Kind, QueueRow
from reconciliation.states import CheckStatus, SourceType
from settld.core import clock, failpoints, money, transactions
from settld.core.hashing import canonical_hash
from settld.core.principals import Actor

ACTOR: Final = Actor.system("invariant_monitor")
LOOKS_BACK: Final = dt.timedelta(minutes=10)
BROKEN = Counter("invariant_breaches_total", "Looks that found an invariant broken", ["name"])
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Look:
    """What a look at one invariant found: the rows that break it, or the code of what kept it from looking.

    `sweep_after` and `ended_sweep` say where the sweep of a large table stands after it.
    """

    invariant: Invariant
    rows: list[dict[str, Any]]
    runtime_ms: int
    code: str | None = None
    sweep_after: str | None = None
    ended_sweep: bool = False

    @property
    def status(self) -> CheckStatus:
        """Sum it up."""
        if self.code is not None:
            return CheckStatus.ERROR
        return CheckStatus.FAIL if self.rows else CheckStatus.PASS


@dataclass(frozen=True)
class Outcome:
    """How an invariant stands after a look, and whether that is news."""

    check: InvariantCheck
    is_news: bool
    has_stopped: bool = False

    @property
    def row(self) -> dict[str, Any]:
        """Word it as the results of a round do."""
        check = self.check
        return {
            "tenantId": check.tenant_id,
            "name": check.name,
            "status": str(check.status),
            "rowCount": check.row_count,
            "triageKey": check.triage_key,
            "stoppedPayouts": self.has_stopped,
            "code": check.code,
        }


def look(*, tenant_id: str, now: dt.datetime) -> list[Outcome]:
    """Look at every invariant of a tenant, and bring cases, the payout stop and the checks up to date.

    Called in the tenant's scope with no transaction open. An invariant that could not be looked at keeps
    its case; its check says `error`.
    """
    before = {row.name: row for row in InvariantCheck.objects.filter(tenant_id=tenant_id)}
    found = [
        look_at(invariant, tenant_id=tenant_id, before=before.get(invariant.name), now=now)
        for invariant in INVARIANTS
    ]
    outcomes = [
        _settled(one, tenant_id=tenant_id, before=before.get(one.invariant.name), now=now) for one in found
    ]
    with transactions.atomic():
        _write([outcome.check for outcome in outcomes])
        if any(outcome.is_news for outcome in outcomes):
            alerts.give_if_due(tenant_id=tenant_id, actor=ACTOR, now=now)
        failpoints.hit("invariants.checks.before_commit")
    return outcomes


# --- Looking ----------------------------------------------------------------------------------------
def look_at(invariant: Invariant, *, tenant_id: str, before: InvariantCheck | None, now: dt.datetime) -> Look:
    """Run one invariant's statement; writes nothing and raises nothing that the database says."""
    started = time.perf_counter()
    named: dict[str, Any] = {"tenant_id": tenant_id, "limit": MOST_ROWS}
    after, number, batch = None, 0, 0
    try:
        with transactions.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('statement_timeout', %s, true)",
                [str(settings.INVARIANTS["statement_timeout_ms"])],
            )
            if invariant.sweep is not None:
                batch = min(settings.INVARIANTS["batch_size"], invariant.sweep.batch)
                named |= _times(before, now) | {
                    "after": (before.sweep_after if before else None) or "",
                    "batch": batch,
                    "suspects": _suspects(tenant_id, before),
                }
                cursor.execute(invariant.sweep.part, named)
                after, number = cursor.fetchone()
                named["upto"] = after
            cursor.execute(invariant.statement, named)
            names = [column.name for column in cursor.description or ()]
            rows = [dict(zip(names, map(_plain, values), strict=True)) for values in cursor.fetchall()]
            cursor.execute("SELECT set_config('statement_timeout', '0', true)")
    except DatabaseError as error:
        log.exception("invariant_not_looked_at", invariant=invariant.name, tenant_id=tenant_id)
        code = _code_of(error)
        # A part that is too much for one look does not hold the sweep up: it is tried again the next time
        # round, and until then this look says that it could not.
        stands = after or (before.sweep_after if before else None)
        return Look(invariant, [], _since(started), code=code, sweep_after=stands)
    ended = invariant.sweep is None or number < batch
    return Look(invariant, rows, _since(started), sweep_after=None if ended else after, ended_sweep=ended)


def _times(before: InvariantCheck | None, now: dt.datetime) -> dict[str, Any]:
    """Say since when a row counts as new: a little before the last look, for clocks and commits differ."""
    since = (before.checked_at if before else now) - LOOKS_BACK
    yesterday = now - dt.timedelta(days=1)
    return {
        "since": since,
        "periods": sorted({clock.period_of(since), clock.period_of(now)}),
        "today": clock.day_key(now),
        "yesterday": clock.day_key(yesterday),
        "today_period": clock.period_of(now),
    }


def _suspects(tenant_id: str, before: InvariantCheck | None) -> list[str]:
    """Name the keys that the standing case holds: they are looked at again until they are whole."""
    if before is None or before.triage_key is None:
        return []
    case = Mismatch.objects.filter(tenant_id=tenant_id, triage_key=before.triage_key).first()
    rows = case.details.get("rows", []) if case is not None else []
    return sorted({str(row["key"]) for row in rows})


def _plain(value: Any) -> Any:
    """Write a column as JSON can hold it exactly."""
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return money.exact(value)
    return clock.iso(value) if isinstance(value, dt.datetime) else value


def _since(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)


# --- What follows from it ---------------------------------------------------------------------------
def _settled(found: Look, *, tenant_id: str, before: InvariantCheck | None, now: dt.datetime) -> Outcome:
    """Settle one look; what the database refuses of it (a lock that does not come) is this one's error.

    The sweep then stays where it was, so that the next look finds the same again.
    """
    try:
        return _settle(found, tenant_id=tenant_id, before=before, now=now)
    except DatabaseError as error:
        log.exception("invariant_not_settled", invariant=found.invariant.name, tenant_id=tenant_id)
        check = InvariantCheck(
            tenant_id=tenant_id,
            name=found.invariant.name,
            status=CheckStatus.ERROR,
            row_count=len(found.rows),
            triage_key=before.triage_key if before else None,
            broken_since=before.broken_since if before else None,
            checked_at=before.checked_at if before else now,
            swept_at=before.swept_at if before else None,
            sweep_after=before.sweep_after if before else None,
            runtime_ms=found.runtime_ms,
            code=_code_of(error),
        )
        return Outcome(check, is_news=True)


def _code_of(error: DatabaseError) -> str:
    return str(getattr(error.__cause__, "sqlstate", None) or "DATABASE_ERROR")


def _settle(found: Look, *, tenant_id: str, before: InvariantCheck | None, now: dt.datetime) -> Outcome:
    """Open, renew or clear the case, and stop payouts when it is grave; gives the check to be written."""
    status, stood = found.status, before.status if before else None
    case: QueueRow | None = None
    has_stopped = False
    triage_key = before.triage_key if before else None
    if status == CheckStatus.FAIL:
        BROKEN.labels(name=found.invariant.name).inc()
        case = case_of(found)
        _file(case, tenant_id=tenant_id, now=now)
        triage_key = case.triage_key
        if found.invariant.stops_payouts:
            has_stopped = stop_for(case, found.invariant, tenant_id=tenant_id, now=now)
    elif status == CheckStatus.PASS and triage_key is not None:
        _clear(triage_key, tenant_id=tenant_id, now=now)
        triage_key = None
    since = before.broken_since if before else None
    check = InvariantCheck(
        tenant_id=tenant_id,
        name=found.invariant.name,
        status=status,
        row_count=len(found.rows) if status != CheckStatus.ERROR else (before.row_count if before else 0),
        triage_key=triage_key,
        broken_since=None if status == CheckStatus.PASS else since or (now if case else None),
        checked_at=now,
        swept_at=now if found.ended_sweep else (before.swept_at if before else None),
        sweep_after=found.sweep_after,
        runtime_ms=found.runtime_ms,
        code=found.code,
    )
    is_new = stood is None and status != CheckStatus.PASS
    return Outcome(check, is_new or has_stopped or (stood is not None and stood != status), has_stopped)


def case_of(found: Look) -> QueueRow:
    """Make the one case of a broken invariant; it belongs to no month and to no provider."""
    invariant = found.invariant
    details = {
        "invariant": invariant.name,
        "means": invariant.means,
        "rowCount": len(found.rows),
        "hasMoreRows": len(found.rows) == MOST_ROWS,
        "rows": found.rows,
        "query": " ".join(invariant.statement.split()),
    }
    kind = Kind(SourceType.INVARIANT.value, invariant.code, invariant.severity.value)
    return QueueRow(SourceType.INVARIANT.value, "", "", kind, invariant.name, details)


def _file(case: QueueRow, *, tenant_id: str, now: dt.datetime) -> None:
    with transactions.atomic():
        triage.lock_cases(tenant_id=tenant_id, triage_keys=[case.triage_key])
        keeping.record(tenant_id=tenant_id, queue=[case], report_hash=case.mismatch_hash, now=now)
        failpoints.hit("invariants.case.before_commit")
    failpoints.hit("invariants.case.after_commit")


def _clear(triage_key: str, *, tenant_id: str, now: dt.datetime) -> None:
    with transactions.atomic():
        triage.lock_cases(tenant_id=tenant_id, triage_keys=[triage_key])
        keeping.clear(tenant_id=tenant_id, triage_keys=[triage_key], now=now)


def stop_for(case: QueueRow, invariant: Invariant, *, tenant_id: str, now: dt.datetime) -> bool:
    """Stop the tenant's payouts for a breach, once for the rows that its case holds; tells whether it did.

    A person's stop that is in force stays as it is, and this one follows when it is lifted. A stop of the
    monitor's own covers what is found while it is in force: who lifts it has all of it in the queue.
    """
    content_hash = canonical_hash({"invariant": invariant.name, "rows": case.details["rows"]})
    seen = InvariantStop.objects.filter(tenant_id=tenant_id, name=invariant.name, content_hash=content_hash)
    if seen.exists():  # asked before the lock, which holds up payouts: such a row never goes away
        return False
    with transactions.atomic():
        controls = payout_facts.lock_controls(tenant_id=tenant_id, now=now, exclusively=True)
        is_stopped = controls.payout_kill_switch
        if is_stopped and controls.kill_switch_set_by != ACTOR.principal_id:
            return False
        if seen.exists():
            return False
        InvariantStop.objects.create(
            tenant_id=tenant_id,
            name=invariant.name,
            content_hash=content_hash,
            triage_key=case.triage_key,
            is_own_stop=not is_stopped,
            stopped_at=now,
        )
        if not is_stopped:
            stops.stop(
                tenant_id=tenant_id, reason=reason_of(invariant, case), expires_at=None, actor=ACTOR, now=now
            )
        failpoints.hit("invariants.stop.before_commit")
    failpoints.hit("invariants.stop.after_commit")
    return not is_stopped


def reason_of(invariant: Invariant, case: QueueRow) -> str:
    """Say why payouts are stopped, in the 500 characters that a reason has."""
    return f"Invariant {invariant.name} is broken (case {case.triage_key}): {invariant.means}"[:500]


def _write(checks: list[InvariantCheck]) -> None:
    InvariantCheck.objects.bulk_create(
        checks,
        update_conflicts=True,
        unique_fields=["tenant_id", "name"],
        update_fields=[
            "status", "row_count", "triage_key", "broken_since", "checked_at", "swept_at", "sweep_after",
            "runtime_ms", "code",
        ],
    )  # fmt: skip
