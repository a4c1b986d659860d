"""Opening transactions, and what must be the last thing in them.

The backend opens every transaction with a lock timeout of ten seconds: a lock that does not come
raises OperationalError (lock_not_available), which the API renders as a refusal to retry.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import connection, transaction

_last_words: ContextVar[list[Callable[[], object]] | None] = ContextVar("last_words", default=None)


@contextmanager
def atomic(*, durable: bool = False) -> Iterator[None]:
    """Run one transaction; `durable` refuses to be nested, so what returns is committed.

    Nested use joins the outer transaction. What was given to `before_commit` runs at the end of the
    outermost one, inside it.
    """
    if _last_words.get() is not None and connection.in_atomic_block:
        with transaction.atomic(durable=durable):
            yield
        return
    token = _last_words.set([])
    try:
        with transaction.atomic(durable=durable):
            yield
            for write in _last_words.get() or []:
                write()
    finally:
        _last_words.reset(token)


@contextmanager
def joined() -> Iterator[None]:
    """Join the transaction that a caller opened with `atomic`, or open one; joining costs no savepoint.

    A refusal raised inside then undoes the caller's whole transaction, so it must leave the caller too.
    """
    if _last_words.get() is not None and connection.in_atomic_block:
        yield
    else:
        with atomic():
            yield


def before_commit(write: Callable[[], object]) -> None:
    """Do a write as the transaction's last act, so that the rows it locks are locked briefly."""
    waiting = _last_words.get()
    if waiting is None or not connection.in_atomic_block:
        write()
    else:
        waiting.append(write)


def require_no_transaction() -> None:
    """Refuse to talk to a provider while a transaction holds locks; a test's own frame does not count."""
    if not all(getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
        raise RuntimeError("a provider call inside a transaction would hold locks across the network")
