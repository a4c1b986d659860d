"""Payment intents: one sum to be taken from a buyer, over as many tries as it needs."""

from collections.abc import Callable

from settld.stripe_simulator.errors import Declined, Refused, missing
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import cards, charges, customers, payment_methods
from settld.stripe_simulator.resources.changes import Change, make
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, Origin, World

KIND = "payment_intent"
UNPAID = ("requires_payment_method", "requires_confirmation", "requires_action")
CREATE_PARAMS = (
    "amount",
    "confirm",
    "currency",
    "customer",
    "description",
    "metadata",
    "off_session",
    "payment_method",
    "receipt_email",
    "return_url",
)
Settled = Callable[[World, Json, Origin], None]
_ON_SETTLED: list[Settled] = []


def on_settled(function: Settled) -> Settled:
    """Register who wants to know when a payment that was processing came to its end."""
    _ON_SETTLED.append(function)
    return function


def collect(
    world: World,
    *,
    amount: int,
    currency: str,
    customer_id: str | None,
    payment_method_id: str | None,
    metadata: dict[str, str],
    description: str | None,
    origin: Origin,
    pays: bool | None = None,
) -> Json:
    """Make a payment intent and try to take its amount at once.

    Its status afterwards: `succeeded`, `requires_payment_method` (declined, with `last_payment_error`; or no
    method was given), or `processing`. `pays` overrules what the method would do.
    """
    body = insert(
        world,
        amount=amount,
        currency=currency,
        customer_id=customer_id,
        metadata=metadata,
        description=description,
        origin=origin,
    )
    return confirm(world, body, payment_method_id=payment_method_id, pays=pays, origin=origin)


def insert(
    world: World,
    *,
    amount: int,
    currency: str,
    customer_id: str | None,
    metadata: dict[str, str],
    description: str | None,
    origin: Origin,
) -> Json:
    """An intent that nobody has tried to take yet, told by `payment_intent.created`."""
    body = sample(KIND)
    intent_id = world.ids.next("pi")
    body.update(
        id=intent_id,
        amount=amount,
        client_secret=f"{intent_id}_secret_{world.ids.next('secret').removeprefix('secret_')}",
        created=world.clock.now(),
        currency=currency,
        customer=customer_id,
        description=description,
        metadata=metadata,
    )
    make(
        world,
        body=body,
        origin=origin,
        labels={"customer": customer_id},
        event_type="payment_intent.created",
    )
    return body


def confirm(
    world: World, body: Json, *, payment_method_id: str | None, origin: Origin, pays: bool | None = None
) -> Json:
    """Try to take the amount from a method; without one the intent goes on waiting for one."""
    if payment_method_id is None:
        return body
    if body["status"] not in UNPAID:
        message = f"You cannot confirm this PaymentIntent because it has a status of {body['status']}."
        raise Refused(message, code="payment_intent_unexpected_state")
    method = payment_methods.find(world, payment_method_id, param="payment_method", status=400)
    outcome = payment_methods.outcome_of(world, payment_method_id)
    if pays is not None:
        outcome = "pays" if pays else "fails"
    charge = charges.attempt(world, intent=body, method=method, outcome=outcome, origin=origin)
    change = Change(body)
    body["latest_charge"] = charge["id"]
    if outcome == "fails":
        body["status"] = "requires_payment_method"
        body["last_payment_error"] = _error(charge, method)
        body["payment_method"] = None
    else:
        body.update(payment_method=method["id"], last_payment_error=None)
        body["status"] = "succeeded" if outcome == "pays" else "processing"
        body["amount_received"] = body["amount"] if outcome == "pays" else 0
    _tell(world, change, origin)
    return body


def _error(charge: Json, method: Json) -> Json:
    return {"type": "card_error", **cards.FAILURE, "charge": charge["id"], "payment_method": method}


def _tell(world: World, change: Change, origin: Origin) -> None:
    words = {"requires_payment_method": "payment_failed"}
    status = change.body["status"]
    change.keep(world, origin=origin, event_type=f"payment_intent.{words.get(status, status)}")


