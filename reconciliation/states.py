"""The words that reports and mismatches use."""

from typing import Final

from django.db import models

REPORT_SCHEMA: Final = "MoneyRailReconcileReport.v1"
OPERATION_STATES: Final = ("initiated", "submitted", "confirmed", "failed", "cancelled", "reversed")


class ReportStatus(models.TextChoices):
    """What a comparison concluded."""

    PASS = "pass"  # noqa: S105  (a verdict, not a password)
    FAIL = "fail"


class SourceType(models.TextChoices):
    """Who found a mismatch; part of its identity."""

    MONEY_RAILS = "money_rails_reconcile"
    FINANCE = "finance_reconcile"
    STRIPE_INBOX = "stripe_inbox"


class Severity(models.TextChoices):
    """How soon a person should look."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"
