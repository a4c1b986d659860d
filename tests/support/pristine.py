"""Bring a test database back to what the migrations left, after a test that committed for real."""

import dataclasses

import psycopg
from psycopg import sql

from tests.support.servers import admin_connection


@dataclasses.dataclass(frozen=True)
class Pristine:
    """Every table of a freshly migrated database, with the rows that migrations put into some."""

    database: str
    tables: tuple[str, ...]
    rows: dict[str, bytes]


def remember(database: str) -> Pristine:
    """Take the snapshot; call before any test has written."""
    with admin_connection(database) as connection:
        tables = _tables(connection)
        filled = {name: _copy_out(connection, name) for name in _filled(connection, tables)}
        return Pristine(database, tables, filled)


def restore(pristine: Pristine) -> None:
    """Delete what tests committed and put the migrations' rows back as they were.

    As superuser in replica mode: no trigger, no foreign key and no policy stands in the way of
    append-only tables. A connection that a test left inside a transaction is ended first.
    """
    with admin_connection(pristine.database) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND state LIKE 'idle in transaction%'"
        )
        with connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")
            connection.execute("SET LOCAL lock_timeout = '20s'")
            for name in sorted({*_filled(connection, pristine.tables), *pristine.rows}):
                if pristine.rows.get(name) == _copy_out(connection, name):
                    continue
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
                if name in pristine.rows:
                    _copy_in(connection, name, pristine.rows[name])


def _tables(connection: psycopg.Connection) -> tuple[str, ...]:
    rows = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname"
    ).fetchall()
    return tuple(row[0] for row in rows if row[0] != "django_migrations")


def _filled(connection: psycopg.Connection, tables: tuple[str, ...]) -> list[str]:
    """The tables that hold a row, asked in one round trip."""
    if not tables:
        return []
    parts = [
        sql.SQL("SELECT {} WHERE EXISTS (SELECT 1 FROM {})").format(sql.Literal(name), sql.Identifier(name))
        for name in tables
    ]
    return [row[0] for row in connection.execute(sql.SQL(" UNION ALL ").join(parts)).fetchall()]


def _copy_out(connection: psycopg.Connection, table: str) -> bytes:
    statement = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(
        _columns(connection, table), sql.Identifier(table)
    )
    with connection.cursor().copy(statement) as copy:
        return b"".join(copy)


def _copy_in(connection: psycopg.Connection, table: str, data: bytes) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), _columns(connection, table))
    with connection.cursor().copy(statement) as copy:
        copy.write(data)


def _columns(connection: psycopg.Connection, table: str) -> sql.Composed:
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 "
        "AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
        [f'public."{table}"'],
    ).fetchall()
    return sql.SQL(", ").join(sql.Identifier(row[0]) for row in rows)
