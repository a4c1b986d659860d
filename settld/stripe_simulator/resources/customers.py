"""Customers: who is billed. A deleted one is remembered as such, as Stripe does."""

from settld.stripe_simulator.errors import Refused, StripeError, missing
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources.changes import Change, make, merged
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.store import Selection
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, Origin, World

KIND, GONE = "customer", "deleted_customer"
TEXTS = ("description", "email", "name", "phone")
UPDATE_PARAMS = (
    *TEXTS,
    "address",
    "balance",
    "invoice_prefix",
    "invoice_settings",
    "metadata",
    "preferred_locales",
    "shipping",
    "tax_exempt",
)


def insert(
    world: World,
    *,
    email: str | None,
    name: str | None,
    metadata: dict[str, str],
    origin: Origin,
    fields: Json | None = None,
) -> Json:
    """A stored customer, told by `customer.created`. `fields`: more of its body."""
    body = sample(KIND)
    body.update(
        {**(fields or {}), "email": email, "name": name, "metadata": metadata},
        id=world.ids.next("cus"),
        created=world.clock.now(),
    )
    body["invoice_prefix"] = body["invoice_prefix"] or body["id"][-8:].upper()
    make(world, body=body, origin=origin, labels={"email": email}, event_type="customer.created")
    return body


def fill_in(body: Json, params: Params) -> None:
    """The plain fields of a call that makes or changes a customer, metadata included."""
    for name in TEXTS:
        body[name] = params.clearable_text(name, body[name])
    for name in ("address", "shipping"):
        if params.form.get(name) == "":
            body[name] = None
        elif (given := params.mapping(name)) is not None:
            body[name] = merged(body[name], given)
    if (balance := params.integer("balance")) is not None:
        body["balance"] = balance
    if params.has("preferred_locales"):
        body["preferred_locales"] = params.strings("preferred_locales")
    body["invoice_prefix"] = params.text("invoice_prefix", max_length=12) or body["invoice_prefix"]
    body["metadata"] = params.metadata(body["metadata"])
    body["tax_exempt"] = params.choice("tax_exempt", ("exempt", "none", "reverse")) or body["tax_exempt"]


def find(world: World, customer_id: str, *, param: str | None = "id", status: int = 404) -> Json:
    """A living customer."""
    body = world.store.get(kind=KIND, object_id=customer_id)
    if body is None:
        raise missing(noun=KIND, object_id=customer_id, param=param, status=status)
    return body


def tombstone(world: World, customer_id: str) -> Json | None:
    """What Stripe answers for a customer that was deleted."""
    return world.store.get(kind=GONE, object_id=customer_id)


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    gone = tombstone(world, call.names["id"])
    if gone is not None:
        return {"id": gone["id"], "object": KIND, "deleted": True}
    return find(world, call.names["id"])


def update(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=UPDATE_PARAMS)
    body = find(world, call.names["id"])
    change = Change(body)
    fill_in(body, params)
    settings = Params(
        params.mapping("invoice_settings") or {},
        allowed=("default_payment_method", "footer"),
    )
    found = body["invoice_settings"]
    found["footer"] = settings.clearable_text("footer", found["footer"])
    method_id = settings.clearable_text("default_payment_method", found["default_payment_method"])
    _require_method(world, body["id"], method_id)
    found["default_payment_method"] = method_id
    if change.keep(world, origin=call.origin, event_type="customer.updated"):
        emails = [body["email"]] if body["email"] else []
        world.store.relabel(kind=KIND, object_id=body["id"], name="email", values=emails)
    return body


def set_default(world: World, customer_id: str, method_id: str | None, *, origin: Origin) -> Json:
    """Make one of the customer's payment methods the default of its invoices; None: none."""
    body = find(world, customer_id)
    _require_method(world, customer_id, method_id)
    change = Change(body)
    body["invoice_settings"]["default_payment_method"] = method_id
    change.keep(world, origin=origin, event_type="customer.updated")
    return body


def add_to_balance(world: World, customer_id: str, amount: int, *, currency: str, origin: Origin) -> None:
    """Negative: credit that the next invoices use up."""
    body = find(world, customer_id)
    change = Change(body)
    body["balance"] += amount
    body["currency"] = body["currency"] or currency
    change.keep(world, origin=origin, event_type="customer.updated")


def next_number(world: World, customer_id: str) -> str:
    """The next invoice number; not told as a change of the customer, as Stripe does not tell it."""
    body = find(world, customer_id)
    number = body["next_invoice_sequence"]
    body["next_invoice_sequence"] = number + 1
    world.store.replace(kind=KIND, body=body)
    return f"{body['invoice_prefix']}-{number:04d}"


def _require_method(world: World, customer_id: str, method_id: str | None) -> None:
    if method_id is None:
        return
    method = world.store.get(kind="payment_method", object_id=method_id)
    if method is None:
        raise missing(noun="PaymentMethod", object_id=method_id, param="default_payment_method", status=400)
    if method["customer"] != customer_id:
        message = "The customer does not have a payment method with the ID " + method_id
        raise Refused(message, param="invoice_settings[default_payment_method]")


def list_all(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=(*PAGING, "created", "email"))
    email = params.text("email")
    labels = {"email": [email]} if email is not None else {}
    return page(world, params, kind=KIND, url="/v1/customers", labels=labels)


def by_email(world: World, email: str) -> Json | None:
    """The newest customer of that address."""
    found = world.store.select(Selection(kind=KIND, labels={"email": [email]}), limit=1)
    return found[0] if found else None


def require(world: World, params: Params) -> Json:
    """The customer that a call is about; 400 as Stripe words it."""
    customer_id = params.required_text("customer")
    if tombstone(world, customer_id) is not None:
        raise StripeError(f"No such customer: '{customer_id}'", code="resource_missing", param="customer")
    return find(world, customer_id, param="customer", status=400)


ROUTES = (
    ("GET", "/v1/customers", list_all),
    ("GET", "/v1/customers/{id}", retrieve),
    ("POST", "/v1/customers/{id}", update),
)
