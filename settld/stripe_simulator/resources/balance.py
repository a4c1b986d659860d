"""Money that the platform and its connected accounts have, per currency."""

from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import events
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import PROVIDER, Call, World

PLATFORM = ""


def available(world: World, *, account: str, currency: str) -> int:
    """A platform that was never told otherwise has plenty of every currency; accounts begin with nothing."""
    sql = "SELECT available FROM balances WHERE account = ? AND currency = ?"
    row = world.store.execute(sql, (account, currency)).fetchone()
    if row is not None:
        return int(row[0])
    return world.settings.default_balance if account == PLATFORM else 0


def keep(world: World, *, account: str, currency: str, amount: int) -> None:
    world.store.execute("INSERT OR REPLACE INTO balances VALUES (?, ?, ?)", (account, currency, amount))


def move(world: World, *, account: str, currency: str, amount: int) -> None:
    """From the platform to the account; negative for the way back."""
    for owner, delta in ((PLATFORM, -amount), (account, amount)):
        before = available(world, account=owner, currency=currency)
        keep(world, account=owner, currency=currency, amount=before + delta)


def set_available(world: World, *, currency: str, amount: int) -> Json:
    """The control door's way to make the platform rich or poor; tells it by `balance.available`."""
    keep(world, account=PLATFORM, currency=currency, amount=amount)
    world.log.add("object", object="balance", action="updated", currency=currency, available=amount)
    body = describe(world, account=PLATFORM)
    events.emit(world, event_type="balance.available", subject=body, origin=PROVIDER)
    return body


def describe(world: World, *, account: str) -> Json:
    sql = "SELECT currency FROM balances WHERE account = ?"
    currencies = {row[0] for row in world.store.execute(sql, (account,)).fetchall()} | {"usd"}
    body = sample("balance")
    for currency in sorted(currencies):
        amount = available(world, account=account, currency=currency)
        body["available"].append({"amount": amount, "currency": currency, "source_types": {"card": amount}})
        body["pending"].append({"amount": 0, "currency": currency, "source_types": {"card": 0}})
        body["connect_reserved"].append({"amount": 0, "currency": currency})
    return body


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    return describe(world, account=call.account or PLATFORM)
