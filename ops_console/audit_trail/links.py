"""Where an audit row leads: the page of what it is about, when the console has one."""

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote, urlencode

from django.urls import NoReverseMatch, reverse

Details = Mapping[str, object]


def href(target_type: str, target_id: str, details: Details) -> str:
    """Give the address of a target's page; blank when there is none, or its id fits no address."""
    lead = LEADS.get(target_type)
    try:
        return lead(target_id, details) if lead else ""
    except NoReverseMatch:
        return ""


def _text(details: Details, name: str) -> str:
    value = details.get(name)
    return value if isinstance(value, str) else ""


def _operation(target_id: str, details: Details) -> str:
    provider_id = _text(details, "providerId")
    if not provider_id:
        return ""
    return f"/console/payouts/{quote(provider_id, safe=':')}/{quote(target_id, safe=':')}"


def _approval(target_id: str, details: Details) -> str:
    return reverse("console:approval", args=[target_id])


def _case(target_id: str, details: Details) -> str:
    return reverse("console:mismatch", args=[target_id])


def _batch(target_id: str, details: Details) -> str:
    return reverse("console:mismatch-batch", args=[target_id])


def _account(target_id: str, details: Details) -> str:
    return reverse("console:connect-account", args=[target_id])


def _controls(target_id: str, details: Details) -> str:
    return reverse("console:controls")


def _month(target_id: str, details: Details) -> str:
    return f"{reverse('console:statements')}?{urlencode({'period': _text(details, 'month')})}"


def _statement(target_id: str, details: Details) -> str:
    wanted = {name: _text(details, key) for name, key in (("period", "period"), ("party", "partyId"))}
    chosen = {name: value for name, value in wanted.items() if value}
    return f"{reverse('console:statements')}?{urlencode(chosen)}" if chosen else ""


def _report(target_id: str, details: Details) -> str:
    return reverse("console:reconciliation-report", args=[target_id])


def _import(target_id: str, details: Details) -> str:
    return reverse("console:statements-import")


LEADS: Final[dict[str, Callable[[str, Details], str]]] = {
    "approval": _approval,
    "billing_plan": _controls,
    "money_rail_controls": _controls,
    "money_rail_operation": _operation,
    "month_close": _month,
    "party_statement": _statement,
    "payout": _statement,
    "reconcile_report": _report,
    "reconciliation_triage": _case,
    "reconciliation_triage_batch": _batch,
    "statement_import": _import,
    "stripe_connect_account": _account,
}
