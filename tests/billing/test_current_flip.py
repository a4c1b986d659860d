"""T-095: whoever reads while the current subscription changes sees exactly one, never none and never two."""

import threading

from django.db import connection

from billing.models import Subscription
from billing.services import canonical, transactions
from billing.services.locks import lock_entity
from billing.states import Writer
from settld.core import tenancy
from settld.core.transactions import atomic
from tests.billing import factories

FLIPS = 40


def test_t095_readers_see_one_current_subscription_at_every_moment(live_db):
    """T-095, INV-21: two statements, one commit."""
    entity = factories.workspace_entity()
    plan, payer = factories.plan(), factories.customer(entity)
    factories.subscription(entity, plan, payer, "sub_a")
    factories.subscription(entity, plan, payer, "sub_b", is_current=False, status="incomplete")
    seen: set[tuple[str, ...]] = set()
    failures: list[BaseException] = []
    is_over = threading.Event()
    began = threading.Barrier(4)

    def read() -> None:
        try:
            began.wait(10)
            while not is_over.is_set():
                with tenancy.tenant_scope(entity.tenant_id), atomic():
                    rows = Subscription.objects.filter(billable_entity=entity, is_current=True)
                    seen.add(tuple(rows.values_list("provider_subscription_id", flat=True)))
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    began.wait(10)

    def flip(paid: str) -> None:
        """One of the two is paid and the other not, so the choice goes to it."""

        def work() -> None:
            locked = lock_entity(entity_id=entity.pk, writer=Writer.SUBSCRIPTION_PROJECTION)
            rows = Subscription.objects.filter(billable_entity=locked)
            rows.filter(provider_subscription_id=paid).update(status="active")
            rows.exclude(provider_subscription_id=paid).update(status="incomplete")
            chosen = canonical.apply(entity=locked, now=factories.NOW)
            assert chosen is not None
            assert chosen.provider_subscription_id == paid

        transactions.retried(tenant_id=entity.tenant_id, work=work)

    try:
        for number in range(FLIPS):
            flip(("sub_b", "sub_a")[number % 2])
    finally:
        is_over.set()
        for reader in readers:
            reader.join(20)

    assert failures == []
    assert seen == {("sub_a",), ("sub_b",)}
