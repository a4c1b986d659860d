"""The calls about invoices."""

from settld.stripe_simulator.errors import Declined, Refused
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import cards, collection, invoices, payment_methods
from settld.stripe_simulator.resources.changes import Change
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, World

STATUSES = ("draft", "open", "paid", "uncollectible", "void")


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    return invoices.find(world, call.names["id"])


def update(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=("auto_advance", "description", "metadata"))
    body = invoices.find(world, call.names["id"])
    change = Change(body)
    body["metadata"] = params.metadata(body["metadata"])
    body["description"] = params.clearable_text("description", body["description"])
    if (advances := params.boolean("auto_advance")) is not None:
        body["auto_advance"] = advances
    change.keep(world, origin=call.origin, event_type="invoice.updated")
    return body


def finalize(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=("auto_advance",))
    params.boolean("auto_advance")
    body = invoices.find(world, call.names["id"])
    invoices.finalize(world, body, origin=call.origin)
    if body["status"] == "paid":
        collection.paid(world, body, origin=call.origin)
    return body


def pay(world: World, call: Call) -> Json:
    """Collect an open invoice now; a decline is 402 `card_declined`."""
    params = Params(call.form, allowed=("off_session", "paid_out_of_band", "payment_method"))
    body = invoices.find(world, call.names["id"])
    if body["status"] == "draft":
        invoices.finalize(world, body, origin=call.origin)
    if body["status"] not in ("open", "uncollectible"):
        message = "Invoice is already paid" if body["status"] == "paid" else "Invoice is no longer payable"
        raise Refused(message, code="invoice_not_payable")
    if params.boolean("paid_out_of_band"):
        invoices.cancel_payments(world, body, origin=call.origin)
        invoices.mark_paid(world, body, origin=call.origin)
        collection.paid(world, body, origin=call.origin)
        return body
    method_id = params.text("payment_method")
    if method_id is not None:
        method_id = payment_methods.known(world, method_id, origin=call.origin)["id"]
    intent = collection.collect(world, body, payment_method_id=method_id, origin=call.origin)
    if intent["status"] == "requires_payment_method":
        raise Declined(**cards.FAILURE, payment_intent=intent)
    return body


def void(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    body = invoices.find(world, call.names["id"])
    invoices.void(world, body, origin=call.origin)
    return body


def mark_uncollectible(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    body = invoices.find(world, call.names["id"])
    invoices.mark_uncollectible(world, body, origin=call.origin)
    return body


def list_lines(world: World, call: Call) -> Json:
    """All of them: an invoice here never has more than one page."""
    Params(call.form, allowed=PAGING)
    return dict(invoices.find(world, call.names["id"])["lines"])


def list_all(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=(*PAGING, "created", "customer", "status", "subscription"))
    filters = ("customer", "subscription")
    labels = {name: [value] for name in filters if (value := params.text(name)) is not None}
    if (status := params.choice("status", STATUSES)) is not None:
        labels["status"] = [status]
    return page(world, params, kind=invoices.KIND, url="/v1/invoices", labels=labels)


ROUTES = (
    ("GET", "/v1/invoices", list_all),
    ("GET", "/v1/invoices/{id}", retrieve),
    ("POST", "/v1/invoices/{id}", update),
    ("GET", "/v1/invoices/{id}/lines", list_lines),
    ("POST", "/v1/invoices/{id}/finalize", finalize),
    ("POST", "/v1/invoices/{id}/mark_uncollectible", mark_uncollectible),
    ("POST", "/v1/invoices/{id}/pay", pay),
    ("POST", "/v1/invoices/{id}/void", void),
)
