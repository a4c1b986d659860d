"""Acts over all tenants: asked for in two steps, carried out once however often the form is sent."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from billing.services import console_audit
from moneyrails.services.replies import Replayed
from ops_console import acts, errors, shell
from ops_console.access import Visit, go
from ops_console.acts import ActForm, Field
from settld.core import tenancy, transactions
from settld.core.errors import Refusal

HOME: Final = console_audit.HOME  # what belongs to no tenant is acted on for the deployment
PAGE: Final = "ops_console/billing_console/act.html"
FRAGMENT: Final = "ops_console/billing_console/_act.html"


@dataclass(frozen=True)
class Told:
    """What an act came to, in a sentence, and where to look at it."""

    text: str
    href: str
    is_good: bool = True


@dataclass(frozen=True)
class Crumb:
    """The page above, and what this one is called."""

    label: str
    href: str
    heading: str


@dataclass(frozen=True)
class Act:
    """One act: its form, its verb, and the page around it.

    `complete` fills in what a form needs to be shown again and not to be sent, such as choices that the
    provider lists. The verb opens its own transactions; none is open when it is called.
    """

    key: str
    crumb: Crumb
    form: ActForm
    verb: Callable[[ActForm], Told]
    complete: Callable[[ActForm], ActForm] = field(default=lambda form: form)
    context: dict[str, Any] = field(default_factory=dict)


def reason_field(hint: str) -> Field:
    """Give the field for why somebody overrides what the machine decided."""
    return Field("reason", "Reason", max_length=500, is_required=True, hint=hint)


def answer(request: HttpRequest, visit: Visit, act: Act) -> HttpResponse:
    """Show the form; on POST act once and go where the act leads, or show the refusal inside the form."""
    form = act.form
    if request.method != "POST":
        return _page(request, visit, act, acts.fresh(act.complete(form)))
    try:
        form = acts.filled(form, request.POST.dict())
        if not form.is_complete:
            return _page(request, visit, act, act.complete(form), status=422)
        told = _once(request, visit, form, act.verb)
    except FieldFaults as faults:
        form = _faulted(form, faults.by_field)
        return _page(request, visit, act, act.complete(form), status=422)
    except Refusal as refusal:
        kept = form if form.idempotency_key else acts.fresh(form)
        refused = errors.shown(refusal, request_id=visit.request_id)
        # A proxy may put its own page in place of a 502 or 503; the refusal has to reach the operator.
        status = refusal.status if refusal.status < 500 else 409
        return _page(request, visit, act, act.complete(kept), refused=refused, status=status)
    messages.add_message(request, messages.SUCCESS if told.is_good else messages.WARNING, told.text)
    return go(request, told.href)


class FieldFaults(Exception):
    """What was filled in is at fault; each fault belongs beside its field."""

    def __init__(self, by_field: dict[str, str]) -> None:
        super().__init__("; ".join(by_field.values()))
        self.by_field = by_field


def _faulted(form: ActForm, by_field: dict[str, str]) -> ActForm:
    return replace(
        form,
        fields=tuple(replace(item, error=by_field.get(item.name, item.error)) for item in form.fields),
    )


def _once(request: HttpRequest, visit: Visit, form: ActForm, verb: Callable[[ActForm], Told]) -> Told:
    """Act, unless this form did before; then its first answer stands."""
    memory = acts.FormMemory(acts.identity(request, visit, form), visit, lambda answer: answer)
    try:
        with transactions.atomic():
            memory.recall()
    except Replayed as replay:
        kept = json.loads(replay.reply.body)
        return Told(
            f"{kept['text']} This form had been sent before; that answer stands.",
            kept["href"],
            is_good=kept["isGood"],
        )
    told = verb(form)
    with tenancy.tenant_scope(visit.tenant_id), transactions.atomic():
        memory.keep({"text": told.text, "href": told.href, "isGood": told.is_good})
    return told


def _page(
    request: HttpRequest,
    visit: Visit,
    act: Act,
    form: ActForm,
    *,
    refused: errors.Shown | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {**act.context, "form": form, "refusal": refused, "crumb": act.crumb}
    if getattr(request, "htmx", False):
        return render(request, FRAGMENT, context, status=status)
    return shell.page(request, visit, PAGE, context, key=act.key, status=status)
