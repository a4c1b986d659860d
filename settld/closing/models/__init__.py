"""Party statements, and the files that they were imported from."""

from settld.closing.models.party_statement import PartyStatement, StatementSource, StatementStatus
from settld.closing.models.statement_import import StatementImport, StatementUpload

__all__ = ["PartyStatement", "StatementImport", "StatementSource", "StatementStatus", "StatementUpload"]
