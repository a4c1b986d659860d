"""Payment methods kept up by events, in any order (7.5, 8.4; T-172)."""

import itertools

import pytest

from billing.models import Customer, PaymentMethod, PaymentMethodSync
from billing.providers import shapes
from billing.providers.errors import Category
from billing.services import ordering, payment_method_sync, payment_methods
from settld.core import clock, tenancy
from tests.billing import factories, payloads, session_facts
from tests.billing.checkout_provider import problem
from tests.billing.payloads import T0
from tests.billing.shop_provider import shop
from tests.billing.test_payment_method_sync import card, default, stored, sync

__all__ = ["shop"]
NOW = factories.NOW
ATTACHED, UPDATED, DETACHED = (f"payment_method.{kind}" for kind in ("attached", "updated", "detached"))
RENEWED = "payment_method.automatically_updated"
CUSTOMER_UPDATED, CUSTOMER_DELETED = "customer.updated", "customer.deleted"


@pytest.fixture
def entity(db):
    with clock.freeze(NOW):
        yield factories.workspace_entity()


@pytest.fixture
def payer(entity, shop):
    shop.clock = T0 + 1_000
    shop.hold_customer("cus_1")
    return factories.customer(entity)


def event(kind, thing=None, *, at=0, event_id=None, **more):
    """An event at so many seconds; a detached method has no customer any more, but had one."""
    if kind == DETACHED:
        thing = (thing or card()) | {"customer": None}
        more = {"previous_attributes": {"customer": "cus_1"}} | more
    thing = thing or (payloads.customer() if kind.startswith("customer.") else card())
    return payloads.event(kind, thing, created=T0 + at, event_id=event_id, **more)


def apply(told) -> str:
    return payment_methods.apply_event(event=shapes.event_facts(told), now=clock.now()).outcome.value


def named(entity) -> list[tuple[str, str | None]]:
    """The sync events that events left."""
    with tenancy.tenant_scope(entity.tenant_id):
        rows = PaymentMethodSync.objects.exclude(provider_event_id=None).order_by("id")
        return list(rows.values_list("event_type", "provider_event_id"))


def expiry(entity, method_id="pm_1"):
    with tenancy.tenant_scope(entity.tenant_id):
        found = PaymentMethod.objects.get(provider_payment_method_id=method_id)
        return found.exp_year


# --- One by one ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", [ATTACHED, UPDATED, RENEWED])
def test_t172_an_attached_or_updated_method_becomes_known(entity, payer, shop, kind):
    assert apply(event(kind, event_id="evt_1")) == "applied"
    assert stored(entity) == {"pm_1": ("active", False)}
    assert named(entity) == [(kind, "evt_1")]
    assert shop.calls == []


@pytest.mark.parametrize("kind", [UPDATED, RENEWED])
@pytest.mark.parametrize(("year", "after"), [(2034, "active"), (2025, "expired")])
def test_t172_an_expired_card_is_active_again_once_its_new_expiry_lies_ahead(
    entity, payer, kind, year, after
):
    apply(event(ATTACHED, card(year=2025)))
    assert stored(entity)["pm_1"][0] == "expired"
    assert apply(event(kind, card(year=year), at=1)) == "applied"
    assert (stored(entity)["pm_1"][0], expiry(entity)) == (after, year)


def test_t172_a_detached_method_is_no_default_and_detached_for_good(entity, payer):
    apply(event(ATTACHED))
    apply(event(CUSTOMER_UPDATED, payloads.customer(**default("pm_1")), at=1))
    assert stored(entity) == {"pm_1": ("active", True)}
    assert apply(event(DETACHED, at=2)) == "applied"
    assert stored(entity) == {"pm_1": ("detached", False)}
    assert apply(event(UPDATED, at=3)) == "stale"
    assert apply(event(ATTACHED, at=4)) == "stale"
    assert stored(entity) == {"pm_1": ("detached", False)}


def test_t172_a_complete_sync_that_is_newer_brings_a_detached_method_back(entity, payer, shop):
    apply(event(ATTACHED))
    apply(event(DETACHED, at=2))
    shop.hold_customer("cus_1", card())
    sync(entity)
    assert stored(entity)["pm_1"][0] == "active"


def test_t172_the_customer_of_a_detached_method_is_the_one_it_had(entity, payer):
    apply(event(ATTACHED))
    assert apply(event(DETACHED, at=1, previous_attributes={"customer": {"id": "cus_1"}})) == "applied"
    nobodys = event(DETACHED, at=2, previous_attributes={})
    assert apply(nobodys) == "ignored"


