"""The closing app."""

from django.apps import AppConfig


class ClosingConfig(AppConfig):
    """Freezing a month and what it owes to whom."""

    name = "settld.closing"
    label = "closing"
    verbose_name = "Closing"

    def ready(self) -> None:
        """Give the outbox the worker that closes months, and publish the documents written here."""
        from settld.api.discovery import artifact_types
        from settld.closing import close_documents, documents
        from settld.closing.services import finance_pack_jobs, finance_packs, worker
        from settld.outbox.kinds import register_kind

        register_kind(worker.KIND, worker.carry_out, lease=worker.LEASE)
        register_kind(finance_pack_jobs.KIND, finance_packs.carry_out, lease=finance_pack_jobs.LEASE)
        artifact_types.update((*documents.ARTIFACT_TYPES, *close_documents.ARTIFACT_TYPES))
