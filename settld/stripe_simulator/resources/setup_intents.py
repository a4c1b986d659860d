"""Set-up intents: a payment method saved without a payment. Made by checkout sessions in set-up mode."""

from settld.stripe_simulator.errors import missing
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources.changes import Change, make
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, Origin, World

KIND = "setup_intent"


def succeed(
    world: World, *, customer_id: str | None, payment_method_id: str, told: Json, origin: Origin
) -> Json:
    """An intent that saved its method at once. `told`: `metadata` and `description` from the session."""
    body = sample(KIND)
    intent_id = world.ids.next("seti")
    body.update(
        id=intent_id,
        client_secret=f"{intent_id}_secret_{world.ids.next('secret').removeprefix('secret_')}",
        created=world.clock.now(),
        customer=customer_id,
        description=told.get("description"),
        metadata=told.get("metadata", {}),
    )
    labels = {"customer": customer_id, "payment_method": payment_method_id}
    make(world, body=body, origin=origin, labels=labels, event_type="setup_intent.created")
    change = Change(body)
    body.update(payment_method=payment_method_id, status="succeeded")
    change.keep(world, origin=origin, event_type="setup_intent.succeeded")
    return body


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    body = world.store.get(kind=KIND, object_id=call.names["id"])
    if body is None:
        raise missing(noun=KIND, object_id=call.names["id"], param="intent")
    return body


def list_all(world: World, call: Call) -> Json:
    names = ("customer", "payment_method")
    params = Params(call.form, allowed=(*PAGING, *names, "created"))
    labels = {name: [value] for name in names if (value := params.text(name)) is not None}
    return page(world, params, kind=KIND, url="/v1/setup_intents", labels=labels)


ROUTES = (
    ("GET", "/v1/setup_intents", list_all),
    ("GET", "/v1/setup_intents/{id}", retrieve),
)
