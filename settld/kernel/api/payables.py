"""What payees are owed, and what movements rest on: /ops/kernel/payables, /ops/kernel/refs/{kind}/{id}"""

from django.http import HttpResponse

from settld.api import openapi
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import clock
from settld.core.errors import NotFound
from settld.kernel import identifiers
from settld.kernel.api import access, paging
from settld.kernel.queries import agents, allocations, payables, ref_lookup, refs
from settld.kernel.states import RefKind, ReservationState

REF = openapi.obj(
    {
        "kind": openapi.one_of(*RefKind.values),
        "id": openapi.TEXT,
        "hash": openapi.TEXT,
        "amountCents": openapi.INT,
    }
)
REASONS = (
    ref_lookup.CHALLENGE_WINDOW_OPEN,
    ref_lookup.DISPUTE_OPEN,
    ref_lookup.ARBITRATION_OPEN,
    ref_lookup.ALREADY_ALLOCATED,
)
ITEM = openapi.obj(
    {
        "ref": REF,
        "runId": openapi.maybe(openapi.TEXT),
        "amountCents": openapi.INT,
        "currency": openapi.TEXT,
        "eligibleAt": openapi.maybe(openapi.INSTANT),
        "blockedReason": openapi.maybe(openapi.one_of(*REASONS)),
        "operationId": openapi.maybe(openapi.TEXT),
    }
)
ALLOCATION = openapi.obj(
    {
        "operationId": openapi.TEXT,
        "state": openapi.one_of(*ReservationState.values),
        "amountCents": openapi.INT,
        "createdAt": openapi.INSTANT,
        "releasedAt": openapi.maybe(openapi.INSTANT),
    }
)


class ReferenceNotFound(NotFound):
    """The tenant has no such object."""

    message = "kernel reference not found"


class KernelPayables(OpsView):
    """GET /ops/kernel/payables"""

    scopes = {"GET": access.FINANCE_READ}

    @openapi.describe(
        "List what a payee is owed and what stands in the way of paying it",
        description=(
            "Receipts of settled runs and released holdbacks that have not been paid, by eligibleAt. `asOf` "
            "decides which windows are over: a window's last instant still blocks. The sums and `total` are "
            "over all items, whatever the page."
        ),
        answers={
            200: openapi.obj(
                {
                    "agentId": openapi.TEXT,
                    "asOf": openapi.INSTANT,
                    "currency": openapi.TEXT,
                    "items": openapi.many(ITEM),
                    "payableCents": openapi.INT,
                    "blockedCents": openapi.INT,
                    "total": openapi.INT,
                    "limit": openapi.INT,
                    "offset": openapi.INT,
                }
            )
        },
        parameters=[
            openapi.query("agentId", openapi.TEXT, "the payee", required=True),
            openapi.query("asOf", openapi.INSTANT, "default now"),
            openapi.query("currency", openapi.TEXT, "default USD"),
            *paging.parameters(default=paging.MOST),
        ],
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        given = Body(request.GET.dict())
        agent_id = identifiers.agent_id_of(given.text("agentId"))
        currency = identifiers.currency_of(given.text("currency"))
        as_of = given.instant("asOf") or request.received_at
        page = paging.read(request, default=paging.MOST)
        agents.get(tenant_id=request.tenant_id, agent_id=agent_id)
        found = payables.listing(
            tenant_id=request.tenant_id, agent_id=agent_id, as_of=as_of, currency=currency
        )
        return Json(
            {
                "agentId": agent_id,
                "asOf": clock.iso(as_of),
                "currency": currency,
                "items": [item.as_json() for item in found.items[page.window]],
                "payableCents": found.payable_cents,
                "blockedCents": found.blocked_cents,
                "total": len(found.items),
                "limit": page.limit,
                "offset": page.offset,
            }
        )


class KernelReference(OpsView):
    """GET /ops/kernel/refs/{kind}/{id}"""

    scopes = {"GET": access.FINANCE_READ}

    @openapi.describe(
        "Follow a reference of a movement to what it names, and to the payouts it was given to",
        description=(
            "`object` is the stored document, `amountCents` what it adds to what its payee is owed. With "
            "`hash`, an object of another hash is refused."
        ),
        answers={
            200: openapi.obj(
                {
                    "ref": REF,
                    "currency": openapi.TEXT,
                    "agentId": openapi.maybe(openapi.TEXT),
                    "runId": openapi.maybe(openapi.TEXT),
                    "link": openapi.TEXT,
                    "object": openapi.OBJECT,
                    "payouts": openapi.many(ALLOCATION),
                }
            )
        },
        parameters=[openapi.query("hash", openapi.TEXT, "the hash that the reference carries")],
    )
    def get(self, request: OpsRequest, kind: str, ref_id: str) -> HttpResponse:
        expected = Body(request.GET.dict()).text("hash")
        found = refs.resolve(tenant_id=request.tenant_id, kind=kind, ref_id=ref_id, expected_hash=expected)
        if found is None:
            raise ReferenceNotFound()
        given = allocations.of_ref(tenant_id=request.tenant_id, kind=kind, ref_id=ref_id)
        return Json(
            {
                "ref": {
                    "kind": str(found.kind),
                    "id": ref_id,
                    "hash": found.hash,
                    "amountCents": found.amount_cents,
                },
                "currency": found.currency,
                "agentId": found.agent_id,
                "runId": found.run_id,
                "link": found.link,
                "object": found.document,
                "payouts": [row.as_json() for row in given],
            }
        )
