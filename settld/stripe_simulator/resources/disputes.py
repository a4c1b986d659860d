"""Disputes: a buyer's bank asks for a charge back. They come from outside, so the control door makes them."""

import copy

from settld.stripe_simulator.errors import Refused, missing
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import balance, balance_transactions, charges, events
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import PROVIDER, Call, World

KIND = "dispute"
INQUIRIES = ("warning_needs_response", "warning_under_review", "warning_closed")
OPEN = ("needs_response", "under_review")
STATUSES = (*INQUIRIES, *OPEN, "won", "lost")
OVER = ("won", "lost", "warning_closed")
DAYS_TO_ANSWER = 14
DAY = 86_400


def open_one(world: World, *, charge: Json, amount: int, reason: str, status: str) -> Json:
    """Dispute a charge; unless it is only an inquiry, the money is withdrawn from the platform."""
    if charge["disputed"]:
        raise Refused(f"Charge {charge['id']} is disputed already.", param="charge")
    if amount > charge["amount"]:
        raise Refused("A dispute cannot be greater than its charge.", param="amount")
    body = sample(KIND)
    body.update(
        id=world.ids.next("dp"),
        amount=amount,
        charge=charge["id"],
        created=world.clock.now(),
        currency=charge["currency"],
        is_charge_refundable=status in INQUIRIES,
        reason=reason,
        status=status,
    )
    body["evidence_details"]["due_by"] = world.clock.now() + DAYS_TO_ANSWER * DAY
    body["payment_method_details"]["card"]["case_type"] = "inquiry" if status in INQUIRIES else "chargeback"
    if status not in INQUIRIES:
        _move(world, body, -amount)
    charge["disputed"] = True
    world.store.replace(kind=charges.KIND, body=charge)
    world.store.insert(kind=KIND, body=body, labels={"charge": charge["id"]})
    world.log.add("object", object=KIND, id=body["id"], action="created", amount=amount)
    events.emit(world, event_type="charge.dispute.created", subject=body, origin=PROVIDER)
    if status not in INQUIRIES:
        events.emit(world, event_type="charge.dispute.funds_withdrawn", subject=body, origin=PROVIDER)
    return body


def move_on(world: World, *, dispute: Json, status: str) -> Json:
    """The bank's next word; a dispute that was won gives the money back."""
    if dispute["status"] in OVER:
        raise Refused(f"Dispute {dispute['id']} is {dispute['status']}.", param="status")
    before = copy.deepcopy(dispute)
    was_inquiry = dispute["status"] in INQUIRIES
    dispute["status"] = status
    withdrawn, reinstated = was_inquiry and status not in INQUIRIES, status == "won" and not was_inquiry
    if withdrawn:
        _move(world, dispute, -dispute["amount"])
    if reinstated:
        _move(world, dispute, dispute["amount"])
    world.store.replace(kind=KIND, body=dispute)
    world.log.add("object", object=KIND, id=dispute["id"], action="updated")
    kind = "closed" if status in OVER else "updated"
    previous = events.difference(before, dispute)
    events.emit(
        world, event_type=f"charge.dispute.{kind}", subject=dispute, origin=PROVIDER, previous=previous
    )
    for happened, name in ((withdrawn, "funds_withdrawn"), (reinstated, "funds_reinstated")):
        if happened:
            events.emit(world, event_type=f"charge.dispute.{name}", subject=dispute, origin=PROVIDER)
    return dispute


def _move(world: World, body: Json, amount: int) -> None:
    transaction = balance_transactions.record(
        world,
        amount=amount,
        currency=body["currency"],
        source=body["id"],
        transaction_type="adjustment",
        category="dispute" if amount < 0 else "dispute_reversal",
        description=f"Chargeback withdrawal for {body['charge']}" if amount < 0 else "Chargeback reversal",
    )
    before = balance.available(world, account=balance.PLATFORM, currency=body["currency"])
    balance.keep(world, account=balance.PLATFORM, currency=body["currency"], amount=before + amount)
    found = world.store.get(kind="balance_transaction", object_id=transaction)
    body["balance_transactions"] = [*body["balance_transactions"], found]


def find(world: World, dispute_id: str) -> Json:
    body = world.store.get(kind=KIND, object_id=dispute_id)
    if body is None:
        raise missing(noun="dispute", object_id=dispute_id)
    return body


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    return find(world, call.names["id"])


def list_all(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=(*PAGING, "charge", "created"))
    charge = params.text("charge")
    labels = {"charge": [charge]} if charge is not None else {}
    return page(world, params, kind=KIND, url="/v1/disputes", labels=labels)
