"""The server's signing key, and its rotation: what the old key signed still verifies."""

import io
import json
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from environ import Env

from settld.audit import services as audit
from settld.audit.services.checkpoints import sign_due
from settld.audit.services.verify import verify
from settld.core import clock, signatures, tenancy, transactions
from settld.core.hashing import sha256_hex
from settld.core.principals import Actor
from settld.settings_parsing import retired_signing_keys


def run(*arguments):
    out = io.StringIO()
    call_command("signing_key", *arguments, stdout=out)
    return json.loads(out.getvalue())


def test_a_new_key_file_is_its_owners_alone_and_never_overwrites(tmp_path):
    path = tmp_path / "key.pem"
    made = run("new", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    private = signatures.load_private_key(path.read_bytes())
    assert made["keyId"] == signatures.key_id(signatures.public_pem(private.public_key()))
    assert "PRIVATE" not in json.dumps(made)
    before = path.read_bytes()
    with pytest.raises(CommandError):
        run("new", str(path))
    assert path.read_bytes() == before


def test_after_a_rotation_old_and_new_signatures_verify(db, settings, tmp_path, monkeypatch):
    with tenancy.tenant_scope("tenant_a"), transactions.atomic():
        audit.append(
            tenant_id="tenant_a", actor=Actor("t"), action="ACT", target_type="t", target_id="1", details=None
        )
    sign_due(now=clock.now())
    (old,) = [key for key in run("show") if key["isInUse"]]
    signed = signatures.sign_hash(sha256_hex("x"))

    run("new", str(tmp_path / "new.pem"))
    settings.SIGNING_KEY_PEM = (tmp_path / "new.pem").read_bytes()
    assert signatures.known_public_pem(old["keyId"]) is None
    (tmp_path / "retired.pem").write_text(old["publicKeyPem"].replace("\n", "\r\n") + "\n\n")
    monkeypatch.setenv("SETTLD_RETIRED_SIGNING_KEYS_FILE", str(tmp_path / "retired.pem"))
    settings.RETIRED_SIGNING_KEYS = retired_signing_keys(Env())

    assert signatures.is_valid(
        hash_hex=sha256_hex("x"),
        signature_base64=signed.signature_base64,
        public_key_pem=signatures.known_public_pem(signed.key_id),
    )
    assert [key["isInUse"] for key in run("show")] == [True, False]
    with tenancy.tenant_scope("tenant_a"):
        assert verify(tenant_id="tenant_a").ok


def test_a_ring_of_other_keys_stops_the_start(tmp_path, monkeypatch):
    path = tmp_path / "retired.pem"
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    path.write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    monkeypatch.setenv("SETTLD_RETIRED_SIGNING_KEYS_FILE", str(path))
    with pytest.raises(ImproperlyConfigured, match="SETTLD_RETIRED_SIGNING_KEYS_FILE"):
        retired_signing_keys(Env())
    monkeypatch.setenv("SETTLD_RETIRED_SIGNING_KEYS_FILE", str(tmp_path / "none"))
    with pytest.raises(ImproperlyConfigured):
        retired_signing_keys(Env())
