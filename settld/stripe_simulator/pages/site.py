"""Which page answers which path. Pages need no key, no cookie and no script."""

import re
from collections.abc import Callable

from settld.stripe_simulator.errors import StripeError
from settld.stripe_simulator.forms import Form, decode
from settld.stripe_simulator.pages import checkout, html, links, portal
from settld.stripe_simulator.wire import Answer, Request
from settld.stripe_simulator.world import World

PLACES = ("/c/pay/", "/b/", "/p/session/")
Page = Callable[[World, str, Form], Answer]
PAGES: dict[str, Page] = {
    "GET /c/pay/{id}": checkout.show,
    "POST /c/pay/{id}": checkout.pay,
    "POST /c/pay/{id}/settle": checkout.settle,
    "GET /b/{id}": links.visit,
    "GET /p/session/{id}": portal.show,
    "POST /p/session/{id}/plan": portal.change_plan,
    "POST /p/session/{id}/cancel": portal.cancel,
    "POST /p/session/{id}/resume": portal.resume,
    "POST /p/session/{id}/card": portal.update_card,
}
ALL = [(re.compile(name.replace("{id}", "([^/]+)")), page) for name, page in PAGES.items()]


def answer(world: World, request: Request) -> Answer:
    """One page; a refusal is a page too, and changes nothing."""
    try:
        form = decode(request.body.decode("utf-8", "replace") if request.method == "POST" else request.query)
        for pattern, show in ALL:
            match = pattern.fullmatch(f"{request.method} {request.path}")
            if match is not None:
                with world.transaction():
                    return show(world, match[1], form)
    except StripeError as error:
        return html.notice(title="Something went wrong", message=error.message, status=error.status)
    message = "There is nothing at this address."
    return html.notice(title="Page not found", message=message, status=404)
