"""A tenant's rail controls: reading them, and replacing them as the plan route does (spec 2.9)."""

import copy
import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings

from moneyrails.models import ConnectAccount, MoneyRailControls
from moneyrails.queries import payout_facts
from moneyrails.services import connect_config, loosening
from moneyrails.services.approval_refusals import SecondPersonRequired
from moneyrails.services.controls_payload import ConnectPart, Part, Payload
from moneyrails.services.loosening import Loosening
from moneyrails.states import BalanceMode
from settld.core import clock, transactions

MISSING: Final = Part.MISSING


@dataclass(frozen=True)
class Change:
    """The controls before and after, as the wire shows them; equal when the payload was missing."""

    before: dict[str, Any]
    after: dict[str, Any]
    is_configured: bool


def get(*, tenant_id: str) -> MoneyRailControls:
    """Give a tenant's controls, the defaults (not saved) when nobody has set any; takes no lock."""
    found = MoneyRailControls.objects.filter(tenant_id=tenant_id).first()
    return found or MoneyRailControls(tenant_id=tenant_id)


@dataclass(frozen=True)
class Draft:
    """A change that could be made now: the locked row, what is wanted, and what that would loosen."""

    controls: MoneyRailControls
    wanted: Payload
    before: dict[str, Any]
    loosened: list[Loosening]

    @property
    def needs_second_person(self) -> bool:
        """Tell whether one person may not make it alone."""
        return bool(self.loosened) and self.controls.has_four_eyes

    @property
    def base(self) -> dict[str, Any]:
        """Give the rules that it is asked against; accounts only if it would change them."""
        return standing(self.controls, names_accounts=_names_accounts(self.wanted))


def draft(*, tenant_id: str, payload: object, now: dt.datetime) -> Draft | None:
    """Read what a client sent as `moneyRails` against the controls, and lock these exclusively until commit.

    MISSING is no change: None. None is all defaults; an object replaces, except that an absent `connect`,
    in it absent accounts and default, absent facts of the stop and absent `fourEyes` are kept. Raises
    Invalid. Changes nothing yet.
    """
    wanted = Payload.parse(payload)
    if wanted is None:
        return None
    controls = payout_facts.lock_controls(tenant_id=tenant_id, now=now, exclusively=True)
    connect_config.require_default(controls, wanted.connect)
    found = loosening.of(controls, wanted, default_four_eyes=bool(settings.FOUR_EYES))
    return Draft(controls, wanted, as_json(controls), found)


def apply(change: Draft, *, set_by: str, now: dt.datetime) -> Change:
    """Make a drafted change, in the transaction that drafted it; whether one person may is the caller's."""
    controls, wanted = change.controls, change.wanted
    _apply(controls, wanted, set_by=set_by, now=now)
    if wanted.is_reset:
        connect_config.reset(controls)
    else:
        connect_config.apply(controls, wanted.connect, now=now)
    controls.save()
    return Change(change.before, as_json(controls), controls.is_configured)


def preview(row: MoneyRailControls, wanted: Payload, *, now: dt.datetime) -> dict[str, Any]:
    """Show what the controls would be after a change, which is not made; accounts are left as they are."""
    after = copy.copy(row)
    _apply(after, wanted, set_by="", now=now)
    if isinstance(wanted.connect, ConnectPart):
        after.connect_enabled = wanted.connect.enabled
    return as_json(after)


def replace(*, tenant_id: str, payload: object = MISSING, set_by: str = "", now: dt.datetime) -> Change:
    """Replace a tenant's controls with what a client sent, where one person may (see `draft`).

    Holds the row exclusively until commit: when this returns and is committed, no payout is on its way
    that missed it. The caller writes the audit. Raises SecondPersonRequired where one may not.
    """
    with transactions.joined():
        change = draft(tenant_id=tenant_id, payload=payload, now=now)
        if change is None:
            return unchanged(tenant_id=tenant_id)
        if change.needs_second_person:
            raise SecondPersonRequired(details={"changes": [entry.as_json() for entry in change.loosened]})
        return apply(change, set_by=set_by, now=now)


def unchanged(*, tenant_id: str) -> Change:
    """Describe a change that left the controls alone."""
    found = get(tenant_id=tenant_id)
    shown = as_json(found)
    return Change(shown, shown, found.is_configured)


def _apply(controls: MoneyRailControls, wanted: Payload, *, set_by: str, now: dt.datetime) -> None:
    controls.real_money_enabled = wanted.real_money_enabled
    _apply_stop(controls, wanted, set_by=set_by, now=now)
    controls.max_payout_amount_cents = wanted.max_payout_amount_cents
    controls.daily_payout_limit_cents = wanted.daily_payout_limit_cents
    controls.allowed_provider_ids = wanted.allowed_provider_ids
    controls.daily_mismatch_alert_threshold = wanted.daily_mismatch_alert_threshold
    policy = wanted.chargebacks
    controls.has_chargeback_policy = policy is not None or wanted.is_reset
    controls.chargeback_enabled = policy.enabled if policy else False
    controls.negative_balance_mode = policy.negative_balance_mode if policy else BalanceMode.HOLD
    controls.max_outstanding_cents = policy.max_outstanding_cents if policy else None
    controls.chargeback_updated_at = now if policy else None
    if wanted.is_reset:
        controls.four_eyes = None
    elif not isinstance(wanted.four_eyes, Part):
        controls.four_eyes = wanted.four_eyes
    controls.configured_at = None if wanted.is_reset else now


