"""Cases of a tenant, filed directly, and people who decide about them."""

import datetime as dt

from reconciliation.models import Mismatch
from reconciliation.services import keeping, triage
from reconciliation.services.rows import Kind, QueueRow
from reconciliation.services.triage import Change, Subject
from settld.core import tenancy, transactions
from settld.core.principals import Actor

TENANT = "tenant_a"
NOW = dt.datetime(2026, 11, 3, 9, tzinfo=dt.UTC)
ADA, BOB = Actor("person:ada", request_id="req_ada"), Actor("person:bob")
PERIOD = "2026-10"


def queue_row(key, *, actual=5, severity="high", kind="amount_mismatch", period=PERIOD):
    """One difference as a run would file it."""
    named = Kind(kind, f"MONEY_RAIL_{kind.upper()}", severity)
    details = {"operationId": key, "expectedAmountCents": 400, "actualAmountCents": actual}
    return QueueRow("money_rails_reconcile", period, "stub_default", named, key, details)


def file(*rows, tenant=TENANT, now=NOW):
    """Keep some differences; gives the cases by mismatch key."""
    with tenancy.tenant_scope(tenant):
        keeping.record(tenant_id=tenant, queue=list(rows), report_hash="a" * 64, now=now)
        keys = [row.triage_key for row in rows]
        found = Mismatch.objects.filter(tenant_id=tenant, triage_key__in=keys)
        return {row.mismatch_key: row for row in found}


def file_many(count, *, tenant=TENANT, prefix="mop_", now=NOW, **more):
    """File numbered cases, each a second older than the one before."""
    found = file(
        *(queue_row(f"{prefix}{number:04d}", **more) for number in range(count)), tenant=tenant, now=now
    )
    for number, case in enumerate(found[key] for key in sorted(found)):
        case.first_seen_at = now - dt.timedelta(seconds=number)
    with tenancy.tenant_scope(tenant):
        Mismatch.objects.bulk_update(found.values(), ["first_seen_at"])
    return found


def decide(case, change, *, actor=BOB, expected=None):
    """Decide about one case as somebody else would, in a transaction of its own."""
    with tenancy.tenant_scope(case.tenant_id), transactions.atomic():
        return triage.decide(
            tenant_id=case.tenant_id,
            subject=Subject.of(case),
            change=change,
            expected_revision=expected,
            actor=actor,
            now=NOW,
        )


def acknowledged(case, **more):
    """Have Bob acknowledge a case."""
    return decide(case, Change(status="acknowledged", **more))
