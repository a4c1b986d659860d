"""The calls about subscriptions."""

from typing import Any

from settld.stripe_simulator.errors import Refused, missing
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import (
    collection,
    customers,
    prorations,
    subscription_bodies,
    subscription_ends,
    subscription_items,
    subscription_params,
    subscription_periods,
    subscriptions,
)
from settld.stripe_simulator.resources.changes import Change
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, World

COMMON_PARAMS = (
    "cancel_at",
    "cancel_at_period_end",
    "default_payment_method",
    "description",
    "items",
    "metadata",
    "off_session",
    "payment_behavior",
    "payment_settings",
    "proration_behavior",
    "trial_end",
    "trial_settings",
)
CREATE_PARAMS = (*COMMON_PARAMS, "billing_mode", "customer", "trial_period_days")
UPDATE_PARAMS = (*COMMON_PARAMS, "cancellation_details", "pause_collection")
CANCEL_PARAMS = ("cancellation_details", "invoice_now", "prorate")
PAYMENT_BEHAVIOURS = (
    "allow_incomplete",
    "default_incomplete",
    "error_if_incomplete",
    "pending_if_incomplete",
)
STATUSES = (
    "active",
    "canceled",
    "incomplete",
    "incomplete_expired",
    "past_due",
    "paused",
    "trialing",
    "unpaid",
)


def create(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=CREATE_PARAMS)
    customer = customers.require(world, params)
    items = subscription_params.items(world, params, call)
    behaviour = params.choice("payment_behavior", PAYMENT_BEHAVIOURS) or "allow_incomplete"
    body = subscriptions.start(
        world,
        customer_id=customer["id"],
        items=items,
        metadata=params.metadata({}),
        payment_method_id=params.text("default_payment_method"),
        trial_days=params.integer("trial_period_days", minimum=1, maximum=subscriptions.MOST_TRIAL_DAYS),
        trial_end=params.integer("trial_end", minimum=world.clock.now() + 1),
        fields=subscription_params.fields(params),
        tries_payment=behaviour != "default_incomplete",
        origin=call.origin,
    )
    if behaviour == "error_if_incomplete" and body["status"] == "incomplete":
        raise Refused("Your card was declined.", status=402, kind="card_error", code="card_declined")
    change = Change(body)
    subscription_params.plan_end(world, body, params)
    subscription_bodies.keep(world, change, origin=call.origin)
    return subscription_bodies.find(world, body["id"])


def update(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=UPDATE_PARAMS)
    body = subscription_bodies.find(world, call.names["id"])
    if body["status"] in subscription_bodies.OVER and set(call.form) - {
        "cancellation_details",
        "metadata",
        "expand",
    }:
        subscription_bodies.find_live(world, body["id"])
    behaviour = params.choice("proration_behavior", subscription_items.PRORATIONS) or "create_prorations"
    change = Change(body)
    invoice = None
    items = subscription_params.items(world, params, call)
    if items:
        invoice = subscription_items.edit(
            world, body, items, proration_behavior=behaviour, origin=call.origin
        )
    body.update(subscription_params.fields(params))
    body["metadata"] = params.metadata(body["metadata"])
    method_id = params.clearable_text("default_payment_method", body["default_payment_method"])
    subscriptions.require_method(world, body["customer"], method_id)
    body["default_payment_method"] = method_id
    subscription_params.plan_end(world, body, params)
    subscription_params.explain_end(body, params)
    subscription_params.pause_collection(world, body, params)
    ends_trial = subscription_params.trial(world, body, params)
    subscription_bodies.keep(world, change, origin=call.origin)
    if invoice is not None:
        collection.finalize_and_collect(world, invoice, origin=call.origin)
    if ends_trial:
        subscription_periods.end_trial(world, subscription_bodies.find(world, body["id"]), origin=call.origin)
    return subscription_bodies.find(world, body["id"])


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    return subscription_bodies.find(world, call.names["id"])


def cancel(world: World, call: Call) -> Json:
    """DELETE: an ended subscription is not found, as at Stripe.

    `prorate` gives the unused time back: on an invoice of now with `invoice_now`, else on one to come.
    """
    params = Params(call.form, allowed=CANCEL_PARAMS)
    body = subscription_bodies.find(world, call.names["id"])
    if body["status"] in subscription_bodies.OVER:
        raise missing(noun="subscription", object_id=body["id"])
    details = Params(params.mapping("cancellation_details") or {}, allowed=("comment", "feedback"))
    if params.boolean("prorate"):
        prorations.credit_unused(world, body, at=world.clock.now())
    if params.boolean("invoice_now"):
        _bill_the_rest(world, body, call)
    return subscription_ends.end(
        world,
        body,
        comment=details.text("comment"),
        feedback=details.choice("feedback", subscription_params.FEEDBACKS),
        origin=call.origin,
    )


def _bill_the_rest(world: World, body: Json, call: Call) -> None:
    """A last invoice of what waits; more given back than owed becomes the customer's credit."""
    invoice = subscription_items.draft_waiting(world, body, origin=call.origin)
    if invoice is not None:
        collection.finalize_and_collect(world, invoice, origin=call.origin)


def resume(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=("billing_cycle_anchor",))
    params.choice("billing_cycle_anchor", ("now",))
    body = subscription_bodies.find_live(world, call.names["id"])
    if body["status"] != "paused":
        raise Refused("You can only resume a subscription that is paused.", param="id")
    subscription_periods.resume(world, body, origin=call.origin)
    return subscription_bodies.find(world, body["id"])


def list_all(world: World, call: Call) -> Json:
    """Without a status: all that were not canceled; `all`; `ended`; or one status."""
    params = Params(call.form, allowed=(*PAGING, "created", "customer", "price", "status"))
    labels: dict[str, list[str]] = {}
    for name in ("customer", "price"):
        if (value := params.text(name)) is not None:
            labels[name] = [value]
    wanted = params.choice("status", ("all", "ended", *STATUSES))
    labels |= _status_labels(wanted)
    return page(world, params, kind=subscription_bodies.KIND, url="/v1/subscriptions", labels=labels)


def _status_labels(wanted: str | None) -> dict[str, Any]:
    if wanted == "all":
        return {}
    if wanted is None:
        return {"canceled": ["no"]}
    return {"status": list(subscription_bodies.OVER) if wanted == "ended" else [wanted]}


ROUTES = (
    ("GET", "/v1/subscriptions", list_all),
    ("POST", "/v1/subscriptions", create),
    ("GET", "/v1/subscriptions/{id}", retrieve),
    ("POST", "/v1/subscriptions/{id}", update),
    ("DELETE", "/v1/subscriptions/{id}", cancel),
    ("POST", "/v1/subscriptions/{id}/resume", resume),
)
