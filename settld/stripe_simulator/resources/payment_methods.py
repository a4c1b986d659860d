"""Payment methods: cards and bank accounts, on their own or attached to one customer."""

import datetime as dt

from settld.stripe_simulator.errors import Refused, StripeError, missing
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import cards, customers, events
from settld.stripe_simulator.resources.changes import Change, make, merged
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.store import Selection
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, Origin, World

KIND = "payment_method"
TYPES = ("card", "sepa_debit", "us_bank_account")
CREATE_PARAMS = ("billing_details", "metadata", "type", *TYPES)
UPDATE_PARAMS = ("billing_details", "card", "metadata")
YEARS_AHEAD = 4


def attach_card(
    world: World,
    *,
    customer_id: str,
    number: str,
    origin: Origin,
    exp_month: int = 12,
    exp_year: int | None = None,
    billing_details: Json | None = None,
) -> Json:
    """A card of Stripe's test numbers on a customer, told by `payment_method.attached`.

    4242 4242 4242 4242 pays; 4000 0000 0000 0341 attaches, but every charge fails; 4000 0000 0000 0002 is
    declined at once (StripeError 402 `card_declined`) and leaves nothing behind.
    """
    card = cards.lookup(number)
    cards.require_attachable(card)
    year = exp_year or dt.datetime.fromtimestamp(world.clock.now(), dt.UTC).year + YEARS_AHEAD
    details = cards.card_details(card, exp_month=exp_month, exp_year=year)
    body = insert(world, type_name="card", details=details, outcome=card.outcome, origin=origin)
    body["billing_details"] = merged(body["billing_details"], billing_details or {})
    return attach_to(world, body, customer_id=customer_id, origin=origin)


def insert(
    world: World,
    *,
    type_name: str,
    details: Json,
    outcome: cards.Outcome,
    origin: Origin,
    billing_details: Json | None = None,
    metadata: dict[str, str] | None = None,
) -> Json:
    """A stored payment method of nobody yet; no event tells of it."""
    body = sample(KIND)
    body.update(
        {type_name: details}, id=world.ids.next("pm"), created=world.clock.now(), metadata=metadata or {}
    )
    body["type"] = type_name
    body["billing_details"] = merged(body["billing_details"], billing_details or {})
    make(world, body=body, origin=origin, labels={"type": type_name})
    set_outcome(world, body["id"], outcome)
    return body


def set_outcome(world: World, method_id: str, outcome: str) -> None:
    """What charges to this method come to from now on: `pays`, `fails`, or `later` (processing)."""
    world.store.execute("INSERT OR REPLACE INTO behaviours VALUES (?, ?)", (method_id, outcome))


def outcome_of(world: World, method_id: str) -> cards.Outcome:
    sql = "SELECT outcome FROM behaviours WHERE payment_method = ?"
    row = world.store.execute(sql, (method_id,)).fetchone()
    outcome: cards.Outcome = "pays" if row is None else row[0]
    return outcome


def attach_to(world: World, body: Json, *, customer_id: str, origin: Origin) -> Json:
    """Attach a method that is nobody's, and was nobody's before."""
    customers.find(world, customer_id, param="customer", status=400)
    if body["customer"] == customer_id:
        return body
    if body["customer"] is not None or _was_detached(world, body["id"]):
        message = (
            "The payment method you provided has already been attached to a customer."
            if body["customer"]
            else "This PaymentMethod was previously used without being attached to a Customer or was "
            "detached from a Customer, and may not be used again."
        )
        raise Refused(message, code="payment_method_unexpected_state" if body["customer"] else None)
    change = Change(body)
    body["customer"] = customer_id
    change.keep(world, origin=origin, event_type=None)
    world.store.relabel(kind=KIND, object_id=body["id"], name="customer", values=[customer_id])
    events.emit(world, event_type="payment_method.attached", subject=body, origin=origin)
    return body


def detach_from(world: World, body: Json, *, origin: Origin) -> Json:
    """Take a method from its customer for good; what had it as default has none."""
    customer_id = body["customer"]
    if customer_id is None:
        message = "The payment method you provided is not attached to a customer so detachment is impossible."
        raise Refused(message, code="payment_method_unexpected_state")
    change = Change(body)
    body["customer"] = None
    world.store.relabel(kind=KIND, object_id=body["id"], name="customer", values=[])
    world.store.relabel(kind=KIND, object_id=body["id"], name="was_detached", values=["true"])
    change.keep(world, origin=origin, event_type="payment_method.detached")
    customer = customers.find(world, customer_id)
    if customer["invoice_settings"]["default_payment_method"] == body["id"]:
        customers.set_default(world, customer_id, None, origin=origin)
    for subscription in world.store.select(
        Selection(kind="subscription", labels={"customer": [customer_id], "canceled": ["no"]}), limit=100
    ):
        if subscription["default_payment_method"] == body["id"]:
            edit = Change(subscription)
            subscription["default_payment_method"] = None
            edit.keep(world, origin=origin, event_type="customer.subscription.updated")
    return body


def release_all(world: World, *, customer_id: str) -> None:
    """Without a word: the event of the customer's end tells it all."""
    for body in of(world, customer_id):
        change = Change(body)
        body["customer"] = None
        change.keep(world, origin=Origin(), event_type=None)
        world.store.relabel(kind=KIND, object_id=body["id"], name="customer", values=[])
        world.store.relabel(kind=KIND, object_id=body["id"], name="was_detached", values=["true"])


def of(world: World, customer_id: str) -> list[Json]:
    """A customer's payment methods, newest first."""
    return world.store.select(Selection(kind=KIND, labels={"customer": [customer_id]}), limit=100)


