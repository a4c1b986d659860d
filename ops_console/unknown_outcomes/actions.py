"""GET, POST /console/unknown-outcomes/{attemptId}/ask, /replay, /settle/sent and /settle/not_sent"""

import json
import uuid
from collections.abc import Callable
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from moneyrails.models import DispatchAttempt
from moneyrails.queries import unknown_outcomes as queries
from moneyrails.services import settling, unknown_outcomes
from moneyrails.services.replies import Replayed
from moneyrails.services.settling import Verdict
from moneyrails.services.unknown_outcomes import Found
from ops_console import acts, errors, people, shell
from ops_console.access import Visit, go, workspace
from ops_console.acts import ActForm, Done, Field
from ops_console.errors import Fact
from ops_console.unknown_outcomes import detail, listing
from ops_console.unknown_outcomes.views import KEY
from settld.core import money
from settld.core.errors import NotFound, Refusal

METHODS: Final = ("GET", "HEAD", "POST")
Verb = Callable[[acts.FormMemory, ActForm], Found]
TEXTS: Final = {
    "adopted": "The provider has the transfer; it is adopted and the payout is submitted.",
    "sent": "The transfer is there; the payout is submitted.",
    "not_sent": "Settled as not sent. The payout may be submitted again, or cancelled.",
    "nothing_found": "The provider has no transfer for this payout now. Nothing was changed.",
    "unclear": "The provider shows something else. It is left to people; nothing was sent.",
}


@workspace("finance_write", methods=METHODS)
def ask(request: HttpRequest, visit: Visit, attempt_id: uuid.UUID) -> HttpResponse:
    """Ask, then have the provider asked."""
    attempt = queries.get(tenant_id=visit.tenant_id, attempt_id=attempt_id)
    form = _form(
        attempt, visit, "ask", title="Ask the provider?", button="Ask now",
        text="The provider is asked what it has for this payout. If there is exactly one transfer, and it is"
        " what was ordered, it is adopted and the payout becomes submitted. Otherwise the outcome stays"
        " unknown. Nothing is sent.",
    )  # fmt: skip

    def verb(memory: acts.FormMemory, _form: ActForm) -> Found:
        return unknown_outcomes.ask(
            tenant_id=visit.tenant_id, attempt_id=attempt_id, actor=visit.actor, now=visit.now, memory=memory
        )

    return _two_steps(request, visit, attempt, form, verb)


@workspace("finance_write", methods=METHODS)
def replay(request: HttpRequest, visit: Visit, attempt_id: uuid.UUID) -> HttpResponse:
    """Ask, then send the same key again."""
    attempt = queries.get(tenant_id=visit.tenant_id, attempt_id=attempt_id)
    left = listing.countdown(attempt, now=visit.now)
    form = _form(
        attempt, visit, "replay", title="Send the same key again?",
        button=f"Replay {_amount(attempt)}",
        text="The provider is asked first; what it has is adopted. If it has nothing, the same request goes"
        " out under the same key: the provider makes the transfer, or repeats its first answer; it never"
        f" makes a second one for this key. Possible until {left.deadline} UTC ({left.text.lower()}).",
    )  # fmt: skip

    def verb(memory: acts.FormMemory, _form: ActForm) -> Found:
        return unknown_outcomes.replay(
            tenant_id=visit.tenant_id, attempt_id=attempt_id, actor=visit.actor, now=visit.now, memory=memory
        )

    return _two_steps(request, visit, attempt, form, verb)


@workspace("finance_write", methods=METHODS)
def settle(request: HttpRequest, visit: Visit, attempt_id: uuid.UUID, outcome: str) -> HttpResponse:
    """Ask for the evidence, then settle."""
    attempt = queries.get(tenant_id=visit.tenant_id, attempt_id=attempt_id)
    if outcome not in (settling.SENT, settling.NOT_SENT):
        raise NotFound()
    form = _settle_form(attempt, visit, outcome)

    def verb(memory: acts.FormMemory, filled: ActForm) -> Found:
        values = filled.values
        return settling.settle(
            tenant_id=visit.tenant_id,
            attempt_id=attempt_id,
            verdict=Verdict(outcome, values["reason"], values.get("transfer_id", ""), values["evidence"]),
            actor=visit.actor,
            now=visit.now,
            memory=memory,
        )

    return _two_steps(request, visit, attempt, form, verb)


# --- The forms ------------------------------------------------------------------------------------
def _amount(attempt: DispatchAttempt) -> str:
    return money.show(attempt.operation.amount_cents, attempt.operation.currency)


