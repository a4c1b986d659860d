"""A tenant's rail controls: reading them, and replacing them as the plan route does (spec 2.9)."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from moneyrails.models import ConnectAccount, MoneyRailControls
from moneyrails.queries import payout_facts
from moneyrails.services import connect_config
from moneyrails.services.controls_payload import Part, Payload
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


def replace(*, tenant_id: str, payload: object = MISSING, now: dt.datetime) -> Change:
    """Replace a tenant's controls with what a client sent as `moneyRails`.

    MISSING leaves them; None is all defaults; an object replaces, except that an absent `connect`,
    and in it absent accounts and default, are kept. Raises Invalid. Holds the row exclusively until
    commit: when this returns and is committed, no payout is on its way that missed it. The caller
    writes the audit.
    """
    wanted = Payload.parse(payload)
    with transactions.joined():
        if wanted is None:
            found = get(tenant_id=tenant_id)
            shown = as_json(found)
            return Change(shown, shown, found.is_configured)
        controls = payout_facts.lock_controls(tenant_id=tenant_id, now=now, exclusively=True)
        before = as_json(controls)
        _apply(controls, wanted, now=now)
        if wanted.is_reset:
            connect_config.reset(controls)
        else:
            connect_config.apply(controls, wanted.connect, now=now)
        controls.save()
        return Change(before, as_json(controls), controls.is_configured)


def _apply(controls: MoneyRailControls, wanted: Payload, *, now: dt.datetime) -> None:
    controls.real_money_enabled = wanted.real_money_enabled
    controls.payout_kill_switch = wanted.payout_kill_switch
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
    controls.configured_at = None if wanted.is_reset else now


def as_json(controls: MoneyRailControls) -> dict[str, Any]:
    """Shape the controls for the wire (`MoneyRailControls.v1`); one query for the accounts."""
    return {
        "schemaVersion": "MoneyRailControls.v1",
        "realMoneyEnabled": controls.real_money_enabled,
        "payoutKillSwitch": controls.payout_kill_switch,
        "maxPayoutAmountCents": controls.max_payout_amount_cents,
        "dailyPayoutLimitCents": controls.daily_payout_limit_cents,
        "allowedProviderIds": controls.allowed_provider_ids,
        "connect": _connect_json(controls),
        "chargebacks": _policy_json(controls),
        "dailyMismatchAlertThreshold": controls.daily_mismatch_alert_threshold,
        "updatedAt": clock.iso(controls.configured_at),
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