def of_customer(world: World, method_id: str, *, customer_id: str) -> Json:
    body = find(world, method_id)
    if body["customer"] != customer_id:
        raise missing(noun="PaymentMethod", object_id=method_id)
    return body


def _was_detached(world: World, method_id: str) -> bool:
    seq = world.store.seq(kind=KIND, object_id=method_id)
    sql = "SELECT 1 FROM labels WHERE seq = ? AND name = 'payment_method.was_detached'"
    return world.store.execute(sql, (seq,)).fetchone() is not None


def find(world: World, method_id: str, *, param: str | None = None, status: int = 404) -> Json:
    body = world.store.get(kind=KIND, object_id=method_id)
    if body is None:
        raise missing(noun="PaymentMethod", object_id=method_id, param=param, status=status)
    return body


def known(world: World, method_id: str, *, origin: Origin) -> Json:
    """The method of an id; `pm_card_visa` and its like become a new one each time."""
    card = cards.named(method_id) if method_id.startswith("pm_card_") else None
    if card is None:
        return find(world, method_id, param="payment_method", status=400)
    cards.require_attachable(card)
    year = dt.datetime.fromtimestamp(world.clock.now(), dt.UTC).year + YEARS_AHEAD
    details = cards.card_details(card, exp_month=12, exp_year=year)
    return insert(world, type_name="card", details=details, outcome=card.outcome, origin=origin)


def create(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=CREATE_PARAMS)
    type_name = params.choice("type", TYPES)
    if type_name is None:
        raise StripeError("Missing required param: type.", code="parameter_missing", param="type")
    given = params.mapping(type_name) or {}
    details, outcome = _details(world, type_name, given)
    return insert(
        world,
        type_name=type_name,
        details=details,
        outcome=outcome,
        origin=call.origin,
        billing_details=params.mapping("billing_details"),
        metadata=params.metadata({}),
    )


def _details(world: World, type_name: str, given: Json) -> tuple[Json, cards.Outcome]:
    if type_name == "us_bank_account":
        bank = Params(
            given, allowed=("account_holder_type", "account_number", "account_type", "routing_number")
        )
        number, routing = bank.required_text("account_number"), bank.required_text("routing_number")
        return cards.us_bank_account_details(account_number=number, routing_number=routing), "pays"
    if type_name == "sepa_debit":
        iban = Params(given, allowed=("iban",)).required_text("iban").replace(" ", "").upper()
        return cards.sepa_debit_details(iban=iban), "pays"
    terms = Params(given, allowed=("cvc", "exp_month", "exp_year", "number", "token"))
    token = terms.text("token")
    card = (cards.named(token) if token else None) or cards.lookup(terms.required_text("number"))
    this_year = dt.datetime.fromtimestamp(world.clock.now(), dt.UTC).year
    year = terms.integer("exp_year", minimum=2000, maximum=9999) or this_year + YEARS_AHEAD
    month = terms.integer("exp_month", minimum=1, maximum=12) or 12
    return cards.card_details(card, exp_month=month, exp_year=year), card.outcome


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    return find(world, call.names["id"])


def update(world: World, call: Call) -> Json:
    """The expiry of a card, billing details, metadata; only of a method that is attached."""
    params = Params(call.form, allowed=UPDATE_PARAMS)
    body = find(world, call.names["id"])
    if body["customer"] is None:
        message = "You must save this PaymentMethod to a customer before you can update it."
        raise Refused(message, code="payment_method_unexpected_state")
    card = Params(params.mapping("card") or {}, allowed=("exp_month", "exp_year"))
    return amend(
        world,
        body,
        exp_month=card.integer("exp_month", minimum=1, maximum=12),
        exp_year=card.integer("exp_year", minimum=2000, maximum=9999),
        billing_details=params.mapping("billing_details"),
        metadata=params.metadata(body["metadata"]),
        event_type="payment_method.updated",
        origin=call.origin,
    )


def amend(
    world: World,
    body: Json,
    *,
    event_type: str,
    origin: Origin,
    exp_month: int | None = None,
    exp_year: int | None = None,
    last4: str | None = None,
    billing_details: Json | None = None,
    metadata: dict[str, str] | None = None,
) -> Json:
    """Change what a method says of itself: by its owner, or by the bank (`automatically_updated`)."""
    change = Change(body)
    given = {"exp_month": exp_month, "exp_year": exp_year, "last4": last4}
    fresh = {name: value for name, value in given.items() if value is not None}
    if fresh and body["type"] != "card":
        raise Refused("Only a card has an expiry.", param="card")
    body[body["type"]] |= fresh
    body["billing_details"] = merged(body["billing_details"], billing_details or {})
    body["metadata"] = body["metadata"] if metadata is None else metadata
    change.keep(world, origin=origin, event_type=event_type)
    return body


def attach(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=("customer",))
    customer = customers.require(world, params)
    body = known(world, call.names["id"], origin=call.origin)
    return attach_to(world, body, customer_id=customer["id"], origin=call.origin)


def detach(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    return detach_from(world, find(world, call.names["id"]), origin=call.origin)


def list_all(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=(*PAGING, "customer", "type"))
    customer_id = params.text("customer")
    if customer_id is not None:
        customers.find(world, customer_id, param="customer", status=400)
    labels = {name: [value] for name in ("customer", "type") if (value := params.text(name)) is not None}
    return page(world, params, kind=KIND, url="/v1/payment_methods", labels=labels)


ROUTES = (
    ("GET", "/v1/payment_methods", list_all),
    ("POST", "/v1/payment_methods", create),
    ("GET", "/v1/payment_methods/{id}", retrieve),
    ("POST", "/v1/payment_methods/{id}", update),
    ("POST", "/v1/payment_methods/{id}/attach", attach),
    ("POST", "/v1/payment_methods/{id}/detach", detach),
)
