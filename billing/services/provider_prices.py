"""What the provider says about a price, and whether we can sell at it (spec 7.7)."""

import re
from dataclasses import dataclass
from typing import Final

from django.conf import settings

from billing.providers import base
from billing.providers.errors import ProviderProblem
from billing.providers.facts import PriceFacts
from settld.core.errors import Invalid, Refusal

PRICE_ID: Final = re.compile(r"price_[A-Za-z0-9_]{1,185}")


class PriceRefused(Invalid):
    """The price cannot be sold at; `fault` says why."""

    code = "VALIDATION_ERROR"
    message = "Validation failed."

    def __init__(self, fault: str, *, field: str) -> None:
        super().__init__(details={"fieldErrors": {field: fault}})
        self.fault, self.field = fault, field


class ProviderUnavailable(Refusal):
    """The provider did not answer the question; nothing was changed."""

    status = 502
    code = "BILLING_PROVIDER_ERROR"
    message = "The payment provider could not be asked."

    @classmethod
    def because(cls, problem: ProviderProblem) -> "ProviderUnavailable":
        """Say what kind of trouble it was."""
        return cls(details={"category": problem.category.value, "retryable": problem.retryable})


@dataclass(frozen=True)
class Price:
    """A price that can be sold at, as the provider has it."""

    provider: str
    provider_price_id: str
    provider_product_id: str | None
    currency: str
    unit_amount_minor: int


def recurring(price_id: str, *, field: str) -> Price:
    """Ask the provider for a monthly licensed price; PriceRefused or ProviderUnavailable otherwise.

    No transaction may be open.
    """
    facts = _retrieve(price_id, field=field)
    if facts.type != "recurring" or facts.usage_type != "licensed":
        raise PriceRefused("The price must be recurring and licensed.", field=field)
    if (facts.interval, facts.interval_count) != ("month", 1):
        raise PriceRefused("The price must recur every month.", field=field)
    return _sellable(facts, field=field)


def one_time(price_id: str, *, field: str) -> tuple[Price, str]:
    """Ask the provider for a one-time price; gives it and its product's name, which may be empty."""
    facts = _retrieve(price_id, field=field)
    if facts.type != "one_time":
        raise PriceRefused("The price must be one-time.", field=field)
    return _sellable(facts, field=field), facts.nickname or facts.product_name or ""


def newest(*, active: bool, limit: int) -> list[PriceFacts]:
    """List the provider's newest prices, of every kind; ProviderUnavailable when it cannot be asked."""
    try:
        listed = base.active().list_prices(active=active, limit=limit)
    except ProviderProblem as problem:
        raise ProviderUnavailable.because(problem) from problem
    return [answer.facts for answer in listed.items]


def _retrieve(price_id: str, *, field: str) -> PriceFacts:
    if not PRICE_ID.fullmatch(price_id):
        raise PriceRefused("The price id must begin with price_.", field=field)
    try:
        return base.active().retrieve_price(price_id).facts
    except ProviderProblem as problem:
        if problem.is_missing:
            raise PriceRefused("The provider has no such price.", field=field) from problem
        raise ProviderUnavailable.because(problem) from problem


def _sellable(facts: PriceFacts, *, field: str) -> Price:
    if not facts.active:
        raise PriceRefused("The price is not active.", field=field)
    if facts.unit_amount is None or facts.unit_amount < 0:
        raise PriceRefused("The price must have an amount in whole minor units.", field=field)
    if facts.currency != settings.BILLING.currency:
        raise PriceRefused(f"The price must be in {settings.BILLING.currency}.", field=field)
    return Price(
        provider=settings.BILLING.provider,
        provider_price_id=facts.id,
        provider_product_id=facts.product_id,
        currency=facts.currency,
        unit_amount_minor=facts.unit_amount,
    )
