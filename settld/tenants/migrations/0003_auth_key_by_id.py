"""Find a key by its id, where the caller named no tenant. Built beside live traffic, so alone and not atomic."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("tenants", "0002_signer_key")]
    operations = [AddIndexConcurrently("authkey", models.Index(fields=["key_id"], name="auth_key_by_id"))]
