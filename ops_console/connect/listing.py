"""One page of accounts by id, with the counts of everything the filters let through."""

import datetime as dt
from dataclasses import dataclass
from urllib.parse import urlencode

from django.db.models import Count, Min, Q
from django.urls import reverse

from moneyrails.models import ConnectAccount, MoneyRailControls
from moneyrails.queries import connect as queries
from ops_console import cursors, words
from ops_console.connect import requirements, standing
from ops_console.connect.filters import KYB, Filters, accounts
from ops_console.payouts.listing import Total
from settld.core import money
from settld.core.hashing import canonical_hash

ROWS = 50


@dataclass(frozen=True)
class Row:
    """One account in the list."""

    href: str
    account_id: str
    is_default: bool
    party_id: str
    party_role: str
    status: str
    status_tone: str
    disabled_by: str
    kyb: str
    kyb_tone: str
    asked: str
    asked_note: str
    waiting: str
    waiting_href: str
    is_held_up: bool
    synced: str
    sync_problem: str


@dataclass(frozen=True)
class Listing:
    """The page; `version` names what it shows, so that an unchanged page need not be sent again."""

    rows: list[Row]
    totals: list[Total]
    pager: cursors.Pager
    summary: str
    notice: str
    empty_title: str
    empty_text: str
    live_href: str
    version: str


def href_of(account_id: str) -> str:
    """Name the page of an account."""
    return f"{reverse('console:connect')}/{account_id}"


def build(*, tenant_id: str, filters: Filters, after: str, now: dt.datetime) -> Listing:
    """Read a page in a fixed number of queries."""
    controls = MoneyRailControls.objects.filter(tenant_id=tenant_id).first()
    is_enabled = controls is not None and controls.connect_enabled
    matching = accounts(tenant_id=tenant_id, filters=filters).order_by("account_id")
    found = list((matching.filter(account_id__gt=after) if after else matching)[: ROWS + 1])
    has_more, found = len(found) > ROWS, found[:ROWS]
    waiting = standing.waiting_for(tenant_id=tenant_id, account_ids=[row.account_id for row in found])
    rows = [
        _row(row, waiting.get(row.account_id, standing.Waiting()), is_enabled=is_enabled, now=now)
        for row in found
    ]
    totals, summary = _counts(tenant_id=tenant_id, filters=filters, is_enabled=is_enabled, now=now)
    path, kept = reverse("console:connect"), filters.parameters()
    next_href = f"{path}?{urlencode({**kept, 'after': found[-1].account_id})}" if has_more else ""
    version = canonical_hash([str(rows), str(totals), summary, is_enabled])[:16]
    place = {"after": after} if after else {}
    return Listing(
        rows=rows,
        totals=totals,
        pager=cursors.Pager(
            note=f"{words.count(len(rows), 'account')} on this page",
            previous_href=f"{path}?{urlencode(kept)}" if after else "",
            next_href=next_href,
        ),
        summary=summary,
        notice=""
        if is_enabled
        else "Connect is not enabled: a payout over Stripe goes to whatever account its request names,"
        " whether it stands here or not.",
        empty_title="No account matches" if filters.is_set or after else "No accounts yet",
        empty_text="Widen the filters, or clear them."
        if filters.is_set or after
        else "Add the connected accounts that your parties are paid to. Each is then looked at by itself.",
        live_href=f"{path}?{urlencode({**kept, **place, 'version': version})}",
        version=version,
    )


def _row(row: ConnectAccount, waiting: standing.Waiting, *, is_enabled: bool, now: dt.datetime) -> Row:
    status, status_tone = standing.status_of(row)
    kyb, kyb_tone = standing.kyb_of(row)
    asked, note = _asked(row)
    is_held_up = bool(is_enabled and waiting.count and queries.obstacles(row, now=now))
    return Row(
        href=href_of(row.account_id),
        account_id=row.account_id,
        is_default=row.is_default,
        party_id=row.party_id,
        party_role=words.label(row.party_role),
        status="Active" if row.status == "active" else "Disabled",
        status_tone=status_tone,
        disabled_by="" if row.status == "active" else status.removeprefix("Disabled "),
        kyb=kyb,
        kyb_tone=kyb_tone,
        asked=asked,
        asked_note=note,
        waiting=f"{money.show(waiting.cents, 'USD')} in {waiting.count:,}" if waiting.count else "",
        waiting_href=standing.payouts_href(row.account_id) if waiting.count else "",
        is_held_up=is_held_up,
        synced=standing.looked(row, now=now),
        sync_problem=str((row.kyb_last_sync_error or {}).get("message", "")),
    )


def _asked(row: ConnectAccount) -> tuple[str, str]:
    """Say what Stripe waits for, the most pressing first, and how it stands."""
    if row.kyb_currently_due:
        is_late = bool((row.provider_facts or {}).get("pastDue"))
        return requirements.short(row.kyb_currently_due), "Overdue" if is_late else "Due"
    if row.kyb_pending_verification:
        return requirements.short(row.kyb_pending_verification), "Being checked"
    if row.kyb_disabled_reason:
        return requirements.reason(row.kyb_disabled_reason), ""
    if row.kyb_status == "restricted":
        return requirements.NOTHING_HANDED_IN, "Due"
    return "", ""


def _counts(
    *, tenant_id: str, filters: Filters, is_enabled: bool, now: dt.datetime
) -> tuple[list[Total], str]:
    """Count the accounts by what Stripe's checks came to, over every page, and sum the workspace up."""
    path = reverse("console:connect")
    every_kyb = Filters(**{**filters.__dict__, "kyb": ""})
    by_kyb = dict(
        accounts(tenant_id=tenant_id, filters=every_kyb)
        .values_list("kyb_status")
        .annotate(count=Count("pk"))
        .order_by()
    )

    def total(kyb: str, label: str, count: int) -> Total:
        href = f"{path}?{urlencode(filters.parameters(kyb=kyb))}"
        return Total(label, f"{count:,}", "", href, is_chosen=kyb == filters.kyb)

    chips = [total("", "All", sum(by_kyb.values()))]
    for kyb, label in KYB.items():
        count = by_kyb.get("" if kyb == "none" else kyb, 0)
        if count or kyb == filters.kyb:
            chips.append(total(kyb, label, count))
    return chips, _summary(tenant_id=tenant_id, is_enabled=is_enabled, now=now)


def _summary(*, tenant_id: str, is_enabled: bool, now: dt.datetime) -> str:
    told = ConnectAccount.objects.filter(tenant_id=tenant_id).aggregate(
        total=Count("pk"),
        payable=Count(
            "pk",
            filter=Q(status="active", payouts_enabled=True, transfers_enabled=True)
            & ~Q(kyb_status="rejected"),
        ),
        never=Count("pk", filter=Q(kyb_last_sync_at=None)),
        failing=Count("pk", filter=Q(kyb_last_sync_error__isnull=False)),
        oldest=Min("kyb_last_sync_at"),
        default=Min("account_id", filter=Q(is_default=True)),
    )
    if not told["total"]:
        return ""
    parts = [f"{told['payable']:,} of {words.count(told['total'], 'account')} may be paid"]
    if told["oldest"]:
        parts.append(f"oldest look {standing.ago(told['oldest'], now=now)}")
    if told["never"]:
        parts.append(f"{told['never']:,} never looked at")
    if told["failing"]:
        parts.append(f"{told['failing']:,} whose last look failed")
    if is_enabled:
        parts.append(f"default {told['default']}" if told["default"] else "no default")
    return ", ".join(parts)
