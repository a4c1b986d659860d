"""GET, POST /console/connect/add, /sync and /{accountId}/{act}"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from moneyrails.models import ConnectAccount
from moneyrails.queries import connect as queries
from ops_console import acts, errors, shell
from ops_console.access import Visit, go, workspace
from ops_console.acts import ActForm, Done
from ops_console.connect import deeds, detail, forms, listing
from ops_console.connect.filters import Filters
from settld.core.errors import Invalid, NotFound, Refusal

METHODS: Final = ("GET", "HEAD", "POST")


@dataclass(frozen=True)
class Act:
    """What one act asks, and does."""

    form: Callable[[Visit, ConnectAccount], ActForm]
    deed: Callable[[HttpRequest, Visit, ConnectAccount, ActForm], tuple[Done, str]]


ACTS: Final = {
    "map": Act(forms.mapping, deeds.mapping),
    "set-default": Act(forms.set_default, deeds.set_default),
    "clear-default": Act(forms.clear_default, deeds.clear_default),
    "disable": Act(forms.disable, deeds.disable),
    "enable": Act(forms.enable, deeds.enable),
    "remove": Act(forms.remove, deeds.remove),
    "sync": Act(forms.sync_one, deeds.sync_one),
}


# --- One account ----------------------------------------------------------------------------------
@workspace("finance_write", methods=METHODS)
def change(request: HttpRequest, visit: Visit, account_id: str, act: str) -> HttpResponse:
    """Ask, then act on one account; a refusal is shown in the form."""
    if act not in ACTS:
        raise NotFound()
    row = detail.load(tenant_id=visit.tenant_id, account_id=account_id)
    form = ACTS[act].form(visit, row)
    if request.method != "POST":
        return _account_page(request, visit, row, form=acts.fresh(form))
    try:
        form = acts.filled(form, request.POST.dict())
        if not form.is_complete:
            return _account_page(request, visit, row, form=form, status=422)
        done, text = ACTS[act].deed(request, visit, row, form)
    except Refusal as refusal:
        return _account_page(request, visit, row, form=form, refusal=refusal)
    return _account_done(request, visit, account_id, done, text, is_gone=act == "remove")


def _account_done(
    request: HttpRequest, visit: Visit, account_id: str, done: Done, text: str, *, is_gone: bool
) -> HttpResponse:
    has_failed = done.answer.get("failedCount", 0) > 0
    level = "warning" if has_failed else "success"
    if done.is_replay:
        text = f"{text} This form had been sent before; that answer stands."
    if is_gone or not getattr(request, "htmx", False):
        _say(request, level, text)
        return go(request, reverse("console:connect") if is_gone else listing.href_of(account_id))
    context = _account_context(visit, account_id) | {"level": level, "text": text}
    return render(request, "ops_console/connect/_done.html", context)


def _account_page(
    request: HttpRequest,
    visit: Visit,
    row: ConnectAccount,
    *,
    form: ActForm,
    refusal: Refusal | None = None,
    status: int = 200,
) -> HttpResponse:
    context = _account_context(visit, row.account_id) | _form_context(visit, form, refusal)
    status = _status(refusal) if refusal else status
    if getattr(request, "htmx", False):
        return render(request, "ops_console/connect/_actions.html", context, status=status)
    return shell.page(
        request, visit, "ops_console/connect/detail.html", context, key="connect", status=status
    )


def _account_context(visit: Visit, account_id: str) -> dict[str, object]:
    row = detail.load(tenant_id=visit.tenant_id, account_id=account_id)
    return {
        "account": detail.build(row, now=visit.now),
        "can_write": True,
        "can_sync": bool(forms.stripe_providers()),
    }


# --- All of them ----------------------------------------------------------------------------------
@workspace("finance_write", methods=METHODS)
def add(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Ask for a new account, then configure it."""

    def deed(form: ActForm) -> tuple[Done, str, str]:
        if queries.find(tenant_id=visit.tenant_id, account_id=form.values["account_id"]):
            raise Invalid("This account is configured already. Change it on its own page")
        done, text = deeds.add(request, visit, form)
        return done, text, listing.href_of(form.values["account_id"])

    return _list_act(request, visit, forms.add(visit), deed)


@workspace("finance_write", methods=METHODS)
def sync_all(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Ask, then look at every account."""

    def deed(form: ActForm) -> tuple[Done, str, str]:
        done, text = deeds.sync_all(request, visit, form)
        return done, text, reverse("console:connect")

    return _list_act(request, visit, forms.sync_all(visit), deed)


def _list_act(
    request: HttpRequest, visit: Visit, form: ActForm, deed: Callable[[ActForm], tuple[Done, str, str]]
) -> HttpResponse:
    if request.method != "POST":
        return _list_page(request, visit, form=acts.fresh(form))
    try:
        form = acts.filled(form, request.POST.dict())
        if not form.is_complete:
            return _list_page(request, visit, form=form, status=422)
        done, text, href = deed(form)
    except Refusal as refusal:
        return _list_page(request, visit, form=form, refusal=refusal)
    _say(request, "warning" if done.answer.get("failedCount", 0) else "success", text)
    return go(request, href)


def _list_page(
    request: HttpRequest,
    visit: Visit,
    *,
    form: ActForm,
    refusal: Refusal | None = None,
    status: int = 200,
) -> HttpResponse:
    wanted = Filters()
    context = {
        "filters": wanted,
        "listing": listing.build(tenant_id=visit.tenant_id, filters=wanted, after="", now=visit.now),
        "can_write": True,
        "can_sync": bool(forms.stripe_providers()),
    } | _form_context(visit, form, refusal)
    status = _status(refusal) if refusal else status
    if getattr(request, "htmx", False):
        return render(request, "ops_console/connect/_list_actions.html", context, status=status)
    return shell.page(request, visit, "ops_console/connect/page.html", context, key="connect", status=status)


# --- Both -----------------------------------------------------------------------------------------
def _form_context(visit: Visit, form: ActForm, refusal: Refusal | None) -> dict[str, object]:
    kept = form if form.idempotency_key else acts.fresh(form)
    what = errors.shown(refusal, request_id=visit.request_id) if refusal else None
    if what is not None and not what.text.endswith((".", "!", "?")):
        what = replace(what, text=f"{what.text}.")
    return {"form": kept, "refusal": what}


def _status(refusal: Refusal) -> int:
    """A proxy may put its own page in place of a 5xx; the refusal has to reach the operator."""
    return refusal.status if refusal.status < 500 else 409


def _say(request: HttpRequest, level: str, text: str) -> None:
    messages.add_message(request, messages.SUCCESS if level == "success" else messages.WARNING, text)
