"""Tell the story: tenants, statements, closes, payouts, provider news, reconciliation."""

import datetime as dt
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ops_console.demo import (
    agents_money,
    billing,
    cast,
    connect,
    debts,
    decisions,
    payouts,
    stripe_stories,
    two_people,
)
from ops_console.demo.agents_cast import CEDAR
from ops_console.demo.cast import SANDBOX, STRIPE, TROUPES, Troupe
from ops_console.demo.http import Api, DemoError, Server, Simulator, part

COMPLETE = "demo.v1.complete"
PARALLEL = 4
CLOSE_WITHIN_SECONDS = 60
SETTLE_WITHIN_SECONDS = 15
Subject = TypeVar("Subject")


@dataclass
class World:
    """What the demo was given, and what it learned on the way."""

    server: Server
    ops_token: str = field(repr=False)
    simulator: Simulator | None
    today: dt.date
    say: Callable[[str], None]
    tokens: dict[str, str] = field(default_factory=dict, repr=False)

    def api(self, troupe: Troupe) -> Api:
        """Speak as one tenant."""
        return Api(self.server, self.ops_token, troupe.tenant_id)


def seed(world: World) -> bool:
    """Make the world, or find it made; True when something had to be done.

    Each step finds its earlier effect, so a seeding that was cut short is finished by the next.
    """
    if is_complete(world):
        return _seed_agents(world) or _say_it_is_there(world)
    months = _months(world)
    for troupe in TROUPES:
        _make_tenant(world, troupe)
    has_shop = _open_shop(world)
    world.say(f"{len(TROUPES)} tenants, statements for {', '.join(months)}")
    for troupe in TROUPES:
        _state_what_is_owed(world, troupe, months)
    _close(world, months)
    world.say("months closed; paying")
    providers = _providers(world)
    for troupe in TROUPES:
        _pay(world, troupe, months, providers)
    if STRIPE in providers and world.simulator is not None:
        for troupe in TROUPES:
            connect.play(world.api(troupe), world.simulator, troupe, say=world.say)
    _reconcile(world, months, providers)
    if has_shop and world.simulator is not None:
        subscriber = billing.SUBSCRIBER
        billing.sell_once(world.api(subscriber), world.simulator, subscriber, say=world.say)
    two_people.ask(world.api(TROUPES[0]))
    _mark_complete(world, months)
    _seed_agents(world)
    return True


def _say_it_is_there(world: World) -> bool:
    world.say("the demo is there already")
    return False


def _seed_agents(world: World) -> bool:
    """Tell the story of the tenant whose agents work, unless it has been told."""
    api = world.api(CEDAR)
    if agents_money.is_complete(api):
        return False
    _make_tenant(world, CEDAR)
    agents_money.play(api, world.simulator, _providers(world), say=world.say)
    return True


def is_complete(world: World) -> bool:
    """Tell whether an earlier seeding reached its end; the audit trail remembers its last call."""
    answer = world.api(TROUPES[-1]).get(f"/ops/audit?requestId={COMPLETE}&limit=1")
    return bool(answer.body.get("audit"))


def _months(world: World) -> tuple[str, str, str]:
    """Name the three months; those of a seeding that was cut short earlier, if there was one."""
    api = world.api(TROUPES[0])
    first_party = TROUPES[0].parties[0].party_id
    newest = cast.closed_months(world.today)
    for back in range(4):
        months = cast.closed_months(_earlier(world.today, back))
        if api.get(f"/ops/party-statements/{part(first_party)}/{months[0]}", allow=[404]).status == 200:
            return months
    return newest


def _earlier(day: dt.date, months: int) -> dt.date:
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return dt.date(year, month + 1, 1)


def in_parallel(work: Callable[[Subject], object], subjects: Iterable[Subject]) -> None:
    """Do independent calls a few at a time; the first problem is raised."""
    with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
        list(pool.map(work, subjects))


def _make_tenant(world: World, troupe: Troupe) -> None:
    api = world.api(troupe)
    if not api.get("/ops/api-keys").body.get("apiKeys"):
        profile = {"name": troupe.name, "contactEmail": troupe.email, "apiKey": {"description": "demo key"}}
        made = api.post("/ops/tenants/bootstrap", profile, key="demo-bootstrap").body["bootstrap"]
        if token := (made.get("apiKey") or {}).get("token"):
            world.tokens[troupe.tenant_id] = token
    wanted = {
        "realMoneyEnabled": True,
        "maxPayoutAmountCents": troupe.most_payout_cents,
        "dailyPayoutLimitCents": troupe.most_daily_cents,
    }
    controls = api.get("/ops/finance/billing/plan").body["billing"]["moneyRails"]
    if any(controls.get(name) != value for name, value in wanted.items()):
        api.put("/ops/finance/billing/plan", {"moneyRails": wanted})


def _open_shop(world: World) -> bool:
    """Sell subscriptions, and have one tenant subscribe; its payouts count against its plan from then on."""
    if world.simulator is None:
        return False
    api = world.api(billing.SUBSCRIBER)
    if not billing.open_shop(api, world.simulator):
        world.say("no subscriptions: this deployment does not sell any, or not through the demo's token")
        return False
    billing.subscribe(api, world.simulator, billing.SUBSCRIBER)
    return True


