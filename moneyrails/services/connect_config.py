"""The Connect part of the controls: a tenant's accounts, and its default (spec 2.5, 2.9)."""

import datetime as dt
from typing import Any

from moneyrails.models import ConnectAccount, MoneyRailControls
from moneyrails.services.controls_payload import AccountPart, ConnectPart, Part, fault
from settld.core import clock


def apply(controls: MoneyRailControls, wanted: ConnectPart | Part | None, *, now: dt.datetime) -> None:
    """Bring accounts and default to what a plan payload asks; the caller holds the controls exclusively.

    Missing parts stay. Accounts keep what the provider said of them (KYB); those no longer named go.
    """
    if isinstance(wanted, Part):
        return
    controls.connect_updated_at = now
    controls.has_connect = wanted is not None
    controls.connect_enabled = wanted.enabled if wanted else False
    if wanted is None:
        ConnectAccount.objects.filter(tenant_id=controls.tenant_id).delete()
        return
    if not isinstance(wanted.accounts, Part):
        _replace_accounts(controls.tenant_id, wanted.accounts, now=now)
    if not isinstance(wanted.default_account_id, Part):
        _set_default(controls.tenant_id, wanted.default_account_id)


def require_default(controls: MoneyRailControls, wanted: ConnectPart | Part | None) -> None:
    """Refuse a default that would name no account, before anything is changed or kept for later."""
    if not isinstance(wanted, ConnectPart) or not isinstance(wanted.default_account_id, str):
        return
    if isinstance(wanted.accounts, Part):
        rows = ConnectAccount.objects.filter(tenant_id=controls.tenant_id)
        is_there = rows.filter(account_id=wanted.default_account_id).exists()
    else:
        is_there = wanted.default_account_id in {part.account_id for part in wanted.accounts}
    if not is_there:
        raise fault("connect.defaultAccountId must name an account")


def reset(controls: MoneyRailControls) -> None:
    """Bring back the defaults: not enabled, no accounts; the caller holds the controls exclusively."""
    controls.has_connect, controls.connect_enabled, controls.connect_updated_at = True, False, None
    ConnectAccount.objects.filter(tenant_id=controls.tenant_id).delete()


def _replace_accounts(tenant_id: str, wanted: tuple[AccountPart, ...], *, now: dt.datetime) -> None:
    rows = ConnectAccount.objects.select_for_update().filter(tenant_id=tenant_id)
    known = {row.account_id: row for row in rows.order_by("account_id")}
    named = {part.account_id for part in wanted}
    ConnectAccount.objects.filter(tenant_id=tenant_id).exclude(account_id__in=named).delete()
    # Parties may change places between accounts, and one account per party is a rule of the table.
    ConnectAccount.objects.filter(tenant_id=tenant_id).update(party_id="")
    for part in wanted:
        row = known.get(part.account_id)
        if row is None:
            row = ConnectAccount(tenant_id=tenant_id, account_id=part.account_id, created_at=now)
        if part.status != row.status:
            row.disabled_by = "operator" if part.status == "disabled" else ""
        row.party_id, row.party_role, row.status = part.party_id, part.party_role, part.status
        row.payouts_enabled, row.transfers_enabled = part.payouts_enabled, part.transfers_enabled
        row.updated_at = now
        row.save()


def _set_default(tenant_id: str, account_id: str | None) -> None:
    rows = ConnectAccount.objects.filter(tenant_id=tenant_id)
    rows.filter(is_default=True).update(is_default=False)
    if account_id is not None and rows.filter(account_id=account_id).update(is_default=True) != 1:
        raise fault("connect.defaultAccountId must name an account")


def as_json(controls: MoneyRailControls, accounts: list[ConnectAccount]) -> dict[str, Any]:
    """Shape the configuration for the wire (`MoneyRailConnectConfig.v1`), accounts by id."""
    default = next((row.account_id for row in accounts if row.is_default), None)
    return {
        "schemaVersion": "MoneyRailConnectConfig.v1",
        "enabled": controls.connect_enabled,
        "defaultAccountId": default,
        "accounts": [account_json(row) for row in accounts],
        "updatedAt": clock.iso(controls.connect_updated_at),
    }


def account_json(row: ConnectAccount) -> dict[str, Any]:
    """Shape one account (`MoneyRailConnectAccount.v1`)."""
    return {
        "schemaVersion": "MoneyRailConnectAccount.v1",
        "accountId": row.account_id,
        "partyId": row.party_id or None,
        "partyRole": row.party_role or None,
        "payoutsEnabled": row.payouts_enabled,
        "transfersEnabled": row.transfers_enabled,
        "status": row.status,
        "kybStatus": row.kyb_status or None,
        "kybCurrentlyDue": row.kyb_currently_due,
        "kybPendingVerification": row.kyb_pending_verification,
        "kybDisabledReason": row.kyb_disabled_reason or None,
        "kybLastSyncAt": clock.iso(row.kyb_last_sync_at),
        "kybLastSyncError": row.kyb_last_sync_error,
        "updatedAt": clock.iso(row.updated_at),
    }
