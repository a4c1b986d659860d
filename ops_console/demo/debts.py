"""A payout that was taken back leaves a debt: the next payout repays it, and a person takes a part off.

And a buyer's bank disputes a charge behind a payout: a case, while nothing moves by itself.
"""

from typing import Any

from ops_console.demo import payouts
from ops_console.demo.cast import SANDBOX, Troupe
from ops_console.demo.http import Api, Simulator, part
from ops_console.demo.payouts import Payout

# By position among the parties: taken back in the second month and not paid for the third; in the first.
NETTED, ADJUSTED = 11, 2
KEPT = (
    "realMoneyEnabled",
    "payoutKillSwitch",
    "maxPayoutAmountCents",
    "dailyPayoutLimitCents",
    "allowedProviderIds",
    "dailyMismatchAlertThreshold",
)
POLICY = {"enabled": True, "negativeBalanceMode": "net", "maxOutstandingCents": 1_000_000}


def play(api: Api, troupe: Troupe, months: tuple[str, ...]) -> None:
    """Turn the policy on, pay the third month net of the debt, and adjust another debt in part."""
    controls = api.get("/ops/finance/billing/plan").body["billing"]["moneyRails"]
    if not (controls.get("chargebacks") or {}).get("enabled"):
        wanted = {name: controls.get(name) for name in KEPT}
        api.put("/ops/finance/billing/plan", {"moneyRails": wanted | {"chargebacks": POLICY}})
    payouts.play(api, Payout(troupe.parties[NETTED], months[2], SANDBOX, "confirmed"))
    _adjust(api, troupe, months[0])


def _adjust(api: Api, troupe: Troupe, period: str) -> None:
    party = troupe.parties[ADJUSTED]
    path = (
        f"/ops/money-rails/{SANDBOX}/operations?state=reversed&partyId={part(party.party_id)}&period={period}"
    )
    for operation in api.get(path).body["operations"]:
        body = {
            "partyId": party.party_id,
            "operationId": operation["operationId"],
            "amountCents": operation["amountCents"] // 3,
            "reasonCode": "dispute_won",
            "note": "Case 2214: the bank returned a third to us",
        }
        key = f"demo-{party.party_id}-{period}-adjust"
        api.post("/ops/finance/money-rails/chargebacks/adjustments", body, key=key)


def dispute(simulator: Simulator, operation: dict[str, Any]) -> None:
    """A charge that a payout was made of is disputed; asked for again, the dispute is there already."""
    group = operation["idempotencyKey"]
    if simulator.read("/v1/charges", {"transfer_group": group})["data"]:
        return
    charge = {
        "amount": operation["amountCents"] + 4_500,
        "transfer_group": group,
        "description": "Demo order",
    }
    made = simulator.control("charges", charge)
    simulator.control(f"charges/{part(made['id'])}/dispute", {"reason": "product_not_received"})
