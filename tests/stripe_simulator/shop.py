"""A shop for checkout tests: what it sells, and short ways to its calls."""

import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

import stripe

from tests.support.simulator import Simulator

SUCCESS_URL = "http://127.0.0.1:9/thanks?session={CHECKOUT_SESSION_ID}"
CANCEL_URL = "http://127.0.0.1:9/plans"
GOOD, DECLINED, FAILING = "4242424242424242", "4000000000000002", "4000000000000341"


@dataclass(frozen=True, kw_only=True)
class Shop:
    """Prices: `monthly` 29.00, `bigger` 99.00 a month, `once` 5.00, `retired` (inactive), all in usd."""

    client: stripe.StripeClient
    simulator: Simulator
    monthly: str
    bigger: str
    once: str
    retired: str

    def subscribe(self, **more: Any) -> stripe.checkout.Session:
        return self.session(mode="subscription", line_items=[{"price": self.monthly, "quantity": 1}], **more)

    def sell(self, **more: Any) -> stripe.checkout.Session:
        return self.session(mode="payment", line_items=[{"price": self.once, "quantity": 2}], **more)

    def session(self, *, key: str | None = None, **params: Any) -> stripe.checkout.Session:
        options: stripe.RequestOptions = {"idempotency_key": key} if key else {}
        asked: Any = {"success_url": SUCCESS_URL, "cancel_url": CANCEL_URL, **params}
        given = {name: value for name, value in asked.items() if value is not None}
        return self.client.v1.checkout.sessions.create(params=given, options=options)  # type: ignore[arg-type]

    def act(self, session: Any, verb: str, **body: Any) -> dict[str, Any]:
        """Do at the control door what a payer does on the page."""
        return dict(self.simulator.control(f"/_sim/checkout/sessions/{session.id}/{verb}", body))

    def events(self, *, after: str | None = None) -> list[dict[str, Any]]:
        """Oldest first."""
        filters = {"ending_before": after} if after else {}
        return list(reversed(self.simulator.get("/v1/events", limit=100, **filters)["data"]))

    def last_event(self) -> str:
        return str(self.events()[-1]["id"])


def open_shop(client: stripe.StripeClient, simulator: Simulator) -> Shop:
    product = client.v1.products.create(params={"name": "Team plan"}).id

    def price(amount: int, *, recurring: bool) -> str:
        params: Any = {"currency": "usd", "unit_amount": amount, "product": product}
        params |= {"recurring": {"interval": "month"}} if recurring else {}
        return client.v1.prices.create(params=params).id

    retired = price(100, recurring=True)
    client.v1.prices.update(retired, params={"active": False})
    return Shop(
        client=client,
        simulator=simulator,
        monthly=price(2900, recurring=True),
        bigger=price(9900, recurring=True),
        once=price(500, recurring=False),
        retired=retired,
    )


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a browser got; a redirect is not followed."""

    status: int
    text: str
    location: str | None


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


BROWSER = urllib.request.build_opener(_Stay)


def visit(url: str, form: dict[str, str] | None = None) -> Page:
    """GET a page, or send its form."""
    data = None if form is None else urllib.parse.urlencode(form).encode()
    try:
        answer = BROWSER.open(urllib.request.Request(url, data=data), timeout=10)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return Page(status=answer.status, text=answer.read().decode(), location=answer.headers["Location"])
