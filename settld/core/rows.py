"""Reading rows by a plain condition, and changing one, without building the query anew each time.

The ORM composes its SQL on every call, which costs more than a small read itself. For the few reads that
every money call makes, the column list is composed once and rows become the same model instances.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar

from django.db import connection, models

M = TypeVar("M", bound=models.Model)
N = TypeVar("N", bound=models.Model)


def first(model: type[M], where: str, parameters: Sequence[Any]) -> M | None:
    """Give the first row that meets a condition, or None.

    `where` is SQL of the caller's own, from the condition on (ORDER BY and FOR UPDATE may follow), with
    the table's columns by name; values come in `parameters` only.
    """
    columns, *_ = _plan(model)
    table = model._meta.db_table
    row = _one(f'SELECT {columns} FROM "{table}" AS own WHERE {where}', parameters)  # noqa: S608
    return None if row is None else _instance(model, row)


def every(model: type[M], where: str, parameters: Sequence[Any]) -> list[M]:
    """Give the rows that meet a condition; otherwise as `first`."""
    columns, *_ = _plan(model)
    with connection.cursor() as cursor:
        cursor.execute(
            f'SELECT {columns} FROM "{model._meta.db_table}" AS own WHERE {where}',  # noqa: S608
            parameters,
        )
        found = cursor.fetchall()
    return [_instance(model, row) for row in found]


def first_after(
    model: type[M], before: str, where: str, parameters: Sequence[Any]
) -> tuple[tuple[Any, ...], M | None]:
    """Evaluate expressions and then give the first row that meets a condition, in one round trip.

    `before` lists them as in a SELECT; they are evaluated once, before any row is looked for or locked, and
    their values are given beside the row.
    """
    columns, names, _ = _plan(model)
    row = _one(
        f"WITH b AS MATERIALIZED (SELECT {before}) SELECT own.*, b.* FROM b LEFT JOIN LATERAL"  # noqa: S608
        f' (SELECT {columns} FROM "{model._meta.db_table}" AS own WHERE {where}) AS own ON true',
        parameters,
    )
    if row is None:
        raise LookupError("the expressions gave nothing")
    values = tuple(row[len(names) :])
    return values, None if row[0] is None else _instance(model, row[: len(names)])


def changed(model: type[M], change: str, parameters: Sequence[Any]) -> M | None:
    """Change one row and give it as it is stored afterwards, or None where no row met the condition.

    `change` is what follows the table in an UPDATE: SET ... WHERE ..., SQL of the caller's own.
    """
    columns, *_ = _plan(model)
    row = _one(f'UPDATE "{model._meta.db_table}" {change} RETURNING {columns}', parameters)
    return None if row is None else _instance(model, row)


def first_with(
    model: type[M], where: str, other: type[N], beside: str, parameters: Sequence[Any]
) -> tuple[M, N | None] | None:
    """Give the first row that meets a condition and, in the same round trip, one row that belongs to it.

    `beside` is the condition on the other table; `own` names the row that was found.
    """
    columns, names, _ = _plan(model)
    others, *_ = _plan(other)
    row = _one(
        f'SELECT own.*, other.* FROM (SELECT {columns} FROM "{model._meta.db_table}" AS own'  # noqa: S608
        f' WHERE {where}) AS own LEFT JOIN LATERAL (SELECT {others} FROM "{other._meta.db_table}"'
        f" WHERE {beside}) AS other ON true",
        parameters,
    )
    if row is None:
        return None
    left, right = row[: len(names)], row[len(names) :]
    return _instance(model, left), None if right[0] is None else _instance(other, right)


def first_beside(
    model: type[M], where: str, beside: str, parameters: Sequence[Any]
) -> tuple[M, tuple[Any, ...]] | None:
    """Give the first row that meets a condition, with the values of expressions about it (`own`).

    Values are as the driver gives them: JSON is text. Parameters of `where` come last.
    """
    columns, names, _ = _plan(model)
    row = _one(
        f'SELECT own.*, {beside} FROM (SELECT {columns} FROM "{model._meta.db_table}" AS own'  # noqa: S608
        f" WHERE {where}) AS own",
        parameters,
    )
    if row is None:
        return None
    return _instance(model, row[: len(names)]), tuple(row[len(names) :])


def _one(query: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        row: tuple[Any, ...] | None = cursor.fetchone()
    return row


def _instance(model: type[M], row: Sequence[Any]) -> M:
    _, names, converters = _plan(model)
    values = list(row)
    for at, convert in converters:
        values[at] = convert(values[at])
    return model.from_db(connection.alias, names, values)


@lru_cache(maxsize=64)
def _plan(model: type[models.Model]) -> tuple[str, list[str], list[tuple[int, Any]]]:
    fields = model._meta.concrete_fields
    columns = ", ".join(f'"{field.column}"' for field in fields)
    converters = []
    for at, field in enumerate(fields):
        for convert in field.get_db_converters(connection):
            converters.append((at, lambda value, convert=convert: convert(value, None, connection)))
    return columns, [field.attname for field in fields], converters
