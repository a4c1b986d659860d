"""Transfers from the platform to connected accounts."""

import copy
import re

from settld.stripe_simulator.errors import Refused, StripeError, missing
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import balance, balance_transactions, charges, events
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, Origin, World

KIND = "transfer"
CREATE_PARAMS = (
    "amount",
    "currency",
    "description",
    "destination",
    "metadata",
    "source_transaction",
    "source_type",
    "transfer_group",
)
LIST_PARAMS = (*PAGING, "created", "destination", "transfer_group")
SOURCE_TYPES = ("bank_account", "card", "fpx")
MAX_AMOUNT = 999_999_999_999
CURRENCY = re.compile(r"[a-z]{3}")


def create(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=CREATE_PARAMS)
    currency = params.required_text("currency").lower()
    destination = params.required_text("destination")
    params.required_text("amount")
    amount = params.integer("amount", minimum=1) or 0
    if amount > MAX_AMOUNT:
        raise StripeError("Amount is too large", code="amount_too_large", param="amount")
    if not CURRENCY.fullmatch(currency):
        raise StripeError(f"Invalid currency: {currency}", param="currency")
    source_type = params.choice("source_type", SOURCE_TYPES) or "card"
    metadata = params.metadata({})
    group, description = params.text("transfer_group"), params.text("description")
    charge = params.text("source_transaction")
    if charge is not None:
        group = charges.feed_transfer(world, charge, amount=amount, group=group)
    _require_payable(world, destination=destination, currency=currency, amount=amount)
    body = sample(KIND)
    body.update(
        id=world.ids.next("tr"),
        amount=amount,
        created=world.clock.now(),
        currency=currency,
        description=description,
        destination=destination,
        destination_payment=world.ids.next("py"),
        metadata=metadata,
        source_transaction=charge,
        source_type=source_type,
        transfer_group=group,
    )
    body["reversals"]["url"] = f"/v1/transfers/{body['id']}/reversals"
    return _settle(world, body, call.origin)


def _require_payable(world: World, *, destination: str, currency: str, amount: int) -> None:
    account = world.store.get(kind="account", object_id=destination)
    if account is None:
        raise missing(noun="destination", object_id=destination, param="destination", status=400)
    if account["capabilities"].get("transfers") != "active":
        message = (
            "Your destination account needs to have at least one of the following capabilities enabled: "
            "transfers, crypto_transfers, legacy_payments"
        )
        raise Refused(message, code="insufficient_capabilities_for_transfer")
    if balance.available(world, account=balance.PLATFORM, currency=currency) < amount:
        message = f"You have insufficient {currency} funds in your Stripe account for this transfer."
        raise Refused(message, code="balance_insufficient")


def _settle(world: World, body: Json, origin: Origin) -> Json:
    balance.move(world, account=body["destination"], currency=body["currency"], amount=body["amount"])
    body["balance_transaction"] = balance_transactions.record(
        world,
        amount=-body["amount"],
        currency=body["currency"],
        source=body["id"],
        transaction_type="transfer",
        category="transfer",
        description=body["description"],
    )
    labels = {"destination": body["destination"], "transfer_group": body["transfer_group"]}
    world.store.insert(kind=KIND, body=body, labels=labels)
    world.log.add("object", object=KIND, id=body["id"], action="created", amount=body["amount"])
    events.emit(world, event_type="transfer.created", subject=body, origin=origin)
    return body


def find(world: World, transfer_id: str) -> Json:
    body = world.store.get(kind=KIND, object_id=transfer_id)
    if body is None:
        raise missing(noun="transfer", object_id=transfer_id)
    return body


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    return find(world, call.names["id"])


def update(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=("description", "metadata"))
    body = find(world, call.names["id"])
    before = copy.deepcopy(body)
    body["metadata"] = params.metadata(body["metadata"])
    body["description"] = params.clearable_text("description", body["description"])
    if body != before:
        world.store.replace(kind=KIND, body=body)
        world.log.add("object", object=KIND, id=body["id"], action="updated")
        previous = events.difference(before, body)
        events.emit(world, event_type="transfer.updated", subject=body, origin=call.origin, previous=previous)
    return body


def list_all(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=LIST_PARAMS)
    names = ("destination", "transfer_group")
    labels = {name: [value] for name in names if (value := params.text(name)) is not None}
    return page(world, params, kind=KIND, url="/v1/transfers", labels=labels)
