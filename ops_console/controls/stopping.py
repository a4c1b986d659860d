"""GET, POST /console/controls/stop, /extend and /lift"""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from moneyrails.services import controls, stops
from ops_console import acts, errors, shell, words
from ops_console.access import Visit, go, workspace
from ops_console.acts import ActForm, Field, Option
from ops_console.controls import queries
from ops_console.controls.wording import CURRENCY
from ops_console.errors import Fact
from settld.core import money
from settld.core.errors import Refusal

METHODS: Final = ("GET", "HEAD", "POST")
SPANS: Final[dict[str, tuple[str, dt.timedelta | None]]] = {
    "": ("No end named", None),
    "1h": ("In an hour", dt.timedelta(hours=1)),
    "4h": ("In four hours", dt.timedelta(hours=4)),
    "1d": ("In a day", dt.timedelta(days=1)),
    "7d": ("In a week", dt.timedelta(days=7)),
    "at": ("At the instant below", None),
}
Verb = Callable[[Visit, ActForm], dict[str, Any]]


@workspace("finance_write", methods=METHODS)
def stop(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Ask why and until when, then stop all payouts."""
    return _two_steps(request, visit, stop_form(visit), _stop)


@workspace("finance_write", methods=METHODS)
def extend(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Ask until when, then let the stop stand longer."""
    return _two_steps(request, visit, extend_form(visit), _extend)


@workspace("finance_write", methods=METHODS)
def lift(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Ask why, then lift the stop or have a second person asked."""
    return _two_steps(request, visit, lift_form(visit), _lift)


# --- The forms ------------------------------------------------------------------------------------
def _ends() -> tuple[Field, ...]:
    options = tuple(Option(key, label) for key, (label, _) in SPANS.items())
    return (
        Field(
            "ends", "Meant to end", max_length=2, options=options,
            hint="Nothing lifts it then: people are asked to lift or to extend it.",
        ),
        Field("until", "Instant, UTC", max_length=20, hint="As 2026-05-01 18:00, when it is chosen above."),
    )  # fmt: skip


def _form(visit: Visit, name: str, **more: Any) -> ActForm:
    return ActForm(
        action=reverse(f"console:{name}"), back_href=reverse("console:controls"), tenant_id=visit.tenant_id,
        **more,
    )  # fmt: skip


def stop_form(visit: Visit) -> ActForm:
    """Say what a stop does."""
    return _form(
        visit,
        "controls-stop",
        title="Stop all payouts?",
        text="At once, in every mode: nothing more is enqueued or sent for this tenant. What a provider has"
        " already cannot be called back from here.",
        button="Stop all payouts",
        is_destructive=True,
        facts=_waiting(visit),
        fields=(
            Field("reason", "Reason", max_length=500, is_required=True, hint="Shown wherever it refuses."),
            *_ends(),
        ),
    )


def extend_form(visit: Visit) -> ActForm:
    """Say what extending does."""
    return _form(
        visit,
        "controls-extend",
        title="Extend the stop?",
        text="Payouts stay stopped, for the same reason; only the instant that it is meant to end changes.",
        button="Extend the stop",
        fields=(*_ends(), Field("reason", "Why longer", max_length=500, is_required=True)),
    )


def lift_form(visit: Visit) -> ActForm:
    """Say what lifting does, and whether it takes two."""
    needs_two = controls.get(tenant_id=visit.tenant_id).has_four_eyes
    text = "Payouts may be enqueued and sent again, as far as the other rules let them."
    if needs_two:
        text += (
            " This tenant has four eyes: it waits for a second person, and until then payouts stay stopped."
        )
    return _form(
        visit,
        "controls-lift",
        title="Lift the stop?",
        text=text,
        button="Ask a second person to lift it" if needs_two else "Lift the stop",
        facts=_waiting(visit),
        fields=(Field("reason", "Why payouts may go again", max_length=500, is_required=True),),
    )


def _waiting(visit: Visit) -> list[Fact]:
    """Count the payouts that a stop holds, or that a lift lets go."""
    rows = queries.waiting_payouts(tenant_id=visit.tenant_id)
    tally = queries.tally(rows, amount="amount_cents")
    return [
        Fact(
            "Enqueued, not sent", f"{words.count(tally.count, 'payout')}, {money.show(tally.cents, CURRENCY)}"
        )
    ]


# --- The acts -------------------------------------------------------------------------------------
def _two_steps(request: HttpRequest, visit: Visit, form: ActForm, verb: Verb) -> HttpResponse:
    if request.method != "POST":
        return _page(request, visit, acts.fresh(form))
    try:
        form = _checked(acts.filled(form, request.POST.dict()), now=visit.now)
        if not form.is_complete:
            return _page(request, visit, form, status=422)
        done = acts.once(acts.identity(request, visit, form), visit, lambda: verb(visit, form))
    except Refusal as refusal:
        kept = form if form.idempotency_key else acts.fresh(form)
        refused = errors.shown(refusal, request_id=visit.request_id)
        return _page(request, visit, kept, refused=refused, status=refusal.status)
    replayed = " This form had been sent before; that answer stands." if done.is_replay else ""
    messages.add_message(request, messages.SUCCESS, done.answer["text"] + replayed)
    return go(request, done.answer["href"])


def _checked(form: ActForm, *, now: dt.datetime) -> ActForm:
    """Say beside the instant what is wrong with it."""
    if form.values.get("ends") != "at" or ends_at(form, now=now) is not None:
        return form
    wrong = "Write a coming instant as 2026-05-01 18:00."
    return replace(
        form,
        fields=tuple(replace(item, error=wrong) if item.name == "until" else item for item in form.fields),
    )


def ends_at(form: ActForm, *, now: dt.datetime) -> dt.datetime | None:
    """Give the instant that a stop is meant to end at; None for no end, or for one that cannot be."""
    chosen = form.values.get("ends", "")
    if chosen != "at":
        span = SPANS[chosen][1]
        return now + span if span else None
    try:
        instant = dt.datetime.strptime(form.values["until"], "%Y-%m-%d %H:%M").replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    return instant if instant > now else None


def _stop(visit: Visit, form: ActForm) -> dict[str, Any]:
    stops.stop(
        tenant_id=visit.tenant_id, reason=form.values["reason"], expires_at=ends_at(form, now=visit.now),
        actor=visit.actor, now=visit.now,
    )  # fmt: skip
    return {"text": "All payouts are stopped.", "href": reverse("console:controls")}


def _extend(visit: Visit, form: ActForm) -> dict[str, Any]:
    stops.extend(
        tenant_id=visit.tenant_id, reason=form.values["reason"], expires_at=ends_at(form, now=visit.now),
        actor=visit.actor, now=visit.now,
    )  # fmt: skip
    return {"text": "The stop stands longer.", "href": reverse("console:controls")}


def _lift(visit: Visit, form: ActForm) -> dict[str, Any]:
    waiting = stops.lift(
        tenant_id=visit.tenant_id, reason=form.values["reason"], actor=visit.actor, now=visit.now
    )
    if waiting is None:
        return {"text": "The stop is lifted: payouts may go again.", "href": reverse("console:controls")}
    return {
        "text": "Asked. Payouts stay stopped until a second person approves.",
        "href": reverse("console:approval", args=[str(waiting.pk)]),
    }


def _page(
    request: HttpRequest,
    visit: Visit,
    form: ActForm,
    *,
    refused: errors.Shown | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {"form": form, "refusal": refused}
    if getattr(request, "htmx", False):
        return render(request, "ops_console/controls/_act.html", context, status=status)
    return shell.page(
        request, visit, "ops_console/controls/act.html", context, key="controls", status=status
    )  # fmt: skip
