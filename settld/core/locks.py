"""Advisory locks: inside a transaction, or for a whole run on a connection of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, connections


def advisory_xact(key: str) -> None:
    """Wait for a lock that the open transaction holds until it ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])


@contextmanager
def session_advisory(key: str) -> Iterator[bool]:
    """Try a lock for the length of a run, on a dedicated connection; yields whether we hold it.

    The lock is `pg_try_advisory_lock(hashtext(key))`, so other programs can meet us on it. It dies
    with the connection, so a killed run never blocks the next one.
    """
    dedicated = connections["default"].copy()
    try:
        with dedicated.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [key])
            acquired = bool(cursor.fetchone()[0])
        try:
            yield acquired
        finally:
            if acquired:
                with dedicated.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [key])
    finally:
        dedicated.close()
