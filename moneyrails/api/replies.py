"""A caller's idempotency key for verbs that own their transactions (submit, ingest)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from django.db import OperationalError
from psycopg.errors import LockNotAvailable

from moneyrails.services.replies import Replayed
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.idempotency import http
from settld.idempotency.services import records

T = TypeVar("T")


class CallerMemory(Generic[T]):
    """Recalls and keeps the reply of a request by its key; without a key it does neither."""

    def __init__(
        self, request: OpsRequest, render: Callable[[T], Json], *, query: dict[str, Any] | None = None
    ) -> None:
        self.identity = http.identity_of(request, query=query)
        self.identity_hash = self.identity.hash if self.identity else ""
        self.now = request.received_at
        self.render = render

    def recall(self) -> None:
        """Raise Replayed when the key has a reply; others with the key wait until we are done."""
        reply = records.claim(self.identity) if self.identity else None
        if reply is not None:
            raise Replayed(reply)

    def keep(self, result: T) -> None:
        """Store the answer to a result, in the transaction of its effect."""
        if self.identity is not None:
            answer = self.render(result)
            records.store(
                self.identity, status=answer.status_code, body=answer.content.decode(), now=self.now
            )


@contextmanager
def lock_timeout_means_in_progress(memory: CallerMemory[T]) -> Iterator[None]:
    """Answer a lock that did not come, for a caller with a key, as a request still in progress."""
    try:
        yield
    except OperationalError as error:
        if memory.identity is not None and isinstance(error.__cause__, LockNotAvailable):
            raise records.IdempotencyInProgress() from error
        raise


def replay(replayed: Replayed) -> Json:
    """Answer with the stored reply, byte for byte."""
    return http.replay(replayed.reply)
