"""Adding to a month's stream."""

import datetime as dt
from typing import Any

from settld.core import ids
from settld.core.principals import Actor
from settld.core.signatures import sign_hash
from settld.ledger import queries
from settld.ledger.models import MonthClose, MonthEvent


def append(
    *, month: MonthClose, event_type: str, payload: dict[str, Any], actor: Actor, at: dt.datetime
) -> MonthEvent:
    """Add an event after the last one and note it on the month, which the caller has locked and saves."""
    last = queries.events(tenant_id=month.tenant_id, stream_id=month.stream_id).last()
    event = MonthEvent(
        tenant_id=month.tenant_id,
        stream_id=month.stream_id,
        seq=last.seq + 1 if last else 1,
        event_id=f"evt_{ids.uuid7().hex}",
        type=event_type,
        at=at,
        actor={"type": "principal", "id": actor.principal_id},
        payload=payload,
        prev_chain_hash=last.chain_hash if last else None,
    )
    event.payload_hash = queries.payload_hash(event)
    event.chain_hash = queries.chain_hash(event)
    signature = sign_hash(event.chain_hash)
    event.signature_key_id, event.signature_base64 = signature.key_id, signature.signature_base64
    event.save(force_insert=True)
    month.last_event_id, month.last_chain_hash = event.event_id, event.chain_hash
    return event
