"""Checkout payments whose money comes later, or does not come."""

from settld.stripe_simulator.errors import Refused
from settld.stripe_simulator.resources import checkout_sessions, invoice_payments, payment_intents
from settld.stripe_simulator.store import Selection
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import PROVIDER, Origin, World

KIND = checkout_sessions.KIND


def await_money(world: World, session: Json) -> None:
    """Remember which payment a completed session waits for, if it waits for one."""
    intent_id = _on_its_way(world, session)
    if intent_id is not None:
        world.store.relabel(kind=KIND, object_id=session["id"], name="awaited", values=[intent_id])


def is_waiting(world: World, session: Json) -> bool:
    return _on_its_way(world, session) is not None


def settle(world: World, session: Json, *, is_paid: bool) -> Json:
    """The bank's word; the session afterwards. Refused when no money is on its way."""
    intent_id = _on_its_way(world, session)
    if intent_id is None:
        raise Refused("No payment of this session is on its way.", param="session")
    payment_intents.settle(world, intent_id, succeeds=is_paid, origin=PROVIDER)
    return checkout_sessions.find(world, session["id"])


def _on_its_way(world: World, session: Json) -> str | None:
    if session["status"] != "complete" or session["payment_status"] != "unpaid":
        return None
    intent_id = session["payment_intent"] or _of_invoice(world, session["invoice"])
    if intent_id is None:
        return None
    return intent_id if payment_intents.find(world, intent_id)["status"] == "processing" else None


def _of_invoice(world: World, invoice_id: str | None) -> str | None:
    paying = invoice_payments.of_invoice(world, invoice_id) if invoice_id else []
    return str(paying[0]["payment"]["payment_intent"]) if paying else None


@payment_intents.on_settled
def note(world: World, intent: Json, origin: Origin) -> None:
    """Tell by the session of a delayed payment what became of it."""
    labels = {"awaited": [intent["id"]]}
    for session in world.store.select(Selection(kind=KIND, labels=labels), limit=1):
        is_paid = intent["status"] == "succeeded"
        if is_paid:
            checkout_sessions.keep(world, session, payment_status="paid")
        word = "succeeded" if is_paid else "failed"
        checkout_sessions.tell(world, f"async_payment_{word}", session, origin=origin)
