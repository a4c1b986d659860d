"""Invoices and payments as events tell them (8.7)."""

import itertools

import pytest

from billing.provider_time import ProviderTime
from billing.providers import shapes
from billing.providers.errors import ProviderProblem
from billing.services import invoices
from billing.services.resolution import CorrelationMismatch
from tests.billing import factories, payloads
from tests.billing.payloads import T0
from tests.billing.projections import KEY, nothing_written

UNNAMED_PAID = ("in_1:invoice.paid", "paid", 4_900, True)
UNNAMED_FAILED = ("in_1:invoice.payment_failed", "failed", 4_900, True)
NAMED = ("pi_1", "paid", 4_900, False)


def legacy(world, kind: str, *, at: int = T0, **more):
    status = {"paid": "paid", "payment_failed": "open"}[kind]
    thing = payloads.legacy_invoice(status=status, metadata=world.labels(), **more)
    return payloads.event(f"invoice.{kind}", thing, created=at, api_version=payloads.LEGACY_VERSION)


def test_a_paid_invoice_and_its_payment(world):
    assert world.deliver(world.invoice_event(at=T0 + 3, paid_at=T0 + 2, due_date=T0 + 9)) == ["applied"]

    row = world.invoice()
    assert (row.provider_invoice_id, row.status, row.currency) == ("in_1", "paid", "USD")
    assert (row.amount_due_minor, row.amount_paid_minor, row.amount_remaining_minor) == (4_900, 4_900, 0)
    assert [at.timestamp() for at in (row.issued_at, row.due_at, row.paid_at)] == [T0, T0 + 9, T0 + 2]
    assert row.metadata_json["operation_key"] == KEY
    assert world.payments() == [UNNAMED_PAID]


def test_an_invoice_that_says_not_when_it_was_paid_was_paid_when_the_event_says(world):
    world.deliver(world.invoice_event(at=T0 + 3, status_transitions={"finalized_at": None, "paid_at": None}))

    assert world.invoice().paid_at.timestamp() == T0 + 3


def test_a_failed_payment_is_of_what_remains(world):
    world.deliver(world.invoice_event("payment_failed", amount_remaining=3_000))

    assert (world.invoice().status, world.invoice().paid_at) == ("open", None)
    assert world.payments() == [("in_1:invoice.payment_failed", "failed", 3_000, True)]


def test_an_invoice_of_nothing_has_no_payment(world):
    world.deliver(world.invoice_event(amount=0))

    assert (world.invoice().status, world.payments()) == ("paid", [])


def test_an_invoice_status_that_we_do_not_know_keeps_what_is_stored(world, fired):
    world.deliver(world.invoice_event("payment_failed"))
    world.deliver(world.invoice_event("payment_failed", status="novel", at=T0 + 5))

    assert world.invoice().status == "open"
    assert fired == ["PROVIDER_SDK_API_BASELINE_DRIFT"]


@pytest.mark.parametrize("shape", ["basil", "expanded", "legacy"])
def test_t115_an_invoice_before_its_subscription_waits_for_it(world, shape):
    """T-115: in every shape that names the subscription."""
    events = {
        "basil": world.invoice_event(),
        "expanded": world.invoice_event(subscription={"id": "sub_1", "object": "subscription"}),
        "legacy": legacy(world, "paid"),
    }
    world.deliver(events[shape])
    assert (world.invoice().subscription_id, world.invoice().provider_subscription_id) == (None, "sub_1")

    world.deliver(world.subscription_event())
    assert world.invoice().subscription_id == world.row().pk


def test_t115_an_invoice_after_its_subscription_is_linked_at_once(world):
    """T-115."""
    world.deliver(world.subscription_event(), world.invoice_event())

    assert world.invoice().subscription_id == world.row().pk


def test_t115_a_one_off_invoice_waits_for_nothing(world):
    """T-115."""
    world.deliver(world.invoice_event(subscription=None), world.subscription_event())

    assert (world.invoice().subscription_id, world.invoice().provider_subscription_id) == (None, None)


def test_t115_only_the_entitys_own_invoices_are_linked(world):
    """T-115: another entity's invoice that names the subscription is refused before it could be."""
    other = factories.workspace_entity("tenant_b")
    factories.customer(other, "cus_b")
    world.deliver(world.subscription_event())

    with pytest.raises(CorrelationMismatch):
        world.deliver(world.invoice_event(customer="cus_b", metadata={}))


