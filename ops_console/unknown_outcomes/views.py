"""GET /console/unknown-outcomes, …/{attemptId} and …/{attemptId}/listing"""

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from moneyrails.queries import unknown_outcomes as queries
from moneyrails.rails import stripe as stripe_rail
from moneyrails.services import attempts, dispatch_checks
from ops_console import cursors, errors, shell
from ops_console.access import Visit, workspace
from ops_console.unknown_outcomes import detail, listing
from settld.stripe_gateway.outcomes import ProviderFailure

KEY = "unknown-outcomes"
STATUSES = ("in_doubt", "indeterminate")


@workspace("finance_read")
def unknown_outcomes(request: HttpRequest, visit: Visit) -> HttpResponse:
    """List what nobody knows the outcome of; htmx asks again for the list."""
    status = request.GET.get("status", "")
    place = cursors.read(request.GET["at"]) if request.GET.get("at") else None
    page = listing.build(
        tenant_id=visit.tenant_id, status=status if status in STATUSES else "", place=place, now=visit.now
    )
    context = {"page": page, "here": request.get_full_path()}
    if request.headers.get("HX-Target") == "list":
        return render(request, "ops_console/unknown_outcomes/_list.html", context)
    return shell.page(request, visit, "ops_console/unknown_outcomes/page.html", context, key=KEY)


@workspace("finance_read")
def unknown_outcome(request: HttpRequest, visit: Visit, attempt_id: uuid.UUID) -> HttpResponse:
    """Show one attempt with all that was found out about it."""
    attempt = queries.get(tenant_id=visit.tenant_id, attempt_id=attempt_id)
    context = {"unknown": detail.build(attempt, visit)}
    return shell.page(request, visit, "ops_console/unknown_outcomes/detail.html", context, key=KEY)


@workspace("finance_read")
def listed_now(request: HttpRequest, visit: Visit, attempt_id: uuid.UUID) -> HttpResponse:
    """Ask the provider what it lists for the payout, and write nothing."""
    attempt = queries.get(tenant_id=visit.tenant_id, attempt_id=attempt_id)
    rows, problem = [], ""
    if not stripe_rail.is_configured():
        problem = "There is no key to ask the provider with."
    else:
        order = attempts.order_of(attempt.operation, idempotency_key=attempt.idempotency_key)
        try:
            found = stripe_rail.StripeRail().find_transfers(order)
            rows = [detail.transfer_row(dispatch_checks.shown(transfer), attempt) for transfer in found]
        except ProviderFailure as failure:
            problem = f"The provider did not say: {errors.plain(failure.error['message'])}"
    context = {"listed": rows, "problem": problem, "is_asked": True}
    if getattr(request, "htmx", False):
        return render(request, "ops_console/unknown_outcomes/_listing.html", context)
    context["unknown"] = detail.build(attempt, visit)
    return shell.page(request, visit, "ops_console/unknown_outcomes/detail.html", context, key=KEY)
