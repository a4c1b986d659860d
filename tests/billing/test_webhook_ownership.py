"""Which events write what (8.2), and whose an object is (8.3; spec/README.md ruling 6)."""

import dataclasses

import pytest
from django.db import IntegrityError, transaction

from billing.models import Subscription
from billing.services import webhooks
from billing.services.correlation import SessionCorrelationMismatch
from billing.services.resolution import CorrelationMismatch
from settld.core import failpoints
from settld.stripe_gateway import consumers
from settld.stripe_gateway.consumers import Correlation
from tests.billing import factories, payloads
from tests.billing.payloads import T0
from tests.billing.projections import KEY, OTHER_KEY, nothing_written

SUBSCRIPTION_EVENTS = [kind for kind in webhooks.EVENT_TYPES if kind.startswith("customer.subscription.")]
OTHER_EVENTS = [kind for kind in webhooks.EVENT_TYPES if kind not in SUBSCRIPTION_EVENTS]


def test_the_events_that_we_handle_are_those_of_the_ownership_matrix():
    assert set(webhooks.EVENT_TYPES) == {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.expired",
        "customer.subscription.created",
        "customer.subscription.updated",
        "customer.subscription.deleted",
        "customer.subscription.paused",
        "customer.subscription.resumed",
        "invoice.paid",
        "invoice.payment_failed",
        "invoice_payment.paid",
        "payment_method.attached",
        "payment_method.updated",
        "payment_method.automatically_updated",
        "payment_method.detached",
        "customer.updated",
        "customer.deleted",
    }
    consumer = consumers.named("checkout")
    assert consumer is not None
    assert (consumer.inline, consumer.handler) == (True, webhooks.apply)
    assert consumer.event_types == set(webhooks.EVENT_TYPES)


def test_while_billing_is_off_no_event_is_stored_for_us(settings):
    settings.BILLING = dataclasses.replace(settings.BILLING, enabled=False)
    assert consumers.interested_in("invoice.paid") == []

    settings.BILLING = dataclasses.replace(settings.BILLING, enabled=True)
    assert [consumer.name for consumer in consumers.interested_in("invoice.paid")] == ["checkout"]


def thing_of(world, event_type: str) -> dict:
    """An object for an event of this type, about what the world knows already."""
    if event_type.startswith("customer.subscription."):
        return world.subscription()
    if event_type.startswith("checkout.session."):
        status = "expired" if event_type.endswith("expired") else "complete"
        return payloads.session(status=status, metadata=world.labels())
    if event_type.startswith("invoice_payment."):
        return payloads.invoice_payment()
    if event_type.startswith("invoice."):
        status = "paid" if event_type == "invoice.paid" else "open"
        return payloads.invoice(status=status, metadata=world.labels())
    if event_type.startswith("payment_method."):
        return payloads.payment_method()
    return payloads.customer()


@pytest.mark.parametrize("event_type", webhooks.EVENT_TYPES)
def test_t108_only_subscription_events_may_write_subscriptions(world, event_type):
    """T-108, INV-24: the database itself refuses the write, tried at the end of each event's transaction."""
    world.deliver(world.subscription_event(at=T0 - 50), world.invoice_event(at=T0 - 50))
    tries: list[str] = []

    def try_to_write(point: str) -> None:
        if not point.endswith(".before_commit"):
            return
        try:
            with transaction.atomic():
                Subscription.objects.update(status="past_due")
                transaction.set_rollback(True)
            tries.append("written")
        except IntegrityError as error:
            tries.append(error.__cause__.diag.constraint_name)

    before = world.row()
    with failpoints.watched(try_to_write):
        told = world.consume(payloads.event(event_type, thing_of(world, event_type)))

    assert told.outcome in ("applied", "ignored")
    assert tries == ["written" if event_type in SUBSCRIPTION_EVENTS else "subscription_writer"]
    assert (world.row().revision == before.revision) == (event_type in OTHER_EVENTS)


@pytest.mark.parametrize("event_type", SUBSCRIPTION_EVENTS)
def test_t108_subscription_events_leave_the_amounts_of_invoices_alone(world, event_type):
    """T-108: they link an invoice, and that is all."""
    world.deliver(world.invoice_event())
    before = world.invoice()
    world.deliver(payloads.event(event_type, world.subscription()))
    after = world.invoice()

    assert after.subscription_id == world.row().pk
    for name in ("status", "amount_due_minor", "amount_paid_minor", "amount_remaining_minor", "paid_at"):
        assert getattr(after, name) == getattr(before, name)


@pytest.mark.parametrize("event_type", ["invoice.paid", "invoice.payment_failed", "invoice_payment.paid"])
def test_t108_invoice_events_touch_no_session_and_no_request(world, event_type):
    """T-108."""
    factories.session(world.entity, operation_key=KEY)
    world.deliver(world.invoice_event(at=T0 - 5))
    before = [world.sessions()[0].updated_at, world.request().lease_version]
    world.deliver(payloads.event(event_type, thing_of(world, event_type)))

    assert [world.sessions()[0].updated_at, world.request().lease_version] == before
    assert world.sessions()[0].status == "open"


