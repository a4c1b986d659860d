"""Signer keys: platform-operations 3.6."""

import datetime as dt

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from settld.core import clock, signatures, tenancy
from settld.core.errors import NotFound
from settld.core.hashing import sha256_hex
from settld.tenants.services import signer_keys
from tests.support.api import body, refusal

pytestmark = pytest.mark.django_db
PATH = "/ops/signer-keys"


def pem_of(key):
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()  # fmt: skip


@pytest.fixture
def pem():
    return pem_of(Ed25519PrivateKey.generate())


def test_a_key_is_named_by_its_canonical_pem(api, pem):
    answer = api.post(PATH, {"publicKeyPem": "\r\n" + pem.replace("\n", "\r\n").strip()})
    made = body(answer)["signerKey"]
    assert answer.status_code == 201
    assert made["keyId"] == "key_" + sha256_hex(pem)[:24]
    assert (made["publicKeyPem"], made["purpose"], made["status"]) == (pem, "robot", "active")
    assert body(api.get(PATH)) == {"signerKeys": [made]}
    assert body(api.as_tenant("tenant_b").get(PATH)) == {"signerKeys": []}


def test_the_same_again_is_200_and_anything_else_409(api, pem):
    wish = {"publicKeyPem": pem, "purpose": "operator", "validFrom": "2026-01-01T00:00:00Z"}
    made = body(api.post(PATH, wish))["signerKey"]
    again = api.post(PATH, wish)
    assert (again.status_code, body(again)["signerKey"]) == (200, made)
    for change in ({"purpose": "server"}, {"validFrom": None}, {"status": "rotated"}, {"description": "x"}):
        assert refusal(api.post(PATH, wish | change)) == (409, "SIGNER_KEY_EXISTS")
    rows = body(api.get("/ops/audit?targetType=signer_key"))["audit"]
    assert [row["action"] for row in rows] == ["SIGNER_KEY_REGISTER"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"publicKeyPem": None}, "publicKeyPem is required"),
        ({"publicKeyPem": " "}, "publicKeyPem is required"),
        ({"publicKeyPem": "nonsense"}, "publicKeyPem must be an Ed25519 public key in PEM"),
        ({"publicKeyPem": "é"}, "publicKeyPem must be an Ed25519 public key in PEM"),
        (
            {"publicKeyPem": pem_of(ec.generate_private_key(ec.SECP256R1()))},
            "publicKeyPem must be an Ed25519 public key in PEM",
        ),
        ({"keyId": "key_other"}, "keyId does not match publicKeyPem"),
        ({"purpose": "cat"}, "purpose must be one of robot, operator, server"),
        ({"status": "new"}, "status must be one of active, rotated, revoked"),
        (
            {"validFrom": "2026-02-01T00:00:00Z", "validTo": "2026-02-01T00:00:00Z"},
            "validTo must be after validFrom",
        ),
    ],
)
def test_a_faulty_key_is_400_and_registers_nothing(api, pem, change, error):
    answer = api.post(PATH, {"publicKeyPem": pem} | change)
    assert (answer.status_code, body(answer)["error"]) == (400, error)
    assert body(api.get(PATH))["signerKeys"] == []


def test_revoked_is_the_end_on_every_route(api, pem):
    key_id = body(api.post(PATH, {"publicKeyPem": pem}))["signerKey"]["keyId"]
    assert body(api.post(f"{PATH}/{key_id}/rotate"))["signerKey"]["status"] == "rotated"
    assert body(api.post(f"{PATH}/{key_id}/rotate"))["signerKey"]["status"] == "rotated"
    first = body(api.post(f"{PATH}/{key_id}/revoke"))["signerKey"]
    assert first["status"] == "revoked"
    assert body(api.post(f"{PATH}/{key_id}/revoke"))["signerKey"] == first
    assert refusal(api.post(f"{PATH}/{key_id}/rotate")) == (409, "SIGNER_KEY_REVOKED")
    assert refusal(api.post(PATH, {"publicKeyPem": pem})) == (409, "SIGNER_KEY_EXISTS")
    rows = body(api.get("/ops/audit?targetType=signer_key"))["audit"]
    assert [row["action"][11:] for row in rows] == ["REVOKE", "ROTATE", "REGISTER"]


def test_an_unknown_key_or_another_tenants_is_404(api, pem):
    key_id = body(api.post(PATH, {"publicKeyPem": pem}))["signerKey"]["keyId"]
    for verb in ("rotate", "revoke"):
        assert refusal(api.post(f"{PATH}/key_none/{verb}")) == (404, "NOT_FOUND")
        assert refusal(api.as_tenant("tenant_b").post(f"{PATH}/{key_id}/{verb}")) == (404, "NOT_FOUND")


def test_reading_needs_ops_read_and_writing_ops_write(api, pem):
    reader = api.with_token("tok_read")
    assert refusal(reader.post(PATH, {"publicKeyPem": pem})) == (403, "FORBIDDEN")


def test_only_an_active_key_in_its_window_signs_something_new(api, pem):
    now = clock.now()
    hour = dt.timedelta(hours=1)
    key_id = body(
        api.post(
            PATH,
            {"publicKeyPem": pem, "validFrom": clock.iso(now - hour), "validTo": clock.iso(now + hour)},
        )
    )["signerKey"]["keyId"]

    def signs(at):
        with tenancy.tenant_scope("tenant_a"):
            return signer_keys.require_signer(tenant_id="tenant_a", key_id=key_id, at=at)

    assert signs(now).public_key_pem == pem
    for outside in (now - 2 * hour, now + hour):
        with pytest.raises(signer_keys.SignerRevoked):
            signs(outside)
    api.post(f"{PATH}/{key_id}/rotate")
    with pytest.raises(signer_keys.SignerRevoked) as refused:
        signs(now)
    assert (refused.value.status, refused.value.code) == (400, "SIGNER_REVOKED")
    with tenancy.tenant_scope("tenant_a"), pytest.raises(NotFound):
        signer_keys.require_signer(tenant_id="tenant_a", key_id="key_none", at=now)


def test_an_earlier_signature_stays_verifiable(api):
    private = Ed25519PrivateKey.generate()
    key_id = body(api.post(PATH, {"publicKeyPem": pem_of(private)}))["signerKey"]["keyId"]
    import base64

    signed = base64.b64encode(private.sign(bytes.fromhex(sha256_hex("x")))).decode()
    stored = body(api.post(f"{PATH}/{key_id}/revoke"))["signerKey"]["publicKeyPem"]
    assert signatures.is_valid(hash_hex=sha256_hex("x"), signature_base64=signed, public_key_pem=stored)
