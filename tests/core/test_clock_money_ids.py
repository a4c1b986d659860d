"""Small common ground: clocks, amounts, ids, signatures."""

import datetime as dt
import time
import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from settld.core import clock, ids, money, signatures
from settld.core.hashing import sha256_hex

NOON = dt.datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=dt.UTC)


def test_now_is_cut_to_milliseconds_and_can_be_stopped():
    with clock.freeze(NOON):
        assert clock.iso(clock.now()) == "2026-01-31T12:00:00.123Z"


def test_a_stopped_clock_moves_when_told_and_lengths_are_measured_with_it():
    before = clock.monotonic()
    with clock.freeze(NOON) as move:
        began = clock.monotonic()
        assert clock.monotonic() == began
        move(NOON + dt.timedelta(seconds=90))
        assert clock.monotonic() - began == 90
        assert clock.now() - NOON > dt.timedelta(seconds=89)
    assert clock.monotonic() >= before
    assert clock.now() > NOON + dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31T14:00:00.9999+02:00", "2026-01-31T12:00:00.999Z"),
        ("2026-01-31T12:00Z", "2026-01-31T12:00:00.000Z"),
    ],
)
def test_instants_are_normalised(text, iso):
    assert clock.iso(clock.parse_iso(text)) == iso


@pytest.mark.parametrize(
    "text",
    ["", "2026-01-31", "2026-01-31T12:00:00", "2026-13-01T00:00:00Z", "now", "0001-01-01T00:00:00+23:59"],
)
def test_instants_without_an_offset_or_sense_are_refused(text):
    with pytest.raises(ValueError):
        clock.parse_iso(text)


@pytest.mark.parametrize(
    ("text", "is_period"), [("2026-01", True), ("2026-13", False), ("2026-1", False), ("2026-00", False)]
)
def test_periods(text, is_period):
    assert clock.is_period(text) is is_period


def test_uuid7_sorts_by_time_of_making():
    made = [ids.uuid7() for _ in range(2000)]
    assert {(value.version, value.variant) for value in made} == {(7, uuid.RFC_4122)}
    assert made == sorted(made)
    assert abs((made[0].int >> 80) - time.time() * 1000) < 60_000


@pytest.mark.parametrize(
    ("offered", "kept"), [("abc-1.2_3", True), ("", False), ("a b", False), ("x" * 129, False), (None, False)]
)
def test_a_legal_request_id_is_kept_and_another_replaced_P2(offered, kept):
    made = ids.request_id(offered)
    assert (made == offered) is kept
    assert kept or made.startswith("req_")


def test_amounts_are_shown_with_their_currency():
    assert money.show(-123456, "USD") == "-1,234.56 USD"
    assert money.show(1_234_567, "JPY") == "1,234,567 JPY"
    assert money.show(-5, "kwd") == "-0.005 kwd"
    assert money.show(100, "ISK") == "1.00 ISK"  # counted in hundredths by the provider
    assert not money.is_minor(True)
    assert not money.is_minor(2**53)


def test_a_signature_verifies_with_the_public_key_alone_and_with_no_other(settings):
    digest = sha256_hex("content")
    signature = signatures.sign_hash(digest)
    public = signatures.server_public_pem()
    other = signatures.public_pem(Ed25519PrivateKey.generate().public_key())
    assert signature.key_id == signatures.key_id(public)
    assert signatures.is_valid(
        hash_hex=digest, signature_base64=signature.signature_base64, public_key_pem=public
    )
    assert not signatures.is_valid(
        hash_hex=digest, signature_base64=signature.signature_base64, public_key_pem=other
    )
    assert not signatures.is_valid(
        hash_hex=sha256_hex("x"), signature_base64=signature.signature_base64, public_key_pem=public
    )


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("49", "USD", 4_900), ("49.5", "USD", 4_950), (" 49.05 ", "USD", 4_905), ("0.01", "USD", 1),
        ("49", "JPY", 49), ("1.234", "KWD", 1_234), ("0", "USD", 0),
        ("49.005", "USD", None), ("49.0", "JPY", None), ("1,000", "USD", None), ("-1", "USD", None),
        ("", "USD", None), (".5", "USD", None), ("5.", "USD", None), ("1e3", "USD", None),
        ("\u0663", "USD", None), ("9" * 16, "USD", None),
    ],
)  # fmt: skip
def test_amounts_that_people_type_are_read_without_a_float(text, currency, minor):
    assert money.parse(text, currency) == minor
