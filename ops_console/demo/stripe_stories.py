"""Payouts over the Stripe rail, and what can go wrong with them."""

from collections.abc import Callable
from typing import Any, Final

from ops_console.demo import payouts
from ops_console.demo.cast import STRIPE, TROUPES, Troupe
from ops_console.demo.http import Api, DemoError, Simulator, part
from ops_console.demo.payouts import Payout

# A refusal or a doubt is part of the story; the state that it leaves is what the demo shows.
TROUBLE: Final = (409, 502, 503)


def play_all(api: Api, simulator: Simulator, troupe: Troupe, plan: list[Payout]) -> None:
    """Onboard the parties at the provider, then play their payouts, and some news that fit nothing."""
    for party in troupe.parties:
        if party.uses_stripe:
            simulator.control(f"accounts/{party.account_id}", {"preset": "verified", "email": troupe.email})
    for payout in plan:
        operation = payouts.enqueue(api, payout, counterparty_ref=f"stripe_connect:{payout.party.account_id}")
        if operation is not None and operation["state"] == "initiated":
            STORIES[payout.fate](api, simulator, payout, operation)
    if plan:
        _strangers(api, simulator, troupe, period=plan[-1].period)


def _submit(api: Api, payout: Payout, operation: dict[str, Any], *, expects_trouble: bool = False) -> str:
    """Submit; gives the provider's transfer id, blank when there is none."""
    answer = api.post(
        f"{payouts.operation_path(operation)}/submit",
        {},
        key=f"{payout.key}-submit",
        allow=TROUBLE if expects_trouble else (),
    )
    return str((answer.body.get("operation") or {}).get("providerRef") or "")


def _is_untouched(api: Api, operation: dict[str, Any]) -> bool:
    return api.get(payouts.operation_path(operation)).body["dispatch"] is None


def _leave(api: Api, simulator: Simulator, payout: Payout, operation: dict[str, Any]) -> None:
    """Enqueued, and nobody has submitted it yet."""


def _pay(api: Api, simulator: Simulator, payout: Payout, operation: dict[str, Any]) -> None:
    """Submit; the signed event of the provider confirms it."""
    _submit(api, payout, operation)


def _lose_answer(api: Api, simulator: Simulator, payout: Payout, operation: dict[str, Any]) -> None:
    """The provider says 500 and keeps saying it for this key: the payout stays in doubt."""
    if _is_untouched(api, operation):
        _fault(simulator, operation, kind="status_500_before", times=1)
        _submit(api, payout, operation, expects_trouble=True)


def _lose_connection(api: Api, simulator: Simulator, payout: Payout, operation: dict[str, Any]) -> None:
    """The transfer is made but every answer is lost; the event that arrives later resolves the doubt."""
    if _is_untouched(api, operation):
        _fault(simulator, operation, kind="reset_after", times=3)
        _submit(api, payout, operation, expects_trouble=True)


def _find_stranger(api: Api, simulator: Simulator, payout: Payout, operation: dict[str, Any]) -> None:
    """In doubt, and the provider shows a transfer of another amount for it: only a person can tell."""
    if not _is_untouched(api, operation):
        return
    _transfer(
        simulator,
        key=f"{payout.key}-by-hand",
        amount_cents=operation["amountCents"] // 2,
        destination=payout.party.account_id,
        payout_key=operation["idempotencyKey"],
        tenant_id=operation["tenantId"],
        operation_id=operation["operationId"],
    )
    _fault(simulator, operation, kind="status_500_before", times=1)
    for _ in range(2):  # the first leaves a doubt, the second asks the provider about it
        _submit(api, payout, operation, expects_trouble=True)


def _be_refused(api: Api, simulator: Simulator, payout: Payout, operation: dict[str, Any]) -> None:
    """The provider refuses: the account may not receive transfers any more. Nothing moved."""
    simulator.control(f"accounts/{payout.party.account_id}", {"preset": "restricted"})
    if _is_untouched(api, operation):
        _submit(api, payout, operation, expects_trouble=True)


def _take_back(api: Api, simulator: Simulator, payout: Payout, operation: dict[str, Any]) -> None:
    """Paid, then taken back in full by the provider."""
    _reverse(api, simulator, payout, operation, amount_cents=operation["amountCents"])


def _take_back_part(api: Api, simulator: Simulator, payout: Payout, operation: dict[str, Any]) -> None:
    """Paid, then taken back in part: a case for a person, not a number that changes by itself."""
    _reverse(api, simulator, payout, operation, amount_cents=operation["amountCents"] // 4)


STORIES: Final[dict[str, Callable[[Api, Simulator, Payout, dict[str, Any]], None]]] = {
    "initiated": _leave,
    "confirmed": _pay,
    "in_doubt": _lose_answer,
    "doubt_heals": _lose_connection,
    "indeterminate": _find_stranger,
    "refused_by_provider": _be_refused,
    "reversed_by_provider": _take_back,
    "partly_reversed_by_provider": _take_back_part,
}


def _reverse(
    api: Api, simulator: Simulator, payout: Payout, operation: dict[str, Any], *, amount_cents: int
) -> None:
    transfer_id = _submit(api, payout, operation)
    if not transfer_id:
        raise DemoError(f"{operation['operationId']} has no transfer to take back")
    path = f"/v1/transfers/{part(transfer_id)}/reversals"
    simulator.call(path, {"amount": str(amount_cents)}, key=f"{payout.key}-reversal")


def _fault(simulator: Simulator, operation: dict[str, Any], *, kind: str, times: int) -> None:
    rule = {
        "kind": kind,
        "method": "POST",
        "path": "/v1/transfers",
        "times": times,
        "match": {"transfer_group": operation["idempotencyKey"]},
    }
    simulator.control("faults", {"rules": [rule]})


def _strangers(api: Api, simulator: Simulator, troupe: Troupe, *, period: str) -> None:
    """Transfers that somebody made at the provider, past the product."""
    party = next(party for party in troupe.parties if party.uses_stripe)
    for number in range(2 if troupe is TROUPES[0] else 1):
        _transfer(
            simulator,
            key=f"demo-{troupe.tenant_id}-stranger-{number}",
            amount_cents=12_500 + 7_000 * number,
            destination=party.account_id,
            payout_key=f"{api.tenant_id}:party:unknown_{number + 1}:period:{period}:statement:none",
            tenant_id=api.tenant_id,
            operation_id=f"mop_unknown_{number + 1}",
        )


def _transfer(
    simulator: Simulator,
    *,
    key: str,
    amount_cents: int,
    destination: str,
    payout_key: str,
    tenant_id: str,
    operation_id: str,
) -> None:
    form = {
        "amount": str(amount_cents),
        "currency": "usd",
        "destination": destination,
        "transfer_group": payout_key,
        "metadata[settld_tenant_id]": tenant_id,
        "metadata[settld_operation_id]": operation_id,
        "metadata[settld_provider_id]": STRIPE,
        "metadata[settld_payout_key]": payout_key,
    }
    simulator.call("/v1/transfers", form, key=key)
