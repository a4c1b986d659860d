"""Checkout sessions: made, read, listed, expired. What a payer does with one is in checkout_payments."""

import copy
from typing import Any

from settld.stripe_simulator import timers
from settld.stripe_simulator.errors import Refused, missing
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import checkout_items, checkout_params, customers, events
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import PROVIDER, Call, Origin, World

KIND = "checkout.session"
# What the session was asked for and does not show: its items, and the data of what it will make.
DETAILS = "checkout.details"
STATUSES = ("complete", "expired", "open")
FILTERS = ("customer", "payment_intent", "payment_link", "subscription")
NOBODY: Json = {
    **dict.fromkeys(("address", "business_name", "email", "individual_name", "name", "phone", "tax_ids")),
    "tax_exempt": "none",
}


def create(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=call.form.keys())
    wanted = checkout_params.read(call.form, now=world.clock.now())
    lines = []
    if wanted.mode != "setup":
        lines = checkout_items.read(world, params, mode=wanted.mode)
    customer = (
        customers.find(world, wanted.customer, param="customer", status=400) if wanted.customer else None
    )
    is_free = bool(wanted.subscription_data["trial_period_days"])
    items = checkout_items.make(world, lines, origin=call.origin, is_free=is_free)
    return insert(
        world,
        body=wanted.body,
        customer=customer,
        expires_at=wanted.expires_at,
        items=items,
        data={"subscription_data": wanted.subscription_data, "intent_data": wanted.intent_data},
    )


def insert(
    world: World, *, body: Json, customer: Json | None, expires_at: int, items: list[Json], data: Json
) -> Json:
    """An open session with a page of its own, which expires when its time has come."""
    session = sample(KIND.replace(".", "_"))
    session.update(body)
    email = customer["email"] if customer else body.get("customer_email")
    session.update(
        id=(session_id := world.ids.next("cs_test")),
        created=world.clock.now(),
        customer=customer["id"] if customer else None,
        customer_details={**NOBODY, "email": email} if email else None,
        expires_at=expires_at,
        url=f"{world.base_url}/c/pay/{session_id}",
    )
    if items:
        amount = checkout_items.total(items)
        session.update(amount_subtotal=amount, amount_total=amount, currency=items[0]["currency"])
        if not amount:
            session["payment_status"] = "no_payment_required"
    else:
        session["payment_status"] = "no_payment_required"
    world.store.insert(kind=KIND, body=session, labels=_labels(session))
    details = {"id": session_id, "created": session["created"], "items": items, **data}
    world.store.insert(kind=DETAILS, body=details)
    timers.put(world, kind=KIND, object_id=session_id, at=expires_at)
    world.log.add("object", object=KIND, id=session_id, action="created", amount=session["amount_total"])
    return session


def find(world: World, session_id: str) -> Json:
    """The session as it is now: one whose time has come is expired first."""
    timers.run_due(world)
    body = world.store.get(kind=KIND, object_id=session_id)
    if body is None:
        raise missing(noun="checkout.session", object_id=session_id, param="session")
    return body


def details(world: World, session_id: str) -> Json:
    return world.store.get(kind=DETAILS, object_id=session_id) or {"items": []}


def keep(world: World, session: Json, **changes: Any) -> None:
    """Store changes of a session, and what it can be found by from now on."""
    session.update(changes)
    world.store.replace(kind=KIND, body=session)
    for name, value in _labels(session).items():
        values = [value] if value else []
        world.store.relabel(kind=KIND, object_id=session["id"], name=name, values=values)


def _labels(session: Json) -> dict[str, str | None]:
    told = session["customer_details"] or {}
    return {name: session[name] for name in (*FILTERS, "status")} | {"email": told.get("email")}


def tell(world: World, happened: str, session: Json, *, origin: Origin = PROVIDER) -> None:
    world.log.add("object", object=KIND, id=session["id"], action=happened)
    subject = copy.deepcopy(session)
    events.emit(world, event_type=f"{KIND}.{happened}", subject=subject, origin=origin)


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    return find(world, call.names["id"])


def update(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=("metadata",))
    session = find(world, call.names["id"])
    keep(world, session, metadata=params.metadata(session["metadata"]))
    return session


def expire(world: World, call: Call) -> Json:
    """End an open session early; one that is complete or expired already stays as it is."""
    Params(call.form, allowed=())
    session = find(world, call.names["id"])
    if session["status"] != "open":
        message = (
            f'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a '
            f"status of `{session['status']}`."
        )
        raise Refused(message, param="session")
    end(world, session, origin=call.origin)
    return session


def end(world: World, session: Json, *, origin: Origin = PROVIDER) -> None:
    timers.drop(world, kind=KIND, object_id=session["id"])
    keep(world, session, status="expired", url=None)
    tell(world, "expired", session, origin=origin)


@timers.fires(KIND)
def _run_out(world: World, session_id: str) -> None:
    session = world.store.get(kind=KIND, object_id=session_id)
    if session is not None and session["status"] == "open":
        end(world, session)


def line_items(world: World, call: Call) -> Json:
    session = find(world, call.names["id"])
    return items_of(world, session, form=call.form)


def items_of(world: World, session: Json, *, form: Json | None = None) -> Json:
    url = f"/v1/checkout/sessions/{session['id']}/line_items"
    return checkout_items.listed(details(world, session["id"])["items"], url=url, form=form)


def list_all(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=(*PAGING, *FILTERS, "created", "customer_details", "status"))
    timers.run_due(world)
    labels = {name: [value] for name in FILTERS if (value := params.text(name)) is not None}
    if (status := params.choice("status", STATUSES)) is not None:
        labels["status"] = [status]
    if (told := params.mapping("customer_details")) is not None:
        labels["email"] = [Params(told, allowed=("email",)).required_text("email")]
    return page(world, params, kind=KIND, url="/v1/checkout/sessions", labels=labels)


ROUTES = (
    ("GET", "/v1/checkout/sessions", list_all),
    ("POST", "/v1/checkout/sessions", create),
    ("GET", "/v1/checkout/sessions/{id}", retrieve),
    ("POST", "/v1/checkout/sessions/{id}", update),
    ("POST", "/v1/checkout/sessions/{id}/expire", expire),
    ("GET", "/v1/checkout/sessions/{id}/line_items", line_items),
)
