"""The frame round every page: where one is, whose data it is, and whether real money moves."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from billing.services import permissions
from moneyrails.models import MoneyRailControls
from moneyrails.queries import approvals, unknown_outcomes
from ops_console import words
from ops_console.access import Visit
from ops_console.billing_console import guard
from reconciliation.queries import mismatches
from settld.tenants.models import Tenant
from settld.tenants.services import memberships

THEME_COOKIE: Final = "settld_theme"
STRIPE_HOST: Final = "api.stripe.com"


@dataclass(frozen=True)
class NavItem:
    """One workspace in the sidebar."""

    key: str
    label: str
    icon: str
    href: str
    is_current: bool
    count: str = ""


@dataclass(frozen=True)
class NavGroup:
    """Workspaces that serve one purpose; the first group needs no heading."""

    key: str
    label: str
    items: list[NavItem]


@dataclass(frozen=True)
class Band:
    """The coloured line on top."""

    kind: str
    title: str
    text: str
    is_stopped: bool
    stop_note: str = ""


@dataclass(frozen=True)
class Shell:
    """What the frame prints."""

    tenant_id: str
    tenant_name: str
    tenants: list[Tenant]
    nav: list[NavGroup]
    band: Band
    person: str
    role: str
    has_admin: bool
    other_theme: str
    logout_url: str


# In the order in which money goes: what is owed, paid, compared, and ruled over.
WORKSPACES: Final = (
    ("start", "", (("today", "Today", ("ops_read", "finance_read")),)),
    (
        "work",
        "Work",
        (
            ("agents", "Agents", ("ops_read", "finance_read")),
            ("runs", "Runs", ("ops_read", "finance_read")),
            ("holds", "Holds", ("ops_read", "finance_read")),
        ),
    ),
    (
        "pay",
        "Pay",
        (
            ("statements", "Statements", ("finance_read",)),
            ("payouts", "Payouts", ("finance_read",)),
            ("unknown-outcomes", "Unknown outcomes", ("finance_read",)),
            ("connect", "Connect accounts", ("finance_read",)),
        ),
    ),
    (
        "compare",
        "Compare",
        (
            ("journal", "Journal", ("finance_read",)),
            ("reconciliation", "Reconciliation", ("finance_read",)),
            ("mismatches", "Mismatches", ("finance_read",)),
            ("finance", "Finance", ("finance_read",)),
            ("chargebacks", "Chargebacks", ("finance_read",)),
        ),
    ),
    (
        "oversee",
        "Oversee",
        (
            ("controls", "Controls", ("finance_read",)),
            ("approvals", "Approvals", ("finance_read",)),
            ("audit", "Audit", ("ops_read", "audit_read")),
        ),
    ),
    (
        "account",
        "Account",
        (
            ("usage", "Usage", ("finance_read",)),
            ("billing", "Plan and billing", ("ops_read", "finance_read", "audit_read")),
        ),
    ),
)
# Of the whole deployment, for its operators, each by a right of its own.
BILLING_PAGES: Final = (
    ("billing-events", "Events", permissions.EVENTS),
    ("billing-plans", "Plans", permissions.CATALOG),
    ("billing-operations", "Operations", permissions.OPERATIONS),
    ("billing-reports", "Reports", permissions.OPERATIONS),
)
MOST_COUNTED: Final = 99


def _unknown_outcomes(visit: Visit) -> int:
    return unknown_outcomes.count(tenant_id=visit.tenant_id, now=visit.now).total


def _approvals(visit: Visit) -> int:
    return approvals.waiting_count(tenant_id=visit.tenant_id, now=visit.now)


def _mismatches(visit: Visit) -> int:
    return mismatches.open_up_to(MOST_COUNTED + 1, tenant_id=visit.tenant_id)


# What waits for a person, beside the name of its workspace; each is one query over an index.
COUNTS: Final[dict[str, Callable[[Visit], int]]] = {
    "approvals": _approvals,
    "mismatches": _mismatches,
    "unknown-outcomes": _unknown_outcomes,
}


def page(
    request: HttpRequest, visit: Visit, template: str, context: dict[str, Any], *, key: str, status: int = 200
) -> HttpResponse:
    """Render a whole page of a workspace."""
    return render(request, template, {**context, "shell": frame(request, visit, key=key)}, status=status)


def frame(request: HttpRequest, visit: Visit, *, key: str) -> Shell:
    """Build the frame; costs one query for the tenant's controls, and one for each count."""
    controls = MoneyRailControls.objects.filter(tenant_id=visit.tenant_id).first()
    return Shell(
        tenant_id=visit.tenant_id,
        tenant_name=str(visit.tenant),
        tenants=visit.tenants,
        nav=navigation(visit, key=key),
        band=replace(band(controls), stop_note=stop_note(controls, now=visit.now)),
        person=visit.user.get_full_name() or visit.user.get_username(),
        role=role_of(visit),
        has_admin=visit.user.is_staff,
        other_theme="light" if request.COOKIES.get(THEME_COOKIE) == "dark" else "dark",
        logout_url="/logout",
    )


