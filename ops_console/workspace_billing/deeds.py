"""POST /w/{slug}/billing/checkout, …/portal, …/links, …/links/{id}/end and …/payment-methods/sync

Each calls the verb that the API calls. What the provider made is where the browser goes next; a refusal is
shown in the form that was sent.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from billing.models import CheckoutSession
from billing.services import checkout, payment_link_end, payment_links, payment_methods, portal
from billing.services.idempotency import Answer, IdempotencyConflict, RequestInProgress
from billing.services.limits import LimitExceeded
from billing.services.payment_link_end import PaymentLinkNotFound
from billing.services.payment_link_items import LineItem, LineItemsRefused
from billing.states import SessionStatus, SyncStatus
from ops_console import errors, words
from ops_console.access import go
from ops_console.workspace_billing import forms, origins, page, purchase
from ops_console.workspace_billing.desk import Desk, billing_page
from ops_console.workspace_billing.forms import Form
from ops_console.workspace_billing.page import Acted
from settld.core.errors import Refusal

POST: Final = ("POST",)
SUCCESS: Final = 200
BIGGEST_ID: Final = 2**63 - 1
# A double click sends the same form twice: the second waits this long for the answer to the first.
PATIENCE_SECONDS: Final = 4.0
PAUSE_SECONDS: Final = 0.2
NEXT: Final[dict[str, str]] = {
    "request_in_progress": "Send this form again in a minute: it goes on with the same request.",
    "checkout_in_progress": "Wait until it has settled; that takes minutes at most.",
    "checkout_provider_error": "Nothing was bought. Try again, or ask whoever runs this deployment.",
    "checkout_configuration_invalid": "Nothing was bought. Whoever runs this deployment has been alerted.",
    "payment_method_sync_failed": "What is shown is as of the sync before.",
}


@billing_page(methods=POST)
def start_checkout(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Start a subscription checkout and send the browser to the provider's page."""
    form = forms.posted(request, "plan")
    if not form.values["plan"]:
        return page.show(request, desk, acted=Acted("checkout", form.at_fault(plan="Choose a plan.")))

    def verb() -> Answer:
        return checkout.start(
            tenant_id=desk.tenant_id,
            entity_id=desk.entity.pk,
            client_key=form.key,
            order=forms.checkout_order(desk, plan=form.values["plan"]),
        )

    def go_on(body: dict[str, Any]) -> HttpResponse:
        url = str(body["checkoutSession"]["checkoutUrl"] or "")
        return _away(request, desk, url if _is_open(desk, str(body["operationKey"])) else "")

    return _carry_out(request, desk, "checkout", form, verb, go_on)


