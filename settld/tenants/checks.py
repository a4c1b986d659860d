"""System checks: what would be wrong to run with, and how to mend it."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connection


@register(Tags.database)
def application_role_is_fenced(
    *, app_configs: Sequence[AppConfig] | None = None, databases: Sequence[str] | None = None, **_kwargs: Any
) -> list[CheckMessage]:
    """Require that the role we run as cannot pass row-level security (needs `check --database default`)."""
    if not databases or "default" not in databases:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_user, rolsuper OR rolbypassrls,"
            " EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            "  WHERE n.nspname = 'public' AND c.relkind = 'r' AND c.relrowsecurity AND c.relowner = r.oid)"
            " FROM pg_roles r WHERE rolname = current_user"
        )
        role, passes, owns = cursor.fetchone()
    if not (passes or owns):
        return []
    return [
        Error(
            f"the application connects as {role}, which passes row-level security",
            hint="Let DATABASE_URL name a role that is no superuser and owns no table,"
            " and DATABASE_OWNER_URL the owner.",
            id="settld.E001",
        )
    ]
