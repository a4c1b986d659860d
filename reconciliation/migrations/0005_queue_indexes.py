from django.db import migrations, models
from django.db.models import F, Q

# As reconciliation.models.mismatch.OPEN was when this was written.
OPEN = Q(cleared_at__isnull=True) & (
    Q(resolved_at__isnull=True)
    | (
        Q(resolved_at__isnull=False)
        & ~Q(triage_mismatch_hash="")
        & ~Q(triage_mismatch_hash=F("mismatch_hash"))
    )
)


class Migration(migrations.Migration):
    """Serve the queue of one period, and the lists of cases by what people decided (case_queue.page)."""

    dependencies = [("reconciliation", "0004_triage_batch")]

    operations = [
        migrations.AddIndex(
            model_name="mismatch",
            index=models.Index(
                "tenant_id",
                "period",
                "severity_rank",
                "first_seen_at",
                "id",
                condition=OPEN,
                name="mismatch_open_of_period",
            ),
        ),
        migrations.AddIndex(
            model_name="mismatch",
            index=models.Index(
                "tenant_id",
                "triage_status",
                "severity_rank",
                "first_seen_at",
                "id",
                condition=~Q(triage_status="open"),
                name="mismatch_by_decision",
            ),
        ),
    ]
