"""The statements by which runs, settlements and their documents are written, composed once.

A run and its event, and a settlement and its pair of documents, each go to the database in one statement.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from django.db import connection, models

from settld.kernel.models import DecisionRecord, Run, RunEvent, Settlement, SettlementReceipt

RUN_FOLD: Final = (
    "status", "evidence_refs", "metrics", "failure", "started_at", "completed_at", "failed_at", "revision",
    "last_event_id", "last_chain_hash", "updated_at",
)  # fmt: skip
RESOLUTION: Final = (
    "status", "resolved_at", "resolution_event_id", "run_status", "released_cents", "refunded_cents",
    "release_rate_pct", "dispute_window_ends_at", "decision_status", "decision_mode", "decision_reason",
    "decision_policy_hash", "decision_trace", "decision_updated_at", "decision_id", "receipt_id", "revision",
    "updated_at",
)  # fmt: skip
DISPUTE: Final = (
    "dispute_status", "dispute_id", "dispute_opened_at", "dispute_closed_at", "dispute_verdict_id",
    "dispute_verdict_hash", "dispute_verdict_artifact_id", "dispute_verdict_signer_key_id",
    "dispute_verdict_issued_at", "dispute_context", "dispute_resolution", "revision", "updated_at",
)  # fmt: skip


def insert_run(run: Run, event: RunEvent) -> bool:
    """Add a run with its first event; False where the run's id is taken, and nothing is added then."""
    query = (
        f"WITH made AS (INSERT INTO agent_run ({_columns(Run)}) VALUES ({_marks(Run)})"  # noqa: S608
        " ON CONFLICT (tenant_id, run_id) DO NOTHING RETURNING run_id), opened AS"
        f" (INSERT INTO agent_run_event ({_columns(RunEvent)}) SELECT {_marks(RunEvent)} FROM made)"
        " SELECT EXISTS (SELECT FROM made)"
    )
    return bool(_one(query, [*_values(run), *_values(event)]))


def add_event(run: Run, event: RunEvent) -> None:
    """Add an event and move its run, whose row the caller has locked, to what it folds to."""
    query = (
        f"WITH added AS (INSERT INTO agent_run_event ({_columns(RunEvent)}) VALUES ({_marks(RunEvent)}))"  # noqa: S608
        f" UPDATE agent_run SET {_assignments(Run, RUN_FOLD)} WHERE id = %s AND tenant_id = %s RETURNING true"
    )
    _one(query, [*_values(event), *_values(run, RUN_FOLD), run.pk, run.tenant_id])


def insert_settlement(settlement: Settlement, decision: DecisionRecord, receipt: SettlementReceipt) -> None:
    """Add a settlement with its first pair of documents."""
    query = (
        f"{_pair()} INSERT INTO agent_run_settlement ({_columns(Settlement)})"  # noqa: S608
        f" VALUES ({_marks(Settlement)}) RETURNING true"
    )
    _one(query, [*_values(decision), *_values(receipt), *_values(settlement)])


def update_settlement(settlement: Settlement, decision: DecisionRecord, receipt: SettlementReceipt) -> None:
    """Write what a phase has decided about a settlement, whose row the caller has locked, with its pair."""
    query = (
        f"{_pair()} UPDATE agent_run_settlement SET {_assignments(Settlement, RESOLUTION)}"  # noqa: S608
        " WHERE id = %s AND tenant_id = %s RETURNING true"
    )
    values = _values(settlement, RESOLUTION)
    _one(query, [*_values(decision), *_values(receipt), *values, settlement.pk, settlement.tenant_id])


def update_dispute_columns(settlement: Settlement) -> None:
    """Write what a settlement mirrors of its latest dispute; the caller has locked its row."""
    query = (
        f"UPDATE agent_run_settlement SET {_assignments(Settlement, DISPUTE)}"  # noqa: S608
        " WHERE id = %s AND tenant_id = %s RETURNING true"
    )
    _one(query, [*_values(settlement, DISPUTE), settlement.pk, settlement.tenant_id])


def insert_once(row: models.Model, *, target: str) -> bool:
    """Add a row; False where one with the same `target` columns is there, and nothing is added then."""
    model = type(row)
    query = (
        f'INSERT INTO "{model._meta.db_table}" ({_columns(model)}) VALUES ({_marks(model)})'  # noqa: S608
        f" ON CONFLICT ({target}) DO NOTHING RETURNING true"
    )
    return bool(_one(query, _values(row)))


# --- Composing --------------------------------------------------------------------------------------
@lru_cache(maxsize=8)
def _columns(model: type[models.Model]) -> str:
    return ", ".join(f'"{field.column}"' for field in model._meta.concrete_fields)


@lru_cache(maxsize=8)
def _marks(model: type[models.Model]) -> str:
    return ", ".join(["%s"] * len(model._meta.concrete_fields))


@lru_cache(maxsize=8)
def _assignments(model: type[models.Model], names: tuple[str, ...]) -> str:
    return ", ".join(f'"{field.column}" = %s' for field in _fields(model, names))


def _fields(model: type[models.Model], names: Iterable[str]) -> list[Any]:
    return [model._meta.get_field(name) for name in names]


@lru_cache(maxsize=1)
def _pair() -> str:
    return (
        f"WITH decision AS (INSERT INTO decision_record ({_columns(DecisionRecord)})"  # noqa: S608
        f" VALUES ({_marks(DecisionRecord)})), receipt AS (INSERT INTO settlement_receipt"
        f" ({_columns(SettlementReceipt)}) VALUES ({_marks(SettlementReceipt)}))"
    )


def _values(row: models.Model, names: Iterable[str] | None = None) -> list[Any]:
    fields = row._meta.concrete_fields if names is None else _fields(type(row), names)
    return [field.get_db_prep_save(getattr(row, field.attname), connection=connection) for field in fields]


def _one(query: str, parameters: list[Any]) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        row = cursor.fetchone()
    return None if row is None else row[0]
