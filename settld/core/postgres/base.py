"""Django's PostgreSQL backend, plus the tenant scope with every transaction.

BEGIN, the lock timeout and the scope travel with the transaction's first statement, and what was given to
`send_with_commit` travels with COMMIT, so a scoped transaction costs fewer round trips than a plain one.
Outside a transaction the scope travels with the statement and ends with it. Nothing is ever set for the
session: a pooled connection leaks no tenant.
"""

from typing import Any

from django.db.backends.postgresql import base
from psycopg import ClientCursor, Cursor, sql

from settld.core import tenancy

LOCK_TIMEOUT_MS = 10_000
# A longer statement gains more from its prepared plan than from travelling with BEGIN.
LONGEST_COMPANION = 600
_SCOPE = (
    "SELECT set_config('settld.tenant_id', {tenant}, true), set_config('settld.platform', {platform}, true)"
)


def _scope(connection: Any) -> str:
    """Write the statement that tells the transaction what it may see."""
    scope = tenancy.current()
    text = sql.SQL(_SCOPE).format(
        tenant=sql.Literal(scope.tenant_id), platform=sql.Literal("on" if scope.is_platform else "")
    )
    return text.as_string(connection)


def _begin(connection: Any) -> list[str]:
    return ["BEGIN", f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}", _scope(connection)]


def _bound(query: Any, params: Any, connection: Any) -> str:
    """Write a statement with its parameters in it, so that it can share a message with others."""
    if params is None:
        return query.as_string(connection) if isinstance(query, sql.Composable) else str(query)
    return ClientCursor(connection).mogrify(query, params)


class _Scoped:
    """Send statements with what must go before them, in one message."""

    connection: Any

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        connection = self.connection
        before = connection.__dict__.pop("settld_begin", None)
        if before is None and connection.pgconn.transaction_status == 0:
            before = None if tenancy.current() is tenancy.NOBODY else [_scope(connection)]
        if before is None:
            return super().execute(query, params, **options)  # type: ignore[misc]
        is_short = isinstance(query, str) and len(query) <= LONGEST_COMPANION
        if connection.pgconn.pipeline_status != 0 or not (is_short or len(before) == 1):
            _send(connection, before)
            return super().execute(query, params, **options)  # type: ignore[misc]
        super().execute(";\n".join([*before, _bound(query, params, connection)]), prepare=False)  # type: ignore[misc]
        while self.nextset():  # type: ignore[attr-defined]  # stand on the result of the last
            pass
        return self

    def executemany(self, *args: Any, **options: Any) -> Any:
        self._open()
        return super().executemany(*args, **options)  # type: ignore[misc]

    def copy(self, *args: Any, **options: Any) -> Any:
        self._open()
        return super().copy(*args, **options)  # type: ignore[misc]

    def stream(self, *args: Any, **options: Any) -> Any:
        self._open()
        return super().stream(*args, **options)  # type: ignore[misc]

    def _open(self) -> None:
        _send(self.connection, self.connection.__dict__.pop("settld_begin", None) or [])


def _send(connection: Any, statements: list[str]) -> None:
    """Send statements at once; in a pipeline, where a message holds one, one after another."""
    if not statements:
        return
    with Cursor(connection) as cursor:
        if connection.pgconn.pipeline_status == 0:
            cursor.execute(";\n".join(statements), prepare=False)
            return
        for statement in statements:
            cursor.execute(statement, prepare=False)


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
            self._forget()
            super()._set_autocommit(autocommit)  # type: ignore[misc]  # the stubs leave it out
            return
        self.connection.settld_begin = _begin(self.connection)

    def begin_as_snapshot(self) -> None:
        """Have the transaction, before its first statement, read all as of one instant, and not write."""
        begin = self.connection.__dict__.get("settld_begin")
        if begin is not None:
            begin[0] = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"

    def send_with_commit(self, query: str, params: Any) -> None:
        """Keep a statement whose result nobody needs, to be sent in one message with COMMIT."""
        waiting = self.connection.__dict__.setdefault("settld_farewell", [])
        waiting.append(_bound(query, params, self.connection))

    def _commit(self) -> None:
        if self.connection is None:
            return
        farewell = self.connection.__dict__.pop("settld_farewell", None)
        if not farewell:
            self.connection.__dict__.pop("settld_begin", None)  # a transaction in which nothing was said
            super()._commit()  # type: ignore[misc]
            return
        begin = self.connection.__dict__.pop("settld_begin", None) or []
        with self.wrap_database_errors:
            _send(self.connection, [*begin, *farewell, "COMMIT"])

    def _rollback(self) -> None:
        self._forget()
        super()._rollback()  # type: ignore[misc]

    def _forget(self) -> None:
        if self.connection is not None:
            self.connection.__dict__.pop("settld_begin", None)
            self.connection.__dict__.pop("settld_farewell", None)
