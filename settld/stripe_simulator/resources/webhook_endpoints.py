"""Webhook endpoints. The secret is told once, by the call that creates one."""

from urllib.parse import urlsplit

from settld.stripe_simulator.errors import StripeError, missing
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.webhooks.endpoints import MAX_ENDPOINTS, keep_secret
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, World

KIND = "webhook_endpoint"
CREATE_PARAMS = ("api_version", "connect", "description", "enabled_events", "metadata", "url")
UPDATE_PARAMS = ("description", "disabled", "enabled_events", "metadata", "url")


def create(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=CREATE_PARAMS)
    body = make(
        world,
        url=checked_url(params.required_text("url")),
        enabled_events=_enabled_events(params),
        api_version=params.text("api_version"),
        audience="connect" if params.boolean("connect") else "platform",
        secret=(secret := world.ids.next("whsec")),
    )
    body["description"] = params.clearable_text("description", None)
    body["metadata"] = params.metadata({})
    world.store.replace(kind=KIND, body=body)
    return {**body, "secret": secret}


def make(
    world: World, *, url: str, enabled_events: list[str], api_version: str | None, audience: str, secret: str
) -> Json:
    """A new endpoint, without its secret in the body."""
    if world.store.count(kind=KIND) >= MAX_ENDPOINTS:
        raise StripeError(f"You have reached the maximum of {MAX_ENDPOINTS} webhook endpoints.")
    body = sample(KIND)
    body.update(
        id=world.ids.next("we"),
        api_version=api_version,
        created=world.clock.now(),
        enabled_events=enabled_events,
        url=url,
    )
    world.store.insert(kind=KIND, body=body)
    keep_secret(world, endpoint_id=body["id"], secret=secret, audience=audience)
    world.log.add("object", object=KIND, id=body["id"], action="created")
    return body


def _find(world: World, call: Call) -> Json:
    body = world.store.get(kind=KIND, object_id=call.names["id"])
    if body is None:
        raise missing(noun="webhook endpoint", object_id=call.names["id"])
    return body


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    return _find(world, call)


def update(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=UPDATE_PARAMS)
    body = _find(world, call)
    body["description"] = params.clearable_text("description", body["description"])
    body["metadata"] = params.metadata(body["metadata"])
    if params.has("enabled_events"):
        body["enabled_events"] = _enabled_events(params)
    if params.has("url"):
        body["url"] = checked_url(params.required_text("url"))
    if (disabled := params.boolean("disabled")) is not None:
        body["status"] = "disabled" if disabled else "enabled"
    world.store.replace(kind=KIND, body=body)
    world.log.add("object", object=KIND, id=body["id"], action="updated")
    return body


def delete(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    body = _find(world, call)
    world.store.delete(kind=KIND, object_id=body["id"])
    world.store.execute("DELETE FROM secrets WHERE endpoint_id = ?", (body["id"],))
    world.log.add("object", object=KIND, id=body["id"], action="deleted")
    return {"id": body["id"], "object": KIND, "deleted": True}


def list_all(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=PAGING)
    return page(world, params, kind=KIND, url="/v1/webhook_endpoints")


def _enabled_events(params: Params) -> list[str]:
    names = params.strings("enabled_events")
    if not names:
        message = "Missing required param: enabled_events."
        raise StripeError(message, code="parameter_missing", param="enabled_events")
    if "*" in names and len(names) > 1:
        raise StripeError("Use `*` alone, or name the events.", param="enabled_events")
    return names


def checked_url(url: str) -> str:
    """Stripe's test mode takes http and https alike."""
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        message = "Invalid URL: a webhook URL begins with http:// or https://"
        raise StripeError(message, code="url_invalid", param="url")
    return url
