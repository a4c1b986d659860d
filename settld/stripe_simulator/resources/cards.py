"""The card numbers and bank accounts of Stripe's test mode, and what comes of charging them."""

from dataclasses import dataclass
from typing import Literal

from settld.stripe_simulator.errors import Refused, StripeError
from settld.stripe_simulator.wire import Json

Outcome = Literal["pays", "fails", "later"]
OUTCOMES = ("pays", "fails", "later")
FAILURE = {"code": "card_declined", "decline_code": "generic_decline", "message": "Your card was declined."}


@dataclass(frozen=True, kw_only=True)
class TestCard:
    """`attaches` false: the bank says no at once. `outcome`: what a charge comes to."""

    number: str
    brand: str = "visa"
    funding: str = "credit"
    country: str = "US"
    attaches: bool = True
    outcome: Outcome = "pays"
    decline_code: str = "generic_decline"


CARDS = {
    card.number: card
    for card in (
        TestCard(number="4242424242424242"),
        TestCard(number="4000056655665556", funding="debit"),
        TestCard(number="5555555555554444", brand="mastercard"),
        TestCard(number="378282246310005", brand="amex"),
        TestCard(number="4000000000000341", outcome="fails"),
        TestCard(number="4000000000000002", attaches=False, outcome="fails"),
        TestCard(
            number="4000000000009995",
            attaches=False,
            outcome="fails",
            decline_code="insufficient_funds",
        ),
    )
}
# Stripe's ready-made names for the numbers.
NAMES = {
    "card_visa": "4242424242424242",
    "visa": "4242424242424242",
    "card_visa_debit": "4000056655665556",
    "card_mastercard": "5555555555554444",
    "mastercard": "5555555555554444",
    "card_amex": "378282246310005",
    "card_chargeCustomerFail": "4000000000000341",
    "chargeCustomerFail": "4000000000000341",
    "card_chargeDeclined": "4000000000000002",
    "chargeDeclined": "4000000000000002",
}


def lookup(number: str) -> TestCard:
    """The card of a number, spaces allowed; a number of no test card is refused as test mode does."""
    card = CARDS.get(number.replace(" ", ""))
    if card is None:
        message = "Your card was declined. Your request was in test mode, but used a non test card."
        raise card_error(message, code="card_declined", decline_code="test_mode_live_card")
    return card


def named(name: str) -> TestCard | None:
    """The card behind `pm_card_visa` or `tok_visa`."""
    number = NAMES.get(name.removeprefix("pm_").removeprefix("tok_"))
    return CARDS[number] if number else None


def require_attachable(card: TestCard) -> None:
    if not card.attaches:
        raise card_error("Your card was declined.", code="card_declined", decline_code=card.decline_code)


def card_error(message: str, *, code: str, decline_code: str) -> StripeError:
    error = Refused(message, status=402, kind="card_error", code=code)
    error.decline_code = decline_code
    return error


def card_details(card: TestCard, *, exp_month: int, exp_year: int) -> Json:
    """`payment_method.card`."""
    return {
        "brand": card.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": card.country,
        "display_brand": card.brand,
        "exp_month": exp_month,
        "exp_year": exp_year,
        "fingerprint": f"fp{card.number[-14:]}",
        "funding": card.funding,
        "generated_from": None,
        "last4": card.number[-4:],
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def us_bank_account_details(*, account_number: str, routing_number: str) -> Json:
    """`payment_method.us_bank_account`."""
    return {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "financial_connections_account": None,
        "fingerprint": f"fp{account_number[-12:]}",
        "last4": account_number[-4:],
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": routing_number,
        "status_details": {},
    }


def sepa_debit_details(*, iban: str) -> Json:
    """`payment_method.sepa_debit`."""
    return {
        "bank_code": iban[4:12],
        "branch_code": "",
        "country": iban[:2],
        "fingerprint": f"fp{iban[-12:]}",
        "generated_from": {"charge": None, "setup_attempt": None},
        "last4": iban[-4:],
    }
