"""Bringing Connect accounts up to date with the provider when somebody asks (spec 2.5, Sync).

Read who is meant, look at the provider with no transaction open, write down what still counts.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from moneyrails.models import ConnectAccount
from moneyrails.queries import connect, payout_facts
from moneyrails.rails import providers
from moneyrails.rails import stripe as stripe_rail
from moneyrails.rails.providers import ProviderNotFound
from moneyrails.services import connect_config, connect_facts, connect_looks
from moneyrails.services.connect_facts import Seen
from moneyrails.services.connect_looks import Ask, Look
from moneyrails.services.replies import Memory, NoMemory
from moneyrails.services.submit_conditions import SecretKeyRequired
from settld.audit import services as audit
from settld.core import failpoints, transactions
from settld.core.errors import Invalid
from settld.core.principals import Actor

MOST_TARGETS: Final = 200
BUDGET_SECONDS: Final = 40.0
NOT_CONFIGURED: Final = "stripe connect account is not configured"
OUT_OF_TIME: Final = "the provider was not asked: the sync ran out of time"


class NotAStripeProvider(Invalid):
    """Only Stripe has Connect accounts."""

    message = "stripe connect sync requires a stripe provider"


class SyncInvalid(Invalid):
    """The accounts named are no list of accounts, or too many."""

    message = "invalid stripe connect sync payload"


@dataclass(frozen=True)
class Synced:
    """The answer: a result per target, in the order asked for, and the configuration afterwards."""

    provider_id: str
    is_dry_run: bool
    results: list[dict[str, Any]]
    connect: dict[str, Any]

    @property
    def summary(self) -> dict[str, int]:
        """Count the results."""
        synced = sum(result["ok"] for result in self.results)
        return {
            "requestedCount": len(self.results),
            "syncedCount": synced,
            "failedCount": len(self.results) - synced,
        }


def sync(
    *,
    tenant_id: str,
    provider_id: str,
    account_ids: list[str],
    is_dry_run: bool,
    actor: Actor,
    now: dt.datetime,
    memory: Memory[Synced] | None = None,
    ask: Ask | None = None,
) -> Synced:
    """Look at the named accounts, or at all, and write down what is seen; a dry run writes the audit only.

    One account's failure is its own result. Raises NotAStripeProvider, ProviderNotFound,
    SecretKeyRequired or SyncInvalid: nobody was asked. Must not run inside a transaction.
    """
    transactions.require_no_transaction()
    memory = memory or NoMemory()
    targets, seen = _begin(
        tenant_id=tenant_id, provider_id=provider_id, account_ids=account_ids, memory=memory
    )
    failpoints.hit("connect_sync.before_call")
    asked = [account_id for account_id in targets if account_id in seen]
    looks = connect_looks.look_at(asked, budget_seconds=BUDGET_SECONDS, ask=ask)
    failpoints.hit("connect_sync.after_call")
    with transactions.atomic(durable=True):
        memory.recall()
        done = _write(
            targets, seen, looks, tenant_id=tenant_id, provider_id=provider_id, is_dry_run=is_dry_run,
            actor=actor, now=now,
        )  # fmt: skip
        memory.keep(done)
        failpoints.hit("connect_sync.before_commit")
    failpoints.hit("connect_sync.after_commit")
    return done


def _begin(
    *, tenant_id: str, provider_id: str, account_ids: list[str], memory: Memory[Synced]
) -> tuple[list[str], dict[str, Seen]]:
    """Find out who is meant and how their rows stand; a repeat ends here with its stored reply."""
    with transactions.atomic(durable=True):
        memory.recall()
        _require_stripe(provider_id)
        rows = ConnectAccount.objects.filter(tenant_id=tenant_id)
        if account_ids:
            rows = rows.filter(account_id__in=account_ids)
        known = list(rows.order_by("account_id")[: MOST_TARGETS + 1])
    targets = account_ids or [row.account_id for row in known]
    if len(targets) > MOST_TARGETS:
        raise SyncInvalid(details={"message": f"at most {MOST_TARGETS} accounts can be synced at once"})
    return targets, {row.account_id: Seen(tenant_id, row) for row in known}


def _require_stripe(provider_id: str) -> None:
    if not provider_id.lower().startswith("stripe"):
        raise NotAStripeProvider(details={"providerId": provider_id})
    if provider_id not in providers.all_providers():
        raise ProviderNotFound()
    if not stripe_rail.is_configured():
        raise SecretKeyRequired(details={"providerId": provider_id})


def _write(
    targets: list[str],
    seen: dict[str, Seen],
    looks: dict[str, Look],
    *,
    tenant_id: str,
    provider_id: str,
    is_dry_run: bool,
    actor: Actor,
    now: dt.datetime,
) -> Synced:
    controls = payout_facts.lock_controls(tenant_id=tenant_id, now=now)
    locked = {row.account_id: row for row in _lock(tenant_id=tenant_id, account_ids=list(seen))}
    results = []
    for account_id in targets:
        row, look = locked.get(account_id), looks.get(account_id)
        if row is None or account_id not in seen:
            results.append(_failed(account_id, "STRIPE_CONNECT_ACCOUNT_NOT_CONFIGURED", NOT_CONFIGURED))
        elif look is None:
            error = connect_looks.not_asked(account_id, OUT_OF_TIME)
            results.append(_failed(account_id, "STRIPE_CONNECT_SYNC_FAILED", error))
        else:
            is_written = is_dry_run or connect_facts.apply(
                row, look, seen=seen[account_id], source="sync", actor=actor, now=now
            )
            results.append(_result(row, look, is_written=is_written))
    rows = connect.accounts(tenant_id=tenant_id)
    done = Synced(provider_id, is_dry_run, results, connect_config.as_json(controls, rows))
    audit.append(
        tenant_id=tenant_id,
        actor=actor,
        action="STRIPE_CONNECT_ACCOUNTS_SYNC",
        target_type="money_rail_provider",
        target_id=provider_id,
        details={"providerId": provider_id, "dryRun": is_dry_run} | done.summary,
        at=now,
    )
    return done


def _lock(*, tenant_id: str, account_ids: list[str]) -> list[ConnectAccount]:
    rows = ConnectAccount.objects.select_for_update().filter(tenant_id=tenant_id, account_id__in=account_ids)
    return list(rows.order_by("account_id"))


def _result(row: ConnectAccount, look: Look, *, is_written: bool) -> dict[str, Any]:
    """Say what the account is like; what a newer sync overtook answers with the newer facts, and says so."""
    if not is_written:
        return _ok(
            row.account_id, payouts=row.payouts_enabled, transfers=row.transfers_enabled,
            status=row.kyb_status or None, due=len(row.kyb_currently_due),
            pending=len(row.kyb_pending_verification), reason=row.kyb_disabled_reason or None,
        ) | {"stale": True}  # fmt: skip
    if look.snapshot is None:
        return _failed(row.account_id, "STRIPE_CONNECT_SYNC_FAILED", look.error)
    shown = look.snapshot
    return _ok(
        row.account_id, payouts=shown.payouts_enabled, transfers=shown.transfers_enabled,
        status=shown.kyb_status, due=len(shown.currently_due), pending=len(shown.pending_verification),
        reason=shown.disabled_reason or None,
    )  # fmt: skip


def _ok(
    account_id: str,
    *,
    payouts: bool,
    transfers: bool,
    status: str | None,
    due: int,
    pending: int,
    reason: str | None,
) -> dict[str, Any]:
    return {
        "accountId": account_id,
        "ok": True,
        "payoutsEnabled": payouts,
        "transfersEnabled": transfers,
        "kybStatus": status,
        "kybCurrentlyDueCount": due,
        "kybPendingVerificationCount": pending,
        "kybDisabledReason": reason,
    }


def _failed(account_id: str, code: str, error: Any) -> dict[str, Any]:
    return {"accountId": account_id, "ok": False, "code": code, "error": error}
