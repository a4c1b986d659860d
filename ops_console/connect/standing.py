"""How an account stands: its badges, what keeps it from being paid, and the payouts that wait for that."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Count, QuerySet, Sum
from django.urls import reverse

from moneyrails.models import ConnectAccount, Operation
from moneyrails.queries.connect import PREFIX
from ops_console import words
from ops_console.connect import requirements
from ops_console.connect.filters import KYB, STATUSES

KYB_TONES: Final[dict[str, str]] = {
    "verified": "good", "pending": "warn", "restricted": "warn", "rejected": "bad", "unknown": "quiet",
    "": "quiet",
}  # fmt: skip


@dataclass(frozen=True)
class Waiting:
    """Payouts that are not submitted yet and go to one account."""

    count: int = 0
    cents: int = 0


def status_of(row: ConnectAccount) -> tuple[str, str]:
    """Give the status and its tone."""
    if row.status == "active":
        return STATUSES["active"], "good"
    return STATUSES[row.disabled_by], "bad" if row.disabled_by == "provider" else "quiet"


def ago(instant: dt.datetime, *, now: dt.datetime) -> str:
    """Write how long ago something was; the first minute is one step, so that a page does not tick."""
    is_fresh = now - instant < dt.timedelta(minutes=1)
    return "just now" if is_fresh else f"{words.age(instant, now=now)} ago"


def looked(row: ConnectAccount, *, now: dt.datetime) -> str:
    """Say when the account was last looked at."""
    said = ago(row.kyb_last_sync_at, now=now) if row.kyb_last_sync_at else "never"
    return said[:1].upper() + said[1:]


def kyb_of(row: ConnectAccount) -> tuple[str, str]:
    """Give what Stripe's checks came to, and its tone."""
    return KYB[row.kyb_status or "none"], KYB_TONES[row.kyb_status]


def obstacle(name: str, row: ConnectAccount) -> str:
    """Say one thing that keeps payouts from going to an account."""
    return {
        "disabled": f"{status_of(row)[0]}.",
        "payouts_off": "Stripe does not let it pay out, or an operator switched that off.",
        "transfers_off": "Its transfers capability is not active, or an operator switched that off.",
        "kyb_rejected": f"{requirements.reason(row.kyb_disabled_reason)}."
        if row.kyb_disabled_reason
        else "Stripe rejected it.",
        "sync_too_old": "Its last good look is older than"
        f" {words.count(settings.CONNECT_MAX_SYNC_AGE_SECONDS, 'second')}.",
    }[name]


def waiting_for(*, tenant_id: str, account_ids: Iterable[str]) -> dict[str, Waiting]:
    """Count the initiated payouts over Stripe that go to some accounts, in one query."""
    refs = [f"{PREFIX}{account_id}" for account_id in account_ids]
    rows = (
        initiated(tenant_id=tenant_id)
        .filter(counterparty_ref__in=refs)
        .values_list("counterparty_ref")
        .annotate(count=Count("pk"), cents=Sum("amount_cents"))
        .order_by()
    )
    return {ref.removeprefix(PREFIX): Waiting(count, int(cents)) for ref, count, cents in rows}


def initiated(*, tenant_id: str) -> QuerySet[Operation]:
    """Select the payouts over Stripe that are not submitted yet."""
    return Operation.objects.filter(
        tenant_id=tenant_id, state="initiated", direction="payout", provider_mode="production"
    )


def payouts_href(account_id: str) -> str:
    """Name the list of the payouts that wait for an account."""
    parameters = {"state": "initiated", "q": f"{PREFIX}{account_id}"}
    return f"{reverse('console:payouts')}?{urlencode(parameters)}"
