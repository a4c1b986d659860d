"""Products: what prices are for."""

from settld.stripe_simulator.errors import Refused, missing
from settld.stripe_simulator.forms import Form
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import events
from settld.stripe_simulator.resources.changes import Change, make
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.store import Selection
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, Origin, World

KIND = "product"
TEXTS = ("description", "statement_descriptor", "tax_code", "unit_label", "url")
CREATE_PARAMS = (*TEXTS, "active", "id", "images", "metadata", "name", "shippable", "type")
UPDATE_PARAMS = (*TEXTS, "active", "default_price", "images", "metadata", "name", "shippable")


def insert(world: World, form: Form, *, origin: Origin, allowed: tuple[str, ...] = CREATE_PARAMS) -> Json:
    """A product as the parameters of `POST /v1/products` (or a `product_data`) describe it."""
    params = Params(form, allowed=allowed)
    product_id = params.text("id", max_length=255)
    if product_id is not None and world.store.get(kind=KIND, object_id=product_id) is not None:
        message = f"Product already exists: {product_id}"
        raise Refused(message, code="resource_already_exists", param="id")
    now = world.clock.now()
    body = sample(KIND)
    body.update(
        id=product_id or world.ids.next("prod"), name=params.required_text("name"), created=now, updated=now
    )
    _fill_in(body, params)
    make(world, body=body, origin=origin, labels={"active": _active(body)}, event_type="product.created")
    return body


def _fill_in(body: Json, params: Params) -> None:
    for name in TEXTS:
        body[name] = params.clearable_text(name, body[name])
    for name in ("active", "shippable"):
        if (flag := params.boolean(name)) is not None:
            body[name] = flag
    if params.has("images"):
        body["images"] = params.strings("images")
    body["name"] = params.text("name") or body["name"]
    body["type"] = params.choice("type", ("good", "service")) or body["type"]
    body["metadata"] = params.metadata(body["metadata"])


def _active(body: Json) -> str:
    return "true" if body["active"] else "false"


def find(world: World, product_id: str, *, param: str | None = "id", status: int = 404) -> Json:
    body = world.store.get(kind=KIND, object_id=product_id)
    if body is None:
        raise missing(noun=KIND, object_id=product_id, param=param, status=status)
    return body


def create(world: World, call: Call) -> Json:
    return insert(world, call.form, origin=call.origin)


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    return find(world, call.names["id"])


def update(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=UPDATE_PARAMS)
    body = find(world, call.names["id"])
    change = Change(body)
    _fill_in(body, params)
    price_id = body["default_price"] = params.clearable_text("default_price", body["default_price"])
    if price_id is not None and world.store.get(kind="price", object_id=price_id) is None:
        raise missing(noun="price", object_id=price_id, param="default_price", status=400)
    if body != change.before:
        body["updated"] = world.clock.now()
    if change.keep(world, origin=call.origin, event_type="product.updated"):
        world.store.relabel(kind=KIND, object_id=body["id"], name="active", values=[_active(body)])
    return body


def delete(world: World, call: Call) -> Json:
    """Only a product that never had a price can go."""
    Params(call.form, allowed=())
    body = find(world, call.names["id"])
    if world.store.select(Selection(kind="price", labels={"product": [body["id"]]}), limit=1):
        message = "This product cannot be deleted because it has one or more user-created prices."
        raise Refused(message)
    world.store.delete(kind=KIND, object_id=body["id"])
    world.log.add("object", object=KIND, id=body["id"], action="deleted")
    events.emit(world, event_type="product.deleted", subject=body, origin=call.origin)
    return {"id": body["id"], "object": KIND, "deleted": True}


def list_all(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=(*PAGING, "active", "created"))
    active = params.boolean("active")
    labels = {} if active is None else {"active": ["true" if active else "false"]}
    return page(world, params, kind=KIND, url="/v1/products", labels=labels)


ROUTES = (
    ("GET", "/v1/products", list_all),
    ("POST", "/v1/products", create),
    ("GET", "/v1/products/{id}", retrieve),
    ("POST", "/v1/products/{id}", update),
    ("DELETE", "/v1/products/{id}", delete),
)
