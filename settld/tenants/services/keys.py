"""API keys: create, rotate with grace, revoke (platform-operations 3.3)."""

import datetime as dt
import re
import uuid
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from settld.audit import services as audit
from settld.core import clock, tenancy, transactions
from settld.core.errors import Conflict, Invalid, NotFound, Refusal
from settld.core.principals import SCOPES, Actor, Principal
from settld.tenants import secrets
from settld.tenants.models import AuthKey
from settld.tenants.models.credentials import KeyStatus

KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
MAX_GRACE_SECONDS = 86_400
MOST_TENANTS_OF_A_KEY = 5


class ScopeEscalation(Refusal):
    """A caller tried to grant more than it holds."""

    status = 403
    code = "SCOPE_ESCALATION_FORBIDDEN"
    message = "a credential cannot grant scopes that it does not hold"


class AuthKeyExists(Conflict):
    """The key id is taken; it is never overwritten."""

    code = "AUTH_KEY_EXISTS"
    message = "auth key already exists"


class AuthKeyRevoked(Conflict):
    """A revoked key stays revoked."""

    code = "AUTH_KEY_REVOKED"
    message = "auth key is revoked"


class AuthKeyNotActive(Conflict):
    """The key was already rotated."""

    code = "AUTH_KEY_NOT_ACTIVE"
    message = "auth key is not active"


class AuthKeyExpired(Conflict):
    """The key has expired and the request gives no new expiry."""

    code = "AUTH_KEY_EXPIRED"
    message = "auth key has expired"


@dataclass(frozen=True)
class NewKey:
    """A key with its secret, which is known only now."""

    key: AuthKey
    secret: str

    @property
    def token(self) -> str:
        """Give what a client sends."""
        return f"{self.key.key_id}.{self.secret}"


def clean_scopes(value: Any) -> list[str]:
    """Require a non-empty list of known scopes; gives them without repeats, sorted."""
    if not isinstance(value, list) or not value or not all(isinstance(s, str) and s.strip() for s in value):
        raise Invalid("scopes[] is required")
    scopes = sorted({scope.strip() for scope in value})
    for scope in scopes:
        if scope not in SCOPES:
            raise Invalid("unknown scope", details={"scope": scope})
    return scopes


def require_delegable(*, grantor: Principal, scopes: list[str]) -> None:
    """Refuse scopes that the grantor may not hand on."""
    for scope in scopes:
        if scope.startswith("governance_global"):
            allowed = grantor.has("governance_global_write")
        else:
            allowed = grantor.is_platform or grantor.kind == "ops_token" or grantor.has(scope)
        if not allowed:
            raise ScopeEscalation(details={"scope": scope})


def require_future(instant: dt.datetime | None, *, now: dt.datetime) -> None:
    """Refuse an expiry that has passed."""
    if instant is not None and instant <= now:
        raise Invalid("expiresAt must be in the future")


def create(
    *,
    tenant_id: str,
    scopes: list[str],
    key_id: str | None,
    expires_at: dt.datetime | None,
    description: str,
    actor: Actor,
    now: dt.datetime,
    audit_details: dict[str, Any] | None = None,
) -> NewKey:
    """Make a key; its secret is shown once and kept only as a hash."""
    if key_id is not None and not KEY_ID.fullmatch(key_id):
        raise Invalid("invalid keyId")
    require_future(expires_at, now=now)
    secret = secrets.new_secret()
    key = AuthKey(
        tenant_id=tenant_id,
        key_id=key_id or _new_key_id(),
        secret_hash=secrets.hash_secret(secret),
        scopes=scopes,
        description=description,
        expires_at=expires_at,
        created_at=now,
        updated_at=now,
    )
    with transactions.atomic():
        try:
            with transaction.atomic():
                key.save(force_insert=True)
        except IntegrityError as error:
            raise AuthKeyExists(details={"keyId": key.key_id}) from error
        details = {"keyId": key.key_id, "scopes": scopes, "expiresAt": clock.iso(expires_at)}
        _audit(key, action="API_KEY_CREATE", details=details | (audit_details or {}), actor=actor, now=now)
    return NewKey(key, secret)


def rotate(
    *,
    tenant_id: str,
    key_id: str,
    grace_seconds: int,
    expires_at: dt.datetime | None,
    has_expiry: bool,
    grantor: Principal,
    actor: Actor,
    now: dt.datetime,
) -> NewKey:
    """Replace a key by a new one with the same scopes; the old one works for `grace_seconds` more.

    The new secret is the caller's to use, so the caller must be allowed to grant what it opens.
    """
    require_future(expires_at, now=now)
    with transactions.atomic():
        old = _locked(tenant_id=tenant_id, key_id=key_id)
        require_delegable(grantor=grantor, scopes=old.scopes)
        if old.status == KeyStatus.REVOKED:
            raise AuthKeyRevoked()
        if old.status != KeyStatus.ACTIVE:
            raise AuthKeyNotActive()
        if old.expires_at is not None and old.expires_at <= now and not has_expiry:
            raise AuthKeyExpired()
        secret = secrets.new_secret()
        new = AuthKey(
            tenant_id=tenant_id,
            key_id=_new_key_id(),
            secret_hash=secrets.hash_secret(secret),
            scopes=old.scopes,
            description=old.description,
            expires_at=expires_at if has_expiry else old.expires_at,
            created_at=now,
            updated_at=now,
        )
        new.save(force_insert=True)
        old.status, old.rotated_at, old.updated_at = KeyStatus.ROTATED, now, now
        old.grace_expires_at = now + dt.timedelta(seconds=grace_seconds) if grace_seconds else None
        old.save()
        _audit(
            old, action="API_KEY_ROTATE", actor=actor, now=now,
            details={"oldKeyId": old.key_id, "newKeyId": new.key_id, "graceSeconds": grace_seconds},
        )  # fmt: skip
    return NewKey(new, secret)


def revoke(*, tenant_id: str, key_id: str, actor: Actor, now: dt.datetime) -> AuthKey:
    """End a key for good; again is no change, and the first time stays."""
    with transactions.atomic():
        key = _locked(tenant_id=tenant_id, key_id=key_id)
        if key.status != KeyStatus.REVOKED:
            key.status, key.revoked_at, key.updated_at = KeyStatus.REVOKED, now, now
            key.grace_expires_at = None
            key.save()
            _audit(key, action="API_KEY_REVOKE", details={"keyId": key.key_id}, actor=actor, now=now)
    return key


def tenants_of(*, key_id: str) -> list[str]:
    """Find the tenants that have a key of this id, which a caller may not have named; a few at most."""
    if not KEY_ID.fullmatch(key_id):
        return []
    with tenancy.platform_scope(reason="login: find the tenant of a key"):
        found = AuthKey.objects.filter(key_id=key_id).order_by("tenant_id")
        return list(found.values_list("tenant_id", flat=True)[:MOST_TENANTS_OF_A_KEY])


def _locked(*, tenant_id: str, key_id: str) -> AuthKey:
    key = AuthKey.objects.select_for_update().filter(tenant_id=tenant_id, key_id=key_id).first()
    if key is None:
        raise NotFound("auth key not found")
    return key


def _new_key_id() -> str:
    return f"sk_{'live' if settings.IS_PRODUCTION else 'test'}_{uuid.uuid4()}"


def _audit(key: AuthKey, *, action: str, details: dict[str, Any], actor: Actor, now: dt.datetime) -> None:
    audit.append(
        tenant_id=key.tenant_id, actor=actor, action=action, target_type="auth_key",
        target_id=key.key_id, details=details, at=now,
    )  # fmt: skip
