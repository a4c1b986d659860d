"""Configuring Connect accounts: which account is whose, which is the default, which may be paid (spec 2.5).

A change of where money goes is a change of the tenant's rules: it holds the controls exclusively, so that
once it has been answered no payout that missed it is still on its way. An account row is configuration.
Where money went stands in operations, attempts and movements, so a row may be deleted; the audit keeps
every version of it.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError

from moneyrails.models import ConnectAccount, MoneyRailControls
from moneyrails.queries import connect, payout_facts
from moneyrails.services import connect_config
from moneyrails.services.controls_payload import ACCOUNT_ID
from settld.audit import services as audit
from settld.core import failpoints, transactions
from settld.core.errors import Conflict, Invalid, NotFound
from settld.core.principals import Actor

TARGET = "stripe_connect_account"
MOST_ID_LETTERS = 200


class PartyConflict(Conflict):
    """The party has another account; a party maps to one."""

    code = "STRIPE_CONNECT_PARTY_CONFLICT"
    message = "party is already mapped to another stripe connect account"


class AccountInvalid(Invalid):
    """What was sent cannot be an account."""

    message = "invalid stripe connect account payload"


class AccountNotFound(NotFound):
    """The tenant has configured no such account."""

    message = "stripe connect account not found"


@dataclass(frozen=True)
class Wish:
    """What to change of an account; None keeps, an empty party or role takes it away."""

    party_id: str | None = None
    party_role: str | None = None
    status: str | None = None
    payouts_enabled: bool | None = None
    transfers_enabled: bool | None = None
    set_default: bool | None = None
    enable_connect: bool = False


@dataclass(frozen=True)
class Configured:
    """The account after a change, None when it went, and the whole configuration, as the wire shows them."""

    account: dict[str, Any] | None
    connect: dict[str, Any]


def require_account_id(account_id: str) -> None:
    """Refuse what cannot be a Stripe account's id."""
    if len(account_id) > MOST_ID_LETTERS or not ACCOUNT_ID.fullmatch(account_id):
        raise AccountInvalid(details={"message": "accountId must look like acct_..."})


def upsert(*, tenant_id: str, account_id: str, wish: Wish, actor: Actor, now: dt.datetime) -> Configured:
    """Make or change one account; what the provider said of it stays.

    Raises PartyConflict. Runs in the caller's transaction or in its own.
    """
    with transactions.joined():
        controls = payout_facts.lock_controls(tenant_id=tenant_id, now=now, exclusively=True)
        rows = ConnectAccount.objects.select_for_update().filter(tenant_id=tenant_id)
        row = rows.filter(account_id=account_id).first() or ConnectAccount(
            tenant_id=tenant_id, account_id=account_id, created_at=now
        )
        if wish.party_id:
            _require_free(row, wish.party_id)
        _change(row, wish, now=now)
        if wish.set_default:
            ConnectAccount.objects.filter(tenant_id=tenant_id, is_default=True).exclude(pk=row.pk).update(
                is_default=False
            )
        _save(row)
        _touch(controls, is_enabled=wish.enable_connect or controls.connect_enabled, now=now)
        _append(row, actor=actor, now=now)
        failpoints.hit("connect_upsert.before_commit")
        return Configured(connect_config.account_json(row), _connect(controls))


def _require_free(row: ConnectAccount, party_id: str) -> None:
    others = ConnectAccount.objects.filter(tenant_id=row.tenant_id, party_id=party_id)
    taken = others.exclude(account_id=row.account_id).values_list("account_id", flat=True).first()
    if taken is not None:
        raise PartyConflict(details={"partyId": party_id, "conflictingAccountId": taken})


def _change(row: ConnectAccount, wish: Wish, *, now: dt.datetime) -> None:
    for name in ("party_id", "party_role", "payouts_enabled", "transfers_enabled"):
        if (value := getattr(wish, name)) is not None:
            setattr(row, name, value)
    if wish.status is not None:
        row.status = wish.status
        row.disabled_by = "operator" if wish.status == "disabled" else ""
    if wish.set_default is not None:
        row.is_default = wish.set_default
    row.updated_at = now


def _save(row: ConnectAccount) -> None:
    """Save; a rival that came past the lock is met by the table's own rules, and told as a conflict."""
    try:
        with transactions.atomic():
            row.save()
    except IntegrityError as error:
        if "connect_one_account_per_party" in str(error):
            raise PartyConflict(details={"partyId": row.party_id, "conflictingAccountId": None}) from error
        raise


def _touch(controls: MoneyRailControls, *, is_enabled: bool, now: dt.datetime) -> None:
    controls.has_connect, controls.connect_enabled, controls.connect_updated_at = True, is_enabled, now
    controls.save(update_fields=["has_connect", "connect_enabled", "connect_updated_at"])


def _append(row: ConnectAccount, *, actor: Actor, now: dt.datetime) -> None:
    audit.append(
        tenant_id=row.tenant_id,
        actor=actor,
        action="STRIPE_CONNECT_ACCOUNT_UPSERT",
        target_type=TARGET,
        target_id=row.account_id,
        details={
            "accountId": row.account_id,
            "partyId": row.party_id or None,
            "status": row.status,
            "payoutsEnabled": row.payouts_enabled,
            "isDefault": row.is_default,
        },
        at=now,
    )


def remove(*, tenant_id: str, account_id: str, actor: Actor, now: dt.datetime) -> Configured:
    """Forget an account, and that it was the default; raises AccountNotFound.

    Payouts that name it stay as they are, and are refused at submit while Connect is enabled.
    """
    with transactions.joined():
        controls = payout_facts.lock_controls(tenant_id=tenant_id, now=now, exclusively=True)
        rows = ConnectAccount.objects.select_for_update().filter(tenant_id=tenant_id)
        row = rows.filter(account_id=account_id).first()
        if row is None:
            raise AccountNotFound()
        row.delete()
        _touch(controls, is_enabled=controls.connect_enabled, now=now)
        audit.append(
            tenant_id=tenant_id,
            actor=actor,
            action="STRIPE_CONNECT_ACCOUNT_DELETE",
            target_type=TARGET,
            target_id=account_id,
            details={"accountId": account_id, "partyId": row.party_id or None},
            at=now,
        )
        failpoints.hit("connect_delete.before_commit")
        return Configured(None, _connect(controls))


def _connect(controls: MoneyRailControls) -> dict[str, Any]:
    return connect_config.as_json(controls, connect.accounts(tenant_id=controls.tenant_id))