def test_another_entitys_customer_is_refused(world):
    factories.customer(factories.workspace_entity("tenant_b"), "cus_1")
    with nothing_written(world), pytest.raises(CorrelationMismatch):
        world.deliver(world.invoice_event())


def test_an_invoice_without_a_customer_is_refused(world):
    with nothing_written(world), pytest.raises(CorrelationMismatch):
        world.deliver(world.invoice_event(customer=None))


@pytest.mark.parametrize("shape", ["basil", "legacy"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["failed_first", "paid_first"])
@pytest.mark.parametrize("later", [0, 5], ids=["same_second", "later"])
@pytest.mark.parametrize("is_down", [False, True], ids=["asked", "down"])
def test_t116_failed_then_paid_is_one_paid_payment_in_every_order(world, shape, order, later, is_down):
    """T-116: one row, paid, whichever event comes first, whether the provider can be asked or not."""
    world.provider.is_down = is_down
    world.provider.hold(payloads.invoice(metadata=world.labels(), payments=[payloads.invoice_payment()]))
    events = [
        legacy(world, "payment_failed") if shape == "legacy" else world.invoice_event("payment_failed"),
        legacy(world, "paid", at=T0 + later) if shape == "legacy" else world.invoice_event(at=T0 + later),
    ]
    world.deliver(*(events[number] for number in order))

    assert world.invoice().status == "paid"
    assert world.invoice().needs_reconciliation == (is_down and not later)
    is_named = shape == "legacy" or (not is_down and not later)
    assert world.payments() == [NAMED if is_named else UNNAMED_PAID]


def test_t116_a_failure_after_the_payment_of_another_invoice_part_is_kept(world):
    """T-116: two payment intents are two rows."""
    world.deliver(legacy(world, "payment_failed", payment_intent="pi_0"), legacy(world, "paid", at=T0 + 5))

    assert world.payments() == [("pi_0", "failed", 4_900, False), NAMED]


def test_t116_paid_is_not_undone_by_a_failure_that_is_older_than_the_payment(world):
    """T-116: the payment is newer than the failure although the invoice's own row is older."""
    world.deliver(
        legacy(world, "payment_failed", at=T0),
        world.payment_event(at=T0 + 6),
        legacy(world, "payment_failed", at=T0 + 5),
    )
    assert world.payments() == [NAMED]

    world.deliver(legacy(world, "payment_failed", at=T0 + 6, amount=4_900))
    assert world.payments() == [NAMED]


def test_t116_a_second_failure_of_the_same_payment_is_the_same_row(world):
    """T-116."""
    world.deliver(world.invoice_event("payment_failed"), world.invoice_event("payment_failed", at=T0 + 9))

    assert world.payments() == [UNNAMED_FAILED]


def test_t117_the_real_id_takes_the_made_up_row_over(world):
    """T-117: in place: same row, same status."""
    world.deliver(world.invoice_event())
    with factories.locked(world.entity):
        from billing.models import Payment

        before = Payment.objects.get()
        assert before.is_fallback_id
    world.deliver(world.payment_event(at=T0 + 1))

    assert world.payments() == [NAMED]
    with factories.locked(world.entity):
        after = Payment.objects.get()
    assert (after.pk, after.type) == (before.pk, "payment_intent")


def test_t117_when_the_real_row_is_there_it_takes_the_status_and_the_made_up_one_goes(world):
    """T-117: a failure under the real id, a payment under a made-up one, then the payment's real id."""
    world.deliver(legacy(world, "payment_failed"), world.invoice_event(at=T0 + 5))
    assert sorted(world.payments()) == [UNNAMED_PAID, ("pi_1", "failed", 4_900, False)]

    world.deliver(world.payment_event(at=T0 + 5))
    assert world.payments() == [NAMED]


def test_t117_a_payment_that_is_known_by_name_gets_no_made_up_row(world):
    """T-117: the failure was named, too."""
    world.deliver(
        legacy(world, "payment_failed"), world.payment_event(at=T0 + 4), world.invoice_event(at=T0 + 5)
    )

    assert world.payments() == [NAMED]


@pytest.mark.parametrize("kind", ["payment_intent", "charge", "payment_record"])
def test_t117_every_kind_of_payment_has_its_id(world, kind):
    """T-117."""
    world.deliver(world.invoice_event(), world.payment_event("pay_9", kind=kind, at=T0 + 1))

    assert world.payments() == [("pay_9", "paid", 4_900, False)]


@pytest.mark.parametrize(
    ("told", "payment_id"),
    [
        ({"payment_intent": "pi_7"}, "pi_7"),
        ({"payment_intent": {"id": "pi_8", "object": "payment_intent"}}, "pi_8"),
        ({"payment_intent": None, "charge": "ch_7"}, "ch_7"),
    ],
)
def test_t117_a_legacy_invoice_names_its_payment(world, told, payment_id):
    """T-117."""
    world.deliver(legacy(world, "paid", **told))

    assert world.payments() == [(payment_id, "paid", 4_900, False)]


def test_t117_a_look_at_the_invoice_names_its_payments(world):
    """T-117: as reconciliation sees it, payments expanded: the made-up row is taken over, the next added."""
    world.deliver(world.invoice_event(amount=5_000))
    thing = payloads.invoice(
        amount=5_000,
        metadata=world.labels(),
        payments=[
            payloads.invoice_payment("pi_1", amount=4_000),
            payloads.invoice_payment("pi_2", amount=1_000),
            payloads.invoice_payment("pi_3", status="canceled"),
        ],
    )
    with factories.locked(world.entity):
        invoices.project(
            entity=world.entity,
            facts=shapes.invoice_facts(thing),
            event=None,
            snapshot_at=ProviderTime(T0 + 50),
            now=factories.NOW,
        )

    assert world.payments() == [("pi_1", "paid", 4_000, False), ("pi_2", "paid", 1_000, False)]


def test_t117_an_open_invoice_looked_at_has_had_no_failure(world):
    """T-117: that a payment is open says not that it failed; only an event does."""
    thing = payloads.invoice(
        status="open", metadata=world.labels(), payments=[payloads.invoice_payment(status="open")]
    )
    with factories.locked(world.entity):
        facts, at = shapes.invoice_facts(thing), ProviderTime(T0)
        invoices.project(entity=world.entity, facts=facts, event=None, snapshot_at=at, now=factories.NOW)
    assert world.payments() == []


def test_t117_a_payment_of_two_invoices_stays_with_the_first(world):
    """T-117: its row is one; the second invoice keeps its made-up one."""
    world.deliver(
        world.invoice_event(),
        world.payment_event(at=T0 + 1),
        world.invoice_event(invoice_id="in_2"),
        world.payment_event(invoice="in_2", at=T0 + 2),
    )

    assert world.payments() == [NAMED, ("in_2:invoice.paid", "paid", 4_900, True)]


def test_a_payment_of_an_invoice_that_we_do_not_know_asks_for_it(world):
    world.provider.hold(payloads.invoice(metadata=world.labels(), payments=[payloads.invoice_payment()]))

    told = world.consume(world.payment_event())

    assert told.correlation == (world.entity.tenant_id, world.entity.pk, KEY)
    assert (world.invoice().status, world.payments()) == ("paid", [NAMED])
    assert world.deliver(world.invoice_event(at=T0)) == ["stale"]


def test_a_payment_of_an_unknown_invoice_waits_while_the_provider_is_down(world):
    world.provider.is_down = True
    with nothing_written(world), pytest.raises(ProviderProblem):
        world.deliver(world.payment_event())


def test_a_payment_of_somebody_elses_invoice_is_ignored(world):
    world.provider.hold(payloads.invoice(customer="cus_x", metadata={"tenantId": "tenant_a"}))
    with nothing_written(world):
        assert world.deliver(world.payment_event()) == ["ignored"]


def test_a_payment_without_an_id_says_nothing(world):
    world.deliver(world.invoice_event())

    assert world.deliver(world.payment_event(payment={"type": "out_of_band"})) == ["ignored"]


STORY = {
    "failed": lambda world: world.invoice_event("payment_failed", at=T0 + 1, event_id="evt_1"),
    "paid": lambda world: world.invoice_event(at=T0 + 9, event_id="evt_2"),
    "named": lambda world: world.payment_event(at=T0 + 9),
    "subscription": lambda world: world.subscription_event(at=T0, event_id="evt_3"),
}


@pytest.mark.parametrize("order", list(itertools.permutations(STORY)), ids="-".join)
def test_t116_t117_all_orders_of_a_failure_a_payment_its_name_and_the_subscription(world, order):
    """T-115, T-116, T-117: one invoice, linked; one payment, by its real name."""
    world.provider.hold(payloads.invoice(metadata=world.labels(), payments=[payloads.invoice_payment()]))
    world.deliver(*(STORY[name](world) for name in order))

    assert (world.invoice().status, world.invoice().subscription_id) == ("paid", world.row().pk)
    assert world.payments() == [NAMED]
