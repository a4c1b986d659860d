"""POST /api/billing/checkout/refresh (7.2): a look at what keeps the entity waiting."""

import datetime as dt

import pytest

from billing.models import BillingRequest, Subscription
from billing.providers import shapes
from billing.providers.errors import Category
from billing.services import refresh
from settld.core import clock, tenancy
from tests.billing import checkouts, factories, payloads, session_facts
from tests.billing.checkout_provider import problem
from tests.billing.checkouts import dying_at
from tests.billing.factories import NOW
from tests.billing.session_facts import KEY, rows, session
from tests.billing.shop_provider import ShopProvider, shop
from tests.support.api import body

__all__ = ["shop"]
PATH = "/api/billing/checkout/refresh"
SECOND = dt.timedelta(seconds=1)


@pytest.fixture
def stopped():
    with clock.freeze(NOW) as move:
        yield move


@pytest.fixture
def entity(db, stopped):
    factories.plan()
    return factories.workspace_entity()


@pytest.fixture
def told(entity, shop, monkeypatch):
    """Have the provider tell of the session cs_1, and of the subscription that it led to."""

    def tell(status="complete", *, subscription="active", **more):
        labels = payloads.labels(entity, KEY)
        led_to = "sub_1" if status == "complete" and subscription else None
        shop.sessions["cs_1"] = payloads.session(
            "cs_1", status=status, subscription=led_to, metadata=labels, **more
        )

        def retrieve(self, subscription_id, *, profile="request"):
            self._asked("read subscription", subscription_id)
            thing = payloads.subscription(subscription_id, status=subscription, metadata=labels)
            return self._answer(shapes.subscription_facts(thing))

        monkeypatch.setattr(ShopProvider, "retrieve_subscription", retrieve, raising=False)

    return tell


def open_session(entity, status="open", **more):
    """The session cs_1 as Tx B left it, its request succeeded."""
    request = session_facts.request(entity)
    session(entity, status, provider_checkout_session_id="cs_1", idempotency_row=request, **more)
    return request


def asked(shop) -> list[str]:
    return [verb for verb, _, _ in shop.calls]


@pytest.mark.parametrize("local", ["open", "completed_pending_subscription", "recovery_verification_pending"])
def test_a_completed_session_is_merged_and_its_subscription_projected(api, entity, shop, told, local):
    open_session(entity, local)
    told()
    answer = api.post(PATH, {})
    assert answer.status_code == 200
    snapshot = body(answer)
    assert snapshot == body(api.get("/api/billing/subscription"))
    assert (snapshot["subscription"]["providerSubscriptionId"], snapshot["subscription"]["status"]) == (
        "sub_1",
        "active",
    )
    (row,) = rows(entity)
    assert (row.status, row.provider_subscription_id, row.last_read_at) == (
        "completed_reconciled",
        "sub_1",
        NOW,
    )
    assert asked(shop) == ["read session", "read subscription"]
    request = checkouts.request(entity)
    assert (request.status, request.provider_session_id) == ("succeeded", "cs_1")
    assert request.response_json["checkoutSession"]["subscriptionId"] is not None


@pytest.mark.parametrize(
    ("status", "after"),
    [("open", "open"), ("expired", "expired"), ("complete", "completed_pending_subscription")],
)
def test_without_a_subscription_the_session_is_merged_only(api, entity, shop, told, status, after):
    open_session(entity)
    told(status, subscription=None)
    assert body(api.post(PATH, {}))["subscription"] is None
    assert [row.status for row in rows(entity)] == [after]
    assert asked(shop) == ["read session"]


@pytest.mark.parametrize(
    "what", ["nothing", "a hold of an unknown session", "another flow", "a finished one"]
)
def test_with_nothing_to_read_nothing_is_asked(api, entity, shop, what):
    if what == "a hold of an unknown session":
        session(entity, "recovery_verification_pending")
    if what == "another flow":
        session(entity, "open", flow="one_off", provider_checkout_session_id="cs_1")
    if what == "a finished one":
        session(entity, "expired", provider_checkout_session_id="cs_1")
    assert api.post(PATH, {}).status_code == 200
    assert shop.calls == []


@pytest.mark.parametrize(("later", "reads"), [(0 * SECOND, 1), (9.999 * SECOND, 1), (10 * SECOND, 2)])
def test_a_session_is_read_once_in_ten_seconds(api, entity, shop, told, stopped, later, reads):
    open_session(entity)
    told("open")
    api.post(PATH, {})
    stopped(NOW + later)
    assert api.post(PATH, {}).status_code == 200
    assert asked(shop).count("read session") == reads


@pytest.mark.parametrize("verb", ["read session", "read subscription"])
@pytest.mark.parametrize("category", [Category.TRANSIENT_NETWORK, Category.AUTH, Category.NOT_FOUND])
def test_a_provider_that_does_not_tell_leaves_what_is_known(api, entity, shop, told, verb, category):
    open_session(entity)
    told()
    shop.will(verb, problem(category))
    answer = api.post(PATH, {})
    assert (answer.status_code, body(answer)["subscription"]) == (200, None)
    (row,) = rows(entity)
    assert row.status == ("open" if verb == "read session" else "completed_pending_subscription")


def test_a_session_that_is_not_ours_changes_nothing(api, entity, shop, told):
    open_session(entity)
    told()
    shop.sessions["cs_1"]["metadata"]["billable_entity_id"] = "999999"
    assert api.post(PATH, {}).status_code == 200
    assert [row.status for row in rows(entity)] == ["open"]


@pytest.mark.parametrize(
    "point", ["billing.refresh.claimed", "billing.refresh.dispatched", "billing.refresh.before_commit"]
)
def test_a_crash_loses_nothing_and_the_next_look_finishes(entity, shop, told, stopped, point):
    open_session(entity)
    told()
    with dying_at(point):
        refresh.refresh(entity=entity, now=NOW)
    assert [row.status for row in rows(entity)] == ["open"]
    stopped(NOW + 10 * SECOND)
    refresh.refresh(entity=entity, now=NOW + 10 * SECOND)
    assert [row.status for row in rows(entity)] == ["completed_reconciled"]
    with tenancy.tenant_scope(entity.tenant_id):
        assert Subscription.objects.get().is_current
        assert BillingRequest.objects.get().status == "succeeded"


def test_a_body_is_refused(api, entity, shop):
    answer = api.post(PATH, {"sessionId": "cs_1"})
    assert (answer.status_code, list(body(answer)["fieldErrors"])) == (400, ["sessionId"])
