"""Charges: what a buyer paid the platform. Made by the control door, read by the API."""

from settld.stripe_simulator.errors import StripeError, missing
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import balance, balance_transactions
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, World

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
    params = Params(call.form, allowed=(*PAGING, "created", "transfer_group"))
    group = params.text("transfer_group")
    labels = {"transfer_group": [group]} if group is not None else {}
    return page(world, params, kind=KIND, url="/v1/charges", labels=labels)
