"""Stories of what is owed and asked beside a checkout: jobs, remedies, runs, the portal, payment links."""

import datetime as dt
from typing import Any

from billing.services import outbox, reconciliation, recovery, remediation_work
from tests.billing import factories as make
from tests.crash.stories_checkout import CURRENT, REQUESTS, SESSIONS, SUBSCRIPTIONS, Story
from tests.support.api import body

LINKS = "/api/billing/payment-links"


# --- What is owed -----------------------------------------------------------------------------------------
class Expire(Story):
    """A page on which nobody may pay any more."""

    def begin(self) -> None:
        _, answer = self.shop.checkout("key-0")
        with make.locked(self.shop.entity):
            outbox.enqueue_expire(
                entity=self.shop.entity,
                provider_checkout_session_id=answer["checkoutSession"]["providerCheckoutSessionId"],
                operation_key=answer["operationKey"],
                now=self.shop.now,
            )

    def act(self) -> Any:
        return outbox.tick(limit=5)

    def effects(self) -> int:
        return len(self.shop.sessions(status="expired"))

    def is_whole(self) -> None:
        assert self.shop.count("billing_outbox_jobs", "status = 'succeeded'") == 1
        assert len(self.shop.events("checkout.session.expired")) == 1


class Remedy(Story):
    """A second subscription, bought beside the first."""

    def begin(self) -> None:
        self.shop.buys()
        (first,) = self.shop.stripe.get("/v1/subscriptions", limit=10)["data"]
        price = first["items"]["data"][0]["price"]["id"]
        self.shop.stripe.subscribe(first["customer"], price, metadata=first["metadata"])
        self.first = first["id"]
        self.shop.hears(*self.shop.events())
        assert self.shop.count("billing_subscription_remediations", "status = 'pending'") == 1

    def act(self) -> Any:
        return remediation_work.tick(limit=5)

    def effects(self) -> int:
        return len(self.shop.stripe.get("/v1/subscriptions", limit=10, status="canceled")["data"])

    def is_whole(self) -> None:
        self.shop.hears(*self.shop.events())
        (left,) = self.shop.stripe.get("/v1/subscriptions", limit=10, status="active")["data"]
        assert left["id"] == self.first
        assert len(self.shop.events("customer.subscription.deleted")) == 1
        assert self.shop.count("billing_subscription_remediations", "status = 'succeeded'") == 1
        assert self.shop.count(SUBSCRIPTIONS, f"{CURRENT} AND provider_subscription_id = '{self.first}'") == 1
        assert self.shop.count(SUBSCRIPTIONS, "status = 'canceled'") == 1


class Compare(Story):
    """All events were lost; a run finds the page paid."""

    def begin(self) -> None:
        self.shop.buys()
        self.shop.wait(dt.timedelta(minutes=20))

    def act(self) -> Any:
        return reconciliation.run("checkout_open")

    def effects(self) -> int:
        return self.shop.count(SESSIONS, "status <> 'open'")

    def is_whole(self) -> None:
        self.act()
        assert self.shop.count("billing_reconciliation_runs", "status = 'running'") == 0
        self.shop.wait(dt.timedelta(seconds=400))
        reconciliation.run("checkout_completed_pending")
        reconciliation.run("invoices_recent")
        assert self.shop.count(SUBSCRIPTIONS, CURRENT) == 1
        assert self.shop.count(SESSIONS, "status = 'completed_reconciled'") == 1


# --- Portal and payment links -----------------------------------------------------------------------------
class Portal(Story):
    """The way to the provider's portal; the client asks again with its key."""

    def begin(self) -> None:
        self.shop.buys()
        self.shop.hears(*self.shop.events())
        self.kept = self._kept()

    def _kept(self) -> int:
        """How many calls the provider remembers by their keys; a portal session is in no list."""
        return int(self.shop.stripe.control("/_sim/state")["idempotency_keys"])

    def act(self) -> Any:
        return self.shop.asks("/api/billing/portal", {"returnPath": "/w"}, key="portal-1")

    def effects(self) -> int:
        return self._kept() - self.kept

    def again(self) -> Any:
        status, self.answer = self.act()
        assert status == 200, self.answer

    def is_whole(self) -> None:
        assert self.act() == (200, self.answer)
        assert self.shop.count(REQUESTS, "status = 'pending'") == 0
        assert self.shop.count(REQUESTS, "action = 'portal' AND status = 'succeeded'") == 1


class PortalThenLoop(Portal):
    def again(self) -> Any:
        recovery.recover_pending(limit=10)
        super().again()


class Link(Story):
    """A payment link with a price of its own; the client asks again with its key."""

    line = {"name": "Setup", "amountMinor": 1_500, "quantity": 2}

    def begin(self) -> None:
        self.prices = self._prices()

    def _prices(self) -> int:
        return len(self.shop.stripe.get("/v1/prices", limit=100)["data"])

    def act(self) -> Any:
        return self.shop.asks(LINKS, {"successPath": "/done", "oneOff": self.line}, key="link-1")

    def effects(self) -> int:
        return len(self.shop.stripe.get("/v1/payment_links", limit=100)["data"])

    def again(self) -> Any:
        status, self.answer = self.act()
        assert status == 200, self.answer

    def is_whole(self) -> None:
        assert self._prices() == self.prices + 1
        assert self.act() == (200, self.answer)
        assert self.shop.count(REQUESTS, "status = 'succeeded'") == self.shop.count(REQUESTS) == 1
        assert self.shop.count("billing_payment_links") == 1


class LinkThenLoop(Link):
    def again(self) -> Any:
        recovery.recover_pending(limit=10)
        super().again()


class LimitedLink(Link):
    """A link that counts against the plan's limit; it counts once."""

    def begin(self) -> None:
        quota = {"limit": 2, "interval": "month", "enforcement": "hard"}
        make.entitlement(self.shop.plan, "payment_links_created_monthly", "entitlement.quota.v1", quota)
        self.shop.buys()
        self.shop.hears(*self.shop.events())
        super().begin()

    def is_whole(self) -> None:
        assert self._prices() == self.prices + 1
        assert self.act() == (200, self.answer)
        assert self.shop.count("billing_usage_counters", "usage_count = 1") == 1
        assert self.shop.count("billing_usage_events", "state = 'counted'") == 1


class EndLink(Link):
    """A link that takes no more money."""

    def begin(self) -> None:
        super().begin()
        status, self.answer = Link.act(self)
        assert status == 200, self.answer
        (row,) = body(self.shop.api.get(LINKS))["paymentLinks"]
        self.path = f"{LINKS}/{row['id']}/deactivate"

    def act(self) -> Any:
        return self.shop.asks(self.path, {})

    def again(self) -> Any:
        status, answer = self.act()
        assert status == 200, answer

    def effects(self) -> int:
        links = self.shop.stripe.get("/v1/payment_links", limit=100)["data"]
        return sum(not link["active"] for link in links)

    def is_whole(self) -> None:
        assert self.shop.count("billing_payment_links", "NOT active AND deactivated_at IS NOT NULL") == 1
