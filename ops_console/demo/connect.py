"""The parties' accounts at Stripe Connect: most verified, one being checked, one that comes and goes."""

from collections.abc import Callable
from typing import Final

from ops_console.demo.cast import STRIPE, TROUPES, Party, Troupe
from ops_console.demo.http import Api, Simulator, part

ACCOUNTS: Final = "/ops/finance/money-rails/stripe-connect/accounts"
# By order among the lead tenant's parties that Stripe pays. The wanderer has a payout that waits for it.
CHECKED: Final = 1
WANDERER: Final = 5


def play(api: Api, simulator: Simulator, troupe: Troupe, *, say: Callable[[str], None]) -> None:
    """Configure the accounts and look at each; again, it finds them as they are.

    Comes after the payouts: from here on they are refused to accounts that are not fit to be paid.
    """
    paid = [party for party in troupe.parties if party.uses_stripe]
    known = {row["accountId"] for row in api.get(ACCOUNTS).body["connect"]["accounts"]}
    if all(party.account_id in known for party in paid):
        return
    if troupe is TROUPES[0]:
        simulator.control(f"accounts/{paid[CHECKED].account_id}", {"preset": "pending"})
        wanders = {"metadata": {"simulator_wanders": "true"}}
        simulator.control(f"accounts/{paid[WANDERER].account_id}", wanders)
    for party in paid:
        _configure(api, party)
    told = api.post(f"{ACCOUNTS}/sync", {"providerId": STRIPE}, key="demo-connect-sync").body
    say(f"{troupe.name}: {told['summary']['syncedCount']} Connect accounts")


def _configure(api: Api, party: Party) -> None:
    wish = {"partyId": party.party_id, "partyRole": party.role, "enableConnect": True}
    api.put(f"{ACCOUNTS}/{part(party.account_id)}", wish)
