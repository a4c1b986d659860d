"""Holds of tool calls: /ops/tool-calls/holds and below, /ops/maintenance/tool-call-holdback/run"""

from typing import Any

from django.http import HttpResponse

from settld.api import openapi, paging
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import failpoints
from settld.core.errors import Invalid
from settld.idempotency.http import idempotent
from settld.kernel import identifiers, wire
from settld.kernel.api import access, shapes
from settld.kernel.queries import holds as queries
from settld.kernel.services import holdback_release, holds
from settld.kernel.services.holds import HoldTerms
from settld.kernel.states import HoldStatus

MOST_BPS = 10_000
MOST_WINDOW_MS = 31_536_000_000
MOST_ROWS = 2000
TERMS = openapi.obj(
    {
        "agreementHash": shapes.HASH,
        "receiptHash": shapes.HASH,
        "payerAgentId": openapi.TEXT,
        "payeeAgentId": openapi.TEXT,
        "amountCents": shapes.AMOUNT,
        "currency": shapes.CURRENCY,
        "holdbackBps": {"type": "integer", "minimum": 0, "maximum": MOST_BPS},
        "challengeWindowMs": {"type": "integer", "minimum": 0, "maximum": MOST_WINDOW_MS},
        "createdAt": openapi.maybe(openapi.INSTANT),
    },
    optional=("currency", "createdAt"),
)


class LockHold(OpsView):
    """POST /ops/tool-calls/holds/lock"""

    scopes = {"POST": access.OPS_WRITE}

    @openapi.describe(
        "Set money aside for a tool call",
        description=(
            "Locks floor(amountCents * holdbackBps / 10000) of the payer's wallet and nothing else of the"
            " amount. createdAt is hashed; it may be at most five minutes from now."
        ),
        body=TERMS,
        answers={201: openapi.obj({"hold": shapes.HOLD})},
        refusals=(409,),
        idempotent=True,
    )
    def post(self, request: OpsRequest) -> HttpResponse:
        terms = _read_terms(request.body_json)
        response: HttpResponse = self._post(request, terms=terms)
        failpoints.hit("kernel.lock_hold.after_commit")
        return response

    @idempotent
    def _post(self, request: OpsRequest, *, terms: HoldTerms) -> HttpResponse:
        hold = holds.lock(
            tenant_id=request.tenant_id, terms=terms, actor=request.actor, now=request.received_at
        )
        return Json({"hold": wire.hold_json(hold)}, status=201)


class Holds(OpsView):
    """GET /ops/tool-calls/holds"""

    scopes = {"GET": access.OPS_READ}

    @openapi.describe(
        "List holds, the newest first",
        answers={
            200: openapi.obj(
                {
                    "ok": openapi.BOOL,
                    "tenantId": openapi.TEXT,
                    "agreementHash": shapes.OPTIONAL_HASH,
                    "status": openapi.maybe(openapi.one_of(*HoldStatus.values)),
                    "limit": openapi.INT,
                    "offset": openapi.INT,
                    "holds": openapi.many(shapes.HOLD),
                }
            )
        },
        parameters=[
            openapi.query("agreementHash", shapes.HASH),
            openapi.query("status", openapi.one_of(*HoldStatus.values)),
            openapi.query(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": 200},
                "rows wanted",
            ),
            openapi.query("offset", {"type": "integer", "minimum": 0, "default": 0}, "rows to skip"),
        ],
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        page = paging.read(request, most=MOST_ROWS)
        given = Body(request.GET.dict())
        agreement_hash = given.text("agreementHash")
        if agreement_hash is not None:
            identifiers.sha256_of(agreement_hash, key="agreementHash")
        status = given.choice("status", tuple(HoldStatus.values))
        found = queries.listing(
            tenant_id=request.tenant_id,
            agreement_hash=agreement_hash,
            status=None if status is None else HoldStatus(status),
        )
        return Json(
            {
                "ok": True,
                "tenantId": request.tenant_id,
                "agreementHash": agreement_hash,
                "status": status,
                "limit": page.limit,
                "offset": page.offset,
                "holds": [wire.hold_json(hold) for hold in found[page.window]],
            }
        )


class HoldDetail(OpsView):
    """GET /ops/tool-calls/holds/{holdHash}"""

    scopes = {"GET": access.OPS_READ}

    @openapi.describe(
        "Read a hold",
        answers={200: openapi.obj({"ok": openapi.BOOL, "tenantId": openapi.TEXT, "hold": shapes.HOLD})},
    )
    def get(self, request: OpsRequest, hold_hash: str) -> HttpResponse:
        hold = queries.get(tenant_id=request.tenant_id, hold_hash=hold_hash)
        return Json({"ok": True, "tenantId": request.tenant_id, "hold": wire.hold_json(hold)})


class ToolCallHoldbackRun(OpsView):
    """POST /ops/maintenance/tool-call-holdback/run"""

    scopes = {"POST": access.OPS_WRITE}

    @openapi.describe(
        "Release the tenant's holds whose challenge window is over",
        description=(
            "The oldest first. A hold with an arbitration case that is not closed is blocked, and does not"
            " count against the limit. A dry run counts as released what would have been."
        ),
        body=openapi.obj({"dryRun": openapi.BOOL, "limit": openapi.INT}, optional=("dryRun", "limit")),
        answers={
            200: openapi.obj(
                {
                    "ok": openapi.BOOL,
                    "tenantId": openapi.TEXT,
                    "dryRun": openapi.BOOL,
                    "attempted": openapi.INT,
                    "released": openapi.INT,
                    "blocked": openapi.INT,
                    "errors": openapi.INT,
                    "blockedCases": openapi.many(
                        openapi.obj({"holdHash": shapes.HASH, "caseId": openapi.TEXT})
                    ),
                }
            )
        },
        refusals=(409,),
    )
    def post(self, request: OpsRequest) -> HttpResponse:
        given = Body(request.body_json)
        limit = given.integer("limit", default=holdback_release.DEFAULT_LIMIT, least=1)
        done, _ = holdback_release.run(
            tenant_id=request.tenant_id,
            limit=min(limit or holdback_release.DEFAULT_LIMIT, holdback_release.MOST_LIMIT),
            is_dry_run=bool(given.boolean("dryRun")),
            actor=request.actor,
            path=request.path,
            now=request.received_at,
        )
        return Json({"ok": True, "tenantId": request.tenant_id, **done.as_json()})


def _read_terms(values: dict[str, Any]) -> HoldTerms:
    return HoldTerms(
        agreement_hash=identifiers.sha256_of(values.get("agreementHash"), key="agreementHash"),
        receipt_hash=identifiers.sha256_of(values.get("receiptHash"), key="receiptHash"),
        payer_agent_id=identifiers.agent_id_of(values.get("payerAgentId"), key="payerAgentId"),
        payee_agent_id=identifiers.agent_id_of(values.get("payeeAgentId"), key="payeeAgentId"),
        amount_cents=identifiers.cents_of(values.get("amountCents")),
        currency=identifiers.currency_of(values.get("currency")),
        holdback_bps=_whole(values, "holdbackBps", most=MOST_BPS),
        challenge_window_ms=_whole(values, "challengeWindowMs", most=MOST_WINDOW_MS),
        created_at=Body(values).instant("createdAt"),
    )


def _whole(values: dict[str, Any], key: str, *, most: int) -> int:
    value: Any = values.get(key)
    if not identifiers.is_cents(value, least=0) or value > most:
        raise Invalid(f"{key} must be an integer from 0 to {most}")
    return int(value)
