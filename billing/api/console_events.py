"""GET /api/console/billing/events"""

from typing import Any, ClassVar

from django.http import HttpResponse

from billing.api import serializers
from billing.api.base import READ, BillingRequest
from billing.api.console_base import EVENTS, ConsoleView
from billing.api.describing import describe
from billing.api.query import Query
from billing.api.timeline import FILTERS
from billing.queries.activity import Entry
from billing.queries.activity_sources import SOURCES
from billing.services import explorer
from settld.api import openapi
from settld.api.openapi import BOOL, INSTANT, INT, OBJECT, TEXT, many, maybe, obj, one_of
from settld.api.responses import Json
from settld.core import clock

_ENTRY = obj(
    {
        "id": TEXT,
        "source": one_of(*SOURCES),
        "sourceId": serializers.ID,
        "billableEntityId": maybe(serializers.ID),
        "workspaceId": maybe(TEXT),
        "workspaceSlug": maybe(TEXT),
        "workspaceName": maybe(TEXT),
        "ownerUserId": maybe(serializers.ID),
        "provider": maybe(TEXT),
        "operationKey": maybe(TEXT),
        "providerEventId": maybe(TEXT),
        "eventType": TEXT,
        "status": TEXT,
        "message": maybe(TEXT),
        "occurredAt": INSTANT,
        "detailsJson": OBJECT,
    }
)


class Events(ConsoleView):
    """GET /api/console/billing/events"""

    permission = EVENTS
    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"GET": READ}

    @describe(
        "Search what happened over all tenants, newest first",
        answers={200: obj({"entries": many(_ENTRY), "page": INT, "pageSize": INT, "hasMore": BOOL})},
        parameters=(
            *FILTERS,
            openapi.query("pageSize", {"type": "integer", "minimum": 1, "maximum": 100, "default": 25}),
            openapi.query("workspaceId", TEXT, "entries of one workspace"),
            openapi.query("userId", serializers.ID, "entries of the entities that a person owns"),
            openapi.query("billableEntityId", serializers.ID, "entries of one entity"),
        ),
        of_entity=False,
    )
    def get(self, request: BillingRequest) -> HttpResponse:
        query = Query(request)
        page, size = query.page(default_size=25)
        wanted = explorer.Search(
            workspace_id=query.text("workspaceId", most=200),
            user_id=query.identifier("userId"),
            billable_entity_id=query.identifier("billableEntityId"),
            operation_key=query.text("operationKey"),
            provider_event_id=query.text("providerEventId"),
            source=query.text("source"),
        )
        query.finish()
        self.note_read(request)
        found = explorer.search(wanted, page=page, size=size)
        entries = [_entry(entry, found.details.get(entry.id, {})) for entry in found.entries]
        return Json({"entries": entries, "page": page, "pageSize": size, "hasMore": found.has_more})


def _entry(entry: Entry, details: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": entry.id,
        "source": entry.source,
        "sourceId": entry.source_id,
        "billableEntityId": entry.billable_entity_id,
        "workspaceId": entry.workspace_id,
        "workspaceSlug": entry.workspace_id,
        "workspaceName": entry.workspace_name,
        "ownerUserId": entry.owner_user_id,
        "provider": entry.provider,
        "operationKey": entry.operation_key,
        "providerEventId": entry.provider_event_id,
        "eventType": entry.event_type,
        "status": entry.status,
        "message": entry.message,
        "occurredAt": clock.iso(entry.occurred_at),
        "detailsJson": {serializers.camel(name): explorer.shown(value) for name, value in details.items()},
    }