class TestSessions:
    """8.2: sessions, the request that they answer, their customer."""

    def test_a_completed_session_finishes_the_request_and_knows_its_customer(self, world):
        told = world.consume(world.session_event())

        assert told.correlation == (world.entity.tenant_id, world.entity.pk, KEY)
        (session,) = world.sessions()
        assert (session.status, session.provider_checkout_session_id) == (
            "completed_pending_subscription",
            "cs_1",
        )
        assert session.last_provider_event_created_at.timestamp() == T0
        assert (world.request().status, world.request().provider_session_id) == ("succeeded", "cs_1")
        assert world.customers() == {"cus_1": True}
        assert world.subscriptions() == []

    def test_an_expired_session_ends_the_pending_request(self, world):
        world.deliver(world.session_event("expired"))

        assert [row.status for row in world.sessions()] == ["expired"]
        assert (world.request().status, world.request().failure_code) == (
            "expired",
            "checkout_recovery_window_elapsed",
        )

    @pytest.mark.parametrize("kind", ["completed", "expired"])
    def test_neither_comes_too_late_for_a_finished_session(self, world, kind, fired):
        factories.session(
            world.entity,
            operation_key=KEY,
            status="completed_reconciled",
            provider_checkout_session_id="cs_1",
            provider_subscription_id="sub_1",
        )
        world.deliver(world.session_event(kind))

        assert [row.status for row in world.sessions()] == ["completed_reconciled"]
        assert world.request().status == "succeeded"

    @pytest.mark.parametrize("kind", ["async_payment_succeeded", "async_payment_failed"])
    def test_a_late_payment_of_a_one_off_finds_the_session_done(self, world, kind):
        factories.session(world.entity, operation_key=OTHER_KEY, flow="one_off", status="open")
        told = world.session_event(kind, mode="payment", metadata=world.labels(OTHER_KEY))
        world.deliver(told, world.session_event(mode="payment", metadata=world.labels(OTHER_KEY), at=T0 + 1))

        assert [row.status for row in world.sessions()] == ["completed_reconciled"]

    def test_a_session_of_an_unknown_operation_is_refused(self, world, fired):
        factories.customer(world.entity)
        with nothing_written(world), pytest.raises(SessionCorrelationMismatch) as refusal:
            world.deliver(world.session_event(metadata=world.labels("c" * 64)))

        assert consumers.correlation_of(refusal.value) == (
            world.entity.tenant_id,
            world.entity.pk,
            "c" * 64,
        )
        assert fired == ["CHECKOUT_CORRELATION_MISMATCH"]

    def test_sessions_of_a_payment_link_are_known_by_it_and_their_payers_are_never_primary(self, world):
        from billing.models import PaymentLink
        from billing.services import refs
        from billing.states import RefKind

        with factories.locked(world.entity):
            refs.claim(kind=RefKind.PAYMENT_LINK, ref="plink_1", entity=world.entity)
            PaymentLink.objects.create(
                tenant_id=world.entity.tenant_id,
                billable_entity=world.entity,
                provider_payment_link_id="plink_1",
                operation_key=OTHER_KEY,
                url="https://buy.example",
            )
        for number in (1, 2):
            world.deliver(
                world.session_event(
                    session_id=f"cs_{number}",
                    mode="payment",
                    payment_link={"id": "plink_1", "object": "payment_link"},
                    customer=f"cus_{number}",
                    metadata={},
                    at=T0 + number,
                )
            )

        assert sorted(row.provider_checkout_session_id for row in world.sessions()) == ["cs_1", "cs_2"]
        assert {row.status for row in world.sessions()} == {"completed_reconciled"}
        assert world.customers() == {"cus_1": False, "cus_2": False}


def events_about(world, **more) -> list[dict]:
    """One event of each kind of object that leads to an owner by what it says."""
    return [
        world.subscription_event(**more),
        world.invoice_event(**more),
        world.session_event(**more),
    ]


