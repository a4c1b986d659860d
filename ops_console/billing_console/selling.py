"""GET, POST …/plans/new, …/plans/{id}/price, …/plans/{id}/{activate|deactivate}, …/items/…"""

import re
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from billing.models import CatalogItem, Plan
from billing.queries import catalog as queries
from billing.services import catalog, catalog_items, permissions, provider_prices
from billing.services.catalog import PlanWish
from billing.services.provider_prices import PriceRefused
from ops_console.access import Visit
from ops_console.acts import ActForm, Field, Option
from ops_console.billing_console import acting, catalog_rows, entitlement_lines, price_choices
from ops_console.billing_console.acting import Act, Crumb, FieldFaults, Told
from ops_console.billing_console.entitlement_lines import LineFault
from ops_console.billing_console.guard import METHODS, billing_page
from ops_console.errors import Fact
from settld.core.errors import NotFound

KEY: Final = "billing-plans"
LARGEST_ID: Final = 2**63 - 1
CODE: Final = re.compile(r"[a-z0-9][a-z0-9._:-]*")
STATES: Final = {"activate": True, "deactivate": False}


def _crumb(heading: str) -> Crumb:
    return Crumb("Plans", _plans(), heading)


def _plans() -> str:
    return reverse("console:billing-plans")


# --- Plans ----------------------------------------------------------------------------------------
@billing_page(permissions.CATALOG, methods=METHODS)
def new_plan(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Make a plan that is sold at one of the provider's prices."""
    form = ActForm(
        action=request.path,
        title="Make a plan",
        text="Its code stays for ever; a later price changes what new customers pay. Stripe"
        " is asked for the price, and what it says is stored.",
        button="Make the plan",
        back_href=_plans(),
        tenant_id=acting.HOME,
        fields=(
            Field(
                "code", "Code", max_length=120, is_required=True,
                hint="How callers name it: a-z, 0-9, dot, colon, dash, underscore. It never changes.",
            ),
            Field("name", "Name", max_length=160, is_required=True, hint="What customers read."),
            Field("description", "Description", max_length=5_000, rows=2),
            *price_choices.fields("monthly"),
            Field("entitlements", "Grants", max_length=20_000, rows=5, hint=entitlement_lines.HELP),
            Field(
                "state", "On sale", value="active",
                options=(Option("active", "At once"), Option("inactive", "Not yet: activate it later")),
            ),
        ),
    )  # fmt: skip

    def make(filled: ActForm) -> Told:
        wish = _wish(filled)
        try:
            price = provider_prices.recurring(price_choices.chosen(filled), field=_price_field(filled))
        except PriceRefused as refused:
            raise FieldFaults({refused.field: refused.fault}) from refused
        plan = catalog.create(wish, price=price, actor=visit.actor)
        return Told(f"The plan {plan.code} is made.", _plans())

    return acting.answer(request, visit, Act(KEY, _crumb("New plan"), form, make, complete=_with_prices))


def _with_prices(form: ActForm) -> ActForm:
    return price_choices.complete(form, is_recurring=True)


def _price_field(form: ActForm) -> str:
    """Name the field that the price was given in, so that what is wrong with it stands there."""
    return price_choices.TYPED if form.values[price_choices.TYPED] else price_choices.CHOSEN


def _wish(form: ActForm) -> PlanWish:
    values = form.values
    code = values["code"].lower()
    if not CODE.fullmatch(code):
        raise FieldFaults({"code": "A code may hold a-z, 0-9, dot, colon, dash and underscore."})
    try:
        grants = entitlement_lines.read(values["entitlements"])
    except LineFault as fault:
        raise FieldFaults({"entitlements": str(fault)}) from fault
    return PlanWish(
        code=code,
        name=values["name"],
        description=values["description"] or None,
        is_active=values["state"] == "active",
        entitlements=grants,
    )


@billing_page(permissions.CATALOG, methods=METHODS)
def plan_price(request: HttpRequest, visit: Visit, plan_id: int) -> HttpResponse:
    """Sell a plan at another price from now on."""
    plan = _plan(plan_id)
    row = catalog_rows.row_of(plan, 0)
    form = ActForm(
        action=request.path,
        title=f"Sell {plan.name} at another price?",
        text="New checkouts pay the new price. Who has subscribed keeps what he pays, and the old price still"
        " maps to this plan. A checkout that is under way stays as it was begun.",
        button="Change the price",
        back_href=_plans(),
        tenant_id=acting.HOME,
        facts=[
            Fact("Plan", plan.code, is_code=True),
            Fact("Now", row.price.amount if row.price else "No price"),
            *([Fact("Price id", row.price.price_id, is_code=True)] if row.price else []),
        ],
        fields=price_choices.fields("monthly"),
    )

    def change(filled: ActForm) -> Told:
        try:
            price = provider_prices.recurring(price_choices.chosen(filled), field=_price_field(filled))
        except PriceRefused as refused:
            raise FieldFaults({refused.field: refused.fault}) from refused
        catalog.change_price(plan_id=plan_id, price=price, actor=visit.actor)
        return Told(f"{plan.code} is sold at {price.provider_price_id} from now on.", _plans())

    act = Act(KEY, _crumb(f"Price of {plan.name}"), form, change, complete=_with_prices)
    return acting.answer(request, visit, act)


@billing_page(permissions.CATALOG, methods=METHODS)
def plan_state(request: HttpRequest, visit: Visit, plan_id: int, verb: str) -> HttpResponse:
    """Sell a plan no longer, or again."""
    if verb not in STATES:
        raise NotFound()
    plan, is_active = _plan(plan_id), STATES[verb]
    form = ActForm(
        action=request.path,
        title=f"Sell {plan.name} again?" if is_active else f"Sell {plan.name} no longer?",
        text="It can be bought at once, if it has a price in this deployment's currency."
        if is_active
        else "It cannot be bought from now on. Who has subscribed keeps it, and a checkout that is under"
        " way may still be paid.",
        button="Activate" if is_active else "Deactivate",
        back_href=_plans(),
        tenant_id=acting.HOME,
        is_destructive=not is_active,
        facts=[Fact("Plan", plan.code, is_code=True)],
    )

    def change(_filled: ActForm) -> Told:
        catalog.set_active(plan_id=plan_id, is_active=is_active, actor=visit.actor)
        return Told(f"{plan.code} is {'on sale' if is_active else 'no longer sold'}.", _plans())

    return acting.answer(request, visit, Act(KEY, _crumb(plan.name), form, change))


def _plan(plan_id: int) -> Plan:
    found = queries.complete(
        Plan.objects.filter(pk=plan_id if plan_id <= LARGEST_ID else 0), provider=settings.BILLING.provider
    )
    if not found:
        raise catalog.PlanUnknown()
    return found[0]


# --- Catalog items --------------------------------------------------------------------------------
@billing_page(permissions.CATALOG, methods=METHODS)
def new_item(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Offer one of the provider's one-time prices."""
    form = ActForm(
        action=request.path,
        title="Offer a one-time price",
        text="It can be bought with a payment link from then on.",
        button="Offer it",
        back_href=_plans(),
        tenant_id=acting.HOME,
        fields=(
            *price_choices.fields("one-time"),
            Field("name", "Name", max_length=160, hint="What customers read; as at Stripe when empty."),
        ),
    )

    def offer(filled: ActForm) -> Told:
        price_id = price_choices.chosen(filled)
        try:
            price, known_as = provider_prices.one_time(price_id, field=_price_field(filled))
        except PriceRefused as refused:
            raise FieldFaults({refused.field: refused.fault}) from refused
        name = (filled.values["name"] or known_as or price_id)[:160]
        item = catalog_items.offer(price=price, name=name, actor=visit.actor)
        return Told(f"{item.name} is offered.", _plans())

    act = Act(
        KEY,
        _crumb("New catalog item"),
        form,
        offer,
        complete=lambda shown: price_choices.complete(shown, is_recurring=False),
    )
    return acting.answer(request, visit, act)


@billing_page(permissions.CATALOG, methods=METHODS)
def item_rename(request: HttpRequest, visit: Visit, item_id: int) -> HttpResponse:
    """Give a catalog item another name."""
    item = _item(item_id)
    form = ActForm(
        action=request.path,
        title=f"Rename {item.name}?",
        text="Customers read the new name from now on; links that were made keep the old one.",
        button="Rename",
        back_href=_plans(),
        tenant_id=acting.HOME,
        facts=[Fact("Price id", item.provider_price_id, is_code=True)],
        fields=(Field("name", "Name", value=item.name, max_length=160, is_required=True),),
    )

    def rename(filled: ActForm) -> Told:
        catalog_items.change(item_id=item_id, name=filled.values["name"], is_active=None, actor=visit.actor)
        return Told(f"{item.name} is called {filled.values['name']} now.", _plans())

    return acting.answer(request, visit, Act(KEY, _crumb(item.name), form, rename))


@billing_page(permissions.CATALOG, methods=METHODS)
def item_state(request: HttpRequest, visit: Visit, item_id: int, verb: str) -> HttpResponse:
    """Offer a catalog item no longer, or again."""
    if verb not in STATES:
        raise NotFound()
    item, is_active = _item(item_id), STATES[verb]
    form = ActForm(
        action=request.path,
        title=f"Offer {item.name} again?" if is_active else f"Offer {item.name} no longer?",
        text="It can be bought at once."
        if is_active
        else "No new link can be made with it. Links that are out stay payable until they are deactivated.",
        button="Offer it" if is_active else "Withdraw it",
        back_href=_plans(),
        tenant_id=acting.HOME,
        is_destructive=not is_active,
        facts=[Fact("Price id", item.provider_price_id, is_code=True)],
    )

    def change(_filled: ActForm) -> Told:
        catalog_items.change(item_id=item_id, name="", is_active=is_active, actor=visit.actor)
        return Told(f"{item.name} is {'offered again' if is_active else 'no longer offered'}.", _plans())

    return acting.answer(request, visit, Act(KEY, _crumb(item.name), form, change))


def _item(item_id: int) -> CatalogItem:
    found = CatalogItem.objects.filter(pk=item_id if item_id <= LARGEST_ID else 0).first()
    if found is None:
        raise catalog_items.ItemUnknown()
    return found
