"""A change that waits for a second person: the tenant turns four eyes on, and asks for higher caps."""

from typing import Final

from ops_console.demo.http import Api

PLAN: Final = "/ops/finance/billing/plan"


def ask(api: Api) -> None:
    """Have one approval pending for whoever logs in; asked again, it stays the one."""
    rules = api.get(PLAN).body["billing"]["moneyRails"]
    rules.pop("connect", None)  # the accounts stay as they are
    if not rules["fourEyesInForce"]:
        api.put(PLAN, {"moneyRails": rules | {"fourEyes": True}})
    wanted = {
        "fourEyes": True,
        "maxPayoutAmountCents": (rules["maxPayoutAmountCents"] or 100_000) * 2,
        "dailyMismatchAlertThreshold": 3,
    }
    reason = "The fleets of the north join next month, and their first payouts are larger."
    api.put(PLAN, {"moneyRails": rules | wanted, "reason": reason})
