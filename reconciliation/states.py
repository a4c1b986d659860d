"""The words that reports and mismatches use."""

from typing import Final

from django.db import models

REPORT_SCHEMA: Final = "MoneyRailReconcileReport.v1"
PROVIDER_REPORT_SCHEMA: Final = "MoneyRailProviderReconcileReport.v1"
FINANCE_REPORT_SCHEMA: Final = "ReconcileReport.v1"
OPERATION_STATES: Final = ("initiated", "submitted", "confirmed", "failed", "cancelled", "reversed")


class ReportStatus(models.TextChoices):
    """What a comparison concluded."""

    PASS = "pass"  # noqa: S105  (a verdict, not a password)
    FAIL = "fail"


class Side(models.TextChoices):
    """What was compared: operations with our own instructions, operations with the provider's statement, or
    the month's GL batch with its party statements and the ledger.
    """

    BOOKS = "books"
    PROVIDER = "provider"
    FINANCE = "finance"


class Attribution(models.TextChoices):
    """By what a provider's transfer was filed under a tenant."""

    METADATA = "metadata"
    ACCOUNT = "account"
    DEFAULT = "default"


class SourceType(models.TextChoices):
    """Who found a mismatch; part of its identity."""

    MONEY_RAILS = "money_rails_reconcile"
    FINANCE = "finance_reconcile"
    STRIPE_INBOX = "stripe_inbox"
    PROVIDER_STATEMENT = "provider_statement"
    INVARIANT = "invariant"


class Severity(models.TextChoices):
    """How soon a person should look."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class TriageStatus(models.TextChoices):
    """Where a case stands with the people who look after it; any may follow any."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in_progress"
    RESOLVED = "resolved"
    DISMISSED = "dismissed"


DECIDED: Final = ("resolved", "dismissed")
SEVERITY_RANKS: Final = {"critical": 0, "high": 1, "medium": 2, "low": 3}


class BatchKind(models.TextChoices):
    """How the cases of a batch were chosen."""

    SELECTION = "selection"
    MATCHING = "matching"
    FILE = "file"


class BatchStatus(models.TextChoices):
    """A batch is shown first, then carried out chunk by chunk."""

    PREVIEWED = "previewed"
    RUNNING = "running"
    DONE = "done"


class RowResult(models.TextChoices):
    """What became of one row of a batch."""

    WAITING = "", "Waiting"
    DONE = "done", "Done"
    UNCHANGED = "unchanged", "Unchanged"
    REFUSED = "refused", "Refused"
    INVALID = "invalid", "Invalid"


class CheckStatus(models.TextChoices):
    """What the last look at an invariant found; `error` says that it could not be looked at."""

    PASS = "pass"  # noqa: S105  (a verdict, not a password)
    FAIL = "fail"
    ERROR = "error"
