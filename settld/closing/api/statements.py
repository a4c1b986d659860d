"""/ops/party-statements"""

from typing import Any

from django.http import HttpResponse

from settld.api import fields, openapi, paging
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.artifacts import queries as artifacts
from settld.closing import queries
from settld.closing.api import shapes
from settld.closing.api.month_close import basis_of
from settld.closing.identifiers import CURRENCY, ROLE, party_id_of
from settld.closing.services import statements
from settld.closing.services.statements import StatementContent
from settld.core.errors import Invalid
from settld.core.money import MAX_MINOR
from settld.idempotency.http import idempotent

REFERENCE_TYPES = ("settlement", "receipt", "adjustment")
MOST_REFERENCES = 1000


class StatementList(OpsView):
    """GET /ops/party-statements"""

    scopes = {"GET": ("finance_read",)}

    @openapi.describe(
        "List a period's party statements",
        answers={200: openapi.obj({"statements": openapi.many(shapes.STATEMENT)})},
        parameters=[
            openapi.query("period", required=True),
            openapi.query("partyId"),
            openapi.query("status", shapes.STATUS),
            *openapi.PAGE,
        ],
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        page = paging.read(request)
        given = Body(request.GET.dict())
        rows = queries.listing(
            tenant_id=request.tenant_id,
            period=period_of(given.required_text("period")),
            party_id=given.text("partyId"),
            status=given.choice("status", ("OPEN", "CLOSED")),
        )
        return Json({"statements": [shapes.statement_json(row) for row in rows[page.window]]})


class StatementDetail(OpsView):
    """GET and PUT /ops/party-statements/{partyId}/{period}"""

    scopes = {"GET": ("finance_read",), "PUT": ("finance_write",)}
    requires_protocol = True

    @openapi.describe(
        "Read a party's statement for a period",
        answers={200: shapes.STATEMENT_AND_ARTIFACT},
        refusals=(409,),
        parameters=[
            openapi.query("partyRole", description="which of several roles is meant"),
            openapi.query("currency", description="which of several currencies is meant"),
        ],
    )
    def get(self, request: OpsRequest, party_id: str, period: str) -> HttpResponse:
        given = Body(request.GET.dict())
        row = queries.detail(
            tenant_id=request.tenant_id,
            party_id=party_id,
            period=period_of(period),
            party_role=given.text("partyRole"),
            currency=given.text("currency"),
        )
        artifact = artifacts.get(tenant_id=request.tenant_id, artifact_id=row.artifact_id)
        return Json({"statement": shapes.statement_json(row), "artifact": artifact.document})

    @openapi.describe(
        "Write a party's statement for a period",
        description="Replaceable until its month is closed; equal content again changes nothing.",
        body=shapes.STATEMENT_IN,
        answers={200: shapes.STATEMENT_AND_ARTIFACT},
        refusals=(409,),
        idempotent=True,
    )
    @idempotent
    def put(self, request: OpsRequest, party_id: str, period: str) -> HttpResponse:
        row, sealed = statements.put(
            tenant_id=request.tenant_id,
            party_id=party_id_of(party_id),
            period=period_of(period),
            content=content_of(Body(request.body_json)),
            actor=request.actor,
            now=request.received_at,
        )
        return Json({"statement": shapes.statement_json(row), "artifact": sealed.document})


def period_of(text: str) -> str:
    """Read the period of the path."""
    return fields.period(text)


def content_of(given: Body) -> StatementContent:
    """Read what a caller says that the party is owed."""
    payout_cents = given.integer("payoutCents", least=-MAX_MINOR, most=MAX_MINOR)
    if payout_cents is None:
        raise Invalid("payoutCents is required")
    party_role = given.required_text("partyRole", most=64)
    if not ROLE.fullmatch(party_role):
        raise Invalid("partyRole must match [a-z][a-z0-9_]*, such as operator")
    currency = given.text("currency", default="USD") or "USD"
    if not CURRENCY.fullmatch(currency):
        raise Invalid("currency must be three capital letters")
    return StatementContent(
        party_role=party_role,
        payout_cents=payout_cents,
        currency=currency,
        basis=basis_of(given),
        payable_after=given.instant("payableAfter"),
        references=references_of(given),
    )


def references_of(given: Body) -> list[dict[str, str]]:
    """Read what the amount rests on; other members of a reference are ignored."""
    value: Any = given.values.get("references")
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > MOST_REFERENCES:
        raise Invalid(f"references must be an array of at most {MOST_REFERENCES} objects")
    return [_reference(entry) for entry in value]


def _reference(entry: Any) -> dict[str, str]:
    if not isinstance(entry, dict):
        raise Invalid("references must hold objects")
    given = Body(entry)
    kind = given.required_text("type")
    if kind not in REFERENCE_TYPES:
        raise Invalid(f"references[].type must be one of {', '.join(REFERENCE_TYPES)}")
    return {"type": kind, "id": given.required_text("id")}
