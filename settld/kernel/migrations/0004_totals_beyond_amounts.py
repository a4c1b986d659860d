from django.db import migrations, models
from django.db.models import Q

TOTALS = {
    "wallet_debited": "total_debited_cents",
    "wallet_credited": "total_credited_cents",
    "wallet_refunded": "total_refunded_cents",
    "wallet_locked_today": "locked_today_cents",
}


class Migration(migrations.Migration):
    """Let sums of what came and went pass what an amount may be, so that no refund is ever refused for them."""

    dependencies = [("kernel", "0003_adjustments_of_month")]
    operations = [
        operation
        for name, column in TOTALS.items()
        for operation in (
            migrations.RemoveConstraint("wallet", name),
            migrations.AddConstraint(
                "wallet",
                models.CheckConstraint(
                    condition=Q(**{f"{column}__gte": 0, f"{column}__lte": 2**63 - 1}), name=name
                ),
            ),
        )
    ]
