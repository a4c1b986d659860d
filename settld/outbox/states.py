"""Where a job may stand."""

from django.db import models


class JobStatus(models.TextChoices):
    """The life of a job; succeeded is final, dead_letter waits for a person."""

    PENDING = "pending"
    LEASED = "leased"
    FAILED = "failed"
    SUCCEEDED = "succeeded"
    DEAD_LETTER = "dead_letter"


DUE = (JobStatus.PENDING, JobStatus.FAILED)
OPEN = (*DUE, JobStatus.LEASED)
