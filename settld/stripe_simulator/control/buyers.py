"""What buyers and their banks do: charges paid to the platform, and disputes about them."""

import re

from settld.stripe_simulator.control.fields import BadControl, integer, known, mapping, text
from settld.stripe_simulator.resources import charges, disputes
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import World

CURRENCY = re.compile(r"[a-z]{3}")


def make_charge(world: World, body: Json) -> Json:
    """A buyer has paid."""
    known(body, "amount", "currency", "metadata", "transfer_group", "description")
    amount, currency = _amount(body, "amount"), text(body, "currency", "usd")
    if amount is None:
        raise BadControl("amount is missing")
    if not CURRENCY.fullmatch(currency):
        raise BadControl("currency is three small letters")
    metadata = mapping(body, "metadata")
    if not all(isinstance(value, str) for value in metadata.values()):
        raise BadControl("metadata values are texts")
    return charges.insert(
        world,
        amount=amount,
        currency=currency,
        metadata=metadata,
        transfer_group=text(body, "transfer_group"),
        description=text(body, "description"),
    )


def dispute_charge(world: World, body: Json, charge_id: str) -> Json:
    """The buyer's bank asks for a charge back, in full unless told otherwise."""
    known(body, "amount", "reason", "status")
    charge = charges.find(world, charge_id)
    status = text(body, "status", "needs_response")
    if status not in disputes.STATUSES or status in disputes.OVER:
        raise BadControl(
            f"status is one of {', '.join(s for s in disputes.STATUSES if s not in disputes.OVER)}"
        )
    return disputes.open_one(
        world,
        charge=charge,
        amount=_amount(body, "amount") or charge["amount"],
        reason=text(body, "reason", "fraudulent"),
        status=status,
    )


def decide_dispute(world: World, body: Json, dispute_id: str) -> Json:
    """The bank's next word on a dispute."""
    known(body, "status")
    status = text(body, "status")
    if status not in disputes.STATUSES:
        raise BadControl(f"status is one of {', '.join(disputes.STATUSES)}")
    return disputes.move_on(world, dispute=disputes.find(world, dispute_id), status=status)


def _amount(body: Json, name: str) -> int | None:
    amount: int | None = integer(body, name)
    if amount is not None and amount < 1:
        raise BadControl(f"{name} is at least 1")
    return amount
