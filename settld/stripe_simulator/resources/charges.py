"""Charges: what a buyer paid the platform. Made by payments and by the control door, read by the API."""

from settld.stripe_simulator.errors import StripeError, missing
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import balance, balance_transactions, cards
from settld.stripe_simulator.resources.changes import Change, make
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, Origin, World

KIND = "charge"


def insert(
    world: World,
    *,
    amount: int,
    currency: str,
    metadata: dict[str, str],
    transfer_group: str | None,
    description: str | None,
) -> Json:
    """A paid charge; its money is available to the platform at once."""
    body = sample(KIND)
    body.update(
        id=world.ids.next("ch"),
        amount=amount,
        amount_captured=amount,
        created=world.clock.now(),
        currency=currency,
        description=description,
        metadata=metadata,
        transfer_group=transfer_group,
    )
    body["refunds"]["url"] = f"/v1/charges/{body['id']}/refunds"
    body["balance_transaction"] = balance_transactions.record(
        world,
        amount=amount,
        currency=currency,
        source=body["id"],
        transaction_type="charge",
        category="charge",
        description=description,
    )
    before = balance.available(world, account=balance.PLATFORM, currency=currency)
    balance.keep(world, account=balance.PLATFORM, currency=currency, amount=before + amount)
    world.store.insert(kind=KIND, body=body, labels={"transfer_group": transfer_group})
    world.log.add("object", object=KIND, id=body["id"], action="created", amount=amount)
    return body


def attempt(
    world: World,
    *,
    intent: Json,
    method: Json,
    outcome: cards.Outcome,
    origin: Origin,
) -> Json:
    """One try to take a payment intent's amount from a payment method; a try that failed is a charge too."""
    body = sample(KIND)
    body.update(
        id=world.ids.next("ch"),
        amount=intent["amount"],
        billing_details=method["billing_details"],
        created=world.clock.now(),
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        metadata=intent["metadata"],
        payment_intent=intent["id"],
        payment_method=method["id"],
        payment_method_details=_method_details(method),
        captured=False,
        paid=False,
        status="pending" if outcome == "later" else "failed",
    )
    body["refunds"]["url"] = f"/v1/charges/{body['id']}/refunds"
    if outcome == "fails":
        body.update(failure_code=cards.FAILURE["code"], failure_message=cards.FAILURE["message"])
        body["outcome"] = _outcome("issuer_declined", network_status="declined_by_network")
    if outcome == "pays":
        _receive(world, body)
    labels = {"customer": intent["customer"], "payment_intent": intent["id"]}
    word = {"pays": "succeeded", "fails": "failed", "later": "pending"}[outcome]
    make(world, body=body, origin=origin, labels=labels, event_type=f"charge.{word}")
    return body


def settle(world: World, body: Json, *, succeeds: bool, origin: Origin) -> Json:
    """A pending charge comes to its end."""
    change = Change(body)
    if succeeds:
        _receive(world, body)
    else:
        body.update(status="failed", failure_code="bank_account_declined", failure_message="Declined.")
    change.keep(world, origin=origin, event_type=f"charge.{'succeeded' if succeeds else 'failed'}")
    return body


def _receive(world: World, body: Json) -> None:
    body.update(status="succeeded", captured=True, paid=True, amount_captured=body["amount"])
    body["outcome"] = _outcome("authorized", network_status="approved_by_network")
    body["balance_transaction"] = balance_transactions.record(
        world,
        amount=body["amount"],
        currency=body["currency"],
        source=body["id"],
        transaction_type="charge",
        category="charge",
        description=body["description"],
    )
    before = balance.available(world, account=balance.PLATFORM, currency=body["currency"])
    after = before + body["amount"]
    balance.keep(world, account=balance.PLATFORM, currency=body["currency"], amount=after)


def _outcome(kind: str, *, network_status: str) -> Json:
    unsaid = ("advice_code", "network_advice_code", "network_decline_code", "reason", "seller_message")
    return {**dict.fromkeys(unsaid), "network_status": network_status, "type": kind}


def _method_details(method: Json) -> Json:
    kind = method["type"]
    names = ("bank_code", "bank_name", "brand", "country", "exp_month", "exp_year", "funding", "last4")
    details = {name: value for name, value in method[kind].items() if name in names}
    return {kind: details, "type": kind}


def find(world: World, charge_id: str, *, param: str | None = None, status: int = 404) -> Json:
    body = world.store.get(kind=KIND, object_id=charge_id)
    if body is None:
        raise missing(noun="charge", object_id=charge_id, param=param, status=status)
    return body


def feed_transfer(world: World, charge_id: str, *, amount: int, group: str | None) -> str:
    """The group of a transfer that is paid out of a charge; a charge without one gets one of its own."""
    body = find(world, charge_id, param="source_transaction", status=400)
    if amount > body["amount"]:
        raise StripeError("The transfer is greater than its source charge.", param="amount")
    if body["transfer_group"] is None:
        body["transfer_group"] = group or f"group_{charge_id.removeprefix('ch_')}"
        world.store.replace(kind=KIND, body=body)
    return str(group or body["transfer_group"])


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    return find(world, call.names["id"])


def list_all(world: World, call: Call) -> Json:
    names = ("customer", "payment_intent", "transfer_group")
    params = Params(call.form, allowed=(*PAGING, *names, "created"))
    labels = {name: [value] for name in names if (value := params.text(name)) is not None}
    return page(world, params, kind=KIND, url="/v1/charges", labels=labels)
