"""The rows behind entries of the explorer, whole: one query for each source on a page, however long."""

from collections.abc import Iterable
from typing import Any, Final

from django.db.models import Model

from billing.queries.activity import Entry
from billing.queries.activity_sources import BRANCHES, CONSUMER, WEBHOOK
from settld.stripe_gateway.models import StripeEventConsumption

HIDDEN: Final = frozenset(
    {"id", "tenant_id", "lease_owner", "lease_version", "revision", "provider_idempotency_key"}
)


def of(entries: Iterable[Entry]) -> dict[str, dict[str, Any]]:
    """Give each entry's columns by the entry's id; values are as the models hold them."""
    wanted: dict[str, list[int]] = {}
    for entry in entries:
        wanted.setdefault(entry.source, []).append(entry.source_id)
    found: dict[str, dict[str, Any]] = {}
    for branch in BRANCHES:
        if (ids := wanted.get(branch.source)) is None:
            continue
        rows = _webhooks(ids) if branch.source == WEBHOOK else _rows(branch.model, ids)
        found |= {f"{branch.source}:{row_id}": values for row_id, values in rows.items()}
    return found


def _rows(model: type[Model], ids: list[int]) -> dict[int, dict[str, Any]]:
    return {row.pk: _columns(row) for row in model._default_manager.filter(pk__in=ids)}


def _webhooks(ids: list[int]) -> dict[int, dict[str, Any]]:
    """Give an event with what its consumer made of it, and its payload as Stripe's object."""
    rows = StripeEventConsumption.objects.filter(event_id__in=ids, consumer=CONSUMER).select_related("event")
    return {row.event_id: _columns(row.event) | _columns(row) | {"payload": row.event.body} for row in rows}


def _columns(row: Model) -> dict[str, Any]:
    return {
        field.attname: getattr(row, field.attname)
        for field in row._meta.concrete_fields
        if field.attname not in HIDDEN
    }
