"""The Connect consumer of the Stripe inbox: news of an account makes us look at it.

Stripe delivers events late, twice and in any order, and stamps them to the second, so an event's own
snapshot may be older than what we have and nothing would show it. We take an event as a reason to ask:
the answer is never older than the event, whatever the order.
"""

import datetime as dt
from typing import Any, Final

from moneyrails.models import ConnectAccount
from moneyrails.queries import connect
from moneyrails.rails import stripe as stripe_rail
from moneyrails.rails import stripe_connect
from moneyrails.services import connect_looks
from moneyrails.services.connect_facts import Seen
from moneyrails.services.connect_looks import Ask, Look
from moneyrails.services.connect_writing import write_each
from moneyrails.services.controls_payload import ACCOUNT_ID
from settld.core import clock
from settld.core.principals import Actor
from settld.stripe_gateway import consumers
from settld.stripe_gateway.models import StripeEvent
from settld.stripe_gateway.states import Outcome

CONSUMER: Final = "connect"
UPDATED: Final = "account.updated"
DEAUTHORIZED: Final = "account.application.deauthorized"
EVENT_TYPES: Final = (UPDATED, DEAUTHORIZED)
ACTOR: Final = Actor.system("stripe_inbox")
MOST_LOOKS: Final = 3
# Our hosts' clocks may differ from the database's by so much.
CLOCKS_AGREE: Final = dt.timedelta(seconds=5)
NO_ACCESS: Final = (403, 404)
BAD_KEY: Final = 401


class LookFailed(Exception):
    """The account could not be read; the inbox tries the event again later."""


class Overtaken(Exception):
    """Other syncs kept overtaking ours; the inbox tries the event again later."""


def register() -> None:
    """Claim the inbox's account events."""
    consumers.register(name=CONSUMER, event_types=EVENT_TYPES, handler=consume)


def consume(event: StripeEvent) -> tuple[Outcome, str]:
    """Look at the account that an event is about and write down what is seen; safe to run again."""
    return take(event, ask=None)


def take(event: StripeEvent, *, ask: Ask | None) -> tuple[Outcome, str]:
    """Do what `consume` does, asking `ask` in place of Stripe."""
    account_id = account_of(event.body)
    held = connect.holders([account_id]) if account_id else []
    if not held:
        return Outcome.IGNORED, "no tenant has configured this account"
    if all(_is_known(row, event) for row in held):
        return Outcome.STALE, "the account was looked at after this event came in"
    if not stripe_rail.is_configured():
        return Outcome.IGNORED, "there is no secret key to look at the account with"
    for _ in range(MOST_LOOKS):
        look = _look(account_id, is_goodbye=event.event_type == DEAUTHORIZED, ask=ask)
        seen = [Seen(row.tenant_id, row) for row in held]
        left = write_each(look, seen, source="event", actor=ACTOR, now=clock.now())
        if look.error is not None:
            return _unread(look)
        if not left:
            return Outcome.APPLIED, _told(look)
        held = [row for row in connect.holders([account_id]) if row.tenant_id in left]
    raise Overtaken(account_id)


def account_of(body: dict[str, Any]) -> str:
    """Name the account that an event is about; blank when it names none that could be configured."""
    named = body.get("account")
    if named is None:
        data = body.get("data")
        thing = data.get("object") if isinstance(data, dict) else None
        named = thing.get("id") if isinstance(thing, dict) and thing.get("object") == "account" else None
    is_one = isinstance(named, str) and len(named) <= 200 and ACCOUNT_ID.fullmatch(named)
    return str(named) if is_one else ""


def _is_known(row: ConnectAccount, event: StripeEvent) -> bool:
    """Tell whether a look that began after the event came in has been written already."""
    return row.kyb_seen_at is not None and row.kyb_seen_at > event.received_at + CLOCKS_AGREE


def _look(account_id: str, *, is_goodbye: bool, ask: Ask | None) -> Look:
    """Look once; a goodbye that Stripe confirms by showing us nothing is a fact, not a failure."""
    look = connect_looks.look_at([account_id], budget_seconds=60, ask=ask)[account_id]
    is_gone = look.is_clear_no and look.error is not None and look.error["httpStatus"] in NO_ACCESS
    if not (is_goodbye and is_gone):
        return look
    return Look(account_id, look.began_at, look.ended_at, snapshot=stripe_connect.deauthorized(account_id))


def _unread(look: Look) -> tuple[Outcome, str]:
    message = look.error["message"] if look.error else ""
    if look.is_clear_no and look.error is not None and look.error["httpStatus"] != BAD_KEY:
        return Outcome.UNMATCHED, f"Stripe does not show the account: {message}"
    raise LookFailed(message)


def _told(look: Look) -> str:
    return f"the account is {look.snapshot.kyb_status}" if look.snapshot else ""
