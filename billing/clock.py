"""The clock of leases and deadlines: the database's, so that all processes agree (spec ruling 14)."""

import datetime as dt

from settld.core import clock


def now() -> dt.datetime:
    """Read the database's clock, cut to the millisecond that the wire can carry; tests may stop it."""
    instant = clock.now() if clock.is_frozen() else clock.db_now()
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
