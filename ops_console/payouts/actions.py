"""GET, POST /console/payouts/{providerId}/{operationId}/submit and /cancel"""

import json
from collections.abc import Callable
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from moneyrails.models import Operation
from moneyrails.services import cancellation, submission
from moneyrails.services.replies import Replayed
from ops_console import acts, errors, shell
from ops_console.access import Visit, go, workspace
from ops_console.acts import ActForm, Done, Field
from ops_console.payouts import detail
from ops_console.payouts.listing import href_of
from settld.core import money
from settld.core.errors import Refusal

METHODS: Final = ("GET", "HEAD", "POST")
CANCEL_REASON: Final = "cancelled_by_ops"
Act = Callable[[HttpRequest, Visit, Operation, ActForm], tuple[Done, str]]


@workspace("finance_write", methods=METHODS)
def submit(request: HttpRequest, visit: Visit, provider_id: str, operation_id: str) -> HttpResponse:
    """Ask, then send one payout to its provider."""
    operation = detail.load(tenant_id=visit.tenant_id, provider_id=provider_id, operation_id=operation_id)
    return _two_steps(request, visit, operation, submit_form(visit, operation), _submit)


@workspace("finance_write", methods=METHODS)
def cancel(request: HttpRequest, visit: Visit, provider_id: str, operation_id: str) -> HttpResponse:
    """Ask, then call one payout off."""
    operation = detail.load(tenant_id=visit.tenant_id, provider_id=provider_id, operation_id=operation_id)
    return _two_steps(request, visit, operation, cancel_form(visit, operation), _cancel)


# --- The forms ------------------------------------------------------------------------------------
def submit_form(visit: Visit, operation: Operation) -> ActForm:
    """Say what submitting does; a provider without a call of its own takes a reference."""
    href = href_of(operation)
    amount = money.show(operation.amount_cents, operation.currency)
    is_called = operation.provider_mode == "production" and operation.provider_id.lower().startswith("stripe")
    text = (
        f"{amount} leaves through {operation.provider_id} to {operation.counterparty_ref}."
        " Once sent it cannot be called back from here."
        if operation.provider_mode == "production"
        else f"{amount} is recorded as sent through {operation.provider_id}, a sandbox: no money moves."
    )
    reference = Field(
        "provider_ref", "Provider reference", max_length=500,
        hint="Needed when the payment was made by hand; otherwise leave it empty.",
    )  # fmt: skip
    return ActForm(
        action=f"{href}/submit",
        title="Submit this payout?",
        text=text,
        button=f"Submit {amount}",
        back_href=href,
        tenant_id=visit.tenant_id,
        fields=() if is_called else (reference,),
    )


def cancel_form(visit: Visit, operation: Operation) -> ActForm:
    """Say what cancelling does, and ask why."""
    href = href_of(operation)
    return ActForm(
        action=f"{href}/cancel",
        title="Cancel this payout?",
        text="This statement never gets another payout:"
        " paying this party for the period then takes a new statement.",
        button="Cancel payout",
        back_href=href,
        tenant_id=visit.tenant_id,
        is_destructive=True,
        fields=(
            Field(
                "reason_code", "Reason", value=CANCEL_REASON, max_length=200, is_required=True,
                hint="Kept with the payout and shown in the audit.",
            ),
        ),
    )  # fmt: skip


# --- The acts -------------------------------------------------------------------------------------
def _submit(request: HttpRequest, visit: Visit, operation: Operation, form: ActForm) -> tuple[Done, str]:
    memory = acts.FormMemory(acts.identity(request, visit, form), visit, _submission_answer)
    try:
        result = submission.submit(
            tenant_id=visit.tenant_id,
            provider_id=operation.provider_id,
            operation_id=operation.operation_id,
            provider_ref=form.values.get("provider_ref", ""),
            actor=visit.actor,
            now=visit.now,
            memory=memory,
        )
        done = Done(_submission_answer(result), is_replay=False)
    except Replayed as replayed:
        done = Done(json.loads(replayed.reply.body), is_replay=True)
    if done.answer["applied"]:
        return done, "Submitted."
    if done.answer["reason"] == "submit_in_progress":
        return done, "Another request took this payout over; its outcome appears below."
    return done, "It had been submitted before; nothing was sent again."


