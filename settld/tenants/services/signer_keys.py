"""Signer keys: register, rotate, revoke (platform-operations 3.6)."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from settld.audit import services as audit
from settld.core import clock, signatures, transactions
from settld.core.errors import Conflict, Invalid, NotFound
from settld.core.principals import Actor
from settld.tenants.models import SignerKey
from settld.tenants.models.signer_keys import SignerStatus


class SignerKeyExists(Conflict):
    """The key is registered, and not as this request says."""

    code = "SIGNER_KEY_EXISTS"
    message = "signer key already exists"


class SignerKeyRevoked(Conflict):
    """A revoked key stays revoked."""

    code = "SIGNER_KEY_REVOKED"
    message = "signer key is revoked"


class SignerRevoked(Invalid):
    """The key may sign nothing new; what it signed before still verifies."""

    code = "SIGNER_REVOKED"
    message = "signer key may not sign"


@dataclass(frozen=True)
class Wish:
    """The key to register, as the caller describes it."""

    public_key_pem: str
    purpose: str
    status: str
    description: str
    valid_from: dt.datetime | None
    valid_to: dt.datetime | None


def canonical_pem(text: str) -> str:
    """Read a public key in PEM and write it the one way that key ids are made from; Invalid otherwise."""
    try:
        key = serialization.load_pem_public_key(text.strip().encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Invalid("publicKeyPem must be an Ed25519 public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise Invalid("publicKeyPem must be an Ed25519 public key in PEM")
    return signatures.public_pem(key)


def register(
    *, tenant_id: str, wish: Wish, key_id: str | None, actor: Actor, now: dt.datetime
) -> tuple[SignerKey, bool]:
    """Register a public key; gives it and whether it is new. The same again changes nothing.

    Raises SignerKeyExists when the key is known and differs in anything, its status included.
    """
    pem = canonical_pem(wish.public_key_pem)
    name = signatures.key_id(pem)
    if key_id is not None and key_id != name:
        raise Invalid("keyId does not match publicKeyPem")
    if wish.valid_from and wish.valid_to and wish.valid_to <= wish.valid_from:
        raise Invalid("validTo must be after validFrom")
    key = SignerKey(
        tenant_id=tenant_id, key_id=name, public_key_pem=pem, purpose=wish.purpose, status=wish.status,
        description=wish.description, valid_from=wish.valid_from, valid_to=wish.valid_to,
        rotated_at=now if wish.status == SignerStatus.ROTATED else None,
        revoked_at=now if wish.status == SignerStatus.REVOKED else None,
        created_at=now, updated_at=now,
    )  # fmt: skip
    with transactions.atomic():
        SignerKey.objects.bulk_create([key], ignore_conflicts=True)
        stored = SignerKey.objects.select_for_update().get(tenant_id=tenant_id, key_id=name)
        if stored.pk != key.pk:
            if _facts(stored) != _facts(key):
                raise SignerKeyExists(details={"keyId": name})
            return stored, False
        _audit(stored, action="SIGNER_KEY_REGISTER", actor=actor, now=now)
    return stored, True


def rotate(*, tenant_id: str, key_id: str, actor: Actor, now: dt.datetime) -> SignerKey:
    """Take a key out of use; again is no change. Raises SignerKeyRevoked."""
    with transactions.atomic():
        key = _locked(tenant_id=tenant_id, key_id=key_id)
        if key.status == SignerStatus.REVOKED:
            raise SignerKeyRevoked()
        if key.status == SignerStatus.ACTIVE:
            key.status, key.rotated_at, key.updated_at = SignerStatus.ROTATED, now, now
            key.save()
            _audit(key, action="SIGNER_KEY_ROTATE", actor=actor, now=now)
    return key


def revoke(*, tenant_id: str, key_id: str, actor: Actor, now: dt.datetime) -> SignerKey:
    """End a key for good; again is no change, and the first time stays."""
    with transactions.atomic():
        key = _locked(tenant_id=tenant_id, key_id=key_id)
        if key.status != SignerStatus.REVOKED:
            key.status, key.revoked_at, key.updated_at = SignerStatus.REVOKED, now, now
            key.save()
            _audit(key, action="SIGNER_KEY_REVOKE", actor=actor, now=now)
    return key


def require_signer(*, tenant_id: str, key_id: str, at: dt.datetime) -> SignerKey:
    """Give a key that may sign something new at an instant; NotFound or SignerRevoked otherwise."""
    key = SignerKey.objects.filter(tenant_id=tenant_id, key_id=key_id).first()
    if key is None:
        raise NotFound("signer key not found")
    if not key.may_sign(at=at):
        raise SignerRevoked(details={"keyId": key_id, "status": key.status})
    return key


def _locked(*, tenant_id: str, key_id: str) -> SignerKey:
    key = SignerKey.objects.select_for_update().filter(tenant_id=tenant_id, key_id=key_id).first()
    if key is None:
        raise NotFound("signer key not found")
    return key


def _facts(key: SignerKey) -> tuple[Any, ...]:
    return key.purpose, key.status, key.description, key.valid_from, key.valid_to


def _audit(key: SignerKey, *, action: str, actor: Actor, now: dt.datetime) -> None:
    audit.append(
        tenant_id=key.tenant_id, actor=actor, action=action, target_type="signer_key", target_id=key.key_id,
        details={
            "keyId": key.key_id, "purpose": key.purpose, "status": key.status,
            "validFrom": clock.iso(key.valid_from), "validTo": clock.iso(key.valid_to),
        },
        at=now,
    )  # fmt: skip
