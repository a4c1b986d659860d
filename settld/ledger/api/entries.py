"""/ops/ledger/entries: posting by hand, and looking (spec/settld-billing-and-finance.md 5.1)."""

import re
from typing import Any, Final

from django.http import HttpResponse

from settld.api import openapi, paging
from settld.api.fields import Body, period
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import failpoints
from settld.core.columns import CURRENCY_PATTERN, ROLE_PATTERN
from settld.core.errors import Invalid, NotFound
from settld.idempotency.http import idempotent
from settld.ledger import queries
from settld.ledger.api import shapes
from settld.ledger.drafts import MOST_LINES
from settld.ledger.queries import EntryFilter
from settld.ledger.services import manual_entries
from settld.ledger.services.journal import Line
from settld.ledger.services.manual_entries import ManualEntry, ManualShare
from settld.ledger.states import Book

CURRENCY: Final = re.compile(CURRENCY_PATTERN)
ROLE: Final = re.compile(ROLE_PATTERN)
MOST_PARTY_ID: Final = 300
POSTING_IN = openapi.obj(
    {"accountId": openapi.TEXT, "amountCents": openapi.CENTS, "currency": openapi.TEXT},
    optional=("currency",),
)
ALLOCATION_IN = openapi.obj(
    {
        "postingId": openapi.TEXT,
        "partyId": openapi.TEXT,
        "partyRole": openapi.TEXT,
        "amountCents": openapi.CENTS,
    },
    optional=("partyRole",),
)


class Entries(OpsView):
    """POST and GET /ops/ledger/entries"""

    scopes = {"POST": ("finance_write",), "GET": ("finance_read",)}

    @openapi.describe(
        "Post a journal entry by hand",
        description=(
            "Postings of book general, at least two, that add up to zero in each currency; positive is debit."
            " An entry is never changed: a correction is another entry, which reverses it. Without"
            " `allocations` of a posting the account's name says whose it is. The same `entryId` with the"
            " same content again changes nothing."
        ),
        body=openapi.obj(
            {
                "entryId": openapi.TEXT,
                "at": openapi.INSTANT,
                "memo": openapi.TEXT,
                "reason": openapi.TEXT,
                "jobId": openapi.TEXT,
                "currency": openapi.TEXT,
                "postings": openapi.many(POSTING_IN),
                "allocations": openapi.many(ALLOCATION_IN),
            },
            optional=("entryId", "at", "jobId", "currency", "allocations"),
        ),
        answers={201: shapes.ENTRY_ANSWER},
        refusals=(409,),
        idempotent=True,
    )
    def post(self, request: OpsRequest) -> HttpResponse:
        _read(request)
        response: HttpResponse = self._post(request)
        failpoints.hit("ledger.enter.after_commit")
        return response

    @idempotent
    def _post(self, request: OpsRequest) -> HttpResponse:
        view = manual_entries.enter(
            tenant_id=request.tenant_id, wanted=_read(request), actor=request.actor, now=request.received_at
        )
        answer = {"entry": shapes.entry_json(view), "allocations": shapes.allocations_json(view)}
        return Json(answer, status=201)

    @openapi.describe(
        "List journal entries, newest first",
        answers={
            200: openapi.obj(
                {
                    "entries": openapi.many(shapes.LISTED_ENTRY),
                    "limit": openapi.INT,
                    "offset": openapi.INT,
                }
            )
        },
        parameters=[
            openapi.query("period", description="YYYY-MM"),
            openapi.query("accountId", description="entries with a posting on this account"),
            openapi.query("book", shapes.BOOK),
            openapi.query("sourceType"),
            openapi.query("sourceId", description="with sourceType"),
            *openapi.PAGE,
        ],
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        page = paging.read(request)
        given = Body(request.GET.dict())
        asked = given.text("period", most=20)
        wanted = EntryFilter(
            book=given.choice("book", tuple(Book.values)),
            period=None if asked is None else period(asked),
            account_id=given.text("accountId"),
            source_type=given.text("sourceType", most=60),
            source_id=given.text("sourceId", most=1000),
        )
        if wanted.source_id is not None and wanted.source_type is None:
            raise Invalid("sourceId needs sourceType")
        found = queries.entries(
            tenant_id=request.tenant_id, wanted=wanted, limit=page.limit, offset=page.offset
        )
        return Json(
            {
                "entries": [
                    shapes.entry_json(view) | {"allocations": shapes.allocations_json(view)} for view in found
                ],
                "limit": page.limit,
                "offset": page.offset,
            }
        )


class EntryDetail(OpsView):
    """GET /ops/ledger/entries/{entryId}"""

    scopes = {"GET": ("finance_read",)}

    @openapi.describe("Read a journal entry", answers={200: shapes.ENTRY_ANSWER})
    def get(self, request: OpsRequest, entry_id: str) -> HttpResponse:
        view = queries.entry(tenant_id=request.tenant_id, entry_id=entry_id)
        if view is None:
            raise NotFound("ledger entry not found")
        return Json({"entry": shapes.entry_json(view), "allocations": shapes.allocations_json(view)})


def _read(request: OpsRequest) -> ManualEntry:
    """Read a manual entry's body; raises Invalid."""
    body = Body(request.body_json)
    currency = _currency(body, default="USD")
    return ManualEntry(
        memo=body.required_text("memo"),
        reason=body.required_text("reason", most=1000),
        lines=tuple(_line(Body(posting), currency) for posting in _objects(body, "postings")),
        shares=tuple(_share(Body(share)) for share in _objects(body, "allocations")),
        entry_id=body.text("entryId", most=200),
        at=body.instant("at"),
        job_id=_job_id(body),
    )


def _objects(body: Body, key: str) -> list[dict[str, Any]]:
    values = body.values.get(key)
    if values is None and key == "allocations":
        return []
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise body.fault(f"{key} must be an array of objects")
    if len(values) > MOST_LINES:
        raise body.fault(f"{key} must have at most {MOST_LINES} members")
    return values


def _line(posting: Body, currency: str) -> Line:
    return Line(posting.required_text("accountId"), _amount(posting), _currency(posting, default=currency))


def _share(share: Body) -> ManualShare:
    """Read a share; a party or role that no statement could be paid under is refused here."""
    party_id = share.required_text("partyId", most=MOST_PARTY_ID)
    if not party_id.isprintable():
        raise share.fault("partyId must be one printable line")
    party_role = share.text("partyRole", most=64)
    if party_role is not None and not ROLE.fullmatch(party_role):
        raise share.fault("partyRole must match [a-z][a-z0-9_]*, such as operator")
    return ManualShare(
        posting_id=share.required_text("postingId", most=20),
        party_id=party_id,
        party_role=party_role,
        amount_cents=_amount(share),
    )


def _amount(body: Body) -> int:
    """Read a signed amount: a JSON integer, never a text of digits, since those have no sign here."""
    value = body.values.get("amountCents")
    if isinstance(value, str):
        raise body.fault("amountCents must be an integer")
    amount_cents = body.integer("amountCents")
    if amount_cents is None:
        raise body.fault("amountCents is required")
    return amount_cents


def _currency(body: Body, *, default: str) -> str:
    currency = (body.text("currency", most=12) or default).upper()
    if not CURRENCY.fullmatch(currency):
        raise body.fault("currency must match [A-Z][A-Z0-9_]{2,11}")
    return currency


def _job_id(body: Body) -> str | None:
    job_id = body.text("jobId", most=200)
    if job_id is not None and any(character.isspace() for character in job_id):
        raise body.fault("jobId must not hold spaces")
    return job_id
