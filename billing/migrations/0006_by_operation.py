from django.db import migrations, models


class Migration(migrations.Migration):
    """Serve the event explorer by operation key, which looks over all tenants.

    The stored metadata of subscriptions, invoices and payments has no index: behind row-level security none
    is used for an operator that may tell what it has seen, and `->>` is one. The directory of keys narrows
    those three to an entity.
    """

    dependencies = [
        ("billing", "0005_worker_walks"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="billingrequest",
            index=models.Index(fields=["operation_key"], name="request_by_operation"),
        ),
        migrations.AddIndex(
            model_name="checkoutsession",
            index=models.Index(fields=["operation_key"], name="checkout_session_by_operation"),
        ),
        migrations.AddIndex(
            model_name="billingoutboxjob",
            index=models.Index(
                condition=models.Q(("operation_key__isnull", False)),
                fields=["operation_key"],
                name="billing_job_by_operation",
            ),
        ),
        migrations.AddIndex(
            model_name="remediation",
            index=models.Index(
                condition=models.Q(("operation_key__isnull", False)),
                fields=["operation_key"],
                name="remediation_by_operation",
            ),
        ),
    ]
