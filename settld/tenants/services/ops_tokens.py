"""Stored ops tokens: hashed, named, limited to tenants, with an end."""

import datetime as dt
import secrets

from settld.audit import services as audit
from settld.core import tenancy, transactions
from settld.core.errors import Conflict, Invalid, NotFound
from settld.core.hashing import sha256_hex
from settld.core.principals import SCOPES, Actor
from settld.tenants.models import OpsToken

HOME = "tenant_default"


def create(
    *,
    name: str,
    scopes: list[str],
    tenant_ids: list[str],
    expires_at: dt.datetime | None,
    actor: Actor,
    now: dt.datetime,
) -> tuple[OpsToken, str]:
    """Make a token; gives the row and the raw token, which is known only now."""
    if unknown := set(scopes) - SCOPES:
        raise Invalid("unknown scope", details={"scope": sorted(unknown)[0]})
    raw = f"ops_{secrets.token_urlsafe(32)}"
    with tenancy.tenant_scope(HOME), transactions.atomic():
        if OpsToken.objects.filter(name=name).exists():
            raise Conflict("an ops token of this name exists", code="OPS_TOKEN_EXISTS")
        token = OpsToken.objects.create(
            name=name, token_hash=sha256_hex(raw), scopes=sorted(set(scopes)), tenant_ids=tenant_ids,
            expires_at=expires_at, created_at=now,
        )  # fmt: skip
        _audit(token, action="OPS_TOKEN_CREATE", actor=actor, now=now)
    return token, raw


def rotate(*, name: str, actor: Actor, now: dt.datetime) -> tuple[OpsToken, str]:
    """Replace a token's secret; the old one stops at once."""
    raw = f"ops_{secrets.token_urlsafe(32)}"
    with tenancy.tenant_scope(HOME), transactions.atomic():
        token = _locked(name)
        if token.revoked_at is not None:
            raise Conflict("a revoked ops token stays revoked", code="OPS_TOKEN_REVOKED")
        token.token_hash = sha256_hex(raw)
        token.save(update_fields=["token_hash"])
        _audit(token, action="OPS_TOKEN_ROTATE", actor=actor, now=now)
    return token, raw


def revoke(*, name: str, actor: Actor, now: dt.datetime) -> OpsToken:
    """End a token for good."""
    with tenancy.tenant_scope(HOME), transactions.atomic():
        token = _locked(name)
        if token.revoked_at is None:
            token.revoked_at = now
            token.save(update_fields=["revoked_at"])
            _audit(token, action="OPS_TOKEN_REVOKE", actor=actor, now=now)
    return token


def _locked(name: str) -> OpsToken:
    token = OpsToken.objects.select_for_update().filter(name=name).first()
    if token is None:
        raise NotFound("ops token not found")
    return token


def _audit(token: OpsToken, *, action: str, actor: Actor, now: dt.datetime) -> None:
    audit.append(
        tenant_id=HOME, actor=actor, action=action, target_type="ops_token", target_id=token.name,
        details={"name": token.name, "scopes": token.scopes, "tenantIds": token.tenant_ids}, at=now,
    )  # fmt: skip
