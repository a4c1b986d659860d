"""GET /api/billing/timeline"""

from typing import Any

from django.http import HttpResponse

from billing.api import serializers
from billing.api.base import BillingRequest, BillingView
from billing.api.describing import describe
from billing.api.query import Query
from billing.queries.activity import Place
from billing.queries.activity_sources import SOURCES
from billing.services import timeline
from billing.services.timeline import Line
from settld.api import openapi
from settld.api.openapi import BOOL, INSTANT, INT, TEXT, many, maybe, obj, one_of
from settld.api.responses import Json
from settld.core import clock

_ENTRY = obj(
    {
        "id": TEXT,
        "occurredAt": INSTANT,
        "kind": one_of(*SOURCES),
        "status": TEXT,
        "title": TEXT,
        "description": TEXT,
        "provider": maybe(TEXT),
        "operationKey": maybe(TEXT),
        "providerEventId": maybe(TEXT),
        "sourceId": serializers.ID,
    }
)
FILTERS = (
    openapi.query("page", {"type": "integer", "minimum": 1, "default": 1}, "pages begin with 1"),
    openapi.query("source", TEXT, "one source; an unknown one has no entries"),
    openapi.query("operationKey", TEXT, "entries of one operation"),
    openapi.query("providerEventId", TEXT, "entries of one provider event"),
)


class Timeline(BillingView):
    """GET /api/billing/timeline"""

    @describe(
        "Show what happened to the entity, newest first",
        answers={
            200: obj(
                {
                    "billableEntity": serializers.billable_entity.schema,
                    "entries": many(_ENTRY),
                    "page": INT,
                    "pageSize": INT,
                    "hasMore": BOOL,
                    "nextCursor": maybe(TEXT),
                }
            )
        },
        parameters=(
            *FILTERS,
            openapi.query("pageSize", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
            openapi.query("cursor", TEXT, "nextCursor of the page before; counts before page"),
        ),
        description="Show what happened to the entity, newest first. Pages by number reach the first 10000"
        " entries; pages by cursor reach all of them, at the same cost at any depth.",
    )
    def get(self, request: BillingRequest) -> HttpResponse:
        query = Query(request)
        page, size = query.page(default_size=20)
        cursor = query.text("cursor", most=300)
        after = Place.read(cursor) if cursor else None
        if cursor and after is None:
            query.faults.setdefault("cursor", "cursor must be a nextCursor of an earlier answer.")
        filters = {
            "source": query.text("source"),
            "operation_key": query.text("operationKey"),
            "provider_event_id": query.text("providerEventId"),
        }
        query.finish()
        access = self.entity(request)
        found = timeline.entries(entity=access.entity, page=page, size=size, after=after, **filters)
        return Json(
            {
                "billableEntity": serializers.billable_entity(access.entity),
                "entries": [_entry(line) for line in found.lines],
                "page": page,
                "pageSize": size,
                "hasMore": found.next_cursor is not None,
                "nextCursor": found.next_cursor,
            }
        )


def _entry(line: Line) -> dict[str, Any]:
    return {
        "id": line.id,
        "occurredAt": clock.iso(line.occurred_at),
        "kind": line.kind,
        "status": line.status,
        "title": line.title,
        "description": line.description,
        "provider": line.provider,
        "operationKey": line.operation_key,
        "providerEventId": line.provider_event_id,
        "sourceId": line.source_id,
    }
