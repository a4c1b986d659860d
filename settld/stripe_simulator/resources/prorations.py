"""Money for parts of a period: what a change of price owes or gives back.

What is not billed at once waits as an invoice item for the subscription's next invoice.
"""

from settld.stripe_simulator.resources import subscription_bodies
from settld.stripe_simulator.resources.invoice_lines import Line
from settld.stripe_simulator.store import Selection
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import World

WAITING = "waiting_line"


def share(amount: int, *, part: int, whole: int) -> int:
    """The share part / whole of an amount in whole minor units, halves away from zero."""
    sign = -1 if amount < 0 else 1
    return sign * ((abs(amount) * part * 2 + whole) // (whole * 2))


def credit_unused(world: World, body: Json, *, at: int) -> None:
    """Give the rest of the running period back, for each item; nothing in a trial."""
    for item in body["items"]["data"]:
        wait(world, _line(world, body, item, at=at, sign=-1, word="Unused time on"))


def charge_rest(world: World, body: Json, item: Json, *, at: int, sign: int) -> None:
    """Owe (sign 1) or give back (-1) an item's price for the rest of its period."""
    word = "Remaining time on" if sign > 0 else "Unused time on"
    wait(world, _line(world, body, item, at=at, sign=sign, word=word))


def _line(world: World, body: Json, item: Json, *, at: int, sign: int, word: str) -> Line:
    starts_at, ends_at = item["current_period_start"], item["current_period_end"]
    full = 0 if body["status"] == "trialing" else (item["price"]["unit_amount"] or 0)
    amount = full * (item.get("quantity") or 0)
    part, whole = max(0, ends_at - at), max(1, ends_at - starts_at)
    name = subscription_bodies.product_name(world, item["price"])
    return Line(
        price=item["price"],
        quantity=item.get("quantity") or 0,
        amount=sign * share(amount, part=part, whole=whole),
        description=f"{word} {name}",
        starts_at=at,
        ends_at=ends_at,
        subscription_id=body["id"],
        item_id=item["id"],
        is_proration=True,
    )


def wait(world: World, line: Line) -> None:
    """Keep a line for the next invoice of its subscription; a line of nothing is dropped."""
    if line.amount == 0:
        return
    body = {**vars(line), "id": world.ids.next("ii"), "created": world.clock.now()}
    world.store.insert(kind=WAITING, body=body, labels={"subscription": line.subscription_id})


def take_waiting(world: World, subscription_id: str) -> list[Line]:
    """The lines that waited, oldest first; they wait no longer."""
    labels = {"subscription": [subscription_id]}
    found = world.store.select(Selection(kind=WAITING, labels=labels), limit=500)[::-1]
    for body in found:
        world.store.delete(kind=WAITING, object_id=body["id"])
    return [
        Line(**{name: value for name, value in body.items() if name not in ("id", "created")})
        for body in found
    ]