def _submission_answer(result: submission.Submission) -> dict[str, Any]:
    return {
        "operationId": result.operation.operation_id,
        "state": result.operation.state,
        "applied": result.applied,
        "reason": result.reason,
        "providerSubmission": result.provider_submission,
    }


def _cancel(request: HttpRequest, visit: Visit, operation: Operation, form: ActForm) -> tuple[Done, str]:
    def verb() -> dict[str, Any]:
        result = cancellation.cancel(
            tenant_id=visit.tenant_id,
            provider_id=operation.provider_id,
            operation_id=operation.operation_id,
            reason_code=form.values["reason_code"],
            actor=visit.actor,
            now=visit.now,
        )
        return {
            "operationId": operation.operation_id,
            "state": result.operation.state,
            "applied": result.applied,
        }

    done = acts.once(acts.identity(request, visit, form), visit, verb)
    if done.answer["applied"]:
        return done, "Cancelled."
    return done, f"Nothing to cancel: the payout is {done.answer['state']}."


# --- Two steps ------------------------------------------------------------------------------------
def _two_steps(
    request: HttpRequest, visit: Visit, operation: Operation, form: ActForm, act: Act
) -> HttpResponse:
    """Show the form; on POST act and answer with fresh parts, or with the refusal inside the form."""
    if request.method != "POST":
        return _page(request, visit, operation, form=acts.fresh(form))
    try:
        form = acts.filled(form, request.POST.dict())
        if not form.is_complete:
            return _page(request, visit, operation, form=form, status=422)
        done, text = act(request, visit, operation, form)
    except Refusal as refusal:
        return _refused(request, visit, operation, form, refusal)
    level = "success" if done.answer["applied"] else "warning"
    if done.is_replay:
        text = f"{text} This form had been sent before; that answer stands."
    if not getattr(request, "htmx", False):
        messages.add_message(request, messages.SUCCESS if level == "success" else messages.WARNING, text)
        return go(request, href_of(operation))
    context = {"payout": _fresh(visit, operation), "level": level, "text": text}
    return render(request, "ops_console/payouts/_done.html", context)


def _refused(
    request: HttpRequest, visit: Visit, operation: Operation, form: ActForm, refusal: Refusal
) -> HttpResponse:
    """Show the form again with the refusal in it; what the attempt was left as decides how it reads."""
    kept = form if form.idempotency_key else acts.fresh(form)
    is_unknown = detail.dispatch_status(operation) == "in_doubt"
    what = errors.shown(refusal, request_id=visit.request_id, is_unknown=is_unknown)
    # A proxy may put its own page in place of a 502 or 503; the refusal has to reach the operator.
    status = refusal.status if refusal.status < 500 else 409
    return _page(request, visit, operation, form=kept, refused=what, status=status)


def _page(
    request: HttpRequest,
    visit: Visit,
    operation: Operation,
    *,
    form: ActForm,
    refused: errors.Shown | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {"payout": _fresh(visit, operation), "form": form, "refusal": refused}
    if getattr(request, "htmx", False):
        template = "ops_console/payouts/_refused.html" if refused else "ops_console/payouts/_actions.html"
        return render(request, template, context, status=status)
    return shell.page(
        request, visit, "ops_console/payouts/detail.html", context, key="payouts", status=status
    )


def _fresh(visit: Visit, operation: Operation) -> detail.Payout:
    again = detail.load(
        tenant_id=visit.tenant_id, provider_id=operation.provider_id, operation_id=operation.operation_id
    )
    return detail.build(again, may_write=visit.may("finance_write"), now=visit.now)
