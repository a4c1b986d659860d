"""A tenant with payouts, and packs of them."""

import io
import zipfile

import pytest

from settld import evidence_verifier


@pytest.fixture
def world(db, api):
    """An empty tenant_a."""
    from tests.ops_console.world import World

    return World(api)


@pytest.fixture
def keys():
    """The server's public keys, as a third party pins them."""
    from settld.core import signatures

    return evidence_verifier.load_keys("".join(signatures.public_pems().values()).encode())


@pytest.fixture
def reversed_payout(world):
    """A payout with everything: attempts, events, movements, a debt, a case and a report."""
    operation = world.payout("p1", state="reversed")
    world.payout("p2")
    answer = world.api.get("/ops/finance/money-rails/reconcile?period=2026-01&persist=true")
    assert answer.status_code == 200, answer.content
    return operation


def members_of(content: bytes) -> dict[str, bytes]:
    """Take a zip apart."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rezipped(members: dict[str, bytes]) -> bytes:
    """Put a zip together, in our manner."""
    from ops_console.evidence.packs.archive import zipped

    return zipped(members)
