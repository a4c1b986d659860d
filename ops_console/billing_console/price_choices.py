"""The provider's prices to choose one from, and the id of one that is not among them."""

from dataclasses import replace
from typing import Final

from django.conf import settings

from billing.providers.facts import PriceFacts
from billing.services import provider_prices
from billing.services.provider_prices import ProviderUnavailable
from ops_console.acts import ActForm, Field, Option
from ops_console.billing_console.acting import FieldFaults
from settld.core import money

CHOSEN: Final = "chosen_price"
TYPED: Final = "price_id"
NEWEST: Final = 100
NONE: Final = Option("", "Choose one")


def fields(what: str) -> tuple[Field, Field]:
    """Give the two fields of a price: one to choose from the provider's list, one to type an id in."""
    return (
        Field(CHOSEN, f"Stripe price ({what})", max_length=191),
        Field(TYPED, "Or its id", max_length=191, hint="price_…, for one that the list does not show."),
    )


def complete(form: ActForm, *, is_recurring: bool) -> ActForm:
    """Fill in the list; where the provider cannot be asked, say so and leave the id to type."""
    try:
        found = provider_prices.newest(active=True, limit=NEWEST)
    except ProviderUnavailable:
        note = "Stripe could not be asked for its prices just now. Type the id of one."
        return _with(form, options=(Option("", "No list"),), hint=note)
    sellable = [price for price in found if _fits(price, is_recurring=is_recurring)]
    others = len(found) - len(sellable)
    kind = "monthly, licensed" if is_recurring else "one-time"
    hint = f"Active, {kind}, in {settings.BILLING.currency}; the newest {len(found)} were looked at."
    if not sellable:
        hint = (
            f"No price at Stripe is active, {kind} and in {settings.BILLING.currency}. Make one there first."
        )
    elif others:
        hint += f" {others} others cannot be used here."
    options = tuple(Option(price.id, _label(price)) for price in sellable)
    return _with(form, options=(NONE, *options), hint=hint)


def _with(form: ActForm, *, options: tuple[Option, ...], hint: str) -> ActForm:
    known = {option.value for option in options}
    return replace(
        form,
        fields=tuple(
            replace(
                item,
                options=options
                if item.value in known
                else (*options, Option(item.value, f"{item.value} (as chosen before)")),
                hint=hint,
            )
            if item.name == CHOSEN
            else item
            for item in form.fields
        ),
    )


def _fits(price: PriceFacts, *, is_recurring: bool) -> bool:
    if price.unit_amount is None or price.currency != settings.BILLING.currency:
        return False
    if not is_recurring:
        return price.type == "one_time"
    is_monthly = (price.interval, price.interval_count) == ("month", 1)
    return price.type == "recurring" and price.usage_type == "licensed" and is_monthly


def _label(price: PriceFacts) -> str:
    name = price.nickname or price.product_name or "Without a name"
    amount = money.show(price.unit_amount or 0, price.currency)
    return f"{name}: {amount}{' a month' if price.type == 'recurring' else ''} ({price.id})"


def chosen(form: ActForm) -> str:
    """Read which price is meant; FieldFaults when none is, or two are."""
    listed, typed = form.values[CHOSEN], form.values[TYPED]
    if listed and typed and listed != typed:
        raise FieldFaults({TYPED: "Choose one of the list, or type an id; not both."})
    if not listed and not typed:
        raise FieldFaults({CHOSEN: "A price is needed."})
    return listed or typed
