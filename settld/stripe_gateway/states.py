"""Where one consumer's work on one event stands, and what it came to."""

from django.db.models import TextChoices


class ConsumptionStatus(TextChoices):
    """pending and failed wait for their time; leased is being worked on; dead waits for a person."""

    PENDING = "pending"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"
    DEAD = "dead"


class Outcome(TextChoices):
    """What an event meant to a consumer that is done with it."""

    APPLIED = "applied"
    STALE = "stale"
    IGNORED = "ignored"
    UNMATCHED = "unmatched"


REVIVABLE = (ConsumptionStatus.FAILED, ConsumptionStatus.DEAD)
