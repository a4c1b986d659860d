"""The one read that a payout is decided on, under the shared lock of the tenant's controls."""

import datetime as dt
import uuid
from dataclasses import dataclass

from django.db import connection

from moneyrails.models import MoneyRailControls, PayoutOutcome
from settld.core import ids

_FACTS = """
SELECT controls.*,
  (SELECT outcome.id FROM payout_outcome outcome
    WHERE outcome.tenant_id = controls.tenant_id AND outcome.payout_key = %s) AS outcome_id,
  (SELECT rival.operation_id FROM money_rail_operation rival
    WHERE rival.tenant_id = controls.tenant_id AND rival.party_id = %s AND rival.period = %s
      AND rival.direction = 'payout' AND rival.state NOT IN ('failed', 'cancelled')
      AND rival.payout_key <> %s) AS rival_operation_id,
  EXISTS (SELECT 1 FROM payout_outcome spent
    WHERE spent.tenant_id = controls.tenant_id AND spent.party_id = %s AND spent.period = %s
      AND spent.kind = 'offset' AND spent.payout_key <> %s) AS has_rival_offset,
  (SELECT counter.amount_cents FROM exposure_counter counter
    WHERE counter.tenant_id = controls.tenant_id AND counter.provider_mode = %s
      AND counter.day_key = %s) AS exposure_cents
FROM money_rail_controls controls
WHERE controls.tenant_id = %s
FOR SHARE OF controls
"""
_MAKE_CONTROLS = """
INSERT INTO money_rail_controls
  (id, tenant_id, real_money_enabled, payout_kill_switch, has_connect, connect_enabled,
   has_chargeback_policy, chargeback_enabled, negative_balance_mode, created_at)
VALUES (%s, %s, false, false, true, false, true, false, 'hold', %s)
ON CONFLICT (tenant_id) DO NOTHING
"""


@dataclass(frozen=True)
class PayoutFacts:
    """What the database knows that bears on one payout key."""

    controls: MoneyRailControls
    outcome_id: uuid.UUID | None
    rival_operation_id: str | None
    has_rival_offset: bool
    exposure_cents: int


def read(
    *,
    tenant_id: str,
    payout_key: str,
    party_id: str,
    period: str,
    provider_mode: str,
    day_key: str,
    now: dt.datetime,
) -> PayoutFacts:
    """Lock the controls shared and read everything else beside them: one round trip.

    Until the caller's transaction ends nobody changes the controls. A tenant that has no row gets one
    with the defaults, so that a later change waits for us too.
    """
    names = [payout_key, party_id, period, payout_key, party_id, period, payout_key]
    rows = list(MoneyRailControls.objects.raw(_FACTS, [*names, provider_mode, day_key, tenant_id]))
    if not rows:
        make_controls(tenant_id=tenant_id, now=now)
        rows = list(MoneyRailControls.objects.raw(_FACTS, [*names, provider_mode, day_key, tenant_id]))
    row = rows[0]
    return PayoutFacts(
        controls=row,
        outcome_id=getattr(row, "outcome_id"),  # noqa: B009  (columns of the query, not of the model)
        rival_operation_id=getattr(row, "rival_operation_id"),  # noqa: B009
        has_rival_offset=getattr(row, "has_rival_offset"),  # noqa: B009
        exposure_cents=getattr(row, "exposure_cents") or 0,  # noqa: B009
    )


def make_controls(*, tenant_id: str, now: dt.datetime) -> None:
    """Make the tenant's row with the defaults, unless there is one."""
    with connection.cursor() as cursor:
        cursor.execute(_MAKE_CONTROLS, [ids.uuid7(), tenant_id, now])


def lock_controls(*, tenant_id: str, now: dt.datetime, exclusively: bool = False) -> MoneyRailControls:
    """Lock the tenant's controls until commit: shared to send money, exclusively to change a rule."""
    strength = "UPDATE" if exclusively else "SHARE"
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
