"""Stories of a checkout: started, found out, heard of, come back from; each dies once and goes on.

A checkout goes on in three ways (T-054): the client asks again with its key, the loop comes by, or the
provider's event is first. All three bring one session at the provider and one end here.
"""

import datetime as dt
from typing import Any

from billing.services import reconciliation, recovery
from settld.stripe_gateway.services import consumption
from tests.billing import factories as make
from tests.crash.shop import BODY, CHECKOUT, Shop

REQUESTS = "billing_request_idempotency"
SESSIONS = "billing_checkout_sessions"
SUBSCRIPTIONS = "billing_subscriptions"
REFRESH = "/api/billing/checkout/refresh"
CURRENT = "is_current AND status = 'active'"


class Story:
    """`begin`, then `act` dies; `effects` counts what happened; `again` is the caller, or the next tick."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.begin()

    def begin(self) -> None:
        """Nothing has to be there before."""

    def act(self) -> Any:
        raise NotImplementedError

    def again(self) -> Any:
        return self.act()

    def effects(self) -> int:
        raise NotImplementedError

    def is_whole(self) -> None:
        """What must be true besides the one effect."""


# --- Checkout -------------------------------------------------------------------------------------------
class Checkout(Story):
    """The client asks again with its key."""

    def act(self) -> Any:
        return self.shop.checkout()

    def effects(self) -> int:
        return len(self.shop.sessions())

    def again(self) -> Any:
        status, self.answer = self.act()
        assert status == 200, self.answer

    def is_whole(self) -> None:
        (session,) = self.shop.sessions()
        assert self.answer["checkoutSession"]["providerCheckoutSessionId"] == session["id"]
        assert self.shop.checkout() == (200, self.answer)
        assert self.shop.count(REQUESTS, "status = 'pending'") == 0
        assert self.shop.count(SESSIONS, "status = 'open'") == self.shop.count(SESSIONS) == 1
        assert self.shop.checkout("key-2")[1]["code"] == "checkout_session_open"
        self.shop.pays()
        self.shop.hears(*self.shop.events())
        assert self.shop.count(SUBSCRIPTIONS, CURRENT) == self.shop.count(SUBSCRIPTIONS) == 1


class CheckoutThenLoop(Checkout):
    """The recovery loop comes by first."""

    def again(self) -> Any:
        claimed = self.shop.count(REQUESTS, "status = 'pending'")
        assert sum(recovery.recover_pending(limit=10).values()) == claimed
        assert self.shop.count(REQUESTS, "status = 'pending'") == 0
        super().again()


class CheckoutThenEvent(Checkout):
    """The person had the page all the same and paid; the provider's events come first."""

    def again(self) -> Any:
        if not self.effects():
            super().again()
        self.shop.pays()
        self.shop.hears(*self.shop.events())
        assert self.shop.count(SUBSCRIPTIONS, CURRENT) == 1
        super().again()

    def is_whole(self) -> None:
        (session,) = self.shop.sessions()
        assert self.answer["checkoutSession"]["providerCheckoutSessionId"] == session["id"]
        assert self.shop.checkout() == (200, self.answer)
        assert self.shop.count(SESSIONS, "status = 'completed_reconciled'") == self.shop.count(SESSIONS) == 1
        assert self.shop.count("billing_subscription_remediations") == 0
        assert self.shop.checkout("key-2")[1]["code"] == "subscription_exists_use_portal"


class RefusedCheckout(Checkout):
    """The provider says no for certain; that is the end, and stays it."""

    def begin(self) -> None:
        make.plan("gone", price_id="price_gone")

    def act(self) -> Any:
        return self.shop.asks(CHECKOUT, BODY | {"planCode": "gone"}, key="key-1")

    def effects(self) -> int:
        return self.shop.count(REQUESTS, "status = 'failed'")

    def again(self) -> Any:
        self.status, self.answer = self.act()

    def is_whole(self) -> None:
        assert (self.status, self.answer["code"]) == (502, "checkout_provider_error")
        assert self.act() == (self.status, self.answer)
        assert self.shop.sessions() == []
        assert self.shop.checkout("key-2")[0] == 200  # the entity is free


class UnansweredCheckout(Checkout):
    """The session is made, its answer is lost, and then the process is."""

    def act(self) -> Any:
        self.shop.breaks("reset_after", path="/v1/checkout/sessions")
        return super().act()

    def again(self) -> Any:
        self.shop.mends()
        status, self.answer = self.shop.checkout()
        assert status == 200, self.answer


class UndeliveredCheckout(UnansweredCheckout):
    """Nothing arrived at the provider, and before that could be written down the process died."""

    def act(self) -> Any:
        self.shop.breaks("reset_before", path="/v1/checkout/sessions")
        return Checkout.act(self)


class FindOut(Checkout):
    """The process that finds out dies, too."""

    def begin(self) -> None:
        self.shop.breaks("reset_after", path="/v1/checkout/sessions")
        assert self.shop.checkout()[1]["code"] == "request_in_progress"
        self.shop.mends()
        self.shop.wait()

    def act(self) -> Any:
        return recovery.recover_pending(limit=10)

    def effects(self) -> int:
        return self.shop.count(REQUESTS, "status = 'succeeded'")

    def again(self) -> Any:
        self.act()
        status, self.answer = self.shop.checkout()
        assert status == 200, self.answer


# --- Events and the browser that returns ---------------------------------------------------------------
class Hear(Story):
    """The provider tells of a subscription, and will again."""

    event_type = "customer.subscription.created"

    def begin(self) -> None:
        self.shop.buys()

    def act(self) -> Any:
        self.shop.hears(*self.shop.events(self.event_type))

    def effects(self) -> int:
        return self.shop.count(SUBSCRIPTIONS)

    def is_whole(self) -> None:
        self.shop.hears(*self.shop.events())
        assert self.shop.count("billing_webhook_event_consumptions", "status <> 'done'") == 0
        assert self.shop.count(SUBSCRIPTIONS, CURRENT) == 1
        assert self.shop.count(SESSIONS, "status = 'completed_reconciled'") == 1
        assert self.shop.count("billing_invoices", "status = 'paid' AND subscription_id IS NOT NULL") == 1
        assert self.shop.count("billing_payments") == 1


class HearThenWorker(Hear):
    """A worker finds the event that was stored and left."""

    def again(self) -> Any:
        consumption.consume_due(owner="crash", limit=10, budget_seconds=60)


class HearOfCard(Hear):
    """The provider tells of a card of a customer that we know."""

    event_type = "payment_method.attached"

    def begin(self) -> None:
        super().begin()
        self.shop.hears(*self.shop.events("checkout.session.completed"))

    def effects(self) -> int:
        return self.shop.count("billing_payment_methods")


class Return(Hear):
    """The browser is back before the provider's events."""

    def act(self) -> Any:
        return self.shop.asks(REFRESH, {})

    def again(self) -> Any:
        self.act()
        if not self.effects():  # the session is known to be complete; a loop asks for what it led to
            self.shop.wait(dt.timedelta(seconds=400))
            reconciliation.run("checkout_completed_pending")


class SyncCards(HearOfCard):
    """Somebody has the payment methods read again."""

    def act(self) -> Any:
        return self.shop.asks("/api/billing/payment-methods/sync", {})

    def is_whole(self) -> None:
        assert self.shop.count("billing_payment_method_sync_events", "status = 'succeeded'") >= 1
        super().is_whole()
