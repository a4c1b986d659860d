"""Audit rows, the head of each tenant's chain, and signed checkpoints."""

from settld.audit.models.chain import OpsAudit, OpsAuditCheckpoint, OpsAuditHead

__all__ = ["OpsAudit", "OpsAuditCheckpoint", "OpsAuditHead"]
