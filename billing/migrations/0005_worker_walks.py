from django.db import migrations, models


class Migration(migrations.Migration):
    """Serve the workers: a tenant's oldest due row, and walks by id over the few rows that still change."""

    dependencies = [
        ("billing", "0004_activity_order"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="billingoutboxjob",
            index=models.Index(
                condition=models.Q(("status__in", ["pending", "failed", "leased"])),
                fields=["tenant_id", "available_at", "id"],
                name="billing_job_turn",
            ),
        ),
        migrations.AddIndex(
            model_name="billingrequest",
            index=models.Index(condition=models.Q(("status", "pending")), fields=["id"], name="request_walk"),
        ),
        migrations.AddIndex(
            model_name="checkoutsession",
            index=models.Index(
                condition=models.Q(
                    (
                        "status__in",
                        ("open", "completed_pending_subscription", "recovery_verification_pending"),
                    )
                ),
                fields=["id"],
                name="checkout_session_walk",
            ),
        ),
        migrations.AddIndex(
            model_name="remediation",
            index=models.Index(
                condition=models.Q(("status__in", ["pending", "failed", "in_progress"])),
                fields=["tenant_id", "next_attempt_at", "id"],
                name="remediation_turn",
            ),
        ),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(
                condition=models.Q(("needs_reconciliation", True)), fields=["id"], name="subscription_flagged"
            ),
        ),
    ]
