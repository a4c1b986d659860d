"""A run's events: hashed, chained and signed (AgentEvent.v1, kernel spec 5).

Events here are plain objects in wire order. `at` is the wire's text, so that a stored event hashes as it
was served.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from settld.core import signatures
from settld.core.canonical_json import CanonicalJsonError
from settld.core.hashing import canonical_hash

EVENT_SCHEMA: Final = "AgentEvent.v1"
_HASHED: Final = ("v", "id", "at", "streamId", "type", "actor", "payload")


def payload_hash(event: Mapping[str, Any]) -> str:
    """Hash what an event says: H({v, id, at, streamId, type, actor, payload}), no schemaVersion."""
    return canonical_hash({key: event[key] for key in _HASHED})


def chain_hash(*, payload_hash: str, prev_chain_hash: str | None) -> str:
    """Hash an event's place in its stream: H({v, prevChainHash, payloadHash}); null before the first."""
    return canonical_hash({"v": 1, "prevChainHash": prev_chain_hash, "payloadHash": payload_hash})


def agent_actor(agent_id: str) -> dict[str, str]:
    """Give the actor of an event where the caller names none."""
    return {"type": "agent", "id": agent_id}


def sealed(
    *,
    event_id: str,
    at: str,
    run_id: str,
    event_type: str,
    actor: Mapping[str, Any],
    payload: Mapping[str, Any],
    prev_chain_hash: str | None,
) -> dict[str, Any]:
    """Make an AgentEvent.v1: hashed, chained after `prev_chain_hash`, signed with the server's key.

    `at` is an ISO instant as `clock.iso` writes it. The signature is over the 32 raw bytes of payloadHash.
    Raises CanonicalJsonError when actor or payload have no canonical form.
    """
    event: dict[str, Any] = {
        "schemaVersion": EVENT_SCHEMA,
        "v": 1,
        "id": event_id,
        "at": at,
        "streamId": run_id,
        "type": event_type,
        "actor": dict(actor),
        "payload": dict(payload),
    }
    event["payloadHash"] = payload_hash(event)
    event["prevChainHash"] = prev_chain_hash
    event["chainHash"] = chain_hash(payload_hash=event["payloadHash"], prev_chain_hash=prev_chain_hash)
    signature = signatures.sign_hash(event["payloadHash"])
    event["signature"] = signature.signature_base64
    event["signerKeyId"] = signature.key_id
    return event


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """What walking a stream found; `first_bad` counts from 1 and is None when all is well."""

    ok: bool
    event_count: int
    first_bad: int | None = None
    reason: str | None = None


def check(events: Iterable[Mapping[str, Any]]) -> ChainCheck:
    """Walk a stream in order: nothing changed, missing or added, everything signed by a key of this server.

    Reasons: payload_hash_mismatch, prev_chain_hash_mismatch, chain_hash_mismatch, signer_unknown,
    signature_invalid.
    """
    previous: str | None = None
    count = 0
    for event in events:
        count += 1
        reason = _fault(event, previous)
        if reason is not None:
            return ChainCheck(ok=False, event_count=count, first_bad=count, reason=reason)
        previous = event["chainHash"]
    return ChainCheck(ok=True, event_count=count)


def _fault(event: Mapping[str, Any], previous: str | None) -> str | None:
    try:
        hashed = payload_hash(event)
    except CanonicalJsonError:
        hashed = ""
    if event["payloadHash"] != hashed:
        return "payload_hash_mismatch"
    if event["prevChainHash"] != previous:
        return "prev_chain_hash_mismatch"
    if event["chainHash"] != chain_hash(payload_hash=hashed, prev_chain_hash=previous):
        return "chain_hash_mismatch"
    pem = signatures.known_public_pem(event["signerKeyId"])
    if pem is None:
        return "signer_unknown"
    if not signatures.is_valid(hash_hex=hashed, signature_base64=event["signature"], public_key_pem=pem):
        return "signature_invalid"
    return None
