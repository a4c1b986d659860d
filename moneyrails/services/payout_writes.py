"""The one statement that makes a payout: outcome, counter and operation, or nothing of them.

Each step takes its input from the one before. An outcome that another request wrote first, a counter
without room, a rival operation of the same period: the later steps then insert nothing, and the answer
says which step it was. The counter is touched late in the transaction, so the hot row is held briefly.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db import connection, models

from moneyrails.models import Operation, PayoutOutcome
from settld.core import ids


@dataclass(frozen=True)
class Written:
    """Which of the three rows came to be."""

    is_ours: bool
    has_room: bool
    is_made: bool


@lru_cache(maxsize=4)
def _columns(model: type[models.Model]) -> str:
    return ", ".join(f'"{field.column}"' for field in model._meta.concrete_fields)


def _given(model: type[models.Model]) -> str:
    """Read a row out of one JSON parameter, with the types of its table."""
    return f"jsonb_populate_record(NULL::{model._meta.db_table}, %s::jsonb) AS given"


def _row(row: models.Model) -> str:
    """Write a row as one parameter: psycopg keeps no statement of more than fifty."""
    values = {field.column: getattr(row, field.attname) for field in row._meta.concrete_fields}
    return json.dumps(values, default=str)  # ids and instants, which PostgreSQL reads as they print


@lru_cache(maxsize=1)
def _statement() -> str:
    outcome, operation = _columns(PayoutOutcome), _columns(Operation)
    return f"""
WITH won AS (
  INSERT INTO payout_outcome ({outcome}) SELECT {outcome} FROM {_given(PayoutOutcome)}
  WHERE NOT %s::boolean ON CONFLICT DO NOTHING RETURNING id
), ours AS (
  SELECT id FROM won UNION ALL SELECT NULL::uuid WHERE %s::boolean
), counted AS (
  INSERT INTO exposure_counter AS counter
    (id, tenant_id, provider_mode, day_key, amount_cents, operation_count)
  SELECT %s::uuid, %s::text, %s::text, %s::text, %s::bigint, 1 FROM ours
  WHERE %s::bigint IS NULL OR %s::bigint <= %s::bigint
  ON CONFLICT (tenant_id, provider_mode, day_key) DO UPDATE
    SET amount_cents = counter.amount_cents + EXCLUDED.amount_cents,
        operation_count = counter.operation_count + 1
    WHERE %s::bigint IS NULL OR counter.amount_cents + EXCLUDED.amount_cents <= %s::bigint
  RETURNING counter.id
), made AS (
  INSERT INTO money_rail_operation ({operation})
  SELECT {", ".join(f"given.{name.strip()}" for name in operation.split(","))}
  FROM counted CROSS JOIN {_given(Operation)}
  ON CONFLICT DO NOTHING RETURNING id
)
SELECT EXISTS (SELECT 1 FROM ours), EXISTS (SELECT 1 FROM counted), EXISTS (SELECT 1 FROM made)
"""  # noqa: S608  (column names come from the models)


def write_operation(
    outcome: PayoutOutcome,
    operation: Operation,
    *,
    day_key: str,
    limit_cents: int | None,
    is_outcome_ours: bool,
) -> Written:
    """Write a payout if its key is free, the day has room and the period no rival.

    When `is_ours` comes back false nothing was written and the earlier outcome is visible. When only
    `has_room` is false the outcome stands, for a second try with `is_outcome_ours` or a rollback.
    """
    amount, limit = operation.amount_cents, limit_cents or None
    parameters: list[Any] = [
        _row(outcome), is_outcome_ours, is_outcome_ours,
        ids.uuid7(), operation.tenant_id, operation.provider_mode, day_key, amount,
        limit, amount, limit, limit, limit,
        _row(operation),
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_statement(), parameters)
        return Written(*cursor.fetchone())


def write_offset(outcome: PayoutOutcome) -> bool:
    """Write the outcome of a payout that went into a debt entirely; False when the key is taken."""
    names, given = _columns(PayoutOutcome), _given(PayoutOutcome)
    query = f"INSERT INTO payout_outcome ({names}) SELECT {names} FROM {given} ON CONFLICT DO NOTHING"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(query, [_row(outcome)])
        return int(cursor.rowcount) == 1
