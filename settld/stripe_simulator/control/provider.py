"""What the provider does by itself: accounts onboarded, transfers made and taken back outside the product."""

import copy
import re
from dataclasses import asdict
from typing import Any

from settld.stripe_simulator import life
from settld.stripe_simulator.control.fields import BadControl, integer, known, mapping, text
from settld.stripe_simulator.forms import encode
from settld.stripe_simulator.resources import account_states, accounts, reversals, transfers
from settld.stripe_simulator.resources.account_states import PRESETS, merge
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import PROVIDER, Call, World

ACCOUNT_ID = re.compile(r"acct_[A-Za-z0-9_]+")
BOOLEANS = ("charges_enabled", "payouts_enabled", "details_submitted")
TEXTS = ("country", "default_currency", "email", "type", "business_type")
REACHABLE = ("pending", "verified", "due", "past_due", "rejected")
MOST_STEPS = 20
MAPPINGS = ("capabilities", "requirements", "future_requirements", "metadata", "business_profile")


def set_account(world: World, body: Json, account_id: str) -> Json:
    """Put an account in a state: a preset, then single fields over it. An unknown id makes it (verified)."""
    known(body, "preset", "disabled_reason", *BOOLEANS, *TEXTS, *MAPPINGS)
    if not ACCOUNT_ID.fullmatch(account_id):
        raise BadControl("an account id is acct_ and letters, digits or _")
    existing = world.store.get(kind="account", object_id=account_id)
    preset = text(body, "preset", None if existing else "verified")
    if preset is not None and preset not in PRESETS:
        raise BadControl(f"preset is one of {', '.join(PRESETS)}")
    account = existing or accounts.blank(world, account_id=account_id, country=text(body, "country", "US"))
    before = copy.deepcopy(account)
    if preset:
        account_states.put(account, preset, now=world.clock.now())
    merge(account, _changes(body))
    if existing:
        accounts.keep(world, before=before, body=account, origin=PROVIDER)
    else:
        accounts.insert(world, account)
    return account


def _changes(body: Json) -> Json:
    changes: dict[str, Any] = {name: text(body, name) for name in TEXTS if name in body}
    changes |= {name: mapping(body, name) for name in MAPPINGS if name in body}
    for name in BOOLEANS:
        if name in body:
            if not isinstance(body[name], bool):
                raise BadControl(f"{name} must be true or false")
            changes[name] = body[name]
    if "disabled_reason" in body:
        requirements = changes.setdefault("requirements", {})
        requirements["disabled_reason"] = text(body, "disabled_reason")
    return changes


def advance_account(world: World, body: Json, account_id: str) -> Json:
    """Move an account on by some steps of onboarding (1), each with its `account.updated`."""
    known(body, "toward", "steps")
    toward, steps = text(body, "toward"), integer(body, "steps", 1)
    if toward is not None and toward not in REACHABLE:
        raise BadControl(f"toward is one of {', '.join(REACHABLE)}")
    if not 1 <= steps <= MOST_STEPS:
        raise BadControl(f"steps is from 1 to {MOST_STEPS}")
    account = world.store.get(kind="account", object_id=account_id)
    if account is None:
        raise BadControl("no such account", status=404)
    for _ in range(steps):
        accounts.advance(world, account, toward=toward, origin=PROVIDER)
    return {"stage": account_states.stage(account), "account": account}


def deauthorize_account(world: World, body: Json, account_id: str) -> Json:
    """The account takes our permission back: it is gone for us, and Stripe says so."""
    known(body)
    account = world.store.get(kind="account", object_id=account_id)
    if account is None:
        raise BadControl("no such account", status=404)
    return accounts.deauthorize(world, account, origin=PROVIDER)


def make_transfer(world: World, body: Json) -> Json:
    """A transfer that the product knows nothing of; the parameters are those of POST /v1/transfers."""
    call = Call(method="POST", path="/v1/transfers", form=encode(body), origin=PROVIDER)
    return transfers.create(world, call)


def reverse_transfer(world: World, body: Json, transfer_id: str) -> Json:
    known(body, "amount", "metadata", "description")
    amount = integer(body, "amount")
    if amount is not None and amount < 1:
        raise BadControl("amount is at least 1")
    return reversals.reverse(
        world,
        transfer=transfers.find(world, transfer_id),
        amount=amount,
        metadata=mapping(body, "metadata"),
        description=text(body, "description"),
        origin=PROVIDER,
    )


def read_life(world: World, body: Json) -> Json:
    known(body)
    return asdict(life.configured(world))


def set_life(world: World, body: Json) -> Json:
    try:
        return asdict(life.configure(world, body))
    except (TypeError, ValueError) as error:
        raise BadControl(f"life: {error}") from error


def act_now(world: World, body: Json) -> Json:
    """One lively deed at once, whether or not life is enabled."""
    known(body)
    return {"deed": life.act(world, life.configured(world))}
