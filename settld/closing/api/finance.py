"""/ops/finance: GL batch, its CSV, the account map, the finance pack, and the policy of closes"""

from typing import Any

from django.http import HttpResponse

from settld.api import openapi
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.closing.api import shapes
from settld.closing.identifiers import month_of
from settld.closing.queries import month_documents
from settld.closing.services import account_maps, hold_policy, journal_csv
from settld.core import clock, transactions
from settld.core.errors import Invalid
from settld.idempotency.http import idempotent

PERIOD = {"type": "string", "pattern": r"^\d{4}-(0[1-9]|1[0-2])$"}
PERIODS = [openapi.query("period", PERIOD), openapi.query("month", PERIOD, "another name of period")]
MAPPING = openapi.obj(
    {
        "schemaVersion": openapi.one_of(account_maps.SCHEMA),
        "accounts": openapi.mapping(openapi.TEXT),
        "exportPolicy": openapi.obj({"gateMode": openapi.one_of("warn", "strict")}, optional=("gateMode",)),
        "dimensions": openapi.OBJECT,
    },
    optional=("exportPolicy", "dimensions"),
)
POLICY_EVENT = openapi.obj(
    {
        "id": openapi.TEXT,
        "type": openapi.TEXT,
        "seq": openapi.INT,
        "at": openapi.INSTANT,
        "effectiveFrom": openapi.INSTANT,
        "policy": openapi.OBJECT,
        "payloadHash": openapi.TEXT,
        "prevChainHash": shapes.NULLABLE_TEXT,
        "chainHash": openapi.TEXT,
    }
)


class GlBatch(OpsView):
    """GET /ops/finance/gl-batch"""

    scopes = {"GET": ("finance_read",)}

    @openapi.describe(
        "Read a closed month's GL batch",
        description="A batch of more than 100,000 lines names the artifacts that hold them in `batch.parts`.",
        answers={200: openapi.obj({"artifact": openapi.OBJECT})},
        parameters=PERIODS,
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        artifact = month_documents.gl_batch(tenant_id=request.tenant_id, month=period_asked(request))
        return Json(b'{"artifact":' + artifact.body.encode() + b"}")


class GlBatchCsv(OpsView):
    """GET /ops/finance/gl-batch.csv"""

    scopes = {"GET": ("finance_read",)}

    @openapi.describe(
        "Read a closed month's GL batch as CSV",
        answers={200: openapi.TEXT},
        answer_type="text/csv",
        refusals=(409,),
        parameters=PERIODS,
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        period = period_asked(request)
        with transactions.snapshot():
            pieces = journal_csv.export(tenant_id=request.tenant_id, period=period)
        answer = HttpResponse((piece.encode() for piece in pieces), content_type="text/csv; charset=utf-8")
        answer["content-disposition"] = f'attachment; filename="gl-batch-{period}.csv"'
        return answer


class AccountMap(OpsView):
    """GET and PUT /ops/finance/account-map"""

    scopes = {"GET": ("finance_read", "ops_read"), "PUT": ("finance_write",)}

    @openapi.describe(
        "Read the finance account map", answers={200: openapi.obj({"mapping": openapi.maybe(MAPPING)})}
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        found = month_documents.account_map(tenant_id=request.tenant_id)
        return Json({"mapping": found.mapping if found else None})

    @openapi.describe(
        "Replace the finance account map",
        description="The map may stand bare or under `mapping`.",
        body=MAPPING,
        answers={200: openapi.obj({"ok": openapi.BOOL, "mappingHash": openapi.TEXT})},
        idempotent=True,
    )
    @idempotent
    def put(self, request: OpsRequest) -> HttpResponse:
        given: Any = request.body_json
        mapping = given.get("mapping", given)
        if not isinstance(mapping, dict):
            raise account_maps.InvalidAccountMap(details={"message": "mapping must be an object"})
        mapping_hash = account_maps.put(
            tenant_id=request.tenant_id, mapping=mapping, actor=request.actor, now=request.received_at
        )
        return Json({"ok": True, "mappingHash": mapping_hash})


class FinancePackDownload(OpsView):
    """GET /ops/finance/finance-pack"""

    scopes = {"GET": ("finance_read",)}

    @openapi.describe(
        "Download a closed month's finance pack",
        answers={200: {"type": "string", "format": "binary"}},
        answer_type="application/zip",
        parameters=PERIODS,
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        period = period_asked(request)
        pointer, pack = month_documents.finance_pack(tenant_id=request.tenant_id, month=period)
        answer = HttpResponse(bytes(pack.content), content_type="application/zip")
        answer["content-disposition"] = f'attachment; filename="finance-pack-{period}.zip"'
        answer["x-settld-artifact-id"] = pointer.artifact_id
        answer["etag"] = f'"{pack.bundle_hash}"'
        return answer


class MonthClosePolicy(OpsView):
    """GET and POST /ops/finance/month-close-policy"""

    scopes = {"GET": ("finance_read",), "POST": ("finance_write",)}

    @openapi.describe(
        "Read the hold policy that a month's close goes by",
        answers={
            200: openapi.obj({"closeHoldPolicy": openapi.TEXT, "closeHoldPolicySource": openapi.OBJECT})
        },
        parameters=PERIODS,
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        policy = hold_policy.policy_for(tenant_id=request.tenant_id, month=period_asked(request))
        return Json({"closeHoldPolicy": policy.name, "closeHoldPolicySource": policy.source})

    @openapi.describe(
        "Decide which open holds stop a close",
        description="Appends TENANT_POLICY_UPDATED, in effect for periods that end after `effectiveFrom`.",
        body=openapi.obj(
            {
                "monthCloseHoldPolicy": openapi.one_of(*hold_policy.POLICIES),
                "effectiveFrom": shapes.NULLABLE_INSTANT,
            },
            optional=("effectiveFrom",),
        ),
        answers={201: openapi.obj({"event": POLICY_EVENT})},
        idempotent=True,
    )
    @idempotent
    def post(self, request: OpsRequest) -> HttpResponse:
        given = Body(request.body_json)
        event = hold_policy.update(
            tenant_id=request.tenant_id,
            policy=given.required_text("monthCloseHoldPolicy", most=100),
            effective_from=given.instant("effectiveFrom"),
            actor=request.actor,
            now=request.received_at,
        )
        shaped = {
            "id": event.event_id,
            "type": event.type,
            "seq": event.seq,
            "at": clock.iso(event.at),
            "effectiveFrom": clock.iso(event.effective_from),
            "policy": event.policy,
            "payloadHash": event.payload_hash,
            "prevChainHash": event.prev_chain_hash,
            "chainHash": event.chain_hash,
        }
        return Json({"event": shaped}, status=201)


def period_asked(request: OpsRequest) -> str:
    """Read the period of a query, which may be called month."""
    given = Body(request.GET.dict())
    return period_in(given)


def period_in(given: Body) -> str:
    """Read the period of a query or a body."""
    period, month = given.text("period"), given.text("month")
    if period is not None and month is not None and period != month:
        raise Invalid("period and month differ")
    if period is None and month is None:
        raise Invalid("period is required")
    return month_of(period or month)
