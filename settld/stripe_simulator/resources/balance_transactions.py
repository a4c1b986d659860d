"""Balance transactions: one per movement of the platform's money."""

from settld.stripe_simulator.errors import missing
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, World

LIST_PARAMS = (*PAGING, "created", "currency", "payout", "source", "type")


def record(
    world: World,
    *,
    amount: int,
    currency: str,
    source: str,
    transaction_type: str,
    category: str,
    description: str | None,
) -> str:
    """Write one movement down, seen from the platform (a transfer is negative); its id."""
    now = world.clock.now()
    body = sample("balance_transaction")
    body.update(
        id=world.ids.next("txn"),
        amount=amount,
        net=amount,
        currency=currency,
        created=now,
        available_on=now,
        description=description,
        reporting_category=category,
        source=source,
        type=transaction_type,
    )
    labels = {"source": source, "type": transaction_type, "currency": currency}
    world.store.insert(kind="balance_transaction", body=body, labels=labels)
    return str(body["id"])


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    object_id = call.names["id"]
    body = world.store.get(kind="balance_transaction", object_id=object_id)
    if body is None:
        raise missing(noun="balance transaction", object_id=object_id)
    return body


def list_all(world: World, call: Call) -> Json:
    """The platform pays nothing out to its bank here, so a list by `payout` is empty."""
    params = Params(call.form, allowed=LIST_PARAMS)
    names = ("source", "type", "currency", "payout")
    labels = {name: [value] for name in names if (value := params.text(name)) is not None}
    return page(world, params, kind="balance_transaction", url="/v1/balance_transactions", labels=labels)