def _apply_stop(controls: MoneyRailControls, wanted: Payload, *, set_by: str, now: dt.datetime) -> None:
    if not wanted.payout_kill_switch:
        lift_stop(controls)
        return
    if not controls.payout_kill_switch:
        controls.payout_kill_switch = True
        controls.kill_switch_set_by, controls.kill_switch_set_at = set_by, now
    if not isinstance(wanted.kill_switch_reason, Part):
        controls.kill_switch_reason = wanted.kill_switch_reason or ""
    if not isinstance(wanted.kill_switch_expires_at, Part):
        controls.kill_switch_expires_at = wanted.kill_switch_expires_at


def lift_stop(controls: MoneyRailControls) -> None:
    """Let payouts go again, and forget why they could not; the caller saves."""
    controls.payout_kill_switch = False
    controls.kill_switch_reason, controls.kill_switch_expires_at = "", None
    controls.kill_switch_set_by, controls.kill_switch_set_at = "", None


def standing(controls: MoneyRailControls, *, names_accounts: bool) -> dict[str, Any]:
    """Give the rules in force as a document that changes only when a rule does.

    What the provider says of accounts (KYB) is no rule of ours; the accounts themselves are in it for a
    change that would replace them.
    """
    shown = as_json(controls)
    connect = shown.pop("connect")
    for name in ("schemaVersion", "updatedAt"):
        shown.pop(name)
    policy = shown.pop("chargebacks") or {}
    shown["chargebacks"] = {
        name: value for name, value in policy.items() if name not in ("schemaVersion", "updatedAt")
    }
    shown["connect"] = {"enabled": bool(connect and connect["enabled"])}
    if names_accounts:
        shown["connect"] |= {
            "defaultAccountId": connect["defaultAccountId"] if connect else None,
            "accounts": [
                {name: account[name] for name in _ACCOUNT_RULES}
                for account in (connect["accounts"] if connect else [])
            ],
        }
    return shown


_ACCOUNT_RULES: Final = (
    "accountId", "partyId", "partyRole", "status", "payoutsEnabled", "transfersEnabled"
)  # fmt: skip


def _names_accounts(wanted: Payload) -> bool:
    return wanted.is_reset or not isinstance(wanted.connect, Part)


def as_json(controls: MoneyRailControls) -> dict[str, Any]:
    """Shape the controls for the wire (`MoneyRailControls.v1`); one query for the accounts."""
    return {
        "schemaVersion": "MoneyRailControls.v1",
        "realMoneyEnabled": controls.real_money_enabled,
        "payoutKillSwitch": controls.payout_kill_switch,
        **stop_json(controls),
        "maxPayoutAmountCents": controls.max_payout_amount_cents,
        "dailyPayoutLimitCents": controls.daily_payout_limit_cents,
        "allowedProviderIds": controls.allowed_provider_ids,
        "connect": _connect_json(controls),
        "chargebacks": _policy_json(controls),
        "dailyMismatchAlertThreshold": controls.daily_mismatch_alert_threshold,
        "fourEyes": controls.four_eyes,
        "fourEyesInForce": controls.has_four_eyes,
        "updatedAt": clock.iso(controls.configured_at),
    }


def stop_json(controls: MoneyRailControls) -> dict[str, Any]:
    """Say why payouts are stopped, until when that was meant, and who did it; all null while they are not."""
    return {
        "payoutKillSwitchReason": controls.kill_switch_reason or None,
        "payoutKillSwitchExpiresAt": clock.iso(controls.kill_switch_expires_at),
        "payoutKillSwitchSetBy": controls.kill_switch_set_by or None,
        "payoutKillSwitchSetAt": clock.iso(controls.kill_switch_set_at),
    }


def _connect_json(controls: MoneyRailControls) -> dict[str, Any] | None:
    if not controls.has_connect:
        return None
    rows = ConnectAccount.objects.filter(tenant_id=controls.tenant_id).order_by("account_id")
    return connect_config.as_json(controls, list(rows))


def _policy_json(controls: MoneyRailControls) -> dict[str, Any] | None:
    if not controls.has_chargeback_policy:
        return None
    return {
        "schemaVersion": "MoneyRailChargebackPolicy.v1",
        "enabled": controls.chargeback_enabled,
        "negativeBalanceMode": controls.negative_balance_mode,
        "maxOutstandingCents": controls.max_outstanding_cents,
        "updatedAt": clock.iso(controls.chargeback_updated_at),
    }
