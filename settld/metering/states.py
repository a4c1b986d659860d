"""The kinds of billable use, and what may report them (settld-billing-and-finance 2.1)."""

from typing import Final, Literal

from django.db import models

SCHEMA: Final = "BillableUsageEvent.v1"
BILLED_CURRENCY: Final = "USD"


class EventType(models.TextChoices):
    """What was used."""

    VERIFIED_RUN = "verified_run"
    SETTLED_VOLUME = "settled_volume"
    ARBITRATION_USAGE = "arbitration_usage"


class SourceType(models.TextChoices):
    """What the use came from."""

    RUN_EVENT = "agent_run_event"
    AGREEMENT_CANCELLATION = "agreement_cancellation"
    SETTLEMENT = "agent_run_settlement"
    MANUAL_RESOLUTION = "manual_settlement_resolution"
    ARBITRATION_CASE = "arbitration_case"
    ARBITRATION_VERDICT = "arbitration_verdict"


RunSource = Literal["agent_run_event", "agreement_cancellation"]
VolumeSource = Literal["agent_run_settlement", "manual_settlement_resolution", "agreement_cancellation"]
ArbitrationSource = Literal["arbitration_case", "arbitration_verdict"]
