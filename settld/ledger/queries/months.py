"""Reading periods and their events."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from settld.core import clock, signatures
from settld.core.hashing import canonical_hash
from settld.ledger.models import MonthClose, MonthEvent


def find_month(*, tenant_id: str, month: str, basis: str = "settledAt") -> MonthClose | None:
    """Give the month's row, whether or not its close was ever requested."""
    return MonthClose.objects.filter(tenant_id=tenant_id, month=month, basis=basis).first()


def events(*, tenant_id: str, stream_id: str) -> QuerySet[MonthEvent]:
    """List a stream's events in order."""
    return MonthEvent.objects.filter(tenant_id=tenant_id, stream_id=stream_id).order_by("seq")


def find_event(*, tenant_id: str, event_id: str | None) -> MonthEvent | None:
    """Give one event."""
    return MonthEvent.objects.filter(tenant_id=tenant_id, event_id=event_id).first() if event_id else None


@dataclass(frozen=True)
class StreamProof:
    """Where a stream stood at one event: what documents say about the events they rest on."""

    source_event_id: str
    at_chain_hash: str
    event_count: int
    signer_key_ids: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Shape it as `eventProof`."""
        return {
            "lastChainHash": self.at_chain_hash,
            "eventCount": self.event_count,
            "signatures": {
                "signedEventCount": self.event_count,
                "signerKeyIds": list(self.signer_key_ids),
            },
        }


def proof_at(event: MonthEvent) -> StreamProof:
    """Tell where a stream stood when this event was its last; every event of it is signed."""
    stream = events(tenant_id=event.tenant_id, stream_id=event.stream_id).filter(seq__lte=event.seq)
    key_ids = sorted(set(stream.values_list("signature_key_id", flat=True)))
    return StreamProof(
        source_event_id=event.event_id,
        at_chain_hash=event.chain_hash,
        event_count=event.seq,
        signer_key_ids=tuple(key_ids),
    )


@dataclass(frozen=True)
class ChainVerdict:
    """What walking a stream found; `first_bad_seq` is where it breaks first."""

    ok: bool
    event_count: int
    first_bad_seq: int | None = None
    reason: str | None = None


def verify_chain(*, tenant_id: str, stream_id: str) -> ChainVerdict:
    """Walk a stream: no event changed, missing or added, each signed when our key can tell."""
    previous: str | None = None
    count = 0
    for event in events(tenant_id=tenant_id, stream_id=stream_id).iterator(chunk_size=500):
        count += 1
        reason = _fault(event, seq=count, previous=previous)
        if reason:
            return ChainVerdict(ok=False, event_count=count, first_bad_seq=count, reason=reason)
        previous = event.chain_hash
    return ChainVerdict(ok=True, event_count=count)


def payload_hash(event: MonthEvent) -> str:
    """Compute what covers the event itself."""
    return canonical_hash(
        {
            "v": 1,
            "id": event.event_id,
            "streamId": event.stream_id,
            "type": event.type,
            "at": clock.iso(event.at),
            "actor": event.actor,
            "payload": event.payload,
        }
    )


def chain_hash(event: MonthEvent) -> str:
    """Compute what covers the event and all before it."""
    return canonical_hash({"v": 1, "prevChainHash": event.prev_chain_hash, "payloadHash": event.payload_hash})


def _fault(event: MonthEvent, *, seq: int, previous: str | None) -> str | None:
    if event.seq != seq:
        return "event_missing"
    if event.prev_chain_hash != previous:
        return "prev_chain_hash_differs"
    if payload_hash(event) != event.payload_hash:
        return "payload_changed"
    if chain_hash(event) != event.chain_hash:
        return "chain_hash_differs"
    public_key_pem = signatures.known_public_pem(event.signature_key_id)
    if public_key_pem is not None and not signatures.is_valid(
        hash_hex=event.chain_hash, signature_base64=event.signature_base64, public_key_pem=public_key_pem
    ):
        return "signature_invalid"
    return None