@billing_page(methods=POST)
def open_portal(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Send the browser to the provider's portal."""
    form = forms.posted(request)

    def verb() -> Answer:
        return portal.start(
            tenant_id=desk.tenant_id,
            entity_id=desk.entity.pk,
            client_key=form.key,
            return_path=f"{desk.href()}?portal=back",
            now=desk.now,
        )

    def go_on(body: dict[str, Any]) -> HttpResponse:
        return _away(request, desk, str(body["portalSession"]["url"]))

    return _carry_out(request, desk, "portal", form, verb, go_on)


# --- Payment links --------------------------------------------------------------------------------
@billing_page(methods=POST)
def make_link(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Make a payment link, for an item of the catalog or for a name with an amount."""
    is_own = request.POST.get("kind") != "item"
    name = "own" if is_own else "item"
    form = forms.posted(request, *(("name", "amount", "quantity") if is_own else ("item", "quantity")))
    form, line = forms.own_line(form) if is_own else forms.item_line(form, purchase.offered_items())
    if line is None:
        return page.show(request, desk, acted=Acted(name, form))
    sold: LineItem = line

    def verb() -> Answer:
        return payment_links.create(
            entity=desk.entity,
            client_key=form.key,
            success_path=reverse("console:billing-paid"),
            items=[sold],
            now=desk.now,
        )

    def go_on(body: dict[str, Any]) -> HttpResponse:
        messages.success(request, "The payment link is ready. Anybody who has it can pay.")
        return go(request, f"{desk.href()}?tab=purchase&link={body['paymentLink']['id']}#links")

    return _carry_out(request, desk, name, form, verb, go_on)


@billing_page(methods=POST)
def end_link(request: HttpRequest, desk: Desk, link_id: int) -> HttpResponse:
    """Have a link take no more money."""
    try:
        if link_id > BIGGEST_ID:
            raise PaymentLinkNotFound()
        payment_link_end.deactivate(entity=desk.entity, payment_link_id=link_id, now=desk.now)
    except Refusal as refusal:
        return _refused(request, desk, "links", forms.fresh(), refusal)
    messages.success(request, "The payment link is off. Nobody can pay it any more.")
    return go(request, f"{desk.href()}?tab=purchase#links")


# --- Payment methods ------------------------------------------------------------------------------
@billing_page(methods=POST)
def sync_methods(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Read the payment methods at the provider now."""
    try:
        synced = payment_methods.sync(
            tenant_id=desk.tenant_id, entity_id=desk.entity.pk, profile="request", now=desk.now
        )
    except Refusal as refusal:
        return _refused(request, desk, "methods", forms.fresh(), refusal, tab=page.METHODS)
    if synced.status == SyncStatus.SKIPPED:
        messages.info(request, "There is nothing to sync: the provider has no customer for this workspace.")
    else:
        count = words.count(synced.fetched_count, "payment method")
        messages.success(request, f"Synced: the provider has {count}.")
    return go(request, f"{desk.href()}?tab={page.METHODS}")


# --- What all of them do --------------------------------------------------------------------------
def _carry_out(
    request: HttpRequest,
    desk: Desk,
    name: str,
    form: Form,
    verb: Callable[[], Answer],
    go_on: Callable[[dict[str, Any]], HttpResponse],
) -> HttpResponse:
    """Do what the form's key stands for, once; then go on, or show the form again with the reason."""
    try:
        answer = _patiently(verb)
    except Refusal as refusal:
        return _refused(request, desk, name, form, refusal)
    if answer.status == SUCCESS:
        return go_on(answer.body)
    code = str(answer.body["code"])
    what = errors.Shown(
        status=answer.status,
        title=errors.TITLES.get(answer.status, "Refused"),
        text=str(answer.body["error"]),
        code=code,
        request_id=desk.visit.request_id,
        next_step=NEXT.get(code, ""),
    )
    # The key stands for this failure now; whoever tries again means to try anew.
    return _page(request, desk, name, form.renewed(), what)


def _patiently(verb: Callable[[], Answer]) -> Answer:
    """Give the answer of a request that another sending of the same form is just carrying out."""
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return verb()
        except RequestInProgress:
            if time.monotonic() + PAUSE_SECONDS > ends_at:
                raise
        time.sleep(PAUSE_SECONDS)


def _refused(
    request: HttpRequest, desk: Desk, name: str, form: Form, refusal: Refusal, *, tab: str = page.PURCHASE
) -> HttpResponse:
    """Show the form again; only a key that was used for something else is given up."""
    if isinstance(refusal, LineItemsRefused):
        fault = next(iter(refusal.faults.values()), refusal.message)
        return page.show(request, desk, acted=Acted(name, form.at_fault(item=fault)))
    is_unknown = isinstance(refusal, RequestInProgress)
    what = errors.shown(refusal, request_id=desk.visit.request_id)
    what = replace(what, is_unknown=is_unknown, next_step=NEXT.get(refusal.code, what.next_step))
    if isinstance(refusal, LimitExceeded):
        what = replace(what, title="The plan's limit is reached", facts=_limit_facts(refusal))
    kept = form.renewed() if isinstance(refusal, IdempotencyConflict) else form
    return _page(request, desk, name, kept, what, tab=tab)


def _limit_facts(refusal: LimitExceeded) -> list[errors.Fact]:
    told = {key: refusal.details.get(key) for key in ("limitationCode", "limit", "used", "windowEndAt")}
    return errors.facts_of(told)


def _page(
    request: HttpRequest, desk: Desk, name: str, form: Form, what: errors.Shown, *, tab: str = page.PURCHASE
) -> HttpResponse:
    # A proxy may put its own page in place of a 502 or 503; the reason has to reach the person.
    status = what.status if what.status < 500 else 409
    return page.show(request, desk, tab=tab, acted=Acted(name, form, what, status))


def _is_open(desk: Desk, operation_key: str) -> bool:
    """Tell whether a checkout can still be paid: a replay tells what was true when it was started."""
    sessions = CheckoutSession.objects.filter(tenant_id=desk.tenant_id, operation_key=operation_key)
    return sessions.filter(status=SessionStatus.OPEN).exists()


def _away(request: HttpRequest, desk: Desk, url: str) -> HttpResponse:
    """Go to the provider; where a form may not lead, over a link, and without an address to our own page."""
    if not url:
        messages.info(request, "This checkout is over. This is how things stand now.")
        return go(request, desk.href())
    if not origins.is_allowed(url):
        return render(request, "ops_console/workspace_billing/leave.html", {"url": url, "home": desk.href()})
    return go(request, url)
