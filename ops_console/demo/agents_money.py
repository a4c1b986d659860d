"""What Cedar's agents earned goes to the bank: payouts, one taken back and netted, everything reconciled.

From here on the demo speaks HTTP again, as any client can.
"""

import datetime as dt
import time
from collections.abc import Callable
from typing import Any, Final

from ops_console.demo import agents_cast, agents_work, debts, payouts, stripe_stories
from ops_console.demo.agents_cast import CEDAR
from ops_console.demo.agents_work import Calendar
from ops_console.demo.cast import SANDBOX, STRIPE, Party, month_of
from ops_console.demo.http import Api, DemoError, Simulator, part
from ops_console.demo.payouts import Payout
from settld.core import clock

COMPLETE: Final = "demo.agents.v1.complete"
PATIENCE_SECONDS: Final = 20
PLAN: Final = "/ops/finance/billing/plan"


def is_complete(api: Api) -> bool:
    """Tell whether an earlier seeding reached the end of this story."""
    return bool(api.get(f"/ops/audit?requestId={COMPLETE}&limit=1").body.get("audit"))


def play(api: Api, simulator: Simulator | None, providers: set[str], *, say: Callable[[str], None]) -> None:
    """Tell the whole story of the third tenant; it ends early where its history cannot be written."""
    if not agents_work.reaches_database():
        say(f"{CEDAR.name}: left out, for this command is not on the deployment's database")
        return
    calendar = _calendar(clock.now())
    agents_work.play(calendar)
    say(f"{CEDAR.name}: runs of {calendar.first}, {calendar.second} (closed) and {calendar.running}")
    _allow(api)
    rails = providers if simulator is not None else providers - {STRIPE}
    for month in (calendar.first, calendar.second):
        count = _pay(api, simulator, month, rails, is_first=month == calendar.first)
        say(f"{CEDAR.name}: {count} payouts of {month}")
    _reconcile(api, calendar, rails, say=say)
    _mark_complete(api)


def _calendar(now: dt.datetime) -> Calendar:
    """Name the months: those of a seeding that was cut short, if there was one."""
    months = [month_of(_back(now.date(), months)) for months in range(1, 6)]
    begun = [first for first in months[1:] if agents_work.was_begun_in(first)]
    first = min(begun, default=months[1])
    second = months[months.index(first) - 1]
    return Calendar(first, second, month_of(now.date()), now)


def _back(day: dt.date, months: int) -> dt.date:
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return dt.date(year, month + 1, 1)


def _allow(api: Api) -> None:
    """Turn on real money within limits, and the policy that withholds what a party owes."""
    controls = api.get(PLAN).body["billing"]["moneyRails"]
    if (controls.get("chargebacks") or {}).get("enabled"):
        return
    wanted = {name: controls.get(name) for name in debts.KEPT}
    api.put(PLAN, {"moneyRails": wanted | {"chargebacks": debts.POLICY}})


# --- Payouts ----------------------------------------------------------------------------------------
def _pay(api: Api, simulator: Simulator | None, month: str, rails: set[str], *, is_first: bool) -> int:
    """Pay a month's statements; what a dispute holds back stays on the page of statements."""
    due = {row["partyId"] for row in api.get(f"/ops/party-statements?period={month}").body["statements"]}
    count = 0
    for party in CEDAR.parties:
        provider = STRIPE if party.uses_stripe and STRIPE in rails else SANDBOX
        if party.party_id not in due or provider not in rails:
            continue
        payout = Payout(party, month, provider, _fate(party, provider, is_first=is_first))
        if payout.fate == "held_back":
            continue
        _play(api, simulator, payout)
        count += 1
    return count


def _fate(party: Party, provider: str, *, is_first: bool) -> str:
    agent_id = party.party_id.removeprefix(agents_cast.PARTY)
    if is_first and agent_id == agents_cast.INSPECTOR:
        return "reversed_by_provider" if provider == STRIPE else "reversed"
    if not is_first and agent_id == agents_cast.TRANSLATOR:
        return "held_back"
    return "initiated" if not is_first and agent_id == agents_cast.LABELER else "confirmed"


def _play(api: Api, simulator: Simulator | None, payout: Payout) -> None:
    """Bring a payout to its fate and wait until the provider's news has come: the next one builds on it."""
    if payout.provider_id == SANDBOX or simulator is None:
        payouts.play(api, payout)
        return
    account_id = payout.party.account_id
    simulator.control(f"accounts/{account_id}", {"preset": "verified", "email": CEDAR.email})
    operation = payouts.enqueue(api, payout, counterparty_ref=f"stripe_connect:{account_id}")
    if operation is None:
        return
    if operation["state"] in ("initiated", "submitted", "confirmed"):
        stripe_stories.STORIES[payout.fate](api, simulator, payout, operation)
    _await(api, operation, "reversed" if payout.fate == "reversed_by_provider" else "confirmed")


def _await(api: Api, operation: dict[str, Any], state: str) -> None:
    ends_at = time.monotonic() + PATIENCE_SECONDS
    path = payouts.operation_path(operation)
    while (found := api.get(path).body["operation"]["state"]) != state:
        if time.monotonic() > ends_at:
            raise DemoError(f"{operation['operationId']} is {found}, not {state}; is the worker running?")
        time.sleep(0.1)


# --- The months' ends -------------------------------------------------------------------------------
def _reconcile(api: Api, calendar: Calendar, rails: set[str], *, say: Callable[[str], None]) -> None:
    for month in (calendar.first, calendar.second):
        told = api.get(f"/ops/finance/reconcile?period={month}&persist=true").body
        say(f"{CEDAR.tenant_id} {month} books: {'pass' if told['reconcile']['ok'] else 'fail'}")
        for provider in sorted(rails):
            path = f"/ops/finance/money-rails/reconcile?period={month}&providerId={provider}&persist=true"
            verdict = api.get(path).body
            count = verdict["summary"]["criticalMismatchCount"]
            say(f"{CEDAR.tenant_id} {month} {provider}: {verdict['status']}, {count} mismatches")
    period = {"period": calendar.first}
    done = api.post("/ops/finance/net-close/execute", period, key=f"demo-net-close-{calendar.first}").body
    say(f"{CEDAR.tenant_id} {calendar.first}: net close {done['status']}")


def _mark_complete(api: Api) -> None:
    """Make the last call under a request id that the audit keeps: one more key, then taken back."""
    made = api.post(
        "/ops/api-keys", {"scopes": ["ops_read"], "description": "demo: spare key"}, request_id=COMPLETE
    ).body
    api.post(f"/ops/api-keys/{part(made['keyId'])}/revoke", {})
