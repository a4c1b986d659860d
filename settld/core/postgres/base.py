"""Django's PostgreSQL backend, plus the tenant scope with every transaction.

BEGIN, the lock timeout and the scope travel as one message, so a scoped transaction costs no more
round trips than a plain one. Outside a transaction the scope travels in the same flush as the
statement and ends with it. Nothing is ever set for the session: a pooled connection leaks no tenant.
"""

from typing import Any

from django.db.backends.postgresql import base
from psycopg import Cursor, sql

from settld.core import tenancy

LOCK_TIMEOUT_MS = 10_000
_ANNOUNCE = "SELECT set_config('settld.tenant_id', %s, true), set_config('settld.platform', %s, true)"


class _Scoped:
    """Give statements outside a transaction their scope, in the same flush."""

    connection: Any

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        scope = tenancy.current()
        if scope is tenancy.NOBODY or self.connection.pgconn.transaction_status != 0:
            return super().execute(query, params, **options)  # type: ignore[misc]
        with self.connection.pipeline():
            with Cursor(self.connection) as herald:
                herald.execute(_ANNOUNCE, [scope.tenant_id, "on" if scope.is_platform else ""], prepare=True)
            return super().execute(query, params, **options)  # type: ignore[misc]


class ScopedServerCursor(_Scoped, base.ServerBindingCursor):
    """Binds parameters at the server."""


class ScopedCursor(_Scoped, base.Cursor):
    """Binds parameters in the client."""


class DatabaseWrapper(base.DatabaseWrapper):
    """The backend; `scoped: False` in OPTIONS (the owner's connection) leaves it as Django's own."""

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        if params.pop("scoped", True):
            params["cursor_factory"] = ScopedServerCursor if self._binds_at_server() else ScopedCursor
        return params

    def _binds_at_server(self) -> bool:
        return self.settings_dict["OPTIONS"].get("server_side_binding") is True

    def _set_autocommit(self, autocommit: bool) -> None:
        if autocommit or not self.settings_dict["OPTIONS"].get("scoped", True):
            super()._set_autocommit(autocommit)  # type: ignore[misc]  # the stubs leave it out
            return
        with self.wrap_database_errors:
            scope = tenancy.current()
            begin = sql.SQL(
                "BEGIN; SET LOCAL lock_timeout = {timeout};"
                " SELECT set_config('settld.tenant_id', {tenant}, true),"
                " set_config('settld.platform', {platform}, true)"
            ).format(
                timeout=sql.Literal(LOCK_TIMEOUT_MS),
                tenant=sql.Literal(scope.tenant_id),
                platform=sql.Literal("on" if scope.is_platform else ""),
            )
            with Cursor(self.connection) as cursor:
                cursor.execute(begin, prepare=False)
