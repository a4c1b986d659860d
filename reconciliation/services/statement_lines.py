"""Filing what a provider says it moved: whose transfer is it, of which month, and is that news?"""

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from django.conf import settings
from django.db import connection

from moneyrails.models import ConnectAccount
from reconciliation.models import ProviderTransfer
from reconciliation.states import Attribution
from settld.api.requests import DEFAULT_TENANT
from settld.core import clock, failpoints, ids, money, tenancy, transactions
from settld.core.hashing import canonical_hash
from settld.stripe_gateway.answers import Transfer
from settld.tenants.models import Tenant

log = structlog.get_logger(__name__)
PAYOUT_KEY: Final = re.compile(
    r".+:party:.+:period:(?P<period>\d{4}-(?:0[1-9]|1[0-2])):statement:.+", re.DOTALL
)
MOST: Final = 900  # characters of a name that we keep; a longer one is none of ours
BATCH: Final = 500
TOLD: Final = (
    "provider_id", "period", "payout_key", "operation_ref", "amount_cents", "amount_reversed_cents",
    "currency", "destination", "transfer_group", "provider_created_at", "reversed_at", "attributed_by",
)  # fmt: skip
_COUNT_ON: Final = """
INSERT INTO provider_statement_period AS known
  (id, tenant_id, provider_id, period, revision, compared_revision, changed_at)
VALUES (%s, %s, %s, %s, 1, 0, %s)
ON CONFLICT (tenant_id, provider_id, period)
DO UPDATE SET revision = known.revision + 1, changed_at = EXCLUDED.changed_at
"""


@dataclass(frozen=True)
class Filed:
    """What filing a page changed."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0


@dataclass(frozen=True)
class _Known:
    """A line as it was filed before."""

    tenant_id: str
    provider_id: str
    period: str
    content_hash: str


def statement_providers() -> list[str]:
    """Name the providers whose transfers Stripe's statement holds, by id."""
    providers = settings.MONEY_RAILS.providers.values()
    return sorted(entry.provider_id for entry in providers if entry.is_stripe and entry.is_production)


def file(transfers: Sequence[Transfer], *, now: dt.datetime) -> Filed:
    """Keep the newest word about some transfers, each in its tenant's own transaction; safe to repeat.

    The caller holds the pull's lock, so nobody else files meanwhile. A transfer told twice counts once,
    with its later telling.
    """
    distinct = {transfer.id: transfer for transfer in transfers if _is_storable(transfer)}
    known = _known(distinct)
    lines = _lines(list(distinct.values()), now=now)
    fresh: dict[str, list[ProviderTransfer]] = defaultdict(list)
    moved: dict[str, list[_Known]] = defaultdict(list)
    moved_ids: dict[str, list[str]] = defaultdict(list)
    filed = {"new": 0, "changed": 0, "unchanged": 0}
    for line in lines:
        holders = known[line.transfer_id]
        if [(before.tenant_id, before.content_hash) for before in holders] == [
            (line.tenant_id, line.content_hash)
        ]:
            filed["unchanged"] += 1
            continue
        filed["changed" if holders else "new"] += 1
        fresh[line.tenant_id].append(line)
        for before in holders:
            moved[before.tenant_id].append(before)
            if before.tenant_id != line.tenant_id:
                moved_ids[before.tenant_id].append(line.transfer_id)
    for tenant_id in sorted({*fresh, *moved}):
        with tenancy.tenant_scope(tenant_id), transactions.atomic(durable=True):
            _keep(tenant_id, fresh[tenant_id], moved[tenant_id], moved_ids[tenant_id], now=now)
            failpoints.hit("statement.before_commit")
        failpoints.hit("statement.after_commit")
    return Filed(**filed)


def _is_storable(transfer: Transfer) -> bool:
    """Tell whether a line has the size of something real and can be kept; what has not is for the log."""
    amounts = (transfer.amount, transfer.amount_reversed)
    is_real = all(money.is_minor(amount) and amount >= 0 for amount in amounts) and len(transfer.id) <= 255
    texts = (transfer.id, transfer.currency, transfer.destination, transfer.transfer_group or "")
    is_real = is_real and not any("\x00" in text for text in texts)
    if not is_real:
        log.error("provider_statement_line_refused", transfer_id=transfer.id[:255])
    return is_real


def _keep(
    tenant_id: str,
    lines: list[ProviderTransfer],
    earlier: list[_Known],
    withdrawn: list[str],
    *,
    now: dt.datetime,
) -> None:
    ProviderTransfer.objects.filter(tenant_id=tenant_id, transfer_id__in=withdrawn).update(
        withdrawn_at=now, changed_at=now
    )
    ProviderTransfer.objects.bulk_create(
        lines,
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["tenant_id", "transfer_id"],
        update_fields=[*TOLD, "content_hash", "changed_at", "withdrawn_at"],
    )
    # The month that a line left has changed as much as the one it came to.
    subjects = {(line.provider_id, line.period) for line in lines}
    subjects |= {(line.provider_id, line.period) for line in earlier}
    with connection.cursor() as cursor:
        for provider_id, period in sorted(subjects):
            cursor.execute(_COUNT_ON, [ids.uuid7(), tenant_id, provider_id, period, now])