def _state_what_is_owed(world: World, troupe: Troupe, months: tuple[str, ...]) -> None:
    api = world.api(troupe)
    running = cast.month_of(world.today)

    def put(subject: tuple[int, int, str]) -> None:
        position, number, period = subject
        party = troupe.parties[position]
        body: dict[str, Any] = {
            "partyRole": party.role,
            "payoutCents": 0 if party.role == "customer" else cast.amount_cents(position, number),
            "references": [{"type": "settlement", "id": f"stl_{party.party_id}_{period}"}],
        }
        if number == 2 and position == 17:
            body["payableAfter"] = f"{_earlier(world.today, -2).isoformat()}T00:00:00Z"
        api.put(f"/ops/party-statements/{part(party.party_id)}/{period}", body)

    subjects = [
        (position, number, period)
        for number, period in enumerate(months)
        for position in range(len(troupe.parties))
    ]
    # The running month stays open; only some parties have earned anything yet.
    subjects += [(position, 3, running) for position in range(0, len(troupe.parties), 3)]
    in_parallel(put, _unstated(api, troupe, subjects))


def _unstated(api: Api, troupe: Troupe, subjects: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Leave out what an earlier, unfinished seeding has stated: a payableAfter depends on the day."""
    stated = {
        (statement["partyId"], period)
        for period in {period for _, _, period in subjects}
        for statement in api.get(f"/ops/party-statements?period={period}").body["statements"]
    }
    return [one for one in subjects if (troupe.parties[one[0]].party_id, one[2]) not in stated]


def _close(world: World, months: tuple[str, ...]) -> None:
    """Ask for every close, then wait for the worker; without one nothing would ever close."""
    waiting = []
    for troupe in TROUPES:
        for month in months:
            answer = world.api(troupe).post("/ops/month-close", {"month": month}, key=f"demo-close-{month}")
            if answer.status == 202:
                waiting.append((troupe, month))
    ends_at = time.monotonic() + CLOSE_WITHIN_SECONDS
    for troupe, month in waiting:
        path = f"/ops/month-close?month={month}"
        while world.api(troupe).get(path).body["monthClose"]["status"] != "CLOSED":
            if time.monotonic() > ends_at:
                raise DemoError(f"{month} of {troupe.tenant_id} was not closed; is the worker running?")
            time.sleep(0.1)


def _providers(world: World) -> set[str]:
    """Find out which of the demo's two providers this deployment has."""
    api = world.api(TROUPES[0])
    found = {
        provider
        for provider in (SANDBOX, STRIPE)
        if api.get(f"/ops/money-rails/{provider}/operations?limit=1", allow=[404]).status == 200
    }
    if world.simulator is None:
        found.discard(STRIPE)
    for provider in {SANDBOX, STRIPE} - found:
        world.say(f"no payouts over {provider}: this deployment does not offer it to the demo")
    return found


def _pay(world: World, troupe: Troupe, months: tuple[str, ...], providers: set[str]) -> None:
    api = world.api(troupe)
    plan = payouts.plan(troupe, months)
    if SANDBOX in providers:
        in_parallel(lambda payout: payouts.play(api, payout), [p for p in plan if p.provider_id == SANDBOX])
    if STRIPE in providers and world.simulator is not None:
        stripe_stories.play_all(api, world.simulator, troupe, [p for p in plan if p.provider_id == STRIPE])
        _await_confirmations(world, troupe)
    if troupe is TROUPES[0]:
        _owe(world, api, troupe, months, providers)
    world.say(f"{troupe.name}: {len(plan)} payouts played")


def _await_confirmations(world: World, troupe: Troupe) -> None:
    """Give the provider's events time to arrive; what is late arrives while one watches."""
    ends_at = time.monotonic() + SETTLE_WITHIN_SECONDS
    path = f"/ops/money-rails/{STRIPE}/operations?state=submitted&limit=1"
    while world.api(troupe).get(path).body["total"] and time.monotonic() < ends_at:
        time.sleep(0.2)


def _owe(world: World, api: Api, troupe: Troupe, months: tuple[str, ...], providers: set[str]) -> None:
    if SANDBOX in providers:
        debts.play(api, troupe, months)
    if STRIPE in providers and world.simulator is not None:
        path = f"/ops/money-rails/{STRIPE}/operations?state=confirmed&period={months[0]}&limit=1"
        for operation in api.get(path).body["operations"]:
            debts.dispute(world.simulator, operation)


def _reconcile(world: World, months: tuple[str, ...], providers: set[str]) -> None:
    for troupe in TROUPES:
        for month in months:
            for provider in sorted(providers):
                path = f"/ops/finance/money-rails/reconcile?period={month}&providerId={provider}&persist=true"
                verdict = world.api(troupe).get(path).body
                count = verdict["summary"]["criticalMismatchCount"]
                world.say(f"{troupe.tenant_id} {month} {provider}: {verdict['status']}, {count} mismatches")
                if troupe is TROUPES[0] and month == months[1]:
                    decisions.decide(world.api(troupe), verdict["triageQueue"])


def _mark_complete(world: World, months: tuple[str, ...]) -> None:
    """Make the last call under a request id that the audit keeps: one more key, then taken back."""
    api = world.api(TROUPES[-1])
    made = api.post(
        "/ops/api-keys", {"scopes": ["ops_read"], "description": "demo: spare key"}, request_id=COMPLETE
    ).body
    api.post(f"/ops/api-keys/{part(made['keyId'])}/revoke", {})
