"""Signing where each chain ends, once a day, so that cutting its end off shows too."""

import datetime as dt

from settld.audit.models import OpsAuditCheckpoint, OpsAuditHead
from settld.core import clock, tenancy, transactions
from settld.core.hashing import canonical_hash
from settld.core.signatures import sign_hash


def sign_due(*, now: dt.datetime) -> int:
    """Sign today's checkpoint of every tenant that has none yet; gives how many were signed."""
    day_key = clock.day_key(now)
    with tenancy.platform_scope(reason="audit checkpoints: find chains"):
        done = OpsAuditCheckpoint.objects.filter(day_key=day_key).values("tenant_id")
        due = list(OpsAuditHead.objects.exclude(tenant_id__in=done).values_list("tenant_id", flat=True))
    return sum(_sign(tenant_id=tenant_id, day_key=day_key, now=now) for tenant_id in due)


def _sign(*, tenant_id: str, day_key: str, now: dt.datetime) -> bool:
    with tenancy.tenant_scope(tenant_id), transactions.atomic():
        head = OpsAuditHead.objects.get(tenant_id=tenant_id)
        checkpoint = OpsAuditCheckpoint(
            tenant_id=tenant_id, seq=head.seq, row_hash=head.row_hash, at=now, day_key=day_key
        )
        checkpoint.artifact_hash = canonical_hash(checkpoint.statement)
        signature = sign_hash(checkpoint.artifact_hash)
        checkpoint.key_id, checkpoint.signature_base64 = signature.key_id, signature.signature_base64
        return bool(OpsAuditCheckpoint.objects.bulk_create([checkpoint], ignore_conflicts=True))
