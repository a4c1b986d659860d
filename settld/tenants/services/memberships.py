"""Who belongs to which tenant, and what that lets them do."""

import datetime as dt

from django.http import HttpRequest
from django_otp.plugins.otp_totp.models import TOTPDevice

from settld.audit import services as audit
from settld.core import tenancy, transactions
from settld.core.errors import Conflict, Forbidden, Invalid
from settld.core.principals import Actor, Principal
from settld.tenants.models import Membership, Tenant, User
from settld.tenants.roles import Role


class LastOwner(Conflict):
    """A tenant keeps at least one active owner."""

    code = "LAST_OWNER"
    message = "the last active owner cannot be removed or demoted"


class SecondFactorRequired(Forbidden):
    """The tenant asks for a second factor that this login has not given."""

    code = "SECOND_FACTOR_REQUIRED"

    def __init__(self) -> None:
        super().__init__("second_factor")
        self.message = "this tenant requires a second factor"


def is_verified(request: HttpRequest) -> bool:
    """Tell whether this login gave its second factor."""
    check = getattr(request.user, "is_verified", None)
    return bool(check and check())


def has_second_factor(request: HttpRequest) -> bool:
    """Tell whether the person who is logged in has set up a second factor."""
    return bool(TOTPDevice.objects.filter(user_id=request.user.pk, confirmed=True).exists())


def active_tenants(*, user: User) -> list[str]:
    """List the tenants a person belongs to, by id."""
    with tenancy.platform_scope(reason="login: list memberships"):
        return list(
            Membership.objects.filter(user=user, status="active")
            .order_by("tenant_id")
            .values_list("tenant_id", flat=True)
        )


def active_roles(*, user_id: int) -> dict[str, str]:
    """Give a person's role in each tenant that they belong to, by tenant id, in its order."""
    with tenancy.platform_scope(reason="list a person's memberships"):
        rows = Membership.objects.filter(user_id=user_id, status="active").order_by("tenant_id")
        return dict(rows.values_list("tenant_id", "role"))


def first_owner(*, tenant_id: str) -> int | None:
    """Give the person who has owned a tenant for longest; None when nobody does. The scope is entered."""
    owners = Membership.objects.filter(tenant_id=tenant_id, role=Role.OWNER, status="active")
    return owners.order_by("created_at", "pk").values_list("user_id", flat=True).first()


def principal(*, user: User, tenant_id: str, has_second_factor: bool) -> Principal:
    """Make the principal of a person in a tenant; Forbidden when they have no place there."""
    with tenancy.tenant_scope(tenant_id):
        membership = Membership.objects.filter(tenant_id=tenant_id, user=user, status="active").first()
    scopes = (membership.scopes if membership else frozenset()) | user.platform_scopes
    if not scopes:
        raise Forbidden("no_membership")
    demands = Tenant.objects.filter(tenant_id=tenant_id, requires_second_factor=True).exists()
    if demands and not has_second_factor:
        raise SecondFactorRequired()
    return Principal(
        kind="person",
        principal_id=f"person:{user.pk}",
        tenant_id=tenant_id,
        scopes=scopes,
        user_id=str(user.pk),
        is_platform=bool(user.platform_role),
    )


def upsert(
    *, tenant_id: str, user: User, role: str, status: str = "active", actor: Actor, now: dt.datetime
) -> Membership:
    """Give a person a role in a tenant, change it, or (status removed) take it away."""
    if role not in Role.values or status not in ("active", "removed"):
        raise Invalid("unknown role or status")
    with tenancy.tenant_scope(tenant_id), transactions.atomic():
        # Locked together: two demotions cannot each count on the other as the last owner.
        current = {m.user_id: m for m in Membership.objects.select_for_update().filter(tenant_id=tenant_id)}
        owners = {user_id for user_id, m in current.items() if m.role == Role.OWNER and m.status == "active"}
        stays_owner = role == Role.OWNER and status == "active"
        if owners == {user.pk} and not stays_owner:
            raise LastOwner()
        membership, _ = Membership.objects.update_or_create(
            tenant_id=tenant_id,
            user=user,
            defaults={"role": role, "status": status, "updated_at": now},
            create_defaults={"role": role, "status": status, "created_at": now, "updated_at": now},
        )
        audit.append(
            tenant_id=tenant_id,
            actor=actor,
            action="MEMBERSHIP_REMOVE" if status == "removed" else "MEMBERSHIP_UPSERT",
            target_type="membership",
            target_id=str(user.pk),
            details={"userId": str(user.pk), "username": user.username, "role": role, "status": status},
            at=now,
        )
    return membership
