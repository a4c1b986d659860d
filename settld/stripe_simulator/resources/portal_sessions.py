"""Sessions of the customer portal: a page for one customer, for an hour."""

from settld.stripe_simulator.errors import Refused, StripeError, missing
from settld.stripe_simulator.params import Params, within
from settld.stripe_simulator.resources import checkout_params, customers, portal_configurations
from settld.stripe_simulator.resources.changes import make
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, World

KIND = "billing_portal.session"
LIFE_SECONDS = 3600
FLOWS = ("payment_method_update", "subscription_cancel", "subscription_update", "subscription_update_confirm")
ENDED = ("canceled", "incomplete_expired")


def create(world: World, call: Call) -> Json:
    params = checkout_params.simulated(
        call.form,
        allowed=("configuration", "customer", "flow_data", "locale", "return_url"),
        not_simulated=("after_expiration", "customer_account", "on_behalf_of"),
    )
    return_url = checkout_params.url(params, "return_url")
    named, locale = params.text("configuration"), params.text("locale")
    customer = customers.require(world, params)
    configuration = (
        portal_configurations.find(world, named, status=400)
        if named
        else portal_configurations.default(world)
    )
    if not configuration["active"]:
        raise StripeError("This configuration is not active.", param="configuration")
    body = sample("portal_session")
    session_id = world.ids.next("bps")
    body.update(
        id=session_id,
        configuration=configuration["id"],
        created=world.clock.now(),
        customer=customer["id"],
        flow=_flow(world, params, customer["id"]),
        locale=locale,
        return_url=return_url or configuration["default_return_url"],
        url=f"{world.base_url}/p/session/{session_id}",
    )
    make(world, body=body, origin=call.origin, event_type=f"{KIND}.created")
    return body


def _flow(world: World, params: Params, customer_id: str) -> Json | None:
    form = params.mapping("flow_data")
    if form is None:
        return None
    with within("flow_data"):
        told = Params(form, allowed=("after_completion", "type", *FLOWS[1:]))
        told.required_text("type")
        kind = told.choice("type", FLOWS) or ""
        flow: Json = {**dict.fromkeys(FLOWS[1:]), "after_completion": _after_completion(told), "type": kind}
        if kind != "payment_method_update":
            with within(kind):
                flow[kind] = _about(
                    world, Params(told.mapping(kind) or {}, allowed=_names(kind)), kind, customer_id
                )
    return flow


def _names(kind: str) -> tuple[str, ...]:
    return ("items", "subscription") if kind == "subscription_update_confirm" else ("subscription",)


def _about(world: World, told: Params, kind: str, customer_id: str) -> Json:
    subscription = world.store.get(kind="subscription", object_id=told.required_text("subscription"))
    if subscription is None or subscription["customer"] != customer_id:
        raise missing(
            noun="subscription", object_id=told.form["subscription"], param="subscription", status=400
        )
    if subscription["status"] in ENDED:
        message = f"This subscription cannot be changed: it is {subscription['status']}."
        raise Refused(message, param="subscription")
    about: Json = {"subscription": subscription["id"]}
    if kind == "subscription_cancel":
        return {**about, "retention": None}
    if kind == "subscription_update":
        return about
    items = []
    for number, form in enumerate(told.hashes("items")):
        with within(f"items[{number}]"):
            item = Params(form, allowed=("id", "price", "quantity"))
            quantity = item.integer("quantity", minimum=1)
            items.append({"id": item.required_text("id"), "price": item.text("price"), "quantity": quantity})
    if not items:
        raise checkout_params.missing_param("items")
    return {**about, "discounts": None, "items": items}


def _after_completion(told: Params) -> Json:
    form = told.mapping("after_completion") or {"type": "portal_homepage"}
    with within("after_completion"):
        params = Params(form, allowed=("hosted_confirmation", "redirect", "type"))
        params.required_text("type")
        kind = params.choice("type", ("hosted_confirmation", "portal_homepage", "redirect")) or ""
        found: Json = {"hosted_confirmation": None, "redirect": None, "type": kind}
        if kind == "redirect":
            with within("redirect"):
                inner = Params(params.mapping("redirect") or {}, allowed=("return_url",))
                found["redirect"] = {"return_url": checkout_params.required_url(inner, "return_url")}
        if kind == "hosted_confirmation":
            inner = Params(params.mapping("hosted_confirmation") or {}, allowed=("custom_message",))
            found["hosted_confirmation"] = {"custom_message": inner.text("custom_message")}
    return found


def find(world: World, session_id: str) -> Json:
    """A session that still opens; one older than an hour is gone, as at Stripe."""
    body = world.store.get(kind=KIND, object_id=session_id)
    if body is None:
        raise missing(noun=KIND, object_id=session_id, param="session")
    if world.clock.now() >= body["created"] + LIFE_SECONDS:
        raise Refused("This portal session has expired. Open the portal again from the shop.", status=410)
    return body


ROUTES = (("POST", "/v1/billing_portal/sessions", create),)
