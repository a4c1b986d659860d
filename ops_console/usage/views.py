"""GET /console/usage; GET, POST /console/usage/{period}/draft; GET /console/usage/drafts/{artifactId}"""

from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from billing.plans.services import period_close
from ops_console import acts, cursors, errors, shell
from ops_console.access import Visit, go, workspace
from ops_console.acts import ActForm
from ops_console.errors import Fact
from ops_console.usage import page as pages
from settld.artifacts import queries as artifacts
from settld.core import clock, money
from settld.core.errors import NotFound, Refusal

METHODS: Final = ("GET", "HEAD", "POST")


@workspace("finance_read")
def usage(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Show one month's use; without a month it is the current one."""
    wanted = request.GET.get("period", "").strip()
    if wanted and not clock.is_period(wanted):
        raise NotFound()
    shown = pages.build(
        tenant_id=visit.tenant_id,
        period=wanted or clock.period_of(visit.now),
        place=cursors.read(request.GET["at"]) if request.GET.get("at") else None,
        may_write=visit.may("finance_write"),
        now=visit.now,
    )
    return shell.page(request, visit, "ops_console/usage/page.html", {"page": shown}, key="usage")


@workspace("finance_read")
def document(request: HttpRequest, visit: Visit, artifact_id: str) -> HttpResponse:
    """Download one invoice draft as it was stored."""
    stored = artifacts.get(tenant_id=visit.tenant_id, artifact_id=artifact_id)
    if stored.artifact_type != period_close.SCHEMA:
        raise NotFound()
    answer = HttpResponse(stored.body, content_type="application/json; charset=utf-8")
    answer["content-disposition"] = f'attachment; filename="{artifact_id}.json"'
    return answer


@workspace("finance_write", methods=METHODS)
def draft(request: HttpRequest, visit: Visit, period: str) -> HttpResponse:
    """Ask, then write the month's invoice draft down."""
    if not clock.is_period(period):
        raise NotFound()
    wanted = period_close.Request(period=period)
    worked_out = period_close.work_out(tenant_id=visit.tenant_id, request=wanted)
    form = _form(visit, period, worked_out)
    if request.method != "POST":
        return _page(request, visit, period, acts.fresh(form))

    def keep() -> dict[str, Any]:
        period_close.keep(
            tenant_id=visit.tenant_id, request=wanted, draft=worked_out, actor=visit.actor, now=visit.now
        )
        return {"text": f"The invoice draft of {period} is kept."}

    try:
        form = acts.filled(form, request.POST.dict())
        done = acts.once(acts.identity(request, visit, form), visit, keep)
    except Refusal as refusal:
        kept = form if form.idempotency_key else acts.fresh(form)
        refused = errors.shown(refusal, request_id=visit.request_id)
        return _page(request, visit, period, kept, refused=refused, status=refusal.status)
    messages.add_message(request, messages.SUCCESS, done.answer["text"])
    return go(request, _back(period))


def _form(visit: Visit, period: str, draft: period_close.Draft) -> ActForm:
    lines = draft.body["invoice"]["lineItems"]
    facts = [Fact(line["description"], money.show(int(line["amountCents"]), "USD")) for line in lines]
    total = money.show(int(draft.body["invoice"]["totalEstimatedCents"]), "USD")
    return ActForm(
        action=reverse("console:usage-draft", args=[period]),
        title=f"Draft the invoice of {period}?",
        text="The draft is kept as a signed document with the digests of the events behind each line."
        " Nothing is charged. Drafting again after more use makes another draft.",
        button=f"Draft {total}",
        back_href=_back(period),
        tenant_id=visit.tenant_id,
        facts=[*facts, Fact("Total", total)],
    )


def _back(period: str) -> str:
    return f"{reverse('console:usage')}?{urlencode({'period': period})}"


def _page(
    request: HttpRequest,
    visit: Visit,
    period: str,
    form: ActForm,
    *,
    refused: errors.Shown | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {"period": period, "form": form, "refusal": refused}
    if getattr(request, "htmx", False):
        return render(request, "ops_console/statements/_enqueue.html", context, status=status)
    return shell.page(request, visit, "ops_console/usage/draft.html", context, key="usage", status=status)