def settle(world: World, intent_id: str, *, succeeds: bool, origin: Origin) -> Json:
    """A payment that was processing succeeds or fails; whoever waits for it is told."""
    body = find(world, intent_id)
    if body["status"] != "processing":
        raise Refused(f"Payment intent {intent_id} is {body['status']}, not processing.")
    method = payment_methods.find(world, body["payment_method"])
    charge = charges.settle(
        world, charges.find(world, body["latest_charge"]), succeeds=succeeds, origin=origin
    )
    change = Change(body)
    if succeeds:
        body.update(status="succeeded", amount_received=body["amount"])
    else:
        body.update(status="requires_payment_method", payment_method=None)
        body["last_payment_error"] = _error(charge, method)
    _tell(world, change, origin)
    for function in _ON_SETTLED:
        function(world, body, origin)
    return body


def cancel_one(world: World, body: Json, *, reason: str | None, origin: Origin) -> Json:
    if body["status"] not in UNPAID:
        message = f"You cannot cancel this PaymentIntent because it has a status of {body['status']}."
        raise Refused(message, code="payment_intent_unexpected_state")
    change = Change(body)
    body.update(status="canceled", canceled_at=world.clock.now(), cancellation_reason=reason)
    change.keep(world, origin=origin, event_type="payment_intent.canceled")
    return body


def find(world: World, intent_id: str, *, param: str | None = "intent", status: int = 404) -> Json:
    body = world.store.get(kind=KIND, object_id=intent_id)
    if body is None:
        raise missing(noun=KIND, object_id=intent_id, param=param, status=status)
    return body


def create(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=CREATE_PARAMS)
    amount = params.integer("amount", minimum=1, maximum=99_999_999_99)
    if amount is None:
        params.required_text("amount")
    customer = customers.require(world, params) if params.has("customer") else None
    method_id = params.text("payment_method")
    method = payment_methods.known(world, method_id, origin=call.origin) if method_id else None
    body = insert(
        world,
        amount=int(amount or 0),
        currency=params.required_text("currency").lower(),
        customer_id=customer["id"] if customer else None,
        metadata=params.metadata({}),
        description=params.text("description"),
        origin=call.origin,
    )
    if (address := params.text("receipt_email")) is not None:
        body["receipt_email"] = address
        world.store.replace(kind=KIND, body=body)
    if method is not None and params.boolean("confirm"):
        return _confirmed(world, body, method["id"], call.origin)
    return body


def _confirmed(world: World, body: Json, method_id: str, origin: Origin) -> Json:
    confirm(world, body, payment_method_id=method_id, origin=origin)
    if body["status"] == "requires_payment_method":
        raise Declined(**cards.FAILURE, payment_intent=body)
    return body


def confirm_call(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=("off_session", "payment_method", "return_url"))
    body = find(world, call.names["id"])
    method_id = params.text("payment_method") or body["payment_method"]
    if method_id is None:
        message = "You cannot confirm this PaymentIntent because it's missing a payment method."
        raise Refused(message, code="payment_intent_unexpected_state")
    method = payment_methods.known(world, method_id, origin=call.origin)
    return _confirmed(world, body, method["id"], call.origin)


def cancel(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=("cancellation_reason",))
    body = find(world, call.names["id"])
    return cancel_one(world, body, reason=params.text("cancellation_reason"), origin=call.origin)


def update(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=("description", "metadata", "receipt_email"))
    body = find(world, call.names["id"])
    change = Change(body)
    body["description"] = params.clearable_text("description", body["description"])
    body["receipt_email"] = params.clearable_text("receipt_email", body["receipt_email"])
    body["metadata"] = params.metadata(body["metadata"])
    change.keep(world, origin=call.origin, event_type=None)
    return body


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    return find(world, call.names["id"])


def list_all(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=(*PAGING, "created", "customer"))
    customer_id = params.text("customer")
    labels = {"customer": [customer_id]} if customer_id is not None else {}
    return page(world, params, kind=KIND, url="/v1/payment_intents", labels=labels)


ROUTES = (
    ("GET", "/v1/payment_intents", list_all),
    ("POST", "/v1/payment_intents", create),
    ("GET", "/v1/payment_intents/{id}", retrieve),
    ("POST", "/v1/payment_intents/{id}", update),
    ("POST", "/v1/payment_intents/{id}/confirm", confirm_call),
    ("POST", "/v1/payment_intents/{id}/cancel", cancel),
)
