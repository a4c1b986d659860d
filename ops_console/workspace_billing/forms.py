"""The forms of the billing page: each render has one key, so that sending one twice does its act once."""

import re
import uuid
from dataclasses import dataclass, field, replace
from typing import Final

from django.conf import settings
from django.http import HttpRequest

from billing.services.checkout_order import CheckoutOrder
from billing.services.payment_link_items import LineItem
from billing.states import Flow
from ops_console.acts import KEY, KeyMissing
from ops_console.workspace_billing.desk import Desk
from settld.core import money

NAME_MOST: Final = 160
AMOUNT_MOST: Final = 99_999_999
QUANTITY_MOST: Final = 10_000
_KEY: Final = re.compile(r"[!-~]{1,191}", re.ASCII)
_COUNT: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True)
class Form:
    """One form with its key, what was typed, and what is wrong with it by the field's name."""

    key: str
    values: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    def renewed(self) -> "Form":
        """Give the same form for another act: what was typed stays, the key is a new one."""
        return replace(self, key=_new_key())

    def at_fault(self, **faults: str) -> "Form":
        """Give the form with what is wrong said beside its fields; its key was not used."""
        return replace(self, faults={name: text for name, text in faults.items() if text})


def fresh(**values: str) -> Form:
    """Give a form as it is shown first."""
    return Form(key=_new_key(), values=values)


def posted(request: HttpRequest, *names: str) -> Form:
    """Take over what was sent; KeyMissing when it cannot be told from another sending."""
    key = request.POST.get(KEY, "").strip()
    if not _KEY.fullmatch(key):
        raise KeyMissing()
    return Form(key, {name: request.POST.get(name, "").replace("\x00", "").strip() for name in names})


def _new_key() -> str:
    return str(uuid.uuid4())


def checkout_order(desk: Desk, *, plan: str) -> CheckoutOrder:
    """Write the order of the subscription form; where the browser comes back to belongs to it."""
    home = desk.href()
    return CheckoutOrder(
        flow=Flow.SUBSCRIPTION,
        plan_code=plan[:120].lower(),
        success_path=f"{home}?checkout=success",
        cancel_path=f"{home}?checkout=cancelled",
    )


# --- What a payment link sells --------------------------------------------------------------------
def own_line(form: Form) -> tuple[Form, LineItem | None]:
    """Read a name with an amount; gives the form with its faults and no line when it cannot be read."""
    currency = settings.BILLING.currency
    name = form.values["name"]
    amount = money.parse(form.values["amount"], currency)
    quantity = _quantity(form)
    checked = form.at_fault(
        name=_name_fault(name), amount=_amount_fault(amount, currency), quantity=_quantity_fault(quantity)
    )
    if checked.faults or amount is None or quantity is None:
        return checked, None
    return checked, LineItem(quantity=quantity, name=name, amount_minor=amount, currency=currency)


def item_line(form: Form, offered: set[str]) -> tuple[Form, LineItem | None]:
    """Read an item of the catalog with its number."""
    price_id, quantity = form.values["item"], _quantity(form)
    checked = form.at_fault(
        item="" if price_id in offered else "Choose one of the list.", quantity=_quantity_fault(quantity)
    )
    if checked.faults or quantity is None:
        return checked, None
    return checked, LineItem(quantity=quantity, price_id=price_id)


def _quantity(form: Form) -> int | None:
    text = form.values["quantity"] or "1"
    return int(text) if _COUNT.fullmatch(text) and 1 <= int(text) <= QUANTITY_MOST else None


def _quantity_fault(quantity: int | None) -> str:
    return "" if quantity else f"A whole number from 1 to {QUANTITY_MOST:,}."


def _name_fault(name: str) -> str:
    if not name:
        return "Say what is sold."
    return "" if len(name) <= NAME_MOST else f"At most {NAME_MOST} characters."


def _amount_fault(amount: int | None, currency: str) -> str:
    if amount is None:
        example = {0: "4900", 2: "49.00", 3: "49.000"}[money.exponent(currency)]
        return f"An amount such as {example}, without separators."
    if not 1 <= amount <= AMOUNT_MOST:
        return f"More than nothing, and at most {money.show(AMOUNT_MOST, currency)}."
    return ""
