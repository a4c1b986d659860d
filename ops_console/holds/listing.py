"""One page of holds, newest first."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.urls import reverse

from ops_console import cursors, words
from ops_console.addresses import Address
from ops_console.journal import links
from settld.core import money
from settld.kernel.models import FundingHold

STATUSES: Final = {"held": "Held", "released": "Released", "refunded": "Refunded"}
TONES: Final = {"held": "warn", "released": "good", "refunded": "quiet"}


@dataclass(frozen=True)
class Row:
    """One hold."""

    hold_hash: str
    agreement_hash: str
    payer: str
    payer_href: str
    payee: str
    payee_href: str
    held: str
    of: str
    status: str
    tone: str
    window: str
    created_at: str
    entry_href: str


@dataclass(frozen=True)
class Listing:
    """The page."""

    rows: list[Row]
    pager: cursors.Pager
    status: str
    statuses: list[tuple[str, str, bool]]
    faults: list[str]


def build(
    *, tenant_id: str, parameters: Mapping[str, str], place: cursors.Cursor | None, now: dt.datetime
) -> Listing:
    """Read a page in one query, whatever its depth."""
    address = Address(parameters)
    status = address.one_of("status", tuple(STATUSES), "state of a hold")
    holds = FundingHold.objects.filter(tenant_id=tenant_id)
    if status:
        holds = holds.filter(status=status)
    page = cursors.slice_of(holds, by="created_at", place=place)
    return Listing(
        rows=[_row(hold, now=now) for hold in page.rows],
        pager=cursors.pager(
            page,
            path=reverse("console:holds"),
            parameters={"status": status} if status else {},
            note=f"{words.count(len(page.rows), 'hold')} on this page",
        ),
        status=status,
        statuses=[(value, label, value == status) for value, label in STATUSES.items()],
        faults=address.faults,
    )


def _row(hold: FundingHold, *, now: dt.datetime) -> Row:
    moment = words.moment(hold.window_ends_at)
    window = f"Until {moment}" if now <= hold.window_ends_at else f"Ended {moment}"
    return Row(
        hold_hash=hold.hold_hash,
        agreement_hash=hold.agreement_hash,
        payer=hold.payer_agent_id,
        payer_href=links.agent_href(hold.payer_agent_id),
        payee=hold.payee_agent_id,
        payee_href=links.agent_href(hold.payee_agent_id),
        held=money.show(hold.held_cents, hold.currency),
        of=f"{hold.holdback_bps / 100:g} % of {money.show(hold.amount_cents, hold.currency)}",
        status=STATUSES[hold.status],
        tone=TONES[hold.status],
        window=window if hold.status == "held" else f"Resolved {words.moment(hold.resolved_at)}",
        created_at=words.moment(hold.created_at),
        entry_href=links.entry_href(f"escrow_hold_tc_{hold.agreement_hash}") if hold.held_cents else "",
    )
