"""The signature check: exact bytes, several secrets, several digests, both directions of time."""

import pytest

from settld.stripe_gateway.signatures import SignatureInvalid, verify
from tests.stripe_gateway.signing import SECRET, digest

NOW = 1_790_000_000
PAYLOAD = b'{"id": "evt_1",  "object": "event"}'


def check(
    header: str, *, payload: bytes = PAYLOAD, secrets: tuple[str, ...] = (SECRET,), tolerance: int = 300
) -> None:
    verify(payload=payload, header=header, secrets=secrets, tolerance_seconds=tolerance, now_seconds=NOW)


def header(*, timestamp: int = NOW, payload: bytes = PAYLOAD, secret: str = SECRET) -> str:
    return f"t={timestamp},v1={digest(payload, timestamp=timestamp, secret=secret)}"


def test_a_signature_over_the_exact_bytes_passes():
    check(header())


def test_reserialised_bytes_fail():
    with pytest.raises(SignatureInvalid, match="digest mismatch"):
        check(header(), payload=b'{"id":"evt_1","object":"event"}')


@pytest.mark.parametrize("age", [-300, 300])
def test_the_edge_of_the_tolerance_is_inside(age):
    check(header(timestamp=NOW - age))


@pytest.mark.parametrize("age", [-301, 301])
def test_beyond_the_tolerance_fails_in_either_direction(age):
    with pytest.raises(SignatureInvalid, match="outside tolerance"):
        check(header(timestamp=NOW - age))


def test_a_tolerance_of_zero_checks_no_age():
    check(header(timestamp=NOW - 1_000_000), tolerance=0)


def test_a_timestamp_changed_after_signing_fails():
    with pytest.raises(SignatureInvalid, match="digest mismatch"):
        check(header().replace(f"t={NOW}", f"t={NOW + 1}"))


def test_any_of_several_secrets_passes_while_one_is_rotated():
    check(header(secret="whsec_old"), secrets=(SECRET, "whsec_old"))


def test_another_secret_fails():
    with pytest.raises(SignatureInvalid, match="digest mismatch"):
        check(header(secret="whsec_stranger"))


def test_one_right_digest_among_several_passes_in_either_letter_case():
    check(f"t={NOW},v0=aa,v1={'0' * 64},v1={digest(PAYLOAD, timestamp=NOW).upper()}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nonsense", "missing timestamp"),
        (f"v1={'0' * 64}", "missing timestamp"),
        (f"t={NOW}", "missing v1 digest"),
        (f"t={NOW},v1=", "missing v1 digest"),
        (f"t=-{NOW},v1=aa", "timestamp is invalid"),
        ("t=soon,v1=aa", "timestamp is invalid"),
        ("t=" + "9" * 20 + ",v1=aa", "timestamp is invalid"),
        (f"t={NOW},v1=ünïcode", "digest mismatch"),
    ],
)
def test_a_malformed_header_fails_and_says_why(text, reason):
    with pytest.raises(SignatureInvalid, match=reason):
        check(text)
