"""Where an append goes belongs to what a key covers; nothing else about request hashes changes (P4.2)."""

import pytest

from settld.core.hashing import canonical_hash
from settld.idempotency.services import records

REQUEST = {
    "tenant_id": "t",
    "principal_id": "p",
    "method": "POST",
    "path": "/x",
    "key": "k",
    "body": {"a": 1},
}


def hash_of(**more):
    return records.identity(**REQUEST | more).request_hash


def test_a_request_that_appends_nowhere_hashes_as_ever():
    covered = {"method": "POST", "path": "/x", "expectedPrevChainHash": None, "body": {"a": 1}}
    assert hash_of() == hash_of(expected_prev_chain_hash=None) == canonical_hash(covered)
    assert hash_of(query={"q": "1"}) == canonical_hash(covered | {"query": {"q": "1"}})


@pytest.mark.parametrize("head", ["", "f" * 64])
def test_the_head_is_covered(head):
    covered = {"method": "POST", "path": "/x", "expectedPrevChainHash": head, "body": {"a": 1}}
    assert hash_of(expected_prev_chain_hash=head) == canonical_hash(covered)
    assert hash_of(expected_prev_chain_hash=head) != hash_of()


def test_the_identity_itself_does_not_know_the_head():
    assert records.identity(**REQUEST).hash == records.identity(**REQUEST, expected_prev_chain_hash="f").hash
