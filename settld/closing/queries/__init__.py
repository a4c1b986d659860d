"""Reading statements, a period's lines and the documents of a close."""

from settld.closing.queries.statements import (
    PayoutSubject,
    StatementAmbiguous,
    StatementNotFound,
    current,
    detail,
    in_code_point_order,
    listing,
    months_with_statements,
    statement_for_payout,
    superseded_payout_keys,
)

__all__ = [
    "PayoutSubject",
    "StatementAmbiguous",
    "StatementNotFound",
    "current",
    "detail",
    "in_code_point_order",
    "listing",
    "months_with_statements",
    "statement_for_payout",
    "superseded_payout_keys",
]
