"""Payment links: pages that open a checkout session of their own for everyone who comes by."""

import copy
from typing import Any

from settld.stripe_simulator.errors import Refused, StripeError, missing
from settld.stripe_simulator.params import Params, within
from settld.stripe_simulator.resources import checkout_items, checkout_params, checkout_sessions, events
from settld.stripe_simulator.resources.changes import Change
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import PROVIDER, Call, Origin, World

KIND = "payment_link"
DETAILS = "payment_link.details"
CHANGEABLE = (
    "after_completion",
    "allow_promotion_codes",
    "billing_address_collection",
    "customer_creation",
    "inactive_message",
    "invoice_creation",
    "metadata",
    "payment_intent_data",
    "payment_method_collection",
    "payment_method_types",
    "restrictions",
    "submit_type",
    "subscription_data",
)
NOT_SIMULATED = (
    "application_fee_amount",
    "application_fee_percent",
    "automatic_tax",
    "consent_collection",
    "custom_fields",
    "custom_text",
    "managed_payments",
    "name_collection",
    "on_behalf_of",
    "optional_items",
    "payment_method_options",
    "phone_number_collection",
    "shipping_address_collection",
    "shipping_options",
    "tax_id_collection",
    "transfer_data",
)
ONLY_ONCE = ("customer_creation", "invoice_creation", "payment_intent_data")
# Where Stripe sends payers of a link that names no address of its own.
NOWHERE = "https://stripe.com"


def create(world: World, call: Call) -> Json:
    params = checkout_params.simulated(
        call.form, allowed=(*CHANGEABLE, "currency", "line_items"), not_simulated=NOT_SIMULATED
    )
    lines = checkout_items.read(world, params, mode=None)
    mode = "subscription" if any(checkout_items.is_recurring(line) for line in lines) else "payment"
    body = sample(KIND)
    body["metadata"] = params.metadata({})
    _fill_in(body, params, mode)
    items = checkout_items.make(world, lines, origin=call.origin)
    link_id = world.ids.next("plink")
    body.update(id=link_id, currency=items[0]["currency"], url=f"{world.base_url}/b/{link_id}")
    if mode == "payment":
        body["payment_method_collection"] = "if_required"
    kept = {"id": link_id, "created": world.clock.now(), "items": items, "mode": mode}
    world.store.insert(kind=DETAILS, body=kept)
    # A payment link does not show when it was created, but the store dates every object.
    world.store.insert(kind=KIND, body={**body, "created": kept["created"]}, labels=_labels(body))
    world.store.replace(kind=KIND, body=body)
    world.log.add("object", object=KIND, id=link_id, action="created")
    events.emit(world, event_type=f"{KIND}.created", subject=body, origin=call.origin)
    return body


def _fill_in(body: Json, params: Params, mode: str) -> None:
    for name in ONLY_ONCE:
        if params.has(name) and mode != "payment":
            raise StripeError(f"You can not pass `{name}` with recurring prices.", param=name)
    if params.has("subscription_data") and mode != "subscription":
        raise StripeError(
            "You can not pass `subscription_data` without recurring prices.", param="subscription_data"
        )
    if (completion := params.mapping("after_completion")) is not None:
        with within("after_completion"):
            body["after_completion"] = _after_completion(completion)
    if (codes := params.boolean("allow_promotion_codes")) is not None:
        body["allow_promotion_codes"] = codes
    for name, choices in (
        ("billing_address_collection", ("auto", "required")),
        ("customer_creation", ("always", "if_required")),
        ("payment_method_collection", ("always", "if_required")),
        ("submit_type", ("auto", "book", "donate", "pay", "subscribe")),
    ):
        body[name] = params.choice(name, choices) or body[name]
    body["inactive_message"] = params.clearable_text("inactive_message", body["inactive_message"])
    if mode == "payment" and (params.has("invoice_creation") or body["invoice_creation"] is None):
        body["invoice_creation"] = checkout_params.invoice_creation(params)
    if params.has("payment_intent_data"):
        body["payment_intent_data"] = _intent_data(params)
    if params.has("payment_method_types"):
        body["payment_method_types"] = params.strings("payment_method_types") or None
    if mode == "subscription" and (params.has("subscription_data") or body["subscription_data"] is None):
        body["subscription_data"] = _subscription_data(params)
    if params.has("restrictions"):
        body["restrictions"] = _restrictions(params, body["restrictions"])


def _after_completion(form: Json) -> Json:
    params = Params(form, allowed=("hosted_confirmation", "redirect", "type"))
    params.required_text("type")
    if params.choice("type", ("hosted_confirmation", "redirect")) == "redirect":
        with within("redirect"):
            inner = Params(params.mapping("redirect") or {}, allowed=("url",))
            return {"redirect": {"url": checkout_params.required_url(inner, "url")}, "type": "redirect"}
    inner = Params(params.mapping("hosted_confirmation") or {}, allowed=("custom_message",))
    message = inner.text("custom_message", max_length=500)
    return {"hosted_confirmation": {"custom_message": message}, "type": "hosted_confirmation"}