def test_t172_the_customers_email_and_default_follow_its_events(entity, payer):
    for method_id in ("pm_1", "pm_2"):
        apply(event(ATTACHED, card(method_id)))
    for at, method_id in ((1, "pm_1"), (2, "pm_2"), (3, None)):
        body = payloads.customer(email=f"{at}@example.com", **default(method_id))
        assert apply(event(CUSTOMER_UPDATED, body, at=at)) == "applied"
        assert [known for known, (_, is_default) in stored(entity).items() if is_default] == (
            [method_id] if method_id else []
        )
    old = payloads.customer(email="old@example.com", **default("pm_1"))
    assert apply(event(CUSTOMER_UPDATED, old, at=2)) == "stale"
    with tenancy.tenant_scope(entity.tenant_id):
        assert Customer.objects.get().email == "3@example.com"
    assert {is_default for _, is_default in stored(entity).values()} == {False}


def test_t172_a_deleted_customer_takes_its_methods_along_and_comes_never_too_late(entity, payer):
    apply(event(ATTACHED))
    apply(event(CUSTOMER_UPDATED, payloads.customer(**default("pm_1")), at=9))
    assert apply(event(CUSTOMER_DELETED, at=5)) == "applied"
    with tenancy.tenant_scope(entity.tenant_id):
        customer = Customer.objects.get()
    assert (customer.is_primary, customer.provider_deleted_at.timestamp()) == (False, T0 + 5)
    assert stored(entity) == {"pm_1": ("detached", False)}
    assert apply(event(CUSTOMER_UPDATED, at=10)) == "ignored"


@pytest.mark.parametrize("who", ["unknown", "not primary"])
@pytest.mark.parametrize("kind", [ATTACHED, UPDATED, RENEWED, DETACHED, CUSTOMER_UPDATED, CUSTOMER_DELETED])
def test_t172_what_is_told_of_anybody_else_is_ignored(entity, shop, kind, who):
    if who == "not primary":
        factories.customer(entity, origin="payment_link", is_primary=False)
    assert apply(event(kind)) == "ignored"
    assert (stored(entity), named(entity)) == ({}, [])


def test_t172_an_event_that_comes_again_changes_nothing_more(entity, payer):
    first = event(ATTACHED, event_id="evt_1")
    assert apply(first) == "applied"
    apply(event(UPDATED, card(year=2040), at=1, event_id="evt_2"))
    assert apply(first) == "applied"
    assert expiry(entity) == 2040
    assert [event_id for _, event_id in named(entity)] == ["evt_1", "evt_2"]


def test_t172_the_consumer_of_the_inbox_applies_them(entity, payer):
    consumed = payloads.deliver(event(ATTACHED))
    assert (consumed.outcome, consumed.tenant_id, consumed.billable_entity_id) == (
        "applied",
        entity.tenant_id,
        entity.pk,
    )
    assert stored(entity) == {"pm_1": ("active", False)}


# --- In any order --------------------------------------------------------------------------------------
STORY = {
    "attached": (ATTACHED, card(year=2030), 0),
    "second attached": (ATTACHED, card("pm_2"), 1),
    "default": (CUSTOMER_UPDATED, payloads.customer(**default("pm_1")), 2),
    "renewed": (RENEWED, card(year=2040), 3),
    "other default": (CUSTOMER_UPDATED, payloads.customer(email="b@example.com", **default("pm_2")), 4),
}


def tell(entity, names, *, at=None, doubled=False):
    """Apply the named events in this order, and say what came of them; nothing of it stays."""
    with session_facts.undone():
        for name in names:
            kind, thing, second = STORY_OF[name]
            told = event(kind, thing, at=second if at is None else at, event_id=f"evt_{second}")
            for _ in range(2 if doubled else 1):
                apply(told)
        with tenancy.tenant_scope(entity.tenant_id):
            year = PaymentMethod.objects.get(provider_payment_method_id="pm_1").exp_year
            return stored(entity), Customer.objects.get().email, year


STORY_OF = STORY | {"detached": (DETACHED, card(), 5)}


