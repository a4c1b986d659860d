"""One short transaction, begun again when the database asks for it (section 0)."""

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from django.db import OperationalError

from billing.services import rehearsal
from settld.core import tenancy, transactions

RETRIED: Final = frozenset({"40P01", "40001", "55P03"})  # deadlock, serialization failure, lock timeout
MOST_ATTEMPTS: Final = 4
T = TypeVar("T")
pause = time.sleep  # tests take the time out of it


def retried(*, tenant_id: str, work: Callable[[], T]) -> T:
    """Run `work` in one durable transaction of the tenant's scope; what returns is committed.

    A deadlock, a serialization failure or a lock that did not come begins the whole transaction again, three
    times at most; so `work` reads afresh everything that it decides by. The last failure leaves as
    OperationalError.
    """
    for attempt in range(1, MOST_ATTEMPTS + 1):
        try:
            with tenancy.tenant_scope(tenant_id), transactions.atomic(durable=True):
                done = work()
                rehearsal.end(done, tenant_id=tenant_id)
                return done
        except rehearsal.Rehearsed as undone:
            result: T = undone.result
            return result
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in RETRIED or attempt == MOST_ATTEMPTS:
                raise
            pause(random.uniform(0.01, 0.05) * attempt)  # noqa: S311  (spreads load only)
    raise AssertionError("the last attempt returns or raises")
