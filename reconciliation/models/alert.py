"""An alert that was given."""

from django.db import models

from settld.core import ids, triggers


class MismatchAlert(models.Model):
    """The one alert of a tenant and UTC day; the row is what makes it one."""

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    day_key = models.CharField(max_length=10)
    count = models.PositiveIntegerField()
    threshold = models.PositiveIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "mismatch_alert"
        verbose_name = "mismatch alert"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "day_key"], name="mismatch_alert_once_per_day"),
        ]
        triggers = triggers.append_only("mismatch_alert")

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.day_key}"