@pytest.mark.parametrize("left_out", ["default", "renewed"])
def test_t172_every_order_of_the_events_ends_alike(entity, payer, shop, left_out):
    year = 2030 if left_out == "renewed" else 2040
    for order in itertools.permutations(name for name in STORY if name != left_out):
        methods, *rest = tell(entity, order, doubled=order[0] == "attached")
        assert methods == {"pm_1": ("active", False), "pm_2": ("active", True)}, order
        assert rest == ["b@example.com", year], order
    assert shop.calls == []


def test_t172_every_order_with_a_detachment_ends_alike(entity, payer, shop):
    for order in itertools.permutations(["attached", "default", "renewed", "detached"]):
        methods, _, _ = tell(entity, order)
        assert methods == {"pm_1": ("detached", False)}, order


# --- In one second -------------------------------------------------------------------------------------
@pytest.mark.parametrize("order", list(itertools.permutations(["attached", "renewed", "other default"])))
def test_t172_events_of_one_second_are_settled_by_a_look(entity, payer, shop, order):
    shop.hold_customer("cus_1", card(year=2040), card("pm_2"), email="b@example.com", **default("pm_2"))
    methods, email, year = tell(entity, order, at=0)
    assert methods == {"pm_1": ("active", False), "pm_2": ("active", True)}
    assert (year, email) == (2040, "b@example.com")
    assert "list methods" in [verb for verb, _, _ in shop.calls]


@pytest.mark.parametrize("order", list(itertools.permutations(["attached", "renewed", "detached"])))
def test_t172_where_the_look_fails_kind_and_then_id_decide(entity, payer, shop, order):
    shop.will("read customer", *[problem(Category.TRANSIENT_NETWORK)] * 9)
    methods, _, _ = tell(entity, order, at=0)
    assert methods == {"pm_1": ("detached", False)}


@pytest.mark.parametrize("order", [("evt_a", "evt_b"), ("evt_b", "evt_a")])
def test_t172_where_the_look_fails_the_greater_id_of_one_kind_wins(entity, payer, shop, order):
    shop.will("read customer", *[problem(Category.TRANSIENT_NETWORK)] * 9)
    years = {"evt_a": 2031, "evt_b": 2041}
    for event_id in order:
        told = event(UPDATED, card(year=years[event_id]), event_id=event_id)
        payloads.stored(told)
        apply(told)
    assert expiry(entity) == 2041


def test_t172_an_event_of_the_second_of_a_look_is_settled_by_another_look(entity, payer, shop):
    shop.clock = T0
    shop.hold_customer("cus_1", card(year=2030))
    sync(entity)
    shop.clock = T0 + 5
    shop.hold_customer("cus_1", card(year=2041))
    assert apply(event(UPDATED, card(year=2030))) == "applied"
    assert expiry(entity) == 2041
    assert apply(event(UPDATED, card(year=2029), at=-1)) == "stale"


def test_t172_an_event_that_is_applied_during_our_look_has_the_provider_asked_again(
    entity, payer, shop, monkeypatch
):
    """8.4: under the lock the answer counts only if nobody has written the rows since the question."""
    shop.clock = T0
    apply(event(ATTACHED, event_id="evt_a"))
    shop.hold_customer("cus_1", card())
    look = payment_method_sync.look

    def overtaken(customer_id, *, profile):
        seen = look(customer_id, profile=profile)
        monkeypatch.setattr(payment_method_sync, "look", look)
        shop.hold_customer("cus_1")
        assert apply(event(DETACHED, event_id="evt_c")) == "applied"
        return seen

    monkeypatch.setattr(payment_method_sync, "look", overtaken)
    assert apply(event(UPDATED, event_id="evt_b")) == "applied"
    assert stored(entity) == {"pm_1": ("detached", False)}


def test_t172_rows_that_others_keep_writing_are_left_for_a_later_try(entity, payer, shop, monkeypatch):
    """8.4: three repeats at most; the event fails (503) and comes again."""
    shop.clock = T0
    apply(event(ATTACHED, event_id="evt_a"))
    shop.hold_customer("cus_1", card())
    look, looks = payment_method_sync.look, []

    def overtaken(customer_id, *, profile):
        looks.append(customer_id)
        with tenancy.tenant_scope(entity.tenant_id):
            PaymentMethod.objects.update(last_provider_event_id=f"evt_{len(looks)}")
        return look(customer_id, profile=profile)

    monkeypatch.setattr(payment_method_sync, "look", overtaken)
    with pytest.raises(ordering.Unsettled):
        apply(event(UPDATED, event_id="evt_b"))
    assert len(looks) == 4