def _intent_data(params: Params) -> Json:
    names = (
        "capture_method",
        "description",
        "setup_future_usage",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "transfer_group",
    )
    return {**dict.fromkeys(names), **checkout_params.intent_data(params, "payment_intent_data")}


def _subscription_data(params: Params) -> Json:
    return {
        **checkout_params.subscription_data(params),
        "invoice_settings": {"issuer": {"type": "self"}},
        "trial_settings": None,
    }


def _restrictions(params: Params, current: Json | None) -> Json | None:
    if params.form["restrictions"] == "":
        return None
    with within("restrictions[completed_sessions]"):
        hashed = Params(params.mapping("restrictions") or {}, allowed=("completed_sessions",))
        inner = Params(hashed.mapping("completed_sessions") or {}, allowed=("limit",))
        inner.required_text("limit")
        limit = inner.integer("limit", minimum=1)
    count = current["completed_sessions"]["count"] if current else 0
    return {"completed_sessions": {"count": count, "limit": limit}}


def _labels(body: Json) -> dict[str, str | None]:
    return {"active": "true" if body["active"] else "false"}


def find(world: World, link_id: str) -> Json:
    body = world.store.get(kind=KIND, object_id=link_id)
    if body is None:
        raise missing(noun=KIND, object_id=link_id, param="payment_link")
    return body


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    return find(world, call.names["id"])


def update(world: World, call: Call) -> Json:
    params = checkout_params.simulated(
        call.form, allowed=(*CHANGEABLE, "active"), not_simulated=(*NOT_SIMULATED, "line_items")
    )
    body = find(world, call.names["id"])
    change = Change(body)
    if (active := params.boolean("active")) is not None:
        body["active"] = active
    body["metadata"] = params.metadata(body["metadata"])
    _fill_in(body, params, details(world, body["id"])["mode"])
    _keep(world, change, origin=call.origin)
    return body


def _keep(world: World, change: Change, *, origin: Origin) -> None:
    body = change.body
    if change.keep(world, origin=origin, event_type="payment_link.updated"):
        world.store.relabel(
            kind=KIND, object_id=body["id"], name="active", values=[str(_labels(body)["active"])]
        )


def details(world: World, link_id: str) -> Json:
    return world.store.get(kind=DETAILS, object_id=link_id) or {"items": [], "mode": "payment"}


def open_session(world: World, link: Json) -> Json:
    """A session for one more payer; refused when the link has been deactivated."""
    if not link["active"]:
        raise Refused(link["inactive_message"] or "This link is no longer active.", param="payment_link")
    kept = details(world, link["id"])
    told = link["subscription_data"] or {}
    is_free = bool(told.get("trial_period_days"))
    items: list[Json] = []
    for item in copy.deepcopy(kept["items"]):
        amount = 0 if is_free and item["price"]["recurring"] else item["amount_total"]
        items.append({**item, "id": world.ids.next("li"), "amount_subtotal": amount, "amount_total": amount})
    completion = link["after_completion"]
    body: dict[str, Any] = {
        "allow_promotion_codes": link["allow_promotion_codes"],
        "billing_address_collection": link["billing_address_collection"],
        "cancel_url": NOWHERE,
        "customer_creation": "always" if kept["mode"] == "subscription" else link["customer_creation"],
        "invoice_creation": link["invoice_creation"],
        "metadata": link["metadata"],
        "mode": kept["mode"],
        "payment_link": link["id"],
        "payment_method_collection": link["payment_method_collection"],
        "payment_method_types": link["payment_method_types"] or ["card"],
        "submit_type": link["submit_type"],
        "success_url": completion["redirect"]["url"] if completion["type"] == "redirect" else NOWHERE,
    }
    return checkout_sessions.insert(
        world,
        body=body,
        customer=None,
        expires_at=world.clock.now() + checkout_params.LONGEST_SECONDS,
        items=items,
        data={"subscription_data": told, "intent_data": link["payment_intent_data"] or {}},
    )


def count_completed(world: World, link_id: str) -> None:
    """A link with a limit closes itself when its last session has been paid."""
    body = find(world, link_id)
    if body["restrictions"] is None:
        return
    change, counted = Change(body), body["restrictions"]["completed_sessions"]
    counted["count"] += 1
    body["active"] = body["active"] and counted["count"] < counted["limit"]
    _keep(world, change, origin=PROVIDER)


def line_items(world: World, call: Call) -> Json:
    link = find(world, call.names["id"])
    return items_of(world, link, form=call.form)


def items_of(world: World, link: Json, *, form: Json | None = None) -> Json:
    url = f"/v1/payment_links/{link['id']}/line_items"
    return checkout_items.listed(details(world, link["id"])["items"], url=url, form=form)


def list_all(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=(*PAGING, "active"))
    active = params.boolean("active")
    labels = {} if active is None else {"active": ["true" if active else "false"]}
    return page(world, params, kind=KIND, url="/v1/payment_links", labels=labels)


ROUTES = (
    ("GET", "/v1/payment_links", list_all),
    ("POST", "/v1/payment_links", create),
    ("GET", "/v1/payment_links/{id}", retrieve),
    ("POST", "/v1/payment_links/{id}", update),
    ("GET", "/v1/payment_links/{id}/line_items", line_items),
)
