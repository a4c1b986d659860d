"""Artifacts in the admin, for looking."""

from django.contrib import admin

from settld.artifacts.models import Artifact
from settld.core import money
from settld.core.admin import ReadOnlyAdmin


@admin.register(Artifact)
class ArtifactAdmin(ReadOnlyAdmin):
    """Stored documents; immutable, so there is nothing to do but read."""

    list_display = ("artifact_id", "tenant_id", "artifact_type", "period", "amount", "created_at")
    list_filter = ("artifact_type", "period")
    search_fields = ("=artifact_id", "=artifact_hash", "=payout_key")
    ordering = ("-created_at",)

    @admin.display(ordering="amount_cents")
    def amount(self, artifact: Artifact) -> str:
        """Show the amount that the document speaks of, if it speaks of one."""
        if artifact.amount_cents is None or artifact.currency is None:
            return "-"
        return money.show(artifact.amount_cents, artifact.currency)
