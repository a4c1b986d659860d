"""People: making logins, passwords, platform roles, second factors."""

import datetime as dt
import secrets
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django_otp.plugins.otp_totp.models import TOTPDevice

from settld.audit import services as audit
from settld.core import tenancy, transactions
from settld.core.errors import Conflict, Invalid, NotFound
from settld.core.principals import Actor
from settld.tenants.models import User

HOME = "tenant_default"
PLATFORM_ROLES = ("", "operator", "admin")


def find(*, username: str) -> User:
    """Give the person of a user name; NotFound when there is none."""
    user = User.objects.filter(username=username).first()
    if user is None:
        raise NotFound(f"there is no person {username}")
    return user


def create(
    *, username: str, email: str, password: str | None, platform_role: str, actor: Actor, now: dt.datetime
) -> tuple[User, str]:
    """Make a login; gives it and its password, made here when none was given."""
    _require_role(platform_role)
    chosen = password or secrets.token_urlsafe(16)
    user = User(
        username=username, email=email, platform_role=platform_role, is_staff=bool(platform_role),
        date_joined=now,
    )  # fmt: skip
    _set_password(user, chosen)
    try:
        user.full_clean(exclude=["password"], validate_unique=False)
    except ValidationError as error:
        raise Invalid("; ".join(error.messages)) from error
    with tenancy.tenant_scope(HOME), transactions.atomic():
        if User.objects.filter(username__iexact=username).exists():
            raise Conflict(f"a person {username} exists", code="PERSON_EXISTS")
        user.save(force_insert=True)
        _audit(user, action="PERSON_CREATE", details={"platformRole": platform_role}, actor=actor, now=now)
    return user, chosen


def set_platform_role(*, username: str, platform_role: str, actor: Actor, now: dt.datetime) -> User:
    """Make a person platform staff, or an ordinary person again."""
    _require_role(platform_role)
    with tenancy.tenant_scope(HOME), transactions.atomic():
        user = _locked(username)
        user.platform_role, user.is_staff = platform_role, bool(platform_role)
        user.save(update_fields=["platform_role", "is_staff"])
        _audit(user, action="PERSON_ROLE", details={"platformRole": platform_role}, actor=actor, now=now)
    return user


def set_active(*, username: str, is_active: bool, actor: Actor, now: dt.datetime) -> User:
    """Let a person log in, or no longer; open sessions of theirs end at once."""
    with tenancy.tenant_scope(HOME), transactions.atomic():
        user = _locked(username)
        user.is_active = is_active
        user.save(update_fields=["is_active"])
        _audit(user, action="PERSON_ACTIVE", details={"isActive": is_active}, actor=actor, now=now)
    return user


def reset_password(
    *, username: str, password: str | None, actor: Actor, now: dt.datetime
) -> tuple[User, str]:
    """Give a person a new password, made here when none was given; their sessions end."""
    chosen = password or secrets.token_urlsafe(16)
    with tenancy.tenant_scope(HOME), transactions.atomic():
        user = _locked(username)
        _set_password(user, chosen)
        user.save(update_fields=["password"])
        _audit(user, action="PERSON_LOGIN_RESET", details=None, actor=actor, now=now)
    return user, chosen


def reset_second_factor(*, username: str, actor: Actor, now: dt.datetime) -> User:
    """Forget a person's authenticator; they set a new one up at the next login that asks for it."""
    with tenancy.tenant_scope(HOME), transactions.atomic():
        user = _locked(username)
        TOTPDevice.objects.filter(user=user).delete()
        _audit(user, action="PERSON_SECOND_FACTOR_RESET", details=None, actor=actor, now=now)
    return user


def _require_role(platform_role: str) -> None:
    if platform_role not in PLATFORM_ROLES:
        raise Invalid("unknown platform role")


def _set_password(user: User, password: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid("; ".join(error.messages)) from error
    user.set_password(password)


def _locked(username: str) -> User:
    user = User.objects.select_for_update().filter(username=username).first()
    if user is None:
        raise NotFound(f"there is no person {username}")
    return user


def _audit(
    user: User, *, action: str, details: dict[str, Any] | None, actor: Actor, now: dt.datetime
) -> None:
    audit.append(
        tenant_id=HOME, actor=actor, action=action, target_type="person", target_id=str(user.pk),
        details={"username": user.username} | (details or {}), at=now,
    )  # fmt: skip
