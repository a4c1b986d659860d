"""Refunds: money of a charge given back, in full or in part."""

from settld.stripe_simulator.errors import Refused, StripeError, missing
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import balance, balance_transactions, charges, payment_intents
from settld.stripe_simulator.resources.changes import Change, make
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, Origin, World

KIND = "refund"
CREATE_PARAMS = ("amount", "charge", "metadata", "payment_intent", "reason")
REASONS = ("duplicate", "fraudulent", "requested_by_customer")


def give_back(
    world: World,
    *,
    charge: Json,
    amount: int | None,
    reason: str | None,
    metadata: dict[str, str],
    origin: Origin,
) -> Json:
    """Refund a charge, what is left of it unless told otherwise; told by `refund.created` and
    `charge.refunded`.
    """
    left = charge["amount_captured"] - charge["amount_refunded"]
    if charge["status"] != "succeeded":
        raise Refused(f"Charge {charge['id']} is {charge['status']} and cannot be refunded.", param="charge")
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise Refused(message, code="charge_already_refunded")
    if amount is not None and amount > left:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
        raise Refused(message, param="amount")
    body = sample(KIND)
    body.update(
        id=world.ids.next("re"),
        amount=left if amount is None else amount,
        charge=charge["id"],
        created=world.clock.now(),
        currency=charge["currency"],
        customer=charge["customer"],
        metadata=metadata,
        payment_intent=charge["payment_intent"],
        payment_method=charge["payment_method"],
        reason=reason,
    )
    _pay_out(world, body)
    labels = {"charge": charge["id"], "payment_intent": charge["payment_intent"]}
    make(world, body=body, origin=origin, labels=labels, event_type="refund.created")
    change = Change(charge)
    charge["amount_refunded"] += body["amount"]
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    charge["refunds"]["data"] = [body, *charge["refunds"]["data"]][:10]
    change.keep(world, origin=origin, event_type="charge.refunded")
    return body


def _pay_out(world: World, body: Json) -> None:
    body["balance_transaction"] = balance_transactions.record(
        world,
        amount=-body["amount"],
        currency=body["currency"],
        source=body["id"],
        transaction_type="refund",
        category="refund",
        description="Refund",
    )
    before = balance.available(world, account=balance.PLATFORM, currency=body["currency"])
    after = before - body["amount"]
    balance.keep(world, account=balance.PLATFORM, currency=body["currency"], amount=after)


def charge_of(world: World, *, charge_id: str | None, intent_id: str | None) -> Json:
    """The charge that a refund is about: named itself, or by the payment intent it paid."""
    if (charge_id is None) == (intent_id is None):
        message = "One of the following params should be provided for this request: payment_intent or charge."
        raise StripeError(message, code="parameter_missing")
    if intent_id is not None:
        intent = payment_intents.find(world, intent_id, param="payment_intent", status=400)
        charge_id = intent["latest_charge"]
        if charge_id is None or intent["status"] != "succeeded":
            message = f"This PaymentIntent ({intent_id}) does not have a successful charge to refund."
            raise Refused(message, code="payment_intent_unexpected_state", param="payment_intent")
    return charges.find(world, str(charge_id), param="charge", status=400)


def create(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=CREATE_PARAMS)
    amount = params.integer("amount", minimum=1)
    reason = params.choice("reason", REASONS)
    charge = charge_of(world, charge_id=params.text("charge"), intent_id=params.text("payment_intent"))
    return give_back(
        world,
        charge=charge,
        amount=amount,
        reason=reason,
        metadata=params.metadata({}),
        origin=call.origin,
    )


def find(world: World, refund_id: str) -> Json:
    body = world.store.get(kind=KIND, object_id=refund_id)
    if body is None:
        raise missing(noun=KIND, object_id=refund_id)
    return body


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    return find(world, call.names["id"])


def update(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=("metadata",))
    body = find(world, call.names["id"])
    change = Change(body)
    body["metadata"] = params.metadata(body["metadata"])
    change.keep(world, origin=call.origin, event_type="refund.updated")
    return body


def list_all(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=(*PAGING, "charge", "created", "payment_intent"))
    names = ("charge", "payment_intent")
    labels = {name: [value] for name in names if (value := params.text(name)) is not None}
    return page(world, params, kind=KIND, url="/v1/refunds", labels=labels)


ROUTES = (
    ("GET", "/v1/refunds", list_all),
    ("POST", "/v1/refunds", create),
    ("GET", "/v1/refunds/{id}", retrieve),
    ("POST", "/v1/refunds/{id}", update),
)
