"""GET /console/chargebacks(.csv), …/of/{mode}/{currency}/{partyId}, …/csv/…; GET, POST …/adjust/…"""

from collections.abc import Iterator
from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from moneyrails.models import Operation
from moneyrails.queries import chargebacks as debts
from moneyrails.queries import operations
from moneyrails.queries.chargebacks import Account
from moneyrails.services import adjustments
from moneyrails.services import chargebacks as debt_services
from ops_console import acts, errors, shell
from ops_console.access import Visit, go, workspace
from ops_console.acts import ActForm
from ops_console.chargebacks import adjusting, export, filters, ledger, listing, places
from settld.core import clock
from settld.core.errors import Refusal
from settld.idempotency.services import records

METHODS: Final = ("GET", "HEAD", "POST")


@workspace("finance_read")
def chargebacks(request: HttpRequest, visit: Visit) -> HttpResponse:
    """List who owes what after reversals; the address holds every filter and the place."""
    wanted = filters.read(request.GET.dict())
    place = places.read(request.GET.get("at", ""))
    context = {
        "filters": wanted,
        "listing": listing.build(tenant_id=visit.tenant_id, filters=wanted, place=place),
    }
    if request.headers.get("HX-Target") == "list":
        return render(request, "ops_console/chargebacks/_list.html", context)
    return shell.page(request, visit, "ops_console/chargebacks/page.html", context, key="chargebacks")


@workspace("finance_read")
def chargebacks_csv(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Download the filtered list."""
    wanted = filters.read(request.GET.dict())
    return _file(export.accounts(tenant_id=visit.tenant_id, filters=wanted), visit, name="chargebacks")


@workspace("finance_read")
def party(request: HttpRequest, visit: Visit, mode: str, currency: str, party_id: str) -> HttpResponse:
    """Show one party's account: its reversals, what repaid them, and every entry in order."""
    shown = ledger.build(
        Account(visit.tenant_id, party_id, currency, mode),
        reversal_place=places.read(request.GET.get("r", "")),
        line_place=places.read(request.GET.get("at", "")),
        may_write=visit.may("finance_write"),
        now=visit.now,
    )
    return shell.page(
        request, visit, "ops_console/chargebacks/party.html", {"ledger": shown}, key="chargebacks"
    )


@workspace("finance_read")
def party_csv(request: HttpRequest, visit: Visit, mode: str, currency: str, party_id: str) -> HttpResponse:
    """Download one party's ledger."""
    account = Account(visit.tenant_id, party_id, currency, mode)
    ledger.load(account)
    return _file(export.ledger(account), visit, name="chargeback-ledger")


@workspace("finance_write", methods=METHODS)
def adjust(request: HttpRequest, visit: Visit, provider_id: str, operation_id: str) -> HttpResponse:
    """Ask, then take an amount off what a party owes for one reversal."""
    operation = operations.get(tenant_id=visit.tenant_id, provider_id=provider_id, operation_id=operation_id)
    if operation.state != "reversed":
        raise adjustments.OperationNotReversed(
            details={"operationId": operation_id, "state": str(operation.state)}
        )
    back_href = listing.href_of(debt_services.account_of(operation))
    reversal = debts.reversal_of(operation)
    form = adjusting.form_of(visit, operation, reversal, back_href=back_href)
    if request.method != "POST":
        return _page(request, visit, operation, acts.fresh(form))
    try:
        form = acts.filled(form, request.POST.dict())
        wanted = acts.identity(request, visit, form)
        if records.find(wanted) is None:  # what is open has changed since by this very form
            form = adjusting.checked(form, open_cents=reversal.open_cents)
        if not form.is_complete:
            return _page(request, visit, operation, form, status=422)
        done = acts.once(wanted, visit, lambda: adjusting.carry_out(visit, operation, form))
    except Refusal as refusal:
        kept = form if form.idempotency_key else acts.fresh(form)
        refused = errors.shown(refusal, request_id=visit.request_id)
        return _page(request, visit, operation, kept, refused=refused, status=refusal.status)
    replayed = " This form had been sent before; that answer stands." if done.is_replay else ""
    messages.success(request, done.answer["text"] + replayed)
    return go(request, back_href)


def _page(
    request: HttpRequest,
    visit: Visit,
    operation: Operation,
    form: ActForm,
    *,
    refused: errors.Shown | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {"operation": operation, "form": form, "refusal": refused}
    if getattr(request, "htmx", False):
        return render(request, "ops_console/chargebacks/_adjust.html", context, status=status)
    return shell.page(
        request, visit, "ops_console/chargebacks/adjust.html", context, key="chargebacks", status=status
    )


def _file(lines: Iterator[str], visit: Visit, *, name: str) -> HttpResponse:
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    stamp = (clock.iso(visit.now) or "")[:19].replace(":", "").replace("-", "")
    response["content-disposition"] = f'attachment; filename="{name}-{stamp}Z.csv"'
    response["x-settld-rows-limit"] = str(export.MOST_ROWS)
    return response  # type: ignore[return-value]  # a streaming answer is an answer
