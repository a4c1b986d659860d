"""What the database itself refuses as settlements, holds and reservations change."""

from typing import Final

import pgtrigger


def _frozen(name: str, *, when: str, columns: str, rule: str, message: str) -> pgtrigger.Trigger:
    old, new = (", ".join(f"{side}.{column}" for column in columns.split()) for side in ("OLD", "NEW"))
    return pgtrigger.Trigger(
        name=name,
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        func=f"""
IF {when} AND ROW({old}) IS DISTINCT FROM ROW({new}) THEN
  RAISE EXCEPTION '{message}' USING ERRCODE = 'check_violation', CONSTRAINT = '{rule}';
END IF;
RETURN NEW;
""",
    )


SETTLEMENT_TERMS: Final = _frozen(
    "settlement_terms",
    when="TRUE",
    columns="settlement_id run_id agent_id payer_agent_id amount_cents currency locked_at",
    rule="settlement_terms_fixed",
    message="the terms of a settlement never change",
)
SETTLEMENT_ONCE: Final = _frozen(
    "settlement_resolved",
    when="OLD.status <> 'locked'",
    columns="status released_cents refunded_cents release_rate_pct resolved_at resolution_event_id"
    " dispute_window_ends_at receipt_id",
    rule="settlement_resolved_once",
    message="a settlement is resolved once",
)
HOLD_TERMS: Final = _frozen(
    "hold_terms",
    when="TRUE",
    columns="hold_hash agreement_hash receipt_hash payer_agent_id payee_agent_id amount_cents held_cents"
    " currency window_ends_at",
    rule="hold_terms_fixed",
    message="the terms of a hold never change",
)
HOLD_ONCE: Final = _frozen(
    "hold_resolved",
    when="OLD.status <> 'held'",
    columns="status resolved_at",
    rule="hold_resolved_once",
    message="a hold is resolved once",
)
RESERVATION_MOVES: Final = pgtrigger.Trigger(
    name="reservation_moves",
    when=pgtrigger.Before,
    operation=pgtrigger.Update,
    func="""
IF ROW(OLD.operation_id, OLD.agent_id, OLD.amount_cents, OLD.recovery_cents, OLD.currency)
   IS DISTINCT FROM ROW(NEW.operation_id, NEW.agent_id, NEW.amount_cents, NEW.recovery_cents, NEW.currency)
   OR (OLD.state <> NEW.state
       AND (OLD.state, NEW.state) NOT IN (('reserved', 'committed'), ('reserved', 'released'),
                                          ('committed', 'returned'))) THEN
  RAISE EXCEPTION 'a reservation goes from reserved to committed or released, and from committed to returned'
    USING ERRCODE = 'check_violation', CONSTRAINT = 'payout_reservation_moves';
END IF;
RETURN NEW;
""",
)
