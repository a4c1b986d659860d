"""Invoice payments: which payment intent pays which invoice."""

from settld.stripe_simulator.errors import missing
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources.changes import Change, make
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.store import Selection
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, Origin, World

KIND = "invoice_payment"
URL = "/v1/invoice_payments"


def insert(world: World, *, invoice: Json, intent_id: str, origin: Origin) -> Json:
    """Tie a payment intent to the invoice it is to pay."""
    body = sample(KIND)
    body.update(
        id=world.ids.next("inpay"),
        amount_requested=invoice["amount_due"],
        created=world.clock.now(),
        currency=invoice["currency"],
        invoice=invoice["id"],
        payment={"type": "payment_intent", "payment_intent": intent_id},
    )
    labels = {"invoice": invoice["id"], "payment_intent": intent_id, "status": "open"}
    make(world, body=body, origin=origin, labels=labels)
    return body


def close(world: World, body: Json, *, status: str, origin: Origin) -> None:
    """`paid`, told by `invoice_payment.paid`, or `canceled`, told by nothing."""
    change = Change(body)
    now = world.clock.now()
    body["status"] = status
    if status == "paid":
        body["amount_paid"] = body["amount_requested"]
    body["status_transitions"][f"{status}_at"] = now
    world.store.relabel(kind=KIND, object_id=body["id"], name="status", values=[status])
    event_type = "invoice_payment.paid" if status == "paid" else None
    change.keep(world, origin=origin, event_type=event_type)


def of_invoice(world: World, invoice_id: str) -> list[Json]:
    """Newest first."""
    return world.store.select(Selection(kind=KIND, labels={"invoice": [invoice_id]}), limit=100)


def of_intent(world: World, intent_id: str) -> Json | None:
    found = world.store.select(Selection(kind=KIND, labels={"payment_intent": [intent_id]}), limit=1)
    return found[0] if found else None


def listing(world: World, invoice_id: str) -> Json:
    """`invoice.payments`, which only an expansion shows."""
    found = of_invoice(world, invoice_id)
    return {"object": "list", "data": found, "has_more": False, "url": f"{URL}?invoice={invoice_id}"}


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    body = world.store.get(kind=KIND, object_id=call.names["id"])
    if body is None:
        raise missing(noun=KIND, object_id=call.names["id"])
    return body


def list_all(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=(*PAGING, "created", "invoice", "payment", "status"))
    names = ("invoice", "status")
    labels = {name: [value] for name in names if (value := params.text(name)) is not None}
    payment = Params(params.mapping("payment") or {}, allowed=("payment_intent", "payment_record", "type"))
    if (intent_id := payment.text("payment_intent")) is not None:
        labels["payment_intent"] = [intent_id]
    return page(world, params, kind=KIND, url=URL, labels=labels)


ROUTES = (
    ("GET", "/v1/invoice_payments", list_all),
    ("GET", "/v1/invoice_payments/{id}", retrieve),
)
