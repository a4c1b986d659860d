"""Play one payout over the sandbox, to the state that the cast has for it."""

from dataclasses import dataclass
from typing import Any, Final

from ops_console.demo import cast
from ops_console.demo.cast import SANDBOX, STRIPE, Party, Troupe
from ops_console.demo.http import Api, DemoError, part

UNPAID: Final = ("unpaid", "not_due")
# The provider's news that lead from submitted to each fate.
NEWS: Final[dict[str, tuple[str, ...]]] = {
    "submitted": (),
    "confirmed": ("confirmed",),
    "failed": ("failed",),
    "reversed": ("confirmed", "reversed"),
}
REASONS: Final = {"failed": "account_closed", "reversed": "customer_dispute"}


@dataclass(frozen=True)
class Payout:
    """One payout as the story wants it."""

    party: Party
    period: str
    provider_id: str
    fate: str

    @property
    def key(self) -> str:
        """Name its calls, the same in every run."""
        return f"demo-{self.party.party_id}-{self.period}"


def plan(troupe: Troupe, months: tuple[str, ...]) -> list[Payout]:
    """List a tenant's payouts with their fates, oldest month first."""
    return [
        Payout(party, period, STRIPE if party.uses_stripe else SANDBOX, cast.fate(troupe, position, number))
        for number, period in enumerate(months)
        for position, party in enumerate(troupe.parties)
        if cast.fate(troupe, position, number) not in UNPAID
    ]


def enqueue(api: Api, payout: Payout, *, counterparty_ref: str | None = None) -> dict[str, Any] | None:
    """Enqueue; None when one of the tenant's own limits refuses it, which is part of the story."""
    body = {"moneyRailProviderId": payout.provider_id, "counterpartyRef": counterparty_ref}
    path = f"/ops/payouts/{part(payout.party.party_id)}/{payout.period}/enqueue"
    answer = api.post(path, body, key=f"{payout.key}-enqueue", allow=[409])
    if answer.status == 409:
        if answer.code.endswith("_LIMIT_EXCEEDED"):
            return None
        raise DemoError(f"{path} answered {answer.code}")
    operation: dict[str, Any] | None = answer.body.get("moneyRailOperation")
    return operation


def operation_path(operation: dict[str, Any]) -> str:
    """Give the path of an operation."""
    return f"/ops/money-rails/{part(operation['providerId'])}/operations/{part(operation['operationId'])}"


def play(api: Api, payout: Payout) -> None:
    """Enqueue a sandbox payout and bring it to its fate; again, it is there already."""
    operation = enqueue(api, payout)
    if operation is None or operation["state"] == payout.fate:
        return
    path = operation_path(operation)
    if payout.fate == "cancelled":
        body = {"reasonCode": "duplicate_invoice"}
        api.post(f"{path}/cancel", body, key=f"{payout.key}-cancel")
        return
    if payout.fate == "initiated":
        return
    api.post(f"{path}/submit", {}, key=f"{payout.key}-submit")
    for event_type in NEWS[payout.fate]:
        body = {
            "operationId": operation["operationId"],
            "eventType": event_type,
            "eventId": f"evt_{payout.key}_{event_type}",
        }
        if event_type in REASONS:
            body["reasonCode"] = REASONS[event_type]
        ingest = f"/ops/money-rails/{part(payout.provider_id)}/events/ingest"
        api.post(ingest, body, key=f"{payout.key}-{event_type}")
