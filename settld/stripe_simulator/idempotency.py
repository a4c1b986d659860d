"""Idempotency keys as Stripe keeps them: the first answer is kept for 24 hours and replayed to the byte."""

import hashlib
import json
from dataclasses import dataclass

from settld.stripe_simulator.clock import Clock
from settld.stripe_simulator.errors import StripeError
from settld.stripe_simulator.forms import Form
from settld.stripe_simulator.store import Store
from settld.stripe_simulator.wire import Answer

LIFE_SECONDS = 24 * 3600
MAX_KEY_LENGTH = 255


def fingerprint(*, method: str, path: str, form: Form) -> str:
    """What must be equal for two calls to be the same request."""
    text = json.dumps([method, path, form], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class KeyedCall:
    """One call under a key. `scope` is the account that the call acts for."""

    scope: str
    key: str
    fingerprint: str


class IdempotencyKeys:
    """Callers hold the world's lock. A key in flight is known to this process only: death frees it."""

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self._in_flight: set[tuple[str, str]] = set()

    def begin(self, call: KeyedCall) -> Answer | None:
        """The kept answer, or None: the key is now in flight and the caller must `end` it."""
        if len(call.key) > MAX_KEY_LENGTH:
            raise StripeError("Idempotency keys may have at most 255 characters", kind="idempotency_error")
        if (call.scope, call.key) in self._in_flight:
            message = (
                "Another request with this idempotency key is still in progress; "
                f"try again when it has finished: {call.key}"
            )
            raise StripeError(message, status=409, kind="idempotency_error", code="idempotency_key_in_use")
        kept = self._kept(call)
        if kept is None:
            self._in_flight.add((call.scope, call.key))
        return kept

    def _kept(self, call: KeyedCall) -> Answer | None:
        columns = "fingerprint, status, body, request_id, created"
        sql = f"SELECT {columns} FROM idempotency_keys WHERE scope = ? AND key = ?"  # noqa: S608
        row = self.store.execute(sql, (call.scope, call.key)).fetchone()
        if row is None or self.clock.now() - row[4] >= LIFE_SECONDS:
            return None
        if row[0] != call.fingerprint:
            message = (
                "Keys for idempotent requests can only be used with the parameters of the first request. "
                f"Use another key than '{call.key}' to make a different request."
            )
            raise StripeError(message, kind="idempotency_error")
        headers = {"Idempotent-Replayed": "true", "Original-Request": row[3]}
        return Answer(status=row[1], body=bytes(row[2]), headers=headers)

    def keep(self, call: KeyedCall, *, answer: Answer, request_id: str) -> None:
        """Within the transaction of the effect."""
        now = self.clock.now()
        row = (call.scope, call.key, call.fingerprint, answer.status, answer.body, request_id, now)
        self.store.execute("INSERT OR REPLACE INTO idempotency_keys VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        if self.store.bump("pruning") % 1000 == 0:
            self.store.execute("DELETE FROM idempotency_keys WHERE created <= ?", (now - LIFE_SECONDS,))

    def end(self, call: KeyedCall) -> None:
        self._in_flight.discard((call.scope, call.key))
