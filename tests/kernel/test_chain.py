"""Events: hashes, chain and signature (AgentEvent.v1, kernel spec 5)."""

import hashlib
import json

import pytest

from settld.core import signatures
from settld.core.hashing import canonical_hash
from settld.kernel import chain
from tests.kernel.made import COMPLETED, PAYEE, RUN, at, stream

STARTED = ("RUN_STARTED", {"startedBy": "worker"})


def events():
    return stream(STARTED, COMPLETED)


def test_the_hashes_cover_exactly_what_the_spec_says():
    first, second, _ = events()
    said = {
        "v": 1, "id": "evt_run_1_1", "at": at(1), "streamId": RUN, "type": "RUN_STARTED",
        "actor": {"type": "agent", "id": PAYEE}, "payload": {"runId": RUN, "startedBy": "worker"},
    }  # fmt: skip
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    linked = {"v": 1, "prevChainHash": first["chainHash"], "payloadHash": second["payloadHash"]}

    assert second["payloadHash"] == hashlib.sha256(text.encode()).hexdigest()
    assert second["chainHash"] == canonical_hash(linked)
    assert first["prevChainHash"] is None
    assert first["chainHash"] == canonical_hash(
        {**linked, "prevChainHash": None, "payloadHash": first["payloadHash"]}
    )


def test_the_server_signs_the_payload_hash():
    event = events()[1]

    assert event["signerKeyId"] == signatures.key_id(signatures.server_public_pem())
    assert signatures.is_valid(
        hash_hex=event["payloadHash"],
        signature_base64=event["signature"],
        public_key_pem=signatures.server_public_pem(),
    )


def test_an_untouched_stream_walks():
    assert chain.check(events()) == chain.ChainCheck(ok=True, event_count=3)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"payload": {"runId": RUN, "startedBy": "other"}}, "payload_hash_mismatch"),
        ({"at": at(9)}, "payload_hash_mismatch"),
        ({"actor": {"type": "agent", "id": "agt_other"}}, "payload_hash_mismatch"),
        ({"payload": {"n": 2**60}}, "payload_hash_mismatch"),
        ({"prevChainHash": "0" * 64}, "prev_chain_hash_mismatch"),
        ({"chainHash": "0" * 64}, "chain_hash_mismatch"),
        ({"signerKeyId": "key_other"}, "signer_unknown"),
        ({"signature": "AAAA"}, "signature_invalid"),
    ],
)
def test_a_changed_event_is_found(change, reason):
    stream_ = events()
    stream_[1] = {**stream_[1], **change}

    found = chain.check(stream_)

    assert (found.ok, found.first_bad, found.reason) == (False, 2, reason)


def test_a_missing_event_is_found():
    first, _, third = events()

    assert chain.check([first, third]).reason == "prev_chain_hash_mismatch"