def _known(transfer_ids: Iterable[str]) -> dict[str, list[_Known]]:
    """Give every standing line of some transfers: two, when a crash came between an owner and the next."""
    known: dict[str, list[_Known]] = defaultdict(list)
    with tenancy.platform_scope(reason="provider statement: whose lines are these"), transactions.atomic():
        rows = ProviderTransfer.objects.filter(transfer_id__in=list(transfer_ids), withdrawn_at__isnull=True)
        names = ("transfer_id", "tenant_id", "provider_id", "period", "content_hash")
        for transfer_id, *rest in rows.values_list(*names):
            known[transfer_id].append(_Known(*rest))
    return known


# --- Whose, and of which month --------------------------------------------------------------------
def _lines(transfers: list[Transfer], *, now: dt.datetime) -> list[ProviderTransfer]:
    named = {_told(transfer, "tenant_id") for transfer in transfers} - {""}
    tenants = set(Tenant.objects.filter(tenant_id__in=named).values_list("tenant_id", flat=True))
    accounts = _account_owners({transfer.destination for transfer in transfers})
    providers = statement_providers()
    return [_line(transfer, tenants, accounts, providers, now=now) for transfer in transfers]


def _account_owners(destinations: set[str]) -> dict[str, str]:
    """Name the tenant of each account; an account that several tenants use names none."""
    owners: dict[str, set[str]] = defaultdict(set)
    with tenancy.platform_scope(reason="provider statement: whose account is this"), transactions.atomic():
        rows = ConnectAccount.objects.filter(account_id__in=list(destinations))
        for account_id, tenant_id in rows.values_list("account_id", "tenant_id"):
            owners[account_id].add(tenant_id)
    return {account: next(iter(found)) for account, found in owners.items() if len(found) == 1}


def _line(
    transfer: Transfer, tenants: set[str], accounts: dict[str, str], providers: list[str], *, now: dt.datetime
) -> ProviderTransfer:
    tenant_id, attribution = _owner(transfer, tenants, accounts)
    key = payout_key(transfer, tenant_id=tenant_id)
    found = PAYOUT_KEY.fullmatch(key)
    claimed = _told(transfer, "provider_id")
    line = ProviderTransfer(
        tenant_id=tenant_id,
        provider_id=claimed if claimed in providers else default_statement_provider(providers),
        transfer_id=transfer.id,
        period=found["period"] if found else clock.period_of(transfer.created_at),
        payout_key=key,
        operation_ref=_told(transfer, "operation_id")[:MOST],
        amount_cents=transfer.amount,
        amount_reversed_cents=transfer.amount_reversed,
        currency=transfer.currency.upper()[:10],
        destination=transfer.destination[:255],
        transfer_group=(transfer.transfer_group or "")[:MOST],
        provider_created_at=transfer.created_at,
        reversed_at=_reversed_at(transfer, now=now),
        attributed_by=attribution.value,
        first_seen_at=now,
        changed_at=now,
    )
    told = {name: getattr(line, name) for name in TOLD}
    line.content_hash = canonical_hash(
        {name: clock.iso(value) if isinstance(value, dt.datetime) else value for name, value in told.items()}
    )
    return line


def _owner(transfer: Transfer, tenants: set[str], accounts: dict[str, str]) -> tuple[str, Attribution]:
    """Our metadata decides, then the account it went to; what nobody claims is the default tenant's."""
    if (claimed := _told(transfer, "tenant_id")) in tenants:
        return claimed, Attribution.METADATA
    if owner := accounts.get(transfer.destination):
        return owner, Attribution.ACCOUNT
    return DEFAULT_TENANT, Attribution.DEFAULT


def payout_key(transfer: Transfer, *, tenant_id: str) -> str:
    """Name the payout that a transfer says it pays; blank when it names none of this tenant's."""
    told = _told(transfer, "payout_key"), _told(transfer, "operation_id").removeprefix("mop_")
    for key in (*told, transfer.transfer_group or ""):
        if len(key) <= MOST and key.startswith(f"{tenant_id}:party:") and PAYOUT_KEY.fullmatch(key):
            return key
    return ""


def default_statement_provider(providers: list[str]) -> str:
    """Name the provider that a transfer belongs to which names none."""
    default = str(settings.MONEY_RAILS.default_provider_id)
    return default if default in providers else next(iter(providers), default)


def _told(transfer: Transfer, name: str) -> str:
    return transfer.metadata.get(f"settld_{name}", "").replace("\x00", "").strip()


def _reversed_at(transfer: Transfer, *, now: dt.datetime) -> dt.datetime | None:
    """Give the provider's time of the newest reversal; it embeds the newest ones in the transfer."""
    if not transfer.amount_reversed:
        return None
    embedded = transfer.raw.get("reversals")
    rows = embedded.get("data") if isinstance(embedded, dict) else None
    made = [
        row["created"] for row in rows or () if isinstance(row, dict) and isinstance(row.get("created"), int)
    ]
    return dt.datetime.fromtimestamp(max(made), dt.UTC) if made else transfer.created_at
