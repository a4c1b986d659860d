"""Who pays a checkout session, and with what: the customer and the payment method that come of it."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from settld.stripe_simulator.resources import cards, checkout_sessions, customers, payment_methods
from settld.stripe_simulator.resources.changes import Change
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import PROVIDER, World

BANK_NUMBER, BANK_ROUTING = "000123456789", "110000000"
IBAN = "DE89370400440532013000"
DECLINING = "4000000000000002"
METHODS = ("card", "sepa_debit", "us_bank_account")


@dataclass(frozen=True, kw_only=True)
class Payer:
    """A person at the page. `method` other than card: the money is on its way until it is settled."""

    email: str | None = None
    name: str | None = None
    card_number: str = "4242424242424242"
    method: str = "card"

    @property
    def pays_later(self) -> bool:
        return self.method != "card"


def told(session: Json, payer: Payer) -> Json:
    """`customer_details`: an address that the session knows already is not the payer's to change."""
    before = session["customer_details"] or checkout_sessions.NOBODY
    return {**before, "email": before["email"] or payer.email, "name": payer.name}


def customer(world: World, session: Json, payer: Payer) -> str | None:
    """The session's customer, a new one where the session makes one, or none: a guest."""
    email = told(session, payer)["email"]
    if session["customer"]:
        body = customers.find(world, session["customer"], param="customer", status=400)
        if not body["email"] and email:
            _give_email(world, body, email)
        return str(body["id"])
    invoiced = session["mode"] == "payment" and (session["invoice_creation"] or {}).get("enabled")
    if session["customer_creation"] != "always" and not invoiced and not _is_saved(world, session):
        return None
    made = customers.insert(world, email=email, name=payer.name, metadata={}, origin=PROVIDER)
    return str(made["id"])


def _is_saved(world: World, session: Json) -> bool:
    intent_data = checkout_sessions.details(world, session["id"])["intent_data"]
    return bool(intent_data.get("setup_future_usage"))


def _give_email(world: World, body: Json, email: str) -> None:
    change = Change(body)
    body["email"] = email
    change.keep(world, origin=PROVIDER, event_type="customer.updated")
    world.store.relabel(kind=customers.KIND, object_id=body["id"], name="email", values=[email])


def method(world: World, session: Json, payer: Payer, customer_id: str | None) -> str | None:
    """A new payment method, kept with the customer where the session keeps it; none where nothing is due.

    Raises StripeError (402 `card_error`) for a card that its bank declines at once.
    """
    if not session["amount_total"] and session["payment_method_collection"] == "if_required":
        return None
    details, outcome = _details(world, payer)
    body = _insert(world, session, payer, details=details, outcome=outcome)
    if customer_id and (session["mode"] != "payment" or _is_saved(world, session)):
        body = payment_methods.attach_to(world, body, customer_id=customer_id, origin=PROVIDER)
    return str(body["id"])


def declined_method(world: World, session: Json, payer: Payer) -> str:
    """The card of a failed try, whatever its number."""
    card = cards.CARDS.get(payer.card_number.replace(" ", "")) or cards.CARDS[DECLINING]
    details = cards.card_details(card, exp_month=12, exp_year=_year(world))
    return str(_insert(world, session, payer, details=details, outcome="fails")["id"])


def _insert(world: World, session: Json, payer: Payer, *, details: Json, outcome: cards.Outcome) -> Json:
    return payment_methods.insert(
        world,
        type_name=payer.method,
        details=details,
        outcome=outcome,
        billing_details={"email": told(session, payer)["email"], "name": payer.name},
        origin=PROVIDER,
    )


def _details(world: World, payer: Payer) -> tuple[Json, Any]:
    if payer.method == "us_bank_account":
        return cards.us_bank_account_details(account_number=BANK_NUMBER, routing_number=BANK_ROUTING), "later"
    if payer.method == "sepa_debit":
        return cards.sepa_debit_details(iban=IBAN), "later"
    card = cards.lookup(payer.card_number)
    cards.require_attachable(card)
    return cards.card_details(card, exp_month=12, exp_year=_year(world)), card.outcome


def _year(world: World) -> int:
    return dt.datetime.fromtimestamp(world.clock.now(), dt.UTC).year + payment_methods.YEARS_AHEAD
