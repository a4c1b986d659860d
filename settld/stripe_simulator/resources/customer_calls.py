"""Calls about a customer together with what is its own: payment methods and subscriptions."""

from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import customers, events, payment_methods, subscription_ends
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, Origin, World

CREATE_PARAMS = (*customers.UPDATE_PARAMS, "payment_method")


def create(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=CREATE_PARAMS)
    draft = sample(customers.KIND)
    customers.fill_in(draft, params)
    body = customers.insert(
        world,
        email=draft["email"],
        name=draft["name"],
        metadata=draft["metadata"],
        origin=call.origin,
        fields=draft,
    )
    if (method_id := params.text("payment_method")) is not None:
        method = payment_methods.known(world, method_id, origin=call.origin)
        payment_methods.attach_to(world, method, customer_id=body["id"], origin=call.origin)
    settings = params.mapping("invoice_settings") or {}
    if settings.get("default_payment_method"):
        customers.set_default(world, body["id"], str(settings["default_payment_method"]), origin=call.origin)
    return customers.find(world, body["id"])


def delete(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    forget(world, call.names["id"], origin=call.origin)
    return {"id": call.names["id"], "object": customers.KIND, "deleted": True}


def forget(world: World, customer_id: str, *, origin: Origin) -> None:
    """Cancel what the customer subscribes to, take its payment methods away, and tell that it is gone."""
    customers.find(world, customer_id)
    subscription_ends.cancel_all(world, customer_id=customer_id, origin=origin)
    payment_methods.release_all(world, customer_id=customer_id)
    body = customers.find(world, customer_id)
    world.store.delete(kind=customers.KIND, object_id=customer_id)
    world.store.insert(kind=customers.GONE, body=body)
    world.log.add("object", object=customers.KIND, id=customer_id, action="deleted")
    events.emit(world, event_type="customer.deleted", subject=body, origin=origin)


def list_methods(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=(*PAGING, "type"))
    customer = customers.find(world, call.names["id"])
    labels = {"customer": [customer["id"]]}
    if (kind := params.text("type")) is not None:
        labels["type"] = [kind]
    url = f"/v1/customers/{customer['id']}/payment_methods"
    return page(world, params, kind=payment_methods.KIND, url=url, labels=labels)


def retrieve_method(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    return payment_methods.of_customer(world, call.names["method_id"], customer_id=call.names["id"])


ROUTES = (
    ("POST", "/v1/customers", create),
    ("DELETE", "/v1/customers/{id}", delete),
    ("GET", "/v1/customers/{id}/payment_methods", list_methods),
    ("GET", "/v1/customers/{id}/payment_methods/{method_id}", retrieve_method),
)
