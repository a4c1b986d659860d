"""People with roles in tenants, and API keys that they made themselves: known persons to four-eyes rules."""

import datetime as dt
from collections.abc import Iterable

from settld.core import tenancy
from settld.core.principals import Actor
from settld.tenants.models import User
from settld.tenants.services import keys, memberships, tenants
from tests.support.api import SCOPES


def employ(
    name: str, tenant_ids: Iterable[str], *, role: str = "finance", now: dt.datetime
) -> dict[str, str]:
    """Make somebody without a password, with a role in each tenant; gives their key for each."""
    user = User(username=name, date_joined=now)
    user.set_unusable_password()
    user.save(force_insert=True)
    made = {}
    for tenant_id in tenant_ids:
        tenants.ensure(tenant_id=tenant_id, source="tests", now=now)
        memberships.upsert(tenant_id=tenant_id, user=user, role=role, actor=Actor.system("tests"), now=now)
        made[tenant_id] = _key(tenant_id, user, now=now)
    return made


def _key(tenant_id: str, user: User, *, now: dt.datetime) -> str:
    with tenancy.tenant_scope(tenant_id):
        new = keys.create(
            tenant_id=tenant_id,
            scopes=sorted(SCOPES),
            key_id=f"sk_test_{user.username}_{tenant_id}",
            expires_at=None,
            description="tests",
            actor=Actor(principal_id=f"person:{user.pk}", request_id="req_tests"),
            now=now,
        )
    return f"{new.key.key_id}.{new.secret}"
