"""The provider's customers of an entity (8.3; INV-34, INV-35)."""

import pytest

from billing.models import Customer
from billing.services import customers, refs
from settld.core import tenancy
from tests.billing import factories
from tests.billing.factories import NOW


@pytest.fixture
def entity(db):
    return factories.workspace_entity()


def upsert(entity, customer_id="cus_1", **more):
    values = {"email": None, "origin": "checkout", "make_primary": True, "now": NOW} | more
    with factories.locked(entity):
        return customers.upsert(entity=entity, provider_customer_id=customer_id, **values)


def primaries(entity) -> dict[str, bool]:
    with tenancy.tenant_scope(entity.tenant_id):
        return dict(Customer.objects.order_by("id").values_list("provider_customer_id", "is_primary"))


def test_a_customer_becomes_known_once_and_its_email_is_filled_not_replaced(entity):
    first = upsert(entity)
    assert (first.email, first.origin, first.is_primary) == (None, "checkout", True)
    for email in ("a@example.com", "b@example.com", None):
        again = upsert(entity, email=email, origin="backfill")
        assert (again.pk, again.email, again.origin) == (first.pk, "a@example.com", "checkout")


def test_making_one_primary_demotes_the_one_before(entity):
    upsert(entity, "cus_1")
    upsert(entity, "cus_2", make_primary=False)
    assert primaries(entity) == {"cus_1": True, "cus_2": False}
    upsert(entity, "cus_2")
    assert primaries(entity) == {"cus_1": False, "cus_2": True}
    upsert(entity, "cus_1", make_primary=False)
    assert primaries(entity) == {"cus_1": False, "cus_2": True}


def test_a_payer_of_a_link_who_subscribes_is_a_customer_of_a_checkout(entity):
    payer = upsert(entity, origin="payment_link", make_primary=False)
    assert (payer.origin, payer.is_primary) == ("payment_link", False)
    promoted = upsert(entity)
    assert (promoted.origin, promoted.is_primary) == ("checkout", True)


def test_a_deleted_customer_is_never_made_primary(entity):
    factories.customer(entity, is_primary=False, provider_deleted_at=NOW)
    assert upsert(entity).is_primary is False
    with tenancy.tenant_scope(entity.tenant_id):
        assert customers.primary_of(entity) is None


def test_another_entitys_customer_is_refused(entity):
    stranger = factories.workspace_entity("tenant_b")
    factories.customer(stranger)
    with pytest.raises(refs.RefOwnedByAnother):
        upsert(entity)


@pytest.mark.parametrize(
    ("flow", "known", "is_primary"),
    [
        ("subscription", None, True),
        ("one_off", None, True),
        ("payment_link", None, False),
        ("subscription", {}, False),
        ("subscription", {"provider_deleted_at": NOW}, True),
    ],
)
def test_an_adopted_customer_is_primary_where_the_entity_pays_as_nobody(entity, flow, known, is_primary):
    if known is not None:
        factories.customer(entity, "cus_0", **known)
    with factories.locked(entity):
        made = customers.adopt(
            entity=entity, provider_customer_id="cus_1", email=None, flow=customers.Flow(flow), now=NOW
        )
    assert made.is_primary == is_primary