@pytest.mark.parametrize("number", range(3), ids=["subscription", "invoice", "session"])
class TestResolution:
    """8.3: all that resolves must agree, and something must."""

    def test_an_object_that_leads_nowhere_is_refused(self, world, number, fired):
        stranger = events_about(world, metadata={}, customer="cus_x")[number]
        with nothing_written(world), pytest.raises(CorrelationMismatch) as refusal:
            world.deliver(stranger)

        assert (refusal.value.status, refusal.value.code) == (409, "CHECKOUT_SESSION_CORRELATION_MISMATCH")
        assert consumers.correlation_of(refusal.value) == Correlation()
        assert fired == ["CHECKOUT_CORRELATION_MISMATCH"]

    def test_the_operation_that_it_names_is_kept_with_the_failure(self, world, number):
        with pytest.raises(CorrelationMismatch) as refusal:
            world.deliver(events_about(world, metadata={"operation_key": "f" * 64}, customer="cus_x")[number])

        assert consumers.correlation_of(refusal.value).operation_key == "f" * 64

    def test_in_a_shared_account_what_has_no_label_of_ours_is_nobodys(self, world, number, settings):
        settings.BILLING = dataclasses.replace(settings.BILLING, stripe_account_shared=True)
        stranger = events_about(world, metadata={"team": "blue"}, customer="cus_x")[number]
        with nothing_written(world):
            assert world.deliver(stranger) == ["ignored"]

    def test_in_a_shared_account_what_has_our_label_is_refused_all_the_same(self, world, number, settings):
        settings.BILLING = dataclasses.replace(settings.BILLING, stripe_account_shared=True)
        stranger = events_about(world, metadata={"operation_key": "f" * 64}, customer="cus_x")[number]
        with nothing_written(world), pytest.raises(CorrelationMismatch):
            world.deliver(stranger)

    @pytest.mark.parametrize(
        "label", [{"tenantId": "tenant_a"}, {"purpose": "wallet_top_up", "tenant_id": "tenant_a"}]
    )
    def test_another_consumers_object_is_ignored_even_for_our_customer(self, world, number, label):
        factories.customer(world.entity)
        with nothing_written(world):
            assert world.deliver(events_about(world, metadata=label)[number]) == ["ignored"]

    @pytest.mark.parametrize("trace", ["customer", "operation", "entity"])
    def test_traces_that_lead_to_two_entities_are_refused(self, world, number, trace):
        other = factories.workspace_entity("tenant_b")
        labels = world.labels()
        if trace == "customer":
            factories.customer(other)
        elif trace == "operation":
            factories.request(other, operation_key=OTHER_KEY)
            factories.customer(world.entity)
            labels = {"operation_key": OTHER_KEY}
        else:
            labels["billable_entity_id"] = str(other.pk)
        with nothing_written(world), pytest.raises((CorrelationMismatch, SessionCorrelationMismatch)):
            world.deliver(events_about(world, metadata=labels)[number])

    def test_a_purpose_of_somebody_elses_is_no_label_of_another_consumer(self, world, number):
        factories.customer(world.entity)
        told = events_about(world, metadata={"purpose": "upgrade"})[number]
        if number == 2:  # a session needs its operation
            with nothing_written(world), pytest.raises(SessionCorrelationMismatch):
                world.deliver(told)
        else:
            assert world.deliver(told) == ["applied"]

    @pytest.mark.parametrize("entity_id", ["", "0", "-1", "x", "९", "9" * 30, "1e3"])
    def test_an_entity_id_that_is_none_leads_nowhere(self, world, number, entity_id):
        labels = {"billable_entity_id": entity_id}
        with nothing_written(world), pytest.raises(CorrelationMismatch):
            world.deliver(events_about(world, metadata=labels, customer="cus_x")[number])


def test_an_invoice_of_an_unknown_customer_is_adopted_for_a_known_operation_only(world):
    world.deliver(world.invoice_event(customer="cus_9"))
    assert world.customers() == {"cus_9": True}

    named = payloads.labels(world.entity)
    with nothing_written(world), pytest.raises(CorrelationMismatch):
        world.deliver(world.invoice_event(customer="cus_10", metadata=named, invoice_id="in_2"))


def test_the_payer_of_a_link_is_never_primary_whatever_is_told_first(world):
    factories.request(
        world.entity,
        operation_key=OTHER_KEY,
        action="payment_link",
        client_idempotency_key="key-l",
    )
    world.deliver(world.invoice_event(customer="cus_9", subscription=None, metadata=world.labels(OTHER_KEY)))

    assert world.customers() == {"cus_9": False}


def test_an_invoice_of_our_customer_needs_no_label(world):
    factories.customer(world.entity)

    assert world.deliver(world.invoice_event(metadata={}, subscription=None)) == ["applied"]


def test_a_subscription_with_another_consumers_label_is_ours_once_we_know_it(world):
    world.deliver(world.subscription_event())
    told = world.subscription_event("updated", at=T0 + 5, metadata={"tenantId": "tenant_a"})

    assert world.deliver(told) == ["applied"]


def test_an_event_of_a_type_that_we_gave_up_is_ignored(world):
    assert world.deliver(payloads.event("plan.created", {"id": "plan_1", "object": "plan"})) == ["ignored"]


def test_events_of_a_customer_that_we_do_not_know_are_ignored(world):
    with nothing_written(world):
        assert world.deliver(
            payloads.event("payment_method.attached", payloads.payment_method(customer="cus_x")),
            payloads.event("customer.updated", payloads.customer("cus_x")),
        ) == ["ignored", "ignored"]
