"""Inserting what another transaction may be inserting, too, and changing what another may have (section 0).

A unique violation would abort the transaction, and an untargeted conflict clause would swallow a collision
with quite another row. So every such insert names the one unique index that it may meet.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection, models

from settld.core import rows


def insert_once(row: models.Model, *, target: Sequence[str], where: str = "") -> bool:
    """Insert a row unless one with the same target columns exists; True if it was ours and has its id.

    `target` names fields of one unique index, `where` the predicate of a partial one, in SQL. Waits for a
    concurrent insert of the same key to end. The caller reads the other row when the answer is False.
    """
    model = type(row)
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    values = [field.get_db_prep_save(field.pre_save(row, add=True), connection) for field in fields]
    on = ", ".join(f'"{model._meta.get_field(name).column}"' for name in target)  # type: ignore[union-attr]
    predicate = f" WHERE {where}" if where else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{model._meta.db_table}" ({columns})'  # noqa: S608  (names of our own columns)
            f" VALUES ({', '.join(['%s'] * len(fields))})"
            f" ON CONFLICT ({on}){predicate} DO NOTHING RETURNING id",
            values,
        )
        found = cursor.fetchone()
    if found is None:
        return False
    row.pk = found[0]
    row._state.adding, row._state.db = False, connection.alias
    return True


def compare_and_set(row: models.Model, *, expected: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
    """Change the stored row if it still holds what is expected; True if so, and it is read back into `row`.

    Otherwise nothing is written, and `row` is read again. Both name fields; what is expected is never NULL.
    """
    model = type(row)
    of_name = {field.name: field for field in model._meta.concrete_fields}

    def named(values: Mapping[str, Any], between: str) -> tuple[str, list[Any]]:
        parts = between.join(f'"{of_name[name].column}" = %s' for name in values)
        return parts, [of_name[name].get_db_prep_save(value, connection) for name, value in values.items()]

    settings, new = named(changes, ", ")
    condition, old = named({"id": row.pk, **expected}, " AND ")
    stored = rows.changed(model, f"SET {settings} WHERE {condition}", [*new, *old])
    if stored is None:
        row.refresh_from_db()
        return False
    for field in model._meta.concrete_fields:
        setattr(row, field.attname, getattr(stored, field.attname))
    return True