def _form(
    attempt: DispatchAttempt,
    visit: Visit,
    act: str,
    *,
    title: str,
    button: str,
    text: str,
    fields: tuple[Field, ...] = (),
    is_destructive: bool = False,
) -> ActForm:
    href = listing.href_of(attempt)
    return ActForm(
        action=f"{href}/{act}",
        title=title,
        text=text,
        button=button,
        back_href=href,
        tenant_id=visit.tenant_id,
        is_destructive=is_destructive,
        facts=[
            Fact("Payout", f"{_amount(attempt)} to {attempt.operation.party_id}"),
            Fact("Submitted by", people.names([attempt.submitted_by])[attempt.submitted_by]),
        ],
        fields=fields,
    )


def _settle_form(attempt: DispatchAttempt, visit: Visit, outcome: str) -> ActForm:
    reason = Field(
        "reason", "Reason", max_length=settling.MOST_REASON, is_required=True,
        hint="Why you are sure. Kept with the payout and in the audit.",
    )  # fmt: skip
    evidence = Field(
        "evidence", "Evidence", max_length=settling.MOST_EVIDENCE, rows=3,
        hint="Needed when the provider cannot be asked or shows something else:"
        " what you looked at, where, and when.",
    )  # fmt: skip
    if outcome == settling.SENT:
        transfer = Field(
            "transfer_id", "Transfer id", value=attempt.observed_ref, max_length=300, is_required=True,
            hint="As the provider names it, tr_… It must belong to this payout and equal it.",
        )  # fmt: skip
        return _form(
            attempt, visit, "settle/sent", title="Settle as sent?",
            button=f"Settle {_amount(attempt)} as sent",
            text="You state that this money has left. The payout becomes submitted with this transfer, and"
            " nothing is sent for it any more. If you are wrong, the party stays unpaid until that is found.",
            fields=(transfer, reason, evidence),
        )  # fmt: skip
    return _form(
        attempt, visit, "settle/not_sent", title="Settle as not sent?",
        button=f"Settle {_amount(attempt)} as not sent", is_destructive=True,
        text="You state that this money has not left and will not. The payout may then be submitted again,"
        " with a new key, or cancelled. If you are wrong, the party may be paid twice; a transfer that turns"
        " up later becomes a critical case.",
        fields=(reason, evidence),
    )  # fmt: skip


# --- Two steps ------------------------------------------------------------------------------------
def _two_steps(
    request: HttpRequest, visit: Visit, attempt: DispatchAttempt, form: ActForm, verb: Verb
) -> HttpResponse:
    """Show the form; on POST act, and go back to the page, or show the refusal inside the form."""
    if request.method != "POST":
        return _page(request, visit, attempt, form=acts.fresh(form))
    try:
        form = acts.filled(form, request.POST.dict())
        if not form.is_complete:
            return _page(request, visit, attempt, form=form, status=422)
        done = _once(request, visit, form, verb)
    except Refusal as refusal:
        return _refused(request, visit, attempt, form, refusal)
    text = TEXTS[done.answer["outcome"]]
    if done.is_replay:
        text = f"{text} This form had been sent before; that answer stands."
    level = messages.SUCCESS if done.answer["resolved"] else messages.WARNING
    messages.add_message(request, level, text)
    return go(request, listing.href_of(attempt))


def _once(request: HttpRequest, visit: Visit, form: ActForm, verb: Verb) -> Done:
    memory = acts.FormMemory(acts.identity(request, visit, form), visit, _answer)
    try:
        return Done(_answer(verb(memory, form)), is_replay=False)
    except Replayed as replayed:
        return Done(json.loads(replayed.reply.body), is_replay=True)


def _answer(done: Found) -> dict[str, Any]:
    return {
        "operationId": done.operation.operation_id,
        "state": done.operation.state,
        "status": done.attempt.status,
        "outcome": done.outcome.value,
        "resolved": done.is_resolved,
    }


def _refused(
    request: HttpRequest, visit: Visit, attempt: DispatchAttempt, form: ActForm, refusal: Refusal
) -> HttpResponse:
    kept = form if form.idempotency_key else acts.fresh(form)
    what = errors.shown(refusal, request_id=visit.request_id)
    # A proxy may put its own page in place of a 502 or 503; the refusal has to reach the operator.
    status = refusal.status if refusal.status < 500 else 409
    return _page(request, visit, attempt, form=kept, refused=what, status=status)


def _page(
    request: HttpRequest,
    visit: Visit,
    attempt: DispatchAttempt,
    *,
    form: ActForm,
    refused: errors.Shown | None = None,
    status: int = 200,
) -> HttpResponse:
    context: dict[str, Any] = {"form": form, "refusal": refused}
    if getattr(request, "htmx", False):
        return render(request, "ops_console/unknown_outcomes/_acts.html", context, status=status)
    again = queries.get(tenant_id=visit.tenant_id, attempt_id=attempt.pk)
    context["unknown"] = detail.build(again, visit)
    return shell.page(
        request, visit, "ops_console/unknown_outcomes/detail.html", context, key=KEY, status=status
    )
