"""The one read that a payout is decided on, under the shared lock of the tenant's controls."""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import connection

from moneyrails.models import MoneyRailControls, PayoutOutcome
from settld.core import ids

_COLUMNS = tuple(str(field.column) for field in MoneyRailControls._meta.concrete_fields)
_FACTS = f"""
SELECT {", ".join(f"controls.{column}" for column in _COLUMNS)},
  (SELECT jsonb_object_agg(outcome.payout_key, outcome.kind) FROM payout_outcome outcome
    WHERE outcome.tenant_id = controls.tenant_id AND outcome.party_id = %s AND outcome.period = %s),
  (SELECT jsonb_object_agg(live.payout_key, live.operation_id) FROM money_rail_operation live
    WHERE live.tenant_id = controls.tenant_id AND live.party_id = %s AND live.period = %s
      AND live.direction = 'payout' AND live.state NOT IN ('failed', 'cancelled')),
  (SELECT counter.amount_cents FROM exposure_counter counter
    WHERE counter.tenant_id = controls.tenant_id AND counter.provider_mode = %s
      AND counter.day_key = %s)
FROM money_rail_controls controls
WHERE controls.tenant_id = %s
FOR SHARE OF controls
"""  # noqa: S608  (column names come from the model)
# Row locks know no queue: sharers that keep coming would hold off a change of the rules for as long as they
# come, the kill switch too. Advisory locks are granted in order, so a change waits for the transactions
# before it only. It comes before the row's lock, in a statement of its own that the facts' snapshot follows.
_QUEUE = "SELECT pg_advisory_xact_lock{shared}(hashtextextended('money_rail_controls:' || %s, 0))"
_QUEUE_SHARED, _QUEUE_EXCLUSIVE = _QUEUE.format(shared="_shared"), _QUEUE.format(shared="")
_MAKE_CONTROLS = """
INSERT INTO money_rail_controls
  (id, tenant_id, real_money_enabled, payout_kill_switch, has_connect, connect_enabled,
   has_chargeback_policy, chargeback_enabled, negative_balance_mode, created_at)
VALUES (%s, %s, false, false, true, false, true, false, 'hold', %s)
ON CONFLICT (tenant_id) DO NOTHING
"""


T = TypeVar("T")


@dataclass(frozen=True)
class PayoutFacts:
    """What the database knows that bears on the payouts of one party and period."""

    controls: MoneyRailControls
    outcomes: dict[str, str]
    live_operations: dict[str, str]
    exposure_cents: int

    def rival_of(self, payout_key: str) -> str | None:
        """Name the live operation of another statement of the same party and period."""
        return next((name for key, name in self.live_operations.items() if key != payout_key), None)

    def has_offset_beside(self, payout_key: str) -> bool:
        """Tell whether another statement of the same party and period went into a debt entirely."""
        return any(kind == "offset" and key != payout_key for key, kind in self.outcomes.items())


@dataclass(frozen=True)
class Question:
    """Which party, period, mode and day the facts are about."""

    tenant_id: str
    party_id: str
    period: str
    provider_mode: str
    day_key: str

    def parameters(self) -> list[str]:
        """Order them as the statement takes them."""
        return [
            self.party_id, self.period, self.party_id, self.period, self.provider_mode, self.day_key,
            self.tenant_id,
        ]  # fmt: skip


def read_beside(question: Question, read: Callable[[], T], *, now: dt.datetime) -> tuple[PayoutFacts, T]:
    """Lock the controls shared and read the facts, and do one more read in the same round trip.

    Until the caller's transaction ends nobody changes the controls. A tenant that has no row gets one
    with the defaults, so that a later change waits for us too.
    """
    with connection.cursor() as queue, connection.cursor() as cursor:
        with connection.wrap_database_errors, connection.connection.pipeline():
            queue.execute(_QUEUE_SHARED, [question.tenant_id])
            cursor.execute(_FACTS, question.parameters())
            other = read()
            row = cursor.fetchone()
        if row is None:
            make_controls(tenant_id=question.tenant_id, now=now)
            cursor.execute(_FACTS, question.parameters())
            row = cursor.fetchone()
    return _facts(row), other


def read(question: Question, *, now: dt.datetime) -> PayoutFacts:
    """Lock the controls shared and read the facts; see `read_beside`."""
    return read_beside(question, lambda: None, now=now)[0]


def _facts(row: tuple[Any, ...]) -> PayoutFacts:
    width = len(_COLUMNS)
    by_name: dict[str, Any] = dict(zip(_COLUMNS, row[:width], strict=True))
    by_name["allowed_provider_ids"] = _json(by_name["allowed_provider_ids"])
    outcomes, live, exposure = row[width:]
    controls = MoneyRailControls.from_db("default", list(by_name), list(by_name.values()))
    return PayoutFacts(controls, _json(outcomes) or {}, _json(live) or {}, exposure or 0)


def _json(value: Any) -> Any:
    """Read a jsonb column of a raw cursor, which Django leaves as text."""
    return json.loads(value) if isinstance(value, str) else value


def make_controls(*, tenant_id: str, now: dt.datetime) -> None:
    """Make the tenant's row with the defaults, unless there is one."""
    with connection.cursor() as cursor:
        cursor.execute(_MAKE_CONTROLS, [ids.uuid7(), tenant_id, now])


def lock_controls(*, tenant_id: str, now: dt.datetime, exclusively: bool = False) -> MoneyRailControls:
    """Lock the tenant's controls until commit: shared to send money, exclusively to change a rule.

    A change waits for those who hold the lock, and those who come after it wait for the change.
    """
    strength = "UPDATE" if exclusively else "SHARE"
    with connection.cursor() as queue:
        queue.execute(_QUEUE_EXCLUSIVE if exclusively else _QUEUE_SHARED, [tenant_id])
    query = f"SELECT * FROM money_rail_controls WHERE tenant_id = %s FOR {strength}"  # noqa: S608
    rows = list(MoneyRailControls.objects.raw(query, [tenant_id]))
    if not rows:
        make_controls(tenant_id=tenant_id, now=now)
        rows = list(MoneyRailControls.objects.raw(query, [tenant_id]))
    return rows[0]


def outcome(*, tenant_id: str, payout_key: str) -> PayoutOutcome | None:
    """Give what became of a payout key, with its operation as it stands now."""
    return (
        PayoutOutcome.objects.filter(tenant_id=tenant_id, payout_key=payout_key)
        .select_related("operation")
        .first()
    )
