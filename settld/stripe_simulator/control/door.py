"""Which control answers which method and path."""

import json
import re
from collections.abc import Callable

from settld.stripe_simulator.control import buyers, catalogue, mischief, payers, provider, state, subscribers
from settld.stripe_simulator.control.fields import BadControl
from settld.stripe_simulator.errors import StripeError
from settld.stripe_simulator.forms import decode
from settld.stripe_simulator.wire import Answer, Json, Request
from settld.stripe_simulator.world import World

Control = Callable[..., Json]

CONTROLS: dict[str, Control] = {
    "GET /_sim/health": state.health,
    "GET /_sim/state": state.summary,
    "GET /_sim/clock": state.read_clock,
    "POST /_sim/clock": state.set_clock,
    "GET /_sim/settings": state.read_settings,
    "POST /_sim/settings": state.set_settings,
    "GET /_sim/balance": state.read_balance,
    "POST /_sim/balance": state.set_balance,
    "GET /_sim/log": state.read_log,
    "GET /_sim/faults": mischief.read_faults,
    "POST /_sim/faults": mischief.add_faults,
    "DELETE /_sim/faults": mischief.clear_faults,
    "GET /_sim/webhooks": mischief.read_webhooks,
    "POST /_sim/webhooks": mischief.add_webhook_rules,
    "DELETE /_sim/webhooks": mischief.clear_webhook_rules,
    "POST /_sim/webhooks/flush": mischief.flush,
    "GET /_sim/webhooks/deliveries": mischief.read_deliveries,
    "POST /_sim/webhooks/redeliver": mischief.redeliver,
    "GET /_sim/webhook_endpoints": mischief.read_endpoints,
    "POST /_sim/webhook_endpoints": mischief.register_endpoint,
    "DELETE /_sim/webhook_endpoints/{id}": mischief.forget_endpoint,
    "POST /_sim/accounts/{id}": provider.set_account,
    "POST /_sim/accounts/{id}/advance": provider.advance_account,
    "POST /_sim/accounts/{id}/deauthorize": provider.deauthorize_account,
    "POST /_sim/charges": buyers.make_charge,
    "POST /_sim/charges/{id}/dispute": buyers.dispute_charge,
    "POST /_sim/disputes/{id}": buyers.decide_dispute,
    **catalogue.CONTROLS,
    **payers.CONTROLS,
    **subscribers.CONTROLS,
    "POST /_sim/transfers": provider.make_transfer,
    "POST /_sim/transfers/{id}/reverse": provider.reverse_transfer,
    "GET /_sim/life": provider.read_life,
    "POST /_sim/life": provider.set_life,
    "POST /_sim/life/act": provider.act_now,
}
# These take the lock themselves: one ends the world that a transaction would be in, one waits.
UNLOCKED: dict[str, Control] = {
    "POST /_sim/reset": state.reset,
    "POST /_sim/webhooks/wait": mischief.wait_idle,
}
ALL = [
    (re.compile(re.sub(r"\{id\}", "([^/]+)", name)), control, name in CONTROLS)
    for name, control in (CONTROLS | UNLOCKED).items()
]


def answer(world: World, request: Request) -> Answer:
    """Every answer is JSON; a refusal is `{"error": ...}` and changes nothing."""
    try:
        return _json(200, _act(world, request))
    except BadControl as error:
        return _json(error.status, {"error": str(error)})
    except StripeError as error:
        return _json(error.status, error.body())


def _act(world: World, request: Request) -> Json:
    for pattern, control, is_locked in ALL:
        match = pattern.fullmatch(f"{request.method} {request.path}")
        if match is None:
            continue
        body = _body(request)
        if not is_locked:
            return control(world, body, *match.groups())
        with world.transaction():
            return control(world, body, *match.groups())
    raise BadControl(f"no such control: {request.method} {request.path}", status=404)


def _body(request: Request) -> Json:
    if request.method == "GET":
        return decode(request.query)
    try:
        body = json.loads(request.body or b"{}")
    except ValueError as error:
        raise BadControl("the body is not JSON") from error
    if not isinstance(body, dict):
        raise BadControl("the body must be a JSON object")
    return body


def _json(status: int, body: Json) -> Answer:
    return Answer(status=status, body=json.dumps(body).encode())
