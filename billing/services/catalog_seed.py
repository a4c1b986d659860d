"""Publishing plans, prices and entitlements from one document: all of it or nothing (spec 7.7, T-169)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings

from billing.models import Plan
from billing.services import catalog, console_audit, provider_prices
from billing.services.catalog import EntitlementsInvalid, EntitlementWish, PlanWish
from billing.services.provider_prices import Price, PriceRefused
from settld.core.errors import Invalid
from settld.core.money import MAX_MINOR
from settld.core.principals import Actor

_PLAN_KEYS: Final = {
    "code", "name", "description", "isActive", "metadataJson", "corePrice", "entitlements",
    "planFamilyCode", "version", "appliesTo",
}  # fmt: skip
PriceReader = Callable[[dict[str, Any], str], Price]


class SeedInvalid(Invalid):
    """The document cannot be published; `faults` says where and why. Nothing was changed."""

    code = "VALIDATION_ERROR"
    message = "The plans cannot be published."

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__(details={"fieldErrors": faults})
        self.faults = faults


@dataclass(frozen=True)
class Published:
    """How many plans were made, and how many were there."""

    created: int
    updated: int


def publish(document: Any, *, price_of: PriceReader, actor: Actor) -> Published:
    """Make or update every plan of `{"plans": [...]}`; SeedInvalid, and nothing published, for any fault.

    A plan is known by its code; its name, description, activity, metadata, price and entitlements become what
    the document says. The prices are read first, since a provider may be asked; then one transaction writes.
    """
    wishes = _read(document)
    prices = []
    for number, (_, asked) in enumerate(wishes):
        try:
            prices.append(price_of(asked, f"plans[{number}].corePrice"))
        except PriceRefused as refusal:
            raise SeedInvalid({refusal.field: refusal.fault}) from refusal
    created = 0
    with console_audit.act():
        for (wish, _), price in zip(wishes, prices, strict=True):
            created += _publish(wish, price)
        console_audit.append(
            actor=actor,
            action="BILLING_PLANS_PUBLISH",
            target_type="billing_catalog",
            target_id="plans",
            details={"codes": [wish.code for wish, _ in wishes]},
        )
    return Published(created, len(wishes) - created)


def from_provider(price: dict[str, Any], place: str) -> Price:
    """Take a price as the provider has it."""
    return provider_prices.recurring(str(price.get("providerPriceId", "")), field=f"{place}.providerPriceId")


def from_document(price: dict[str, Any], place: str) -> Price:
    """Take a price as the document says, asking nobody; for set-ups whose provider is not there yet."""
    amount, price_id = price.get("unitAmountMinor"), price.get("providerPriceId")
    if not isinstance(price_id, str) or not provider_prices.PRICE_ID.fullmatch(price_id):
        raise PriceRefused("The price id must begin with price_.", field=f"{place}.providerPriceId")
    if type(amount) is not int or not 0 <= amount <= MAX_MINOR:
        raise PriceRefused("unitAmountMinor must be whole minor units.", field=f"{place}.unitAmountMinor")
    product_id = price.get("providerProductId")
    return Price(
        provider=settings.BILLING.provider,
        provider_price_id=price_id,
        provider_product_id=product_id if isinstance(product_id, str) else None,
        currency=settings.BILLING.currency,
        unit_amount_minor=amount,
    )


def _publish(wish: PlanWish, price: Price) -> int:
    """Write one plan; gives how many were made."""
    plan = Plan.objects.select_for_update().filter(code=wish.code).first()
    is_new = plan is None
    if plan is None:
        plan = catalog.insert_plan(wish)
    else:
        plan.name, plan.description = wish.name, wish.description
        plan.is_active, plan.metadata_json = wish.is_active, wish.metadata_json
        plan.save(update_fields=["name", "description", "is_active", "metadata_json"])
    catalog.sell_at(plan, price)
    catalog.grant(plan, wish.entitlements)
    return int(is_new)


# --- Reading the document -------------------------------------------------------------------------
def _read(document: Any) -> list[tuple[PlanWish, dict[str, Any]]]:
    plans = document.get("plans") if isinstance(document, dict) else None
    if not isinstance(plans, list) or not plans or not all(isinstance(plan, dict) for plan in plans):
        raise SeedInvalid({"plans": "plans must be a list of plans."})
    faults: dict[str, str] = {}
    read = [_plan(plan, f"plans[{number}].", faults) for number, plan in enumerate(plans)]
    if faults:
        raise SeedInvalid(faults)
    return read


def _plan(plan: dict[str, Any], place: str, faults: dict[str, str]) -> tuple[PlanWish, dict[str, Any]]:
    def take(name: str, kind: type, default: Any) -> Any:
        value = plan.get(name, default)
        if type(value) is not kind and value is not default:
            faults[f"{place}{name}"] = f"{name} must be {_KINDS[kind]}."
            return default
        return value

    for name in plan.keys() - _PLAN_KEYS:
        faults[f"{place}{name}"] = "Unknown field."
    code, name = take("code", str, "").strip().lower(), take("name", str, "").strip()
    for field, value, most in (("code", code, 120), ("name", name, 160)):
        if not 1 <= len(value) <= most:
            faults.setdefault(f"{place}{field}", f"{field} must have 1 to {most} characters.")
    wishes = _entitlements(take("entitlements", list, []), place, faults)
    wish = PlanWish(
        code=code,
        name=name,
        description=take("description", str, None),
        is_active=take("isActive", bool, True),
        metadata_json=take("metadataJson", dict, {}),
        entitlements=wishes,
        plan_family_code=take("planFamilyCode", str, ""),
        version=take("version", int, 1),
        applies_to=take("appliesTo", str, "workspace"),
    )
    return wish, take("corePrice", dict, {})


_KINDS: Final = {str: "a string", bool: "a boolean", dict: "an object", list: "a list", int: "an integer"}


def _entitlements(entries: list[Any], place: str, faults: dict[str, str]) -> Sequence[EntitlementWish]:
    wishes = []
    for number, entry in enumerate(entries):
        is_whole = isinstance(entry, dict) and entry.keys() == {"code", "schemaVersion", "valueJson"}
        if not is_whole or not all(isinstance(entry[key], str) for key in ("code", "schemaVersion")):
            faults[f"{place}entitlements[{number}]"] = "It needs code, schemaVersion and valueJson."
            continue
        wishes.append(EntitlementWish(entry["code"], entry["schemaVersion"], entry["valueJson"]))
    try:
        catalog.require_entitlements(wishes, prefix=place)
    except EntitlementsInvalid as refusal:
        faults |= refusal.faults
    return wishes