def navigation(visit: Visit, *, key: str) -> list[NavGroup]:
    """Group the workspaces that are open to the person; a group without any is left out."""
    groups = [
        NavGroup(
            name,
            label,
            [
                NavItem(item, title, item, _href(item, visit), item == key, _count(item, visit))
                for item, title, scopes in items
                if visit.may(*scopes) and (item != "billing" or _has_billing(visit))
            ],
        )
        for name, label, items in WORKSPACES
    ]
    return [group for group in [*groups, _deployment_billing(visit, key=key)] if group.items]


def _deployment_billing(visit: Visit, *, key: str) -> NavGroup:
    """Group the pages over all tenants' billing that are open to an operator of the deployment."""
    rights = guard.rights_of(visit)
    items = [
        NavItem(item, title, item, reverse(f"console:{item}"), item == key)
        for item, title, right in BILLING_PAGES
        if right in rights
    ]
    return NavGroup("deployment-billing", "Billing, all tenants", items)


def _href(name: str, visit: Visit) -> str:
    """Give the address of a workspace; the tenant's billing names its tenant."""
    return reverse(f"console:{name}", args=[visit.tenant_id] if name == "billing" else [])


def _has_billing(visit: Visit) -> bool:
    """Tell whether the billing page is the person's: it is the members', whoever else may look around."""
    if not settings.BILLING.enabled:
        return False
    is_staff = bool(visit.user.platform_role)
    return not is_staff or visit.tenant_id in memberships.active_tenants(user=visit.user)


def _count(name: str, visit: Visit) -> str:
    """Write what waits in a workspace; nothing when nothing does, and no more than two digits."""
    waiting = COUNTS[name](visit) if name in COUNTS else 0
    return f"{MOST_COUNTED}+" if waiting > MOST_COUNTED else str(waiting or "")


def role_of(visit: Visit) -> str:
    """Name what the person is here."""
    if visit.user.platform_role:
        return f"Platform {visit.user.platform_role}"
    return "May change money" if visit.may("finance_write") else "Reads only"


def band(controls: MoneyRailControls | None) -> Band:
    """Say whether real money can move for this tenant."""
    is_stopped = controls is not None and controls.payout_kill_switch
    production = [p for p in settings.MONEY_RAILS.providers.values() if p.is_production and p.allow_payout]
    if not production or controls is None or not controls.real_money_enabled:
        why = "real money is off for this tenant" if production else "no provider moves real money"
        return Band("sandbox", "Sandbox", f"{why[0].upper()}{why[1:]}", is_stopped)
    names = ", ".join(provider.provider_id for provider in production)
    host = urlsplit(settings.STRIPE.api_base_url).hostname or ""
    if all(provider.is_stripe for provider in production) and host != STRIPE_HOST:
        return Band(
            "rehearsal",
            "Rehearsal",
            f"{names} is wired to a stand-in at {host}; no bank is reached",
            is_stopped,
        )
    return Band("live", "Live", f"Real money moves through {names}", is_stopped)


def stop_note(controls: MoneyRailControls | None, *, now: dt.datetime) -> str:
    """Say why payouts are stopped, and that somebody should look when the stop has outlived its end."""
    if controls is None or not controls.payout_kill_switch:
        return ""
    note = f": {words.shortened(controls.kill_switch_reason)}" if controls.kill_switch_reason else ""
    return f"{note}. It was meant to end; lift or extend it" if controls.is_stop_overdue(now) else note
