"""What the simulator holds, its clock, its settings, its log; and forgetting it all."""

import copy
import dataclasses

from settld.stripe_simulator import timers
from settld.stripe_simulator.clock import parse_instant
from settld.stripe_simulator.control.fields import BadControl, integer, known, text
from settld.stripe_simulator.resources import balance
from settld.stripe_simulator.resources.collection import LAST_RESORTS
from settld.stripe_simulator.webhooks import queue
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import World

KINDS = (
    "account",
    "transfer",
    "transfer_reversal",
    "charge",
    "dispute",
    "product",
    "price",
    "customer",
    "payment_method",
    "payment_intent",
    "subscription",
    "invoice",
    "refund",
    "checkout.session",
    "payment_link",
    "setup_intent",
    "billing_portal.configuration",
    "billing_portal.session",
    "balance_transaction",
    "event",
    "webhook_endpoint",
)
LAST_SECOND = 253_402_300_799
CHOICES = {"after_failed_retries": LAST_RESORTS, "billing_mode": ("classic", "flexible")}
SIGNATURE_TIMES = ("real", "virtual")


def health(world: World, body: Json) -> Json:
    """Answers once the simulator does."""
    known(body)
    return {"status": "ok"}


def summary(world: World, body: Json) -> Json:
    known(body)
    kept = world.store.execute("SELECT count(*) FROM idempotency_keys").fetchone()[0]
    return {
        "seed": world.seed,
        "clock": world.clock.describe(),
        "objects": {kind: world.store.count(kind=kind) for kind in KINDS},
        "idempotency_keys": kept,
        "deliveries": queue.counts(world),
        "fault_rules": len(world.faults.rules),
        "random_faults": world.faults.chaos is not None,
        "webhook_rules": len(world.delivery_rules.rules),
        "platform_account": world.platform_account_id,
    }


def reset(world: World, body: Json) -> Json:
    """Not inside a transaction: it makes its own and ends the generation."""
    known(body, "seed")
    world.reset(seed=integer(body, "seed"))
    return {"seed": world.seed}


def read_clock(world: World, body: Json) -> Json:
    known(body)
    return world.clock.describe()


def set_clock(world: World, body: Json) -> Json:
    known(body, "now", "advance_seconds", "real", "signature_time")
    signature_time = text(body, "signature_time")
    if signature_time is not None and signature_time not in SIGNATURE_TIMES:
        raise BadControl("signature_time is real or virtual")
    changed = copy.copy(world.clock)
    if body.get("real"):
        changed.follow_real_time()
    if body.get("now") is not None:
        changed.freeze(_instant(body["now"]))
    if body.get("advance_seconds") is not None:
        changed.advance(integer(body, "advance_seconds"))
    if signature_time is not None:
        changed.signature_time = signature_time
    if not 0 <= changed.now() <= LAST_SECOND:
        raise BadControl("the clock goes from 1970 to 9999")
    try:
        timers.run_due(world, until=changed.now())
    except timers.TooMuchIsDue as error:
        raise BadControl(str(error)) from error
    world.set_clock(changed)
    return changed.describe()


def _instant(value: object) -> int:
    try:
        return parse_instant(value)
    except ValueError as error:
        raise BadControl(f"now: {error}") from error


def read_settings(world: World, body: Json) -> Json:
    known(body)
    return vars(world.settings)


def set_settings(world: World, body: Json) -> Json:
    """Takes effect at once; a restart or a reset goes back to the command line's values."""
    fields = {field.name: field.type for field in dataclasses.fields(world.settings)}
    known(body, *fields)
    for name, value in body.items():
        wanted = type(getattr(world.settings, name))
        if type(value) is not wanted:
            raise BadControl(f"{name} must be of type {wanted.__name__}")
    for name, choices in CHOICES.items():
        if body.get(name, choices[0]) not in choices:
            raise BadControl(f"{name} is one of {', '.join(choices)}")
    for name, value in body.items():
        setattr(world.settings, name, value)
    world.rate_limit.configure(per_second=world.settings.rate_limit_per_second)
    return vars(world.settings)


def read_balance(world: World, body: Json) -> Json:
    known(body, "account")
    return balance.describe(world, account=text(body, "account", balance.PLATFORM))


def set_balance(world: World, body: Json) -> Json:
    known(body, "currency", "available")
    amount = integer(body, "available")
    if amount is None:
        raise BadControl("available is required: minor units")
    return balance.set_available(world, currency=text(body, "currency", "usd").lower(), amount=amount)


def read_log(world: World, body: Json) -> Json:
    known(body, "after", "limit", "details")
    after, limit = _number(body, "after", 0), _number(body, "limit", 100_000)
    return world.log.read(after=after, limit=limit, details=body.get("details") in ("1", "true"))


def _number(body: Json, name: str, default: int) -> int:
    value = str(body.get(name, default))
    if not value.isdigit() or len(value) > 15:
        raise BadControl(f"{name} must be a whole number")
    return int(value)
