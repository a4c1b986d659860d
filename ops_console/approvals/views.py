"""GET /console/approvals; GET /console/approvals/{id}; POST /console/approvals/{id}/{verb}"""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from moneyrails.queries import approvals as queries
from moneyrails.services import approvals
from moneyrails.states import ApprovalStatus
from ops_console import acts, cursors, errors, shell, words
from ops_console.access import Visit, go, workspace
from ops_console.acts import ActForm, Field
from ops_console.approvals import rows
from settld.core.errors import NotFound, Refusal

VERBS: Final[dict[str, tuple[Callable[..., Any], str]]] = {
    "approve": (approvals.approve, "Approved, and done."),
    "reject": (approvals.reject, "Rejected. Nothing was changed."),
    "withdraw": (approvals.withdraw, "Withdrawn. Nothing was changed."),
}


@workspace("finance_read")
def listing(request: HttpRequest, visit: Visit) -> HttpResponse:
    """List what waits, and what waited, for a second person."""
    status = request.GET.get("status", "")
    status = status if status in ApprovalStatus.values else ""
    found = queries.listing(tenant_id=visit.tenant_id, status=status, now=visit.now)
    page = cursors.slice_of(found, by="requested_at", place=cursors.read(request.GET.get("at", "")))
    address = reverse("console:approvals")
    tabs = [("", "All"), *((word, words.label(word)) for word in ApprovalStatus.values)]
    context = {
        "rows": rows.rows(page.rows, visit),
        "tabs": [
            (label, f"{address}?{urlencode({'status': word})}" if word else address, word == status)
            for word, label in tabs
        ],
        "is_filtered": bool(status),
        "pager": cursors.pager(
            page, path=address, parameters={"status": status} if status else {}, note="Newest first"
        ),
    }
    if request.headers.get("HX-Target") == "list":
        return render(request, "ops_console/approvals/_list.html", context)
    return shell.page(request, visit, "ops_console/approvals/page.html", context, key="approvals")


@workspace("finance_read")
def detail(request: HttpRequest, visit: Visit, approval_id: str) -> HttpResponse:
    """Show one, with the forms that this visitor may send."""
    return _page(request, visit, approval_id)


@workspace("finance_write", methods=("POST",))
def decide(request: HttpRequest, visit: Visit, approval_id: str, verb: str) -> HttpResponse:
    """Approve, reject or withdraw, with a reason."""
    if verb not in VERBS:
        raise NotFound()
    act, told = VERBS[verb]
    form = _form(visit, approval_id, verb)
    try:
        form = acts.filled(form, request.POST.dict())
        if not form.is_complete:
            return _page(request, visit, approval_id, form=form, verb=verb, status=422)

        def carry_out() -> dict[str, Any]:
            act(
                tenant_id=visit.tenant_id, approval_id=approval_id, reason=form.values["reason"],
                actor=visit.actor, now=visit.now,
            )  # fmt: skip
            return {"text": told}

        done = acts.once(acts.identity(request, visit, form), visit, carry_out)
    except Refusal as refusal:
        shown = errors.shown(refusal, request_id=visit.request_id)
        return _page(request, visit, approval_id, refused=shown, status=refusal.status)
    messages.add_message(request, messages.SUCCESS, done.answer["text"])
    return go(request, reverse("console:approval", args=[approval_id]))


def _form(visit: Visit, approval_id: str, verb: str) -> ActForm:
    return ActForm(
        action=reverse("console:approval-decide", args=[approval_id, verb]), title="", text="", button="",
        back_href=reverse("console:approvals"), tenant_id=visit.tenant_id,
        fields=(Field("reason", "Reason", max_length=1000, is_required=True),),
    )  # fmt: skip


def _page(
    request: HttpRequest,
    visit: Visit,
    approval_id: str,
    *,
    form: ActForm | None = None,
    verb: str = "",
    refused: errors.Shown | None = None,
    status: int = 200,
) -> HttpResponse:
    approval = queries.get(tenant_id=visit.tenant_id, approval_id=approval_id)
    shown = rows.detail(approval, visit)
    may = {
        "approve": shown.may_approve,
        "reject": shown.is_pending and not shown.is_mine and visit.may("finance_write"),
        "withdraw": shown.is_pending and shown.is_mine and visit.may("finance_write"),
    }
    labels = {"approve": "Approve and do it", "reject": "Reject", "withdraw": "Withdraw"}
    forms = [
        (word, labels[word], form if form and verb == word else acts.fresh(_form(visit, approval_id, word)))
        for word in VERBS
        if may[word]
    ]
    context = {"approval": shown, "forms": forms, "refusal": refused}
    return shell.page(
        request, visit, "ops_console/approvals/detail.html", context, key="approvals", status=status
    )
