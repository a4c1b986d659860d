"""What /metrics tells of reconciliation: how fresh the provider's statement is, and what does not hold."""

from collections.abc import Iterator

from django.db.models import Count, Q

from reconciliation.invariants import INVARIANTS
from reconciliation.models import InvariantCheck, StatementCursor
from settld.api.metrics import Sample
from settld.core import tenancy


def samples() -> Iterator[Sample]:
    """Give when each list was last read to its end, and whether its last read broke off."""
    for cursor in StatementCursor.objects.order_by("kind"):
        label = {"kind": cursor.kind}
        if cursor.covered_at:
            yield Sample("provider_statement_read_unixtime", cursor.covered_at.timestamp(), label)
        yield Sample("provider_statement_broken_gauge", float(cursor.error_at is not None), label)


def invariants() -> Iterator[Sample]:
    """Give how many tenants of the scope each invariant is broken for, and could not be looked at for."""
    rows = InvariantCheck.objects.all()
    own = tenancy.current().tenant_id
    if own:
        rows = rows.filter(tenant_id=own)
    counted = {
        name: (broken, unseen)
        for name, broken, unseen in rows.values_list("name").annotate(
            broken=Count("id", filter=Q(status="fail")), unseen=Count("id", filter=Q(status="error"))
        )
    }
    for invariant in INVARIANTS:
        broken, unseen = counted.get(invariant.name, (0, 0))
        label = {"name": invariant.name, "severity": invariant.severity.value}
        yield Sample("invariant_broken_gauge", float(broken), label)
        yield Sample("invariant_not_looked_at_gauge", float(unseen), label)
