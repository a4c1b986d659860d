"""The whole page: the status panel, one tab, and what a form of it was answered."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from billing.services import snapshot as snapshots
from ops_console import errors, shell
from ops_console.workspace_billing import (
    blocking,
    confirming,
    forms,
    methods,
    purchase,
    standing,
    story,
    usage,
)
from ops_console.workspace_billing.desk import Desk, remember
from ops_console.workspace_billing.forms import Form

PURCHASE: Final = "purchase"
METHODS: Final = "payment-methods"
USAGE: Final = "usage"
TIMELINE: Final = "timeline"
TITLES: Final[dict[str, str]] = {
    PURCHASE: "Purchase",
    METHODS: "Payment methods",
    USAGE: "Usage",
    TIMELINE: "Timeline",
}
TEMPLATE: Final = "ops_console/workspace_billing/page.html"


@dataclass(frozen=True)
class Tab:
    """One link of the tab bar."""

    label: str
    href: str
    is_current: bool


@dataclass(frozen=True)
class Acted:
    """A form that was sent and could not be carried out; `name` says which, `form` what was in it."""

    name: str
    form: Form
    refusal: errors.Shown | None = None
    status: int = 422


@dataclass(frozen=True)
class Forms:
    """The forms of one render, each with a key of its own."""

    checkout: Form = field(default_factory=forms.fresh)
    item: Form = field(default_factory=lambda: forms.fresh(quantity="1"))
    own: Form = field(default_factory=lambda: forms.fresh(quantity="1"))
    portal: Form = field(default_factory=forms.fresh)


def standing_href(desk: Desk, shown: standing.Standing, *, until: dt.datetime) -> str:
    """Give where the status panel asks whether it has changed."""
    query = {"version": shown.version, "until": str(int(until.timestamp()))}
    return f"{desk.href('billing-standing')}?{urlencode(query)}"


def tab_of(request: HttpRequest) -> str:
    """Read which tab the address names; the first unless it names one."""
    wanted = request.GET.get("tab", "")
    return wanted if wanted in TITLES else PURCHASE


def show(
    request: HttpRequest, desk: Desk, *, tab: str = PURCHASE, acted: Acted | None = None
) -> HttpResponse:
    """Render the page; after a form that was not carried out with what was typed, and why."""
    remember(request, desk)
    context = _context(request, desk, tab=tab) | _forms(acted)
    status = acted.status if acted else 200
    return shell.page(request, desk.visit, TEMPLATE, context, key="billing", status=status)


def _context(request: HttpRequest, desk: Desk, *, tab: str) -> dict[str, Any]:
    snapshot = snapshots.of(entity=desk.entity)
    is_back = request.GET.get("checkout") == "success"
    shown = standing.build(snapshot)
    context: dict[str, Any] = {
        "desk": desk,
        "may_write": desk.may_write,
        "standing": shown,
        "tabs": [Tab(title, f"{desk.href()}?tab={name}", name == tab) for name, title in TITLES.items()],
        "tab": tab,
        "tab_title": TITLES[tab],
        "is_cancelled": request.GET.get("checkout") == "cancelled",
        "confirming": confirming.look(desk, snapshot) if is_back else None,
        "home": desk.href(),
        "currency": settings.BILLING.currency,
    }
    if request.GET.get("portal") == "back":
        context["live_href"] = standing_href(desk, shown, until=desk.now + confirming.PATIENCE)
    if tab == PURCHASE:
        context["blocked"] = blocking.find(desk, snapshot)
        context["purchase"] = purchase.build(desk, new_link=request.GET.get("link", "")[:191])
    elif tab == METHODS:
        context["methods"] = methods.build(desk)
    elif tab == USAGE:
        context["usage"] = usage.build(desk)
    else:
        context["story"] = story.build(desk, request.GET.dict())
    return context


def _forms(acted: Acted | None) -> dict[str, Any]:
    shown = Forms(**{acted.name: acted.form} if acted and acted.name in Forms.__annotations__ else {})
    return {"forms": shown, "refusals": {acted.name: acted.refusal} if acted else {}}
