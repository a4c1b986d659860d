"""Connected accounts, and the platform's own."""

import copy

from settld.stripe_simulator.errors import StripeError
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import account_states, events
from settld.stripe_simulator.resources.account_states import PRESETS, merge, request_capabilities, submit
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, Origin, World

KIND = "account"
UPDATE_PARAMS = (
    "account_token",
    "business_profile",
    "business_type",
    "capabilities",
    "company",
    "default_currency",
    "documents",
    "email",
    "external_account",
    "groups",
    "individual",
    "metadata",
    "settings",
    "tos_acceptance",
)
CREATE_PARAMS = (*UPDATE_PARAMS, "controller", "country", "type")
TYPES = ("custom", "express", "standard")
BUSINESS_TYPES = ("company", "government_entity", "individual", "non_profit")
CURRENCIES = {"US": "usd", "GB": "gbp", "CH": "chf", "CA": "cad", "AU": "aud", "JP": "jpy", "SE": "sek"}


def create(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=CREATE_PARAMS)
    country = params.text("country") or "US"
    body = blank(world, account_id=world.ids.next("acct"), country=country)
    body["type"] = params.choice("type", TYPES) or ("none" if params.mapping("controller") else "standard")
    merge(body["controller"], params.mapping("controller") or {})
    _fill_in(body, params)
    insert(world, body)
    return body


def blank(world: World, *, account_id: str, country: str) -> Json:
    """An account that nobody has filled in yet; not stored."""
    body = sample(KIND)
    body.update(
        id=account_id,
        country=country,
        created=world.clock.now(),
        default_currency=CURRENCIES.get(country, "eur"),
    )
    body["external_accounts"]["url"] = f"/v1/accounts/{account_id}/external_accounts"
    return body


def insert(world: World, body: Json) -> None:
    world.store.insert(kind=KIND, body=body)
    world.log.add("object", object=KIND, id=body["id"], action="created")


def _fill_in(body: Json, params: Params) -> None:
    body["business_type"] = params.choice("business_type", BUSINESS_TYPES) or body["business_type"]
    body["default_currency"] = params.text("default_currency") or body["default_currency"]
    body["email"] = params.clearable_text("email", body["email"])
    body["metadata"] = params.metadata(body["metadata"])
    request_capabilities(body, params.mapping("capabilities") or {})
    for name in ("business_profile", "settings"):
        merge(body[name], params.mapping(name) or {})
    if (acceptance := params.mapping("tos_acceptance")) is not None:
        terms = Params(acceptance, allowed=("date", "ip", "service_agreement", "user_agent"))
        given = {name: terms.text(name) for name in ("ip", "user_agent") if terms.has(name)}
        merge(body["tos_acceptance"], given | ({"date": terms.integer("date")} if terms.has("date") else {}))
    submit(body, params.form)


def find(world: World, account_id: str) -> Json:
    """Stripe does not say whether an account is unknown, deleted or another platform's: 403 for all."""
    body = world.store.get(kind=KIND, object_id=account_id)
    if body is None:
        message = (
            f"The provided key does not have access to account '{account_id}' "
            "(or that account does not exist). Application access may have been revoked."
        )
        raise StripeError(message, status=403, code="account_invalid")
    return body


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    if call.names["id"] == world.platform_account_id:
        return platform(world)
    return find(world, call.names["id"])


def retrieve_current(world: World, call: Call) -> Json:
    """`/v1/account`: the account that the call acts for."""
    Params(call.form, allowed=())
    return find(world, call.account) if call.account else platform(world)


def platform(world: World) -> Json:
    body = blank(world, account_id=world.platform_account_id, country="US")
    merge(body, PRESETS["verified"])
    return {**body, "created": 1_577_836_800}


def update(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=UPDATE_PARAMS)
    body = find(world, call.names["id"])
    before = copy.deepcopy(body)
    _fill_in(body, params)
    keep(world, before=before, body=body, origin=call.origin)
    return body


def keep(world: World, *, before: Json, body: Json, origin: Origin) -> None:
    """Store a changed account and tell the world, if it did change."""
    if body != before:
        world.store.replace(kind=KIND, body=body)
        world.log.add("object", object=KIND, id=body["id"], action="updated")
        previous = events.difference(before, body)
        account_id = body["id"]
        events.emit(
            world,
            event_type="account.updated",
            subject=body,
            origin=origin,
            previous=previous,
            account=account_id,
        )


def advance(world: World, body: Json, *, toward: str | None, origin: Origin) -> None:
    """Move an account one step of onboarding on, in place; nothing when it is there already."""
    before = copy.deepcopy(body)
    account_states.put(
        body,
        account_states.next_stage(account_states.stage(body), toward=toward),
        now=world.clock.now(),
    )
    keep(world, before=before, body=body, origin=origin)


def deauthorize(world: World, body: Json, *, origin: Origin) -> Json:
    """Forget an account that took its permission back; the event names it beside the application."""
    world.store.delete(kind=KIND, object_id=body["id"])
    world.log.add("object", object=KIND, id=body["id"], action="deauthorized")
    application = {"id": f"ca_{world.platform_account_id}", "object": "application", "name": "Settld"}
    return events.emit(
        world,
        event_type="account.application.deauthorized",
        subject=application,
        origin=origin,
        account=body["id"],
    )


def delete(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    body = find(world, call.names["id"])
    world.store.delete(kind=KIND, object_id=body["id"])
    world.log.add("object", object=KIND, id=body["id"], action="deleted")
    return {"id": body["id"], "object": KIND, "deleted": True}


def list_all(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=(*PAGING, "created"))
    return page(world, params, kind=KIND, url="/v1/accounts")
