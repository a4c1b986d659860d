"""Reading the `moneyRails` part of a plan: strict types, no coercion, a message for each fault (spec 2.9)."""

import datetime as dt
import enum
import re
from dataclasses import dataclass
from typing import Any

from moneyrails.states import BalanceMode
from settld.api.fields import Body
from settld.core.errors import Invalid

MESSAGE = "invalid billing plan payload"
ACCOUNT_ID = re.compile(r"acct_[A-Za-z0-9_]+")


class Part(enum.Enum):
    """A member that was not sent, which null is not."""

    MISSING = "missing"


@dataclass(frozen=True)
class PolicyPart:
    """A chargeback policy."""

    enabled: bool
    negative_balance_mode: str
    max_outstanding_cents: int | None


@dataclass(frozen=True)
class AccountPart:
    """One Connect account as a client configures it."""

    account_id: str
    party_id: str
    party_role: str
    status: str
    payouts_enabled: bool
    transfers_enabled: bool


@dataclass(frozen=True)
class ConnectPart:
    """The Connect configuration; MISSING keeps what is there."""

    enabled: bool
    accounts: tuple[AccountPart, ...] | Part
    default_account_id: str | Part | None


@dataclass(frozen=True)
class Payload:
    """All controls, as they are to become.

    What newer clients alone know of (why and until when payouts are stopped, four eyes) is kept when it is
    MISSING, so that a client of before does not clear it by saving something else.
    """

    real_money_enabled: bool = False
    payout_kill_switch: bool = False
    kill_switch_reason: str | Part | None = Part.MISSING
    kill_switch_expires_at: dt.datetime | Part | None = Part.MISSING
    four_eyes: bool | Part | None = Part.MISSING
    max_payout_amount_cents: int | None = None
    daily_payout_limit_cents: int | None = None
    allowed_provider_ids: list[str] | None = None
    daily_mismatch_alert_threshold: int | None = None
    chargebacks: PolicyPart | None = None
    connect: ConnectPart | Part | None = Part.MISSING
    is_reset: bool = False

    @classmethod
    def parse(cls, payload: object) -> "Payload | None":
        """Read what a client sent; None when it sent nothing. Raises Invalid with details.message."""
        if payload is Part.MISSING:
            return None
        if payload is None:
            return cls(is_reset=True)
        if not isinstance(payload, dict):
            raise fault("moneyRails must be an object or null")
        body = Body(payload, message=MESSAGE)
        return cls(
            real_money_enabled=_flag(body, "realMoneyEnabled", False),
            payout_kill_switch=_flag(body, "payoutKillSwitch", False),
            kill_switch_reason=body.text("payoutKillSwitchReason")
            if body.has("payoutKillSwitchReason")
            else Part.MISSING,
            kill_switch_expires_at=body.instant("payoutKillSwitchExpiresAt")
            if body.has("payoutKillSwitchExpiresAt")
            else Part.MISSING,
            four_eyes=body.boolean("fourEyes") if body.has("fourEyes") else Part.MISSING,
            max_payout_amount_cents=body.integer("maxPayoutAmountCents", least=0),
            daily_payout_limit_cents=body.integer("dailyPayoutLimitCents", least=0),
            allowed_provider_ids=body.texts("allowedProviderIds"),
            daily_mismatch_alert_threshold=body.integer(
                "dailyMismatchAlertThreshold", least=1, most=2**31 - 1
            ),
            chargebacks=_policy(body.object("chargebacks")),
            connect=_connect(body),
        )


_MEMBERS: dict[str, frozenset[str]] = {
    "": frozenset(
        {
            "realMoneyEnabled", "payoutKillSwitch", "payoutKillSwitchReason", "payoutKillSwitchExpiresAt",
            "fourEyes", "maxPayoutAmountCents", "dailyPayoutLimitCents", "allowedProviderIds",
            "dailyMismatchAlertThreshold", "chargebacks", "connect",
        }
    ),
    "chargebacks": frozenset({"enabled", "negativeBalanceMode", "maxOutstandingCents"}),
    "connect": frozenset({"enabled", "accounts", "defaultAccountId"}),
    "accounts": frozenset(
        {"accountId", "partyId", "partyRole", "status", "payoutsEnabled", "transfersEnabled"}
    ),
}  # fmt: skip


def known_part(payload: Any, *, of: str = "") -> Any:
    """Keep of a payload that was read without fault what reading it looked at, to be kept and hashed."""
    if isinstance(payload, list):
        return [known_part(entry, of=of) if isinstance(entry, dict) else entry for entry in payload]
    if not isinstance(payload, dict):
        return payload
    return {
        key: known_part(member, of=key) if key in _MEMBERS else member
        for key, member in payload.items()
        if key in _MEMBERS[of]
    }


def fault(problem: str) -> Invalid:
    """Make the refusal for a fault in the payload."""
    return Invalid(MESSAGE, details={"message": problem})


def _flag(body: Body, key: str, default: bool) -> bool:
    value = body.values.get(key, default)
    if not isinstance(value, bool):
        raise fault(f"{key} must be a boolean")
    return value


def _policy(values: dict[str, Any] | None) -> PolicyPart | None:
    if values is None:
        return None
    body = Body(values, message=MESSAGE)
    return PolicyPart(
        enabled=_flag(body, "enabled", False),
        negative_balance_mode=body.choice("negativeBalanceMode", tuple(BalanceMode.values), default="hold")
        or "hold",
        max_outstanding_cents=body.integer("maxOutstandingCents", least=0),
    )


def _connect(parent: Body) -> ConnectPart | Part | None:
    if not parent.has("connect"):
        return Part.MISSING
    values = parent.object("connect")
    if values is None:
        return None
    body = Body(values, message=MESSAGE)
    accounts: tuple[AccountPart, ...] | Part = Part.MISSING
    if body.has("accounts"):
        accounts = _accounts(values["accounts"])
    default: str | Part | None = Part.MISSING
    if body.has("defaultAccountId"):
        default = body.text("defaultAccountId")
    return ConnectPart(_flag(body, "enabled", False), accounts, default)


def _accounts(value: Any) -> tuple[AccountPart, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise fault("connect.accounts must be an array of objects")
    accounts = tuple(_account(Body(entry, message=MESSAGE)) for entry in value)
    ids = [account.account_id for account in accounts]
    parties = [account.party_id for account in accounts if account.party_id]
    if len(set(ids)) != len(ids):
        raise fault("connect.accounts names an account twice")
    if len(set(parties)) != len(parties):
        raise fault("connect.accounts maps a party to two accounts")
    return accounts


def _account(body: Body) -> AccountPart:
    account_id = body.required_text("accountId", most=200)
    if not ACCOUNT_ID.fullmatch(account_id):
        raise fault("accountId must look like acct_...")
    return AccountPart(
        account_id=account_id,
        party_id=body.text("partyId", most=200) or "",
        party_role=body.text("partyRole", most=40) or "",
        status=body.choice("status", ("active", "disabled"), default="active") or "active",
        payouts_enabled=_flag(body, "payoutsEnabled", True),
        transfers_enabled=_flag(body, "transfersEnabled", True),
    )
