"""What a payment link sells: prices of the catalog or checked at the provider, or own amounts (7.4)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from billing.models import CatalogItem
from billing.providers import base as providers
from billing.providers.errors import ProviderProblem
from billing.providers.facts import PriceFacts
from billing.states import PROVIDER
from settld.core.errors import Refusal

ONE_TIME = "one_time"


class LineItemsRefused(Refusal):
    """Lines that no link may sell; nothing was claimed, so the key is as good as new."""

    status = 400
    code = "VALIDATION_ERROR"
    message = "Validation failed."

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__(details={"fieldErrors": faults})
        self.faults = faults


class PriceCheckFailed(Refusal):
    """The provider could not say what a price is; nothing was claimed."""

    status = 502
    code = "checkout_provider_error"
    message = "The payment provider could not be asked for a price; try again."


@dataclass(frozen=True)
class LineItem:
    """One line: a price by its id, or an amount in minor units with a name; `quantity` from 1."""

    quantity: int = 1
    price_id: str | None = None
    name: str | None = None
    amount_minor: int | None = None
    currency: str | None = None

    def normalized(self) -> dict[str, Any]:
        """Give the line as the stored request spells it, its defaults written out."""
        if self.price_id is not None:
            return {"priceId": self.price_id, "quantity": self.quantity}
        return {
            "name": self.name,
            "amountMinor": self.amount_minor,
            "currency": self.currency or settings.BILLING.currency,
            "quantity": self.quantity,
        }


def require_sellable(items: Iterable[LineItem]) -> None:
    """Let lines through whose prices are one-time, active and of the deployment's currency.

    A price of the active catalog needs no call; any other is read at the provider, or refused where
    BILLING_PAYMENT_LINK_CATALOG is strict: a recurring one would sell a subscription past the checkout that
    allows one only. Raises LineItemsRefused (400) and PriceCheckFailed (502). Runs in no transaction.
    """
    faults: dict[str, str] = {}
    known: dict[str, str | None] = {}
    for index, item in enumerate(items):
        if item.price_id is None:
            continue
        if item.price_id not in known:
            known[item.price_id] = _fault_of(item.price_id)
        fault = known[item.price_id]
        if fault is not None:
            faults[f"lineItems[{index}].priceId"] = fault
    if faults:
        raise LineItemsRefused(faults)


def _fault_of(price_id: str) -> str | None:
    offered = CatalogItem.objects.filter(
        provider=PROVIDER, provider_price_id=price_id, is_active=True, currency=settings.BILLING.currency
    )
    if offered.exists():
        return None
    if settings.BILLING.payment_link_catalog == "strict":
        return "The price is not in the catalog."
    try:
        price = providers.active().retrieve_price(price_id).facts
    except ProviderProblem as problem:
        if problem.is_missing or problem.is_rejection:
            return "No such price."
        raise PriceCheckFailed() from problem
    return _fault_of_price(price)


def _fault_of_price(price: PriceFacts) -> str | None:
    if not price.active:
        return "The price is not active."
    if price.type != ONE_TIME:
        return "The price is recurring; a payment link sells one-time prices only."
    if price.currency != settings.BILLING.currency:
        return f"The price is not in {settings.BILLING.currency}."
    return None
