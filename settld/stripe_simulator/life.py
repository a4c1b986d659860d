"""A provider that does small things by itself, so that news arrives while one watches a demo.

Off by default.
"""

import copy
import threading
import time
from dataclasses import asdict, dataclass, field

from settld.stripe_simulator import timers
from settld.stripe_simulator.checks import require_types
from settld.stripe_simulator.errors import StripeError
from settld.stripe_simulator.ids import fraction, scatter
from settld.stripe_simulator.resources import accounts, balance, reversals
from settld.stripe_simulator.store import Selection
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import PROVIDER, World

RECENT = 100
WANDERS = "simulator_wanders"
EXTRA_CHECK = "individual.verification.additional_document"


@dataclass(kw_only=True)
class Life:
    """How lively. `metadata` narrows reversals to transfers that carry it (all keys and values)."""

    enabled: bool = False
    interval_seconds: float = 20.0
    reversal_share: float = 0.2
    account_share: float = 0.6
    metadata: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_types(self)
        if self.interval_seconds < 0.05:
            raise ValueError("interval_seconds is at least 0.05")


def configured(world: World) -> Life:
    return Life(**(world.store.setting("life") or {}))


def configure(world: World, changes: Json) -> Life:
    life = Life(**{**asdict(configured(world)), **changes})
    world.store.keep_setting("life", asdict(life))
    return life


def act(world: World, life: Life) -> str:
    """Do one thing; what it is follows from the seed and from how many came before. Its name."""
    number = world.store.bump("life")
    draw = fraction(world.seed, "life", number)
    if draw < life.reversal_share:
        deed = _reverse_one(world, life, number)
    elif draw < life.reversal_share + life.account_share:
        deed = _check_one(world, number)
    else:
        deed = ""
    if not deed:
        now = balance.available(world, account=balance.PLATFORM, currency="usd")
        balance.set_available(
            world, currency="usd", amount=now + 1_000 * (1 + scatter(world.seed, number) % 50)
        )
        deed = "balance"
    world.log.add("life", deed=deed)
    return deed


def _reverse_one(world: World, life: Life, number: int) -> str:
    found = world.store.select(Selection(kind="transfer"), limit=RECENT)
    whole = [
        body
        for body in found
        if not body["amount_reversed"] and life.metadata.items() <= body["metadata"].items()
    ]
    if not whole:
        return ""
    transfer = whole[scatter(world.seed, "reverse", number) % len(whole)]
    try:
        reversals.reverse(
            world, transfer=transfer, amount=None, metadata={}, description=None, origin=PROVIDER
        )
    except StripeError:
        return ""
    return "reversal"


def _check_one(world: World, number: int) -> str:
    """Ask an account for one more document, or take the question back.

    Where accounts are marked as wanderers, one of them goes a step of onboarding on instead: asked for
    something, restricted for want of it, looked at again, verified.
    """
    found = world.store.select(Selection(kind="account"), limit=RECENT)
    if not found:
        return ""
    wanderers = [body for body in found if body["metadata"].get(WANDERS) == "true"]
    if wanderers:
        chosen = wanderers[scatter(world.seed, "account", number) % len(wanderers)]
        accounts.advance(world, chosen, toward=None, origin=PROVIDER)
        return "onboarding"
    body = found[scatter(world.seed, "account", number) % len(found)]
    before = copy.deepcopy(body)
    later = body["future_requirements"]["pending_verification"]
    if EXTRA_CHECK in later:
        later.remove(EXTRA_CHECK)
    else:
        later.append(EXTRA_CHECK)
    accounts.keep(world, before=before, body=body, origin=PROVIDER)
    return "account"


def live(world: World) -> threading.Thread:
    """Start the thread that acts while life is enabled, and lets what is due by the clock happen."""
    thread = threading.Thread(target=_run, args=(world,), daemon=True)
    thread.start()
    return thread


def _run(world: World) -> None:
    acted_at = time.monotonic()
    while not world.stopping.wait(0.1):
        with world.lock:
            with world.transaction():
                timers.run_due(world)
            life = configured(world)
            if not life.enabled:
                acted_at = time.monotonic()
            elif time.monotonic() - acted_at >= life.interval_seconds:
                acted_at = time.monotonic()
                with world.transaction():
                    act(world, life)
