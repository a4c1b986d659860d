"""GET, POST /console/statements/{period}/close and /reopen"""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from moneyrails.models import Operation
from ops_console import acts, errors, shell
from ops_console.access import Visit, go, workspace
from ops_console.acts import ActForm, Field
from ops_console.errors import Fact
from ops_console.statements import listing
from settld.closing.services import months
from settld.core import clock
from settld.core.errors import NotFound, Refusal

METHODS: Final = ("GET", "HEAD", "POST")
BASIS: Final = "settledAt"
Verb = Callable[[Visit, str, ActForm], dict[str, Any]]


@workspace("finance_write", methods=METHODS)
def close(request: HttpRequest, visit: Visit, period: str) -> HttpResponse:
    """Ask, then have a worker close the month."""
    return _two_steps(request, visit, period, close_form(visit, _known(period)), _close)


@workspace("finance_write", methods=METHODS)
def reopen(request: HttpRequest, visit: Visit, period: str) -> HttpResponse:
    """Ask, then open a closed month again."""
    return _two_steps(request, visit, period, reopen_form(visit, _known(period)), _reopen)


def _known(period: str) -> str:
    if not clock.is_period(period):
        raise NotFound()
    return period


# --- The forms ------------------------------------------------------------------------------------
def close_form(visit: Visit, period: str) -> ActForm:
    """Say what closing freezes, with what it comes to per currency."""
    return ActForm(
        action=reverse("console:month-close", args=[period]),
        title=f"Close {period}?",
        text="Its statements are frozen and become payable; each one that is due gets its payout"
        " instruction. A worker does it, all or nothing. Nothing is paid yet.",
        button=f"Close {period}",
        back_href=_back(period),
        tenant_id=visit.tenant_id,
        facts=_sums(visit, period),
    )


def reopen_form(visit: Visit, period: str) -> ActForm:
    """Say what reopening leaves alone, and ask why."""
    started = Operation.objects.filter(tenant_id=visit.tenant_id, period=period, direction="payout").count()
    return ActForm(
        action=reverse("console:month-reopen", args=[period]),
        title=f"Reopen {period}?",
        text="Its statements can be replaced again. Payouts that were made of them stay as they are:"
        " a replaced statement of a paid party is not paid a second time.",
        button=f"Reopen {period}",
        back_href=_back(period),
        tenant_id=visit.tenant_id,
        is_destructive=True,
        facts=[Fact("Payouts made so far", f"{started:,}"), *_sums(visit, period)],
        fields=(
            Field(
                "reason", "Reason", max_length=1000, is_required=True,
                hint="Kept in the month's chain of events and shown in the audit.",
            ),
        ),
    )  # fmt: skip


def _sums(visit: Visit, period: str) -> list[Fact]:
    sums = listing.sums_by_currency(tenant_id=visit.tenant_id, period=period)
    return [Fact(currency, text) for currency, text in sums] or [Fact("Statements", "none yet")]


def _back(period: str) -> str:
    return f"{reverse('console:statements')}?{urlencode({'period': period})}"


# --- The acts -------------------------------------------------------------------------------------
def _close(visit: Visit, period: str, form: ActForm) -> dict[str, Any]:
    asked = months.request_close(
        tenant_id=visit.tenant_id,
        month=period,
        basis=BASIS,
        actor=visit.actor,
        now=visit.now,
        requires_ended_period=settings.MONTH_CLOSE_REQUIRE_ENDED_PERIOD,
    )
    if asked.event is None:
        return {"text": f"{period} is closed already.", "applied": False}
    return {"text": f"{period} is being closed; this takes a moment.", "applied": True}


def _reopen(visit: Visit, period: str, form: ActForm) -> dict[str, Any]:
    months.reopen(
        tenant_id=visit.tenant_id,
        month=period,
        basis=BASIS,
        reason=form.values["reason"],
        actor=visit.actor,
        now=visit.now,
    )
    return {"text": f"{period} is open again.", "applied": True}


def _two_steps(request: HttpRequest, visit: Visit, period: str, form: ActForm, verb: Verb) -> HttpResponse:
    if request.method != "POST":
        return _page(request, visit, period, acts.fresh(form))
    try:
        form = acts.filled(form, request.POST.dict())
        if not form.is_complete:
            return _page(request, visit, period, form, status=422)
        sent = form
        done = acts.once(acts.identity(request, visit, form), visit, lambda: verb(visit, period, sent))
    except Refusal as refusal:
        kept = form if form.idempotency_key else acts.fresh(form)
        refused = errors.shown(refusal, request_id=visit.request_id)
        return _page(request, visit, period, kept, refused=refused, status=refusal.status)
    level = messages.SUCCESS if done.answer["applied"] else messages.WARNING
    replayed = " This form had been sent before; that answer stands." if done.is_replay else ""
    messages.add_message(request, level, done.answer["text"] + replayed)
    return go(request, _back(period))


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
    return shell.page(
        request, visit, "ops_console/statements/month.html", context, key="statements", status=status
    )
