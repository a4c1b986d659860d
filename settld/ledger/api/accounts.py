"""/ops/ledger/accounts and /ops/ledger/balances"""

from django.http import HttpResponse

from settld.api import openapi, paging
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import clock, failpoints
from settld.idempotency.http import idempotent
from settld.ledger import queries
from settld.ledger.api import shapes
from settld.ledger.queries import AccountRow
from settld.ledger.services import accounts


class Accounts(OpsView):
    """POST and GET /ops/ledger/accounts"""

    scopes = {"POST": ("finance_write",), "GET": ("finance_read",)}

    @openapi.describe(
        "Add an account to book general",
        description="An account is never changed nor removed.",
        body=openapi.obj(
            {
                "accountId": {"type": "string", "pattern": f"^{accounts.ACCOUNT_ID.pattern}$"},
                "displayName": {"type": "string", "maxLength": 200},
            },
            optional=("displayName",),
        ),
        answers={201: openapi.obj({"account": shapes.ACCOUNT})},
        refusals=(409,),
        idempotent=True,
    )
    def post(self, request: OpsRequest) -> HttpResponse:
        response: HttpResponse = self._post(request)
        failpoints.hit("ledger.open_account.after_commit")
        return response

    @idempotent
    def _post(self, request: OpsRequest) -> HttpResponse:
        body = Body(request.body_json)
        account = accounts.open_general(
            tenant_id=request.tenant_id,
            account_id=body.required_text("accountId"),
            display_name=body.text("displayName", most=200) or "",
            actor=request.actor,
            now=request.received_at,
        )
        row = AccountRow(account.account_id, account.display_name, account.created_at)
        return Json({"account": shapes.account_json(row)}, status=201)

    @openapi.describe(
        "List the accounts of book general",
        description="Those that every tenant has and those that this one added, by id.",
        answers={
            200: openapi.obj(
                {"accounts": openapi.many(shapes.ACCOUNT), "limit": openapi.INT, "offset": openapi.INT}
            )
        },
        parameters=list(openapi.PAGE),
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        page = paging.read(request)
        found = queries.general_accounts(tenant_id=request.tenant_id, limit=page.limit, offset=page.offset)
        return Json(
            {
                "accounts": [shapes.account_json(row) for row in found],
                "limit": page.limit,
                "offset": page.offset,
            }
        )


class Balances(OpsView):
    """GET /ops/ledger/balances"""

    scopes = {"GET": ("finance_read",)}

    @openapi.describe(
        "Show what stands on accounts",
        description=(
            "Accounts of all books that have postings, by id and currency. With `at`: after the postings at"
            " or before that instant. Positive is debit; of wallets: money that is there."
        ),
        answers={
            200: openapi.obj(
                {
                    "at": openapi.maybe(openapi.INSTANT),
                    "balances": openapi.many(shapes.BALANCE),
                    "limit": openapi.INT,
                    "offset": openapi.INT,
                }
            )
        },
        parameters=[openapi.query("at", openapi.INSTANT), openapi.query("accountId"), *openapi.PAGE],
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        page = paging.read(request)
        given = Body(request.GET.dict())
        at = given.instant("at")
        found = queries.balances(
            tenant_id=request.tenant_id,
            at=at,
            account_id=given.text("accountId"),
            limit=page.limit,
            offset=page.offset,
        )
        return Json(
            {
                "at": clock.iso(at),
                "balances": [shapes.balance_json(row) for row in found],
                "limit": page.limit,
                "offset": page.offset,
            }
        )
