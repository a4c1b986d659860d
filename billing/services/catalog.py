"""Making plans and changing what they cost; what was sold once stays as it was (spec 7.7, INV-29)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction

from billing.models import Entitlement, Plan, PlanPrice
from billing.models.catalog import SELLABLE
from billing.services import console_audit, entitlements, rows
from billing.services.provider_prices import Price
from settld.core.errors import Conflict, Invalid, NotFound
from settld.core.principals import Actor


class PlanCodeExists(Conflict):
    """Another plan has the code, or its family and version."""

    code = "BILLING_PLAN_CODE_EXISTS"
    message = "Billing plan code already exists."


class PriceMapped(Conflict):
    """A price leads to one plan for ever."""

    code = "BILLING_PRICE_ALREADY_MAPPED"
    message = "Provider price id is already mapped to another plan."


class PlanUnknown(NotFound):
    """There is no such plan."""

    code = "BILLING_PLAN_NOT_FOUND"
    message = "Billing plan not found."


class EntitlementsInvalid(Invalid):
    """What a plan would grant breaks its schema; each fault stands under its place in the list."""

    code = "VALIDATION_ERROR"
    message = "Validation failed."

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__(details={"fieldErrors": faults})
        self.faults = faults


@dataclass(frozen=True)
class EntitlementWish:
    """Something that a plan shall grant."""

    code: str
    schema_version: str
    value_json: Any


@dataclass(frozen=True)
class PlanWish:
    """A plan to make; a family and a version of its own unless told otherwise."""

    code: str
    name: str
    description: str | None = None
    is_active: bool = True
    metadata_json: dict[str, Any] = field(default_factory=dict)
    entitlements: Sequence[EntitlementWish] = ()
    plan_family_code: str = ""
    version: int = 1
    applies_to: str = "workspace"


def require_entitlements(wishes: Sequence[EntitlementWish], *, prefix: str = "") -> None:
    """Refuse entitlements that could not be read back, or two of one code: EntitlementsInvalid."""
    faults: dict[str, str] = {}
    seen: set[str] = set()
    for number, wish in enumerate(wishes):
        place = f"{prefix}entitlements[{number}]"
        if wish.code in seen:
            faults[f"{place}.code"] = "The code is there already."
        seen.add(wish.code)
        if problem := entitlements.problem_of(wish.schema_version, wish.value_json):
            faults[f"{place}.valueJson"] = f"{problem}: it does not fit {wish.schema_version[:60]}."
    if faults:
        raise EntitlementsInvalid(faults)


def create(wish: PlanWish, *, price: Price, actor: Actor) -> Plan:
    """Make a plan that is sold at a price; PlanCodeExists, PriceMapped or EntitlementsInvalid."""
    require_entitlements(wish.entitlements)
    with console_audit.act():
        plan = insert_plan(wish)
        sell_at(plan, price)
        grant(plan, wish.entitlements)
        console_audit.append(
            actor=actor,
            action="BILLING_PLAN_CREATE",
            target_type="billing_catalog_plan",
            target_id=plan.code,
            details={"providerPriceId": price.provider_price_id, "unitAmountMinor": price.unit_amount_minor},
        )
    return plan


def change_price(*, plan_id: int, price: Price, actor: Actor) -> Plan:
    """Sell a plan at another price from now on; the old one still maps to it. PlanUnknown or PriceMapped."""
    with console_audit.act():
        plan = Plan.objects.select_for_update().filter(pk=plan_id).first()
        if plan is None:
            raise PlanUnknown()
        before = sell_at(plan, price)
        console_audit.append(
            actor=actor,
            action="BILLING_PLAN_PRICE",
            target_type="billing_catalog_plan",
            target_id=plan.code,
            details={"before": before, "after": price.provider_price_id},
        )
    return plan


def set_active(*, plan_id: int, is_active: bool, actor: Actor) -> Plan:
    """Sell a plan no longer, or again; who has it keeps it. Audited, or PlanUnknown."""
    with console_audit.act():
        plan = Plan.objects.select_for_update().filter(pk=plan_id).first()
        if plan is None:
            raise PlanUnknown()
        before = plan.is_active
        plan.is_active = is_active
        plan.save(update_fields=["is_active"])
        console_audit.append(
            actor=actor,
            action="BILLING_PLAN_ACTIVATE" if is_active else "BILLING_PLAN_DEACTIVATE",
            target_type="billing_catalog_plan",
            target_id=plan.code,
            details={"before": before, "after": is_active},
        )
    return plan


# --- Steps, in the caller's transaction -----------------------------------------------------------
def insert_plan(wish: PlanWish) -> Plan:
    """Insert a plan, or PlanCodeExists."""
    plan = Plan(
        code=wish.code,
        plan_family_code=wish.plan_family_code or wish.code,
        version=wish.version,
        name=wish.name,
        description=wish.description,
        applies_to=wish.applies_to,
        is_active=wish.is_active,
        metadata_json=wish.metadata_json,
    )
    try:
        with transaction.atomic():  # two unique indexes may refuse it, and both mean the same to the caller
            plan.save(force_insert=True)
    except IntegrityError as error:
        raise PlanCodeExists() from error
    return plan


def sell_at(plan: Plan, price: Price) -> str | None:
    """Make a price the one that a plan is sold at; gives the id of the one before, or PriceMapped.

    The plan's row is locked or new, so two changes cannot leave two sellable prices.
    """
    sold_at = PlanPrice.objects.filter(SELLABLE, plan=plan, provider=price.provider)
    before = sold_at.values_list("provider_price_id", flat=True).first()
    if before == price.provider_price_id:
        return before
    sold_at.update(is_active=False)
    made = PlanPrice(
        plan=plan,
        provider=price.provider,
        currency=price.currency,
        unit_amount_minor=price.unit_amount_minor,
        provider_product_id=price.provider_product_id,
        provider_price_id=price.provider_price_id,
    )
    if not rows.insert_once(made, target=("provider", "provider_price_id")):
        _sell_again(plan, price)
    return before


def _sell_again(plan: Plan, price: Price) -> None:
    """Go back to a price at which the plan was sold before."""
    known = PlanPrice.objects.get(provider=price.provider, provider_price_id=price.provider_price_id)
    if known.plan_id != plan.pk or (known.billing_component, known.usage_type) != ("base", "licensed"):
        raise PriceMapped()
    PlanPrice.objects.filter(pk=known.pk).update(is_active=True)


def grant(plan: Plan, wishes: Sequence[EntitlementWish]) -> None:
    """Let a plan grant exactly these, which `require_entitlements` has let pass."""
    codes = [wish.code for wish in wishes]
    Entitlement.objects.filter(plan=plan).exclude(code__in=codes).delete()
    for wish in wishes:
        Entitlement.objects.update_or_create(
            plan=plan,
            code=wish.code,
            defaults={"schema_version": wish.schema_version, "value_json": wish.value_json},
        )
