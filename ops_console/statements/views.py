"""GET /console/statements; GET, POST /console/statements/{period}/{partyId}/enqueue"""

from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from moneyrails.services import enqueue as enqueueing
from ops_console import acts, errors, shell, words
from ops_console.access import Visit, go, workspace
from ops_console.acts import ActForm, Field, Option
from ops_console.errors import Fact
from ops_console.payouts.listing import href_of
from ops_console.statements import listing
from settld.closing import queries as closing
from settld.closing.queries import PayoutSubject
from settld.core import clock, money
from settld.core.errors import NotFound, Refusal

METHODS: Final = ("GET", "HEAD", "POST")


@workspace("finance_read")
def statements(request: HttpRequest, visit: Visit) -> HttpResponse:
    """List the months and one month's statements."""
    wanted = request.GET.get("period", "").strip()
    if wanted and not clock.is_period(wanted):
        raise NotFound()
    page = listing.build(
        tenant_id=visit.tenant_id,
        wanted=wanted,
        party=request.GET.get("party", "").replace("\x00", "").strip()[:200],
        after=request.GET.get("after", "").replace("\x00", "")[:500],
        may_write=visit.may("finance_write"),
    )
    if request.headers.get("HX-Target") == "list":
        fragment = render(request, "ops_console/statements/_list.html", {"page": page})
        if page.month_status != "Closing":
            fragment["HX-Refresh"] = "true"  # the close is over: the row of months has changed too
        return fragment
    context = {"page": page, "may_import": visit.may("finance_write")}
    return shell.page(request, visit, "ops_console/statements/page.html", context, key="statements")


@workspace("finance_write", methods=METHODS)
def enqueue(request: HttpRequest, visit: Visit, period: str, party_id: str) -> HttpResponse:
    """Ask, then make the payout of one statement."""
    if not clock.is_period(period):
        raise NotFound()
    subject = closing.statement_for_payout(tenant_id=visit.tenant_id, party_id=party_id, period=period)
    form = enqueue_form(visit, subject)
    if request.method != "POST":
        return _page(request, visit, subject, acts.fresh(form))
    try:
        form = acts.filled(form, request.POST.dict())
        if not form.is_complete:
            return _page(request, visit, subject, form, status=422)
        done = acts.once(acts.identity(request, visit, form), visit, lambda: _enqueue(visit, subject, form))
    except Refusal as refusal:
        kept = form if form.idempotency_key else acts.fresh(form)
        refused = errors.shown(refusal, request_id=visit.request_id)
        return _page(request, visit, subject, kept, refused=refused, status=refusal.status)
    replayed = " This form had been sent before; that answer stands." if done.is_replay else ""
    messages.add_message(
        request, messages.SUCCESS if done.answer["href"] else messages.WARNING, done.answer["text"] + replayed
    )
    back = f"{reverse('console:statements')}?{urlencode({'period': period})}"
    return go(request, done.answer["href"] or back)


def enqueue_form(visit: Visit, subject: PayoutSubject) -> ActForm:
    """Say what enqueueing does, and ask through which provider."""
    rails = settings.MONEY_RAILS
    options = tuple(
        Option(provider.provider_id, f"{provider.provider_id} ({provider.mode})")
        for provider in rails.providers.values()
        if provider.allow_payout
    )
    amount = money.show(subject.payable_cents, subject.currency)
    facts = [
        Fact("Party", f"{subject.party_id} ({words.label(subject.party_role)})"),
        Fact("Period", subject.period),
        Fact("Payable", amount),
        Fact("Statement hash", subject.statement_hash, is_code=True),
    ]
    if subject.payable_after:
        facts.append(Fact("Not before", f"{words.moment(subject.payable_after)} UTC"))
    return ActForm(
        action=listing.enqueue_href(period=subject.period, party_id=subject.party_id),
        title="Enqueue this payout?",
        text="Every gate is asked, then one payout is made of the statement."
        " Nothing is sent yet: submitting is a step of its own.",
        button=f"Enqueue {amount}",
        back_href=f"{reverse('console:statements')}?{urlencode({'period': subject.period})}",
        tenant_id=visit.tenant_id,
        facts=facts,
        fields=(
            Field("provider", "Provider", value=rails.default_provider_id, max_length=200, options=options),
            Field(
                "counterparty_ref",
                "Destination",
                hint="Leave it empty to pay the party's own account.",
            ),
        ),
    )


def _enqueue(visit: Visit, subject: PayoutSubject, form: ActForm) -> dict[str, Any]:
    result = enqueueing.enqueue(
        tenant_id=visit.tenant_id,
        party_id=subject.party_id,
        period=subject.period,
        provider_id=form.values["provider"],
        counterparty_ref=form.values["counterparty_ref"],
        actor=visit.actor,
        now=visit.now,
    )
    if result.operation is not None:
        return {"text": "Enqueued. Submit it when it is to be paid.", "href": href_of(result.operation)}
    if result.is_offset:
        return {"text": "Nothing is paid out: all of it went into the party's debt.", "href": ""}
    return {"text": "Nothing is due for this statement.", "href": ""}


def _page(
    request: HttpRequest,
    visit: Visit,
    subject: PayoutSubject,
    form: ActForm,
    *,
    refused: errors.Shown | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {"subject": subject, "form": form, "refusal": refused}
    if getattr(request, "htmx", False):
        return render(request, "ops_console/statements/_enqueue.html", context, status=status)
    return shell.page(
        request, visit, "ops_console/statements/enqueue.html", context, key="statements", status=status
    )
