"""Opening transactions, and what must be the last thing in them.

The backend opens every transaction with a lock timeout of ten seconds: a lock that does not come
raises OperationalError (lock_not_available), which the API renders as a refusal to retry.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, connection, transaction

Explain = Callable[[DatabaseError], Exception | None]


@dataclass
class _Ending:
    """What a transaction still has to do, and who can explain a failure of what travels with COMMIT."""

    is_real: bool  # false inside a test's own transaction, where our commit commits nothing
    writes: list[Callable[[], object]] = field(default_factory=list)
    explain: list[Explain] = field(default_factory=list)


_ending: ContextVar[_Ending | None] = ContextVar("transaction_ending", default=None)


@contextmanager
def atomic(*, durable: bool = False) -> Iterator[None]:
    """Run one transaction; `durable` refuses to be nested, so what returns is committed.

    Nested use joins the outer transaction. What was given to `before_commit` runs at the end of the
    outermost one, inside it; what was given to `send_with_commit` is sent with its COMMIT.
    """
    outer = _ending.get()
    if outer is not None and connection.in_atomic_block:
        staged = len(outer.writes)
        try:
            with transaction.atomic(durable=durable):
                yield
        except BaseException:
            del outer.writes[staged:]  # what was undone must not be spoken of at the end
            raise
        return
    ending = _Ending(is_real=not connection.in_atomic_block)
    token = _ending.set(ending)
    try:
        with transaction.atomic(durable=durable):
            yield
            for write in ending.writes:
                write()
    except DatabaseError as error:
        for explain in ending.explain:
            if (refusal := explain(error)) is not None:
                raise refusal from error
        raise
    finally:
        _ending.reset(token)


@contextmanager
def snapshot() -> Iterator[None]:
    """Let several statements read the rows as of one instant; nothing can be written, and none may be open.

    Inside a test's own transaction, where nobody else writes, it is that transaction.
    """
    with transaction.atomic(durable=True):
        connection.begin_as_snapshot()  # type: ignore[attr-defined]  # our backend's
        yield


@contextmanager
def joined() -> Iterator[None]:
    """Join the transaction that a caller opened with `atomic`, or open one; joining costs no savepoint.

    A refusal raised inside then undoes the caller's whole transaction, so it must leave the caller too.
    """
    if _ending.get() is not None and connection.in_atomic_block:
        yield
    else:
        with atomic():
            yield


def before_commit(write: Callable[[], object]) -> None:
    """Do a write as the transaction's last act, so that the rows it locks are locked briefly."""
    ending = _ending.get()
    if ending is None or not connection.in_atomic_block:
        write()
    else:
        ending.writes.append(write)


def send_with_commit(query: str, params: Sequence[Any], *, explain: Explain | None = None) -> None:
    """Send a write whose result nobody needs in one message with COMMIT, or at once where that cannot be.

    The rows that it locks are then locked for no round trip of ours. `explain` turns a failure of the
    write into a refusal, or gives None for a failure of something else.
    """
    ending = _ending.get()
    if ending is not None and explain is not None:
        ending.explain.append(explain)
    if ending is not None and ending.is_real and len(connection.savepoint_ids) == 0:
        connection.send_with_commit(query, params)  # type: ignore[attr-defined]  # our backend's
        return
    with connection.cursor() as cursor:
        cursor.execute(query, params)


def explain_failure(explain: Explain) -> None:
    """Turn a failure of the open transaction, also one that comes with COMMIT, into a refusal.

    `explain` gives None for a failure of something else.
    """
    ending = _ending.get()
    if ending is not None and explain not in ending.explain:
        ending.explain.append(explain)


def require_no_transaction() -> None:
    """Refuse to talk to a provider while a transaction holds locks; a test's own frame does not count."""
    if not all(getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
        raise RuntimeError("a provider call inside a transaction would hold locks across the network")
