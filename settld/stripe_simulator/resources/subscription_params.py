"""The parameters of calls about subscriptions: read, refused where Stripe refuses them, put on the body."""

from settld.stripe_simulator import timers
from settld.stripe_simulator.errors import StripeError
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import (
    prices,
    subscription_bodies,
    subscription_ends,
    subscription_periods,
)
from settld.stripe_simulator.resources.changes import merged
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, World

ITEM_PARAMS = ("deleted", "id", "metadata", "price", "price_data", "quantity")
FEEDBACKS = (
    "customer_service",
    "low_quality",
    "missing_features",
    "other",
    "switched_service",
    "too_complex",
    "too_expensive",
    "unused",
)


def items(world: World, params: Params, call: Call) -> list[Json]:
    """`items[]` as `{"id", "price", "quantity", "metadata", "deleted"}`, each None when not given."""
    given = params.mapping("items") or {}
    found = []
    for index in sorted(given, key=lambda text: int(text) if text.isdigit() else 0):
        if not isinstance(given[index], dict) or not index.isdigit():
            raise StripeError("Invalid array", param="items")
        one = Params(given[index], allowed=ITEM_PARAMS)
        price_id = one.text("price")
        if (data := one.mapping("price_data")) is not None:
            price_id = prices.from_form(world, data, origin=call.origin, active=True)["id"]
        found.append(
            {
                "id": one.text("id"),
                "price": price_id,
                "quantity": one.integer("quantity", minimum=0, maximum=1_000_000),
                "metadata": one.metadata({}) if one.has("metadata") else None,
                "deleted": one.boolean("deleted"),
            }
        )
    if call.path == "/v1/subscriptions" and any(one["price"] is None for one in found or [{"price": None}]):
        raise StripeError("Missing required param: items.", code="parameter_missing", param="items")
    return found


def fields(params: Params) -> Json:
    """The settings that are given, as the body shows them."""
    found: Json = {}
    if params.has("description"):
        found["description"] = params.clearable_text("description", None)
    if (settings := params.mapping("trial_settings")) is not None:
        end = Params(settings, allowed=("end_behavior",)).mapping("end_behavior") or {}
        terms = Params(end, allowed=("missing_payment_method",))
        choice = terms.choice("missing_payment_method", ("cancel", "create_invoice", "pause"))
        found["trial_settings"] = {"end_behavior": {"missing_payment_method": choice or "create_invoice"}}
    if (payment := params.mapping("payment_settings")) is not None:
        terms = Params(payment, allowed=("save_default_payment_method",))
        saves = terms.choice("save_default_payment_method", ("off", "on_subscription")) or "off"
        found["payment_settings"] = {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": saves,
        }
    if params.has("billing_mode"):
        mode = Params(params.mapping("billing_mode") or {}, allowed=("flexible", "type"))
        kind = mode.choice("type", ("classic", "flexible")) or "flexible"
        flexible = {"proration_discounts": "included"} if kind == "flexible" else None
        found["billing_mode"] = {"flexible": flexible, "type": kind}
    return found


def plan_end(world: World, body: Json, params: Params) -> None:
    """`cancel_at_period_end` or `cancel_at`; false or an empty text takes the end back."""
    if params.has("cancel_at") and params.has("cancel_at_period_end"):
        message = "You may only specify one of these parameters: cancel_at, cancel_at_period_end."
        raise StripeError(message, param="cancel_at")
    wanted = params.boolean("cancel_at_period_end")
    if wanted:
        body["cancel_at_period_end"] = True
        subscription_ends.plan_end(world, body, at=subscription_bodies.period_end(body))
    elif wanted is False or params.form.get("cancel_at") == "":
        subscription_ends.unplan_end(world, body)
    elif params.form.get("cancel_at") in ("min_period_end", "max_period_end"):
        subscription_ends.plan_end(world, body, at=subscription_bodies.period_end(body))
    elif (at := params.integer("cancel_at", minimum=world.clock.now() + 1)) is not None:
        body["cancel_at_period_end"] = False
        subscription_ends.plan_end(world, body, at=at)


def explain_end(body: Json, params: Params) -> None:
    """`cancellation_details`: comment and feedback."""
    given = params.mapping("cancellation_details")
    if given is not None:
        terms = Params(given, allowed=("comment", "feedback"))
        if given.get("feedback"):
            terms.choice("feedback", FEEDBACKS)
        body["cancellation_details"] = merged(body["cancellation_details"], given)


def pause_collection(world: World, body: Json, params: Params) -> None:
    """A pause, with the timer of its end if it has one; an empty text ends it."""
    if params.form.get("pause_collection") == "":
        body["pause_collection"] = None
        timers.drop(world, kind="subscription.resume", object_id=body["id"])
    elif (given := params.mapping("pause_collection")) is not None:
        terms = Params(given, allowed=("behavior", "resumes_at"))
        behaviour = terms.choice("behavior", ("keep_as_draft", "mark_uncollectible", "void"))
        if behaviour is None:
            message = "Missing required param: pause_collection[behavior]."
            raise StripeError(message, code="parameter_missing", param="pause_collection[behavior]")
        resumes_at = terms.integer("resumes_at", minimum=world.clock.now() + 1)
        body["pause_collection"] = {"behavior": behaviour, "resumes_at": resumes_at}
        timers.drop(world, kind="subscription.resume", object_id=body["id"])
        if resumes_at is not None:
            timers.put(world, kind="subscription.resume", object_id=body["id"], at=resumes_at)


def trial(world: World, body: Json, params: Params) -> bool:
    """Whether the running trial is to end now; a later end moves the period's end with it."""
    if params.form.get("trial_end") == "now":
        return bool(body["status"] == "trialing")
    end = params.integer("trial_end", minimum=world.clock.now() + 1)
    if end is not None:
        subscription_periods.move_trial_end(world, body, at=end)
    return False
