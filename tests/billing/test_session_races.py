"""Portal, links and refresh asked for by many at once, over real connections."""

import threading

import pytest
from django.db import connections

from billing import clock
from billing.models import PaymentLink
from billing.services import payment_links, portal, refresh
from billing.services.idempotency import RequestInProgress
from billing.services.payment_link_items import LineItem
from settld.core import tenancy
from tests.billing import checkouts, factories, payloads, session_facts
from tests.billing.session_facts import KEY, session
from tests.billing.shop_provider import shop

__all__ = ["shop"]
MANY = 6


def together(act) -> list:
    """Have many threads do the same at the same moment; what came of each."""
    start, ends = threading.Barrier(MANY), []

    def run() -> None:
        start.wait(10)
        try:
            ends.append(act().status)
        except RequestInProgress:
            ends.append("in progress")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(MANY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(ends) == MANY
    return ends


@pytest.fixture
def entity(live_db):
    entity = factories.workspace_entity()
    factories.subscription(entity, factories.plan(), factories.customer(entity))
    return entity


def test_t158_one_key_sends_one_portal_request(entity, shop):
    ends = together(
        lambda: portal.start(
            tenant_id=entity.tenant_id,
            entity_id=entity.pk,
            client_key="key-1",
            return_path="/w",
            now=clock.now(),
        )
    )
    assert set(ends) <= {200, "in progress"}
    assert 200 in ends
    assert len(shop.made("portal")) == 1


def test_t159_one_key_makes_one_link(entity, shop):
    ends = together(
        lambda: payment_links.create(
            entity=entity,
            client_key="key-1",
            success_path="/x",
            items=[LineItem(name="Setup", amount_minor=1_500)],
            now=clock.now(),
        )
    )
    assert set(ends) <= {200, "in progress"}
    assert 200 in ends
    assert (len(shop.made("price")), len(shop.made("link"))) == (1, 1)
    with tenancy.tenant_scope(entity.tenant_id):
        assert PaymentLink.objects.count() == 1


def test_many_refreshes_read_a_session_once(live_db, shop):
    entity = factories.workspace_entity()
    session_facts.request(entity)
    session(entity, "open", provider_checkout_session_id="cs_1", expires_at=None)
    shop.sessions["cs_1"] = payloads.session("cs_1", status="open", metadata=payloads.labels(entity, KEY))
    now = clock.now()

    def look():
        refresh.refresh(entity=entity, now=now)
        return checkouts.session(entity)

    assert together(look) == ["open"] * MANY
    assert len(shop.made("read session")) == 1
