"""Reversals: transfers taken back, in full or in part."""

import copy

from settld.stripe_simulator.errors import Refused, missing
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import balance, balance_transactions, events, transfers
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, Origin, World

KIND = "transfer_reversal"
CREATE_PARAMS = ("amount", "description", "metadata", "refund_application_fee")
EMBEDDED = 10


def create(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=CREATE_PARAMS)
    amount = params.integer("amount", minimum=1)
    metadata = params.metadata({})
    params.boolean("refund_application_fee")
    transfer = transfers.find(world, call.names["id"])
    description = params.text("description")
    return reverse(
        world,
        transfer=transfer,
        amount=amount,
        metadata=metadata,
        description=description,
        origin=call.origin,
    )


def reverse(
    world: World,
    *,
    transfer: Json,
    amount: int | None,
    metadata: dict[str, str],
    description: str | None,
    origin: Origin,
) -> Json:
    """Take back `amount`, or all that is left; the reversal. Money returns to the platform."""
    left = transfer["amount"] - transfer["amount_reversed"]
    taken = left if amount is None else amount
    if left == 0:
        raise Refused(f"Transfer {transfer['id']} is already fully reversed.", param="transfer")
    if taken > left:
        message = f"Reversal amount ({taken}) is greater than what is left of the transfer ({left})."
        raise Refused(message, param="amount")
    before = copy.deepcopy(transfer)
    balance.move(world, account=transfer["destination"], currency=transfer["currency"], amount=-taken)
    body = _record(world, transfer, taken, metadata, description)
    _apply(world, transfer, body)
    previous = events.difference(before, transfer)
    events.emit(world, event_type="transfer.reversed", subject=transfer, origin=origin, previous=previous)
    return body


def _record(
    world: World, transfer: Json, amount: int, metadata: dict[str, str], description: str | None
) -> Json:
    body = sample(KIND)
    body.update(
        id=world.ids.next("trr"),
        amount=amount,
        created=world.clock.now(),
        currency=transfer["currency"],
        destination_payment_refund=world.ids.next("pyr"),
        metadata=metadata,
        transfer=transfer["id"],
    )
    body["balance_transaction"] = balance_transactions.record(
        world,
        amount=amount,
        currency=transfer["currency"],
        source=body["id"],
        transaction_type="transfer_refund",
        category="transfer_reversal",
        description=description,
    )
    world.store.insert(kind=KIND, body=body, labels={"transfer": transfer["id"]})
    world.log.add("object", object=KIND, id=body["id"], action="created", amount=amount)
    return body


def _apply(world: World, transfer: Json, reversal: Json) -> None:
    transfer["amount_reversed"] += reversal["amount"]
    transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
    embedded = transfer["reversals"]
    embedded["total_count"] += 1
    embedded["data"] = [reversal, *embedded["data"]][:EMBEDDED]
    embedded["has_more"] = embedded["total_count"] > EMBEDDED
    world.store.replace(kind=transfers.KIND, body=transfer)


def _find(world: World, call: Call) -> Json:
    body = world.store.get(kind=KIND, object_id=call.names["reversal_id"])
    if body is None or body["transfer"] != call.names["id"]:
        raise missing(noun="transfer reversal", object_id=call.names["reversal_id"])
    return body


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    return _find(world, call)


def update(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=("metadata",))
    body = _find(world, call)
    body["metadata"] = params.metadata(body["metadata"])
    world.store.replace(kind=KIND, body=body)
    transfer = transfers.find(world, call.names["id"])
    data = transfer["reversals"]["data"]
    transfer["reversals"]["data"] = [body if item["id"] == body["id"] else item for item in data]
    world.store.replace(kind=transfers.KIND, body=transfer)
    world.log.add("object", object=KIND, id=body["id"], action="updated")
    return body


def list_all(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=PAGING)
    transfer = transfers.find(world, call.names["id"])
    url = f"/v1/transfers/{transfer['id']}/reversals"
    return page(world, params, kind=KIND, url=url, labels={"transfer": [transfer["id"]]})
