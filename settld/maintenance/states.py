"""How a run may end, and whose it is."""

from django.db import models

# Rows of runs over all tenants. No tenant can have this id: ids are made of A-Z a-z 0-9 _ and -.
GLOBAL = "*"


class RunOutcome(models.TextChoices):
    """How a run ended; `running` is one that is at work or died at it."""

    RUNNING = "running"
    OK = "ok"
    ERROR = "error"
    ALREADY_RUNNING = "already_running"


class RunScope(models.TextChoices):
    """Whether a run was for one tenant or for all."""

    TENANT = "tenant"
    GLOBAL = "global"
