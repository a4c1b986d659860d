"""Party statements."""

from settld.closing.models.party_statement import PartyStatement, StatementSource, StatementStatus

__all__ = ["PartyStatement", "StatementSource", "StatementStatus"]
