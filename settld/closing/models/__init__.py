"""Party statements, the files they were imported from, the documents of a close, and what a tenant chose."""

from settld.closing.models.finance_account_map import FinanceAccountMap
from settld.closing.models.governance_event import GovernanceEvent
from settld.closing.models.month_document import DocumentKind, FinancePack, MonthDocument
from settld.closing.models.party_statement import PartyStatement, StatementSource, StatementStatus
from settld.closing.models.statement_import import StatementImport, StatementUpload

__all__ = [
    "DocumentKind",
    "FinanceAccountMap",
    "FinancePack",
    "GovernanceEvent",
    "MonthDocument",
    "PartyStatement",
    "StatementImport",
    "StatementSource",
    "StatementStatus",
    "StatementUpload",
]
