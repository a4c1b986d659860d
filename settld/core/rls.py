"""Migration operations that put a table behind row-level security."""

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation

APP_ROLE = "settld_app"

_FENCE = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_reads ON {table} FOR SELECT TO {role} USING
  ({column} = current_setting('settld.tenant_id', true) OR current_setting('settld.platform', true) = 'on');
CREATE POLICY tenant_inserts ON {table} FOR INSERT TO {role} WITH CHECK
  ({column} = current_setting('settld.tenant_id', true));
CREATE POLICY tenant_updates ON {table} FOR UPDATE TO {role} USING
  ({column} = current_setting('settld.tenant_id', true))
  WITH CHECK ({column} = current_setting('settld.tenant_id', true));
CREATE POLICY tenant_deletes ON {table} FOR DELETE TO {role} USING
  ({column} = current_setting('settld.tenant_id', true));
"""
_UNFENCE = """
DROP POLICY IF EXISTS tenant_reads ON {table};
DROP POLICY IF EXISTS tenant_inserts ON {table};
DROP POLICY IF EXISTS tenant_updates ON {table};
DROP POLICY IF EXISTS tenant_deletes ON {table};
ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;
"""


class Fence(Operation):
    """Let the application role see only the rows of the tenant in scope.

    With append_only the role may insert and read, and nothing else; with keeps_rows it may not delete.
    """

    reversible = True
    atomic = True

    def __init__(
        self,
        model_name: str,
        *,
        append_only: bool = False,
        keeps_rows: bool = False,
        column: str = "tenant_id",
    ) -> None:
        self.model_name = model_name
        self.append_only = append_only
        self.keeps_rows = keeps_rows
        self.column = column

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return (
            type(self).__name__,
            [self.model_name],
            {"append_only": self.append_only, "keeps_rows": self.keeps_rows, "column": self.column},
        )

    def state_forwards(self, app_label: str, state: Any) -> None:
        """A fence changes no model."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        schema_editor.execute(_FENCE.format(**self._names(app_label, schema_editor, to_state)))
        withheld = "UPDATE, DELETE, TRUNCATE" if self.append_only else "DELETE, TRUNCATE"
        if self.append_only or self.keeps_rows:
            schema_editor.execute(
                f"REVOKE {withheld} ON {{table}} FROM {{role}}".format(
                    **self._names(app_label, schema_editor, to_state)
                )
            )

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        schema_editor.execute(_UNFENCE.format(**self._names(app_label, schema_editor, from_state)))

    def describe(self) -> str:
        return f"Fence {self.model_name} by tenant"

    def _names(self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, state: Any) -> dict[str, str]:
        table = state.apps.get_model(app_label, self.model_name)._meta.db_table
        return {"table": schema_editor.quote_name(table), "role": APP_ROLE, "column": self.column}


class AppendOnly(Operation):
    """Take UPDATE, DELETE and TRUNCATE from the application role on a deployment-wide table."""

    reversible = True
    atomic = True

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return (type(self).__name__, [self.model_name], {})

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Grants change no model."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        table = schema_editor.quote_name(to_state.apps.get_model(app_label, self.model_name)._meta.db_table)
        schema_editor.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM {APP_ROLE}")

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        """Nothing to give back: the table goes with its migration."""
