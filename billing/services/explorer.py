"""The event explorer of the console: what happened to every entity, with the rows behind it (spec 7.6)."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from billing.models import BillableEntity
from billing.queries import activity, activity_details
from billing.queries.activity import Entry, Filters, Place, Window
from billing.services import refs
from billing.states import PROVIDER, RefKind
from settld.core import clock, tenancy
from settld.core.redaction import REDACTED
from settld.stripe_gateway.models import StripeEvent, StripeEventConsumption

MOST_ENTITIES = 1_000
SECRETS = frozenset({"client_secret", "clientSecret"})


@dataclass(frozen=True)
class Search:
    """What an operator looks for; None and empty leave a filter out."""

    workspace_id: str = ""
    user_id: int | None = None
    billable_entity_id: int | None = None
    operation_key: str = ""
    provider_event_id: str = ""
    source: str = ""

    @property
    def names_entities(self) -> bool:
        """Tell whether it is about some entities only."""
        return bool(self.workspace_id) or self.user_id is not None or self.billable_entity_id is not None


@dataclass(frozen=True)
class Found:
    """One page of entries, each with its row's columns by the entry's id."""

    entries: list[Entry]
    details: dict[str, dict[str, Any]]
    has_more: bool


def search(wanted: Search, *, page: int = 1, size: int, after: Place | None = None) -> Found:
    """Read a page over all tenants, newest first; the caller audits the platform read.

    `after` begins behind an entry instead, at the same cost however deep.
    """
    with tenancy.platform_scope(reason="billing: event explorer"):
        filters = Filters(
            entity_ids=_entities(wanted) if wanted.names_entities else None,
            source=wanted.source,
            operation_key=wanted.operation_key,
            provider_event_id=wanted.provider_event_id,
            with_runs=True,
            narrowed_to=_known_owner(wanted),
        )
        found = activity.read(filters, Window(size=size, offset=(page - 1) * size, after=after))
        shown = found[:size]
        return Found(shown, activity_details.of(shown), has_more=len(found) > size)


def shown(value: Any) -> Any:
    """Make a stored value fit to show: instants as text, and no client secret at any depth."""
    if isinstance(value, dt.datetime):
        return clock.iso(value)
    if isinstance(value, dict):
        return {key: REDACTED if key in SECRETS else shown(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shown(inner) for inner in value]
    return value


def _entities(wanted: Search) -> tuple[int, ...]:
    rows = BillableEntity.objects.order_by("id")
    if wanted.billable_entity_id is not None:
        rows = rows.filter(pk=wanted.billable_entity_id)
    if wanted.workspace_id:
        rows = rows.filter(tenant_id=wanted.workspace_id, workspace_id=wanted.workspace_id)
    if wanted.user_id is not None:
        rows = rows.filter(owner_user_id=wanted.user_id)
    return tuple(rows.values_list("id", flat=True)[:MOST_ENTITIES])


def _known_owner(wanted: Search) -> tuple[int, ...] | None:
    """Tell whose a key or an event is, where that is known; rows of others cannot carry it."""
    if wanted.operation_key:
        owner = refs.find(kind=RefKind.OPERATION_KEY, ref=wanted.operation_key)
        return None if owner is None else (owner.billable_entity_id,)
    if wanted.provider_event_id:
        of_event = StripeEventConsumption.objects.filter(
            event__provider=PROVIDER,
            event__provider_event_id=wanted.provider_event_id,
            billable_entity_id__isnull=False,
        )
        if owners := {row.billable_entity_id or 0 for row in of_event}:
            return tuple(owners)
        is_known = StripeEvent.objects.filter(
            provider=PROVIDER, provider_event_id=wanted.provider_event_id
        ).exists()
        return None if is_known else ()  # no row carries an event that never came in
    return None
