from django.db import migrations, models


class Migration(migrations.Migration):
    """Let a document name a currency of up to twelve characters, as statements may."""

    dependencies = [("artifacts", "0001_initial")]

    operations = [
        migrations.AlterField(
            model_name="artifact",
            name="currency",
            field=models.CharField(max_length=12, null=True),
        ),
    ]
