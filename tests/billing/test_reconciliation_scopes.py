"""T-136: every row of drift of 9.3 and its repair, which marks a look at the provider and never an event."""

import datetime as dt

import pytest

from billing.models import BillingRequest, CheckoutSession, Subscription
from billing.services import reconciliation
from billing.states import Scope
from settld.core import tenancy
from tests.billing import checkouts, factories, payloads
from tests.billing.workers import (
    NOW,
    at,
    fired,
    frozen,
    invoices,
    jobs,
    payments,
    provider,
    session,
    subscription,
    trouble,
)

__all__ = ["fired", "provider"]
OVER = {"seconds": 91}
END = NOW + dt.timedelta(days=1)


@pytest.fixture
def entity(db):
    return factories.workspace_entity()


def run(scope: Scope, *, dry_run: bool = False, **later: float):
    with frozen(**later):
        return reconciliation.run(scope, dry_run=dry_run)


def figures(summary) -> tuple[int, int, int]:
    return tuple(summary.figures[name] for name in ("driftDetected", "repaired", "failed"))


def held(entity, **more):
    """A session here, known at the provider as cs_1 unless told otherwise."""
    values = {"provider_checkout_session_id": "cs_1", "created_at": NOW, "expires_at": END} | more
    return factories.session(entity, **values)


def at_provider(provider, entity, row: CheckoutSession, **more):
    values = {"customer": None, "subscription": None} | more
    thing = payloads.session("cs_1", metadata=payloads.labels(entity, row.operation_key), **values)
    provider.hold(thing)
    return thing


# --- checkout_open --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("said", "flow", "status"),
    [
        ("expired", "subscription", "expired"),
        ("complete", "subscription", "completed_pending_subscription"),
        ("complete", "one_off", "completed_reconciled"),
    ],
)
def test_t136_an_open_session_follows_the_provider(entity, provider, said, flow, status):
    """T-136 checkout_open: expired -> expired; complete -> completed."""
    row = held(entity, flow=flow)
    at_provider(provider, entity, row, status=said, mode="payment" if flow == "one_off" else "subscription")

    done = run(Scope.CHECKOUT_OPEN, days=1, **OVER)

    after = session(entity)
    assert figures(done) == (1, 1, 0)
    assert after.status == status
    assert after.last_provider_snapshot_at == at(provider.now)
    assert after.last_provider_event_created_at is None
    assert figures(run(Scope.CHECKOUT_OPEN, days=1, hours=2)) == (0, 0, 0)


def test_t136_an_open_sessions_end_and_address_are_refreshed(entity, provider):
    """T-136 checkout_open: open -> refresh expiry."""
    row = held(entity, checkout_url="https://old.example", expires_at=None)
    at_provider(provider, entity, row, status="open", expires_at=payloads.T0 + 9, url="https://new.example")

    done = run(Scope.CHECKOUT_OPEN)

    after = session(entity)
    assert figures(done) == (1, 1, 0)
    assert (after.status, after.expires_at) == ("open", at(payloads.T0 + 9))
    assert (after.checkout_url, after.last_read_at) == ("https://new.example", NOW)


@pytest.mark.parametrize(
    ("later", "is_due"),
    [({"minutes": 14}, False), ({"minutes": 15}, True), ({"days": 1, "seconds": 89}, True)],
)
def test_t136_a_lost_completion_does_not_wait_a_day(entity, provider, later, is_due):
    """T-136 checkout_open: open and older than fifteen minutes is read again, once an hour."""
    row = held(entity)
    at_provider(provider, entity, row, status="open", expires_at=int(END.timestamp()), url=None)

    run(Scope.CHECKOUT_OPEN, **later)
    assert provider.asked == (["cs_1"] if is_due else [])
    if is_due:
        before = session(entity)
        run(Scope.CHECKOUT_OPEN, **{name: value + 1 for name, value in later.items()})
        assert provider.asked == ["cs_1"] or "days" in later
        assert session(entity).updated_at == before.updated_at  # a look without news is no activity


@pytest.mark.parametrize(("read_after", "is_due"), [(0, True), (60, True), (61, False)])
def test_t136_the_answer_that_made_a_session_is_no_second_look(entity, provider, read_after, is_due):
    """T-136 checkout_open: a session that was read only when it was made is due after fifteen minutes."""
    row = held(entity, last_read_at=NOW + dt.timedelta(seconds=read_after))
    at_provider(provider, entity, row, status="open", expires_at=int(END.timestamp()), url=None)

    run(Scope.CHECKOUT_OPEN, minutes=16)

    assert provider.asked == (["cs_1"] if is_due else [])


def test_t136_an_open_session_that_the_provider_does_not_know_ends_with_its_time(entity, provider):
    """T-136 checkout_open: 404 is no end by itself; time and grace are (INV-19)."""
    held(entity)

    assert figures(run(Scope.CHECKOUT_OPEN, minutes=15)) == (0, 0, 0)
    assert session(entity).status == "open"
    assert figures(run(Scope.CHECKOUT_OPEN, days=1, seconds=90)) == (1, 1, 0)
    assert (session(entity).status, session(entity).status_reason) == ("expired", "expiry_passed")


def test_t136_a_provider_that_does_not_answer_changes_nothing(entity, provider, fired):
    """T-136: every scope of sessions leaves its rows; the failure is counted and alerts."""
    row = held(entity)
    at_provider(provider, entity, row, status="expired")
    provider.is_down = True

    done = run(Scope.CHECKOUT_OPEN, days=2)

    assert figures(done) == (0, 0, 1)
    assert session(entity).status == "open"
    assert fired == ["RECONCILIATION_REPAIR_FAILURE"]


def test_t136_a_pending_request_ends_with_its_session(entity, provider):
    """T-136 checkout_open: the claim is not left behind."""
    request = factories.request(entity, normalized_request_json={"checkoutType": "subscription"})
    row = held(entity, operation_key=request.operation_key, idempotency_row=request)
    at_provider(provider, entity, row, status="complete")

    run(Scope.CHECKOUT_OPEN, days=1, **OVER)

    with tenancy.tenant_scope(entity.tenant_id):
        request = BillingRequest.objects.get()
    assert (request.status, request.provider_session_id) == ("succeeded", "cs_1")


# --- checkout_completed_pending -------------------------------------------------------------------------
def completed(entity, **more):
    return held(entity, status="completed_pending_subscription", completed_at=NOW, **more)


def test_t136_a_completed_session_finds_its_subscription(entity, provider):
    """T-136 checkout_completed_pending: subscription exists -> projected -> reconciled."""
    factories.plan()
    row = completed(entity)
    at_provider(provider, entity, row, status="complete", customer="cus_1", subscription="sub_1")
    provider.hold(payloads.subscription(metadata=payloads.labels(entity, row.operation_key)))

    early = run(Scope.CHECKOUT_COMPLETED_PENDING, seconds=299)
    done = run(Scope.CHECKOUT_COMPLETED_PENDING, seconds=300)

    made = subscription(entity)
    assert early.figures["scanned"] == 0
    assert figures(done) == (1, 1, 0)
    assert (session(entity).status, session(entity).provider_subscription_id) == (
        "completed_reconciled",
        "sub_1",
    )
    assert (made.status, made.is_current) == ("active", True)
    assert (made.last_provider_event_created_at, made.last_provider_snapshot_at) == (None, at(provider.now))


def test_t136_a_completed_session_that_expired_at_the_provider_is_given_up(entity, provider):
    """T-136 checkout_completed_pending: provider expired -> abandoned, whoever said complete before."""
    row = completed(entity)
    at_provider(provider, entity, row, status="expired")

    done = run(Scope.CHECKOUT_COMPLETED_PENDING, seconds=300)

    assert figures(done) == (1, 1, 0)
    assert (session(entity).status, session(entity).status_reason) == ("abandoned", "expired_at_provider")


@pytest.mark.parametrize("what", ["no subscription", "missing subscription", "missing session"])
def test_t136_a_completed_session_without_a_subscription_is_given_up_after_a_day(entity, provider, what):
    """T-136 checkout_completed_pending: complete with none for 24 h -> abandoned, not a second earlier."""
    row = completed(entity)
    if what != "missing session":
        named = "sub_gone" if what == "missing subscription" else None
        at_provider(provider, entity, row, status="complete", subscription=named)

    early = run(Scope.CHECKOUT_COMPLETED_PENDING, hours=23, minutes=59, seconds=59)
    done = run(Scope.CHECKOUT_COMPLETED_PENDING, hours=24)

    assert figures(early) == (0, 0, 0)
    assert figures(done) == (1, 1, 0)
    assert (session(entity).status, session(entity).status_reason) == ("abandoned", "no_subscription")


@pytest.mark.parametrize("what", ["cs_1", "sub_1"])
def test_t136_a_completed_session_waits_while_the_provider_is_silent(entity, provider, what):
    """T-136 checkout_completed_pending: provider unreachable -> nothing, even after days."""
    row = completed(entity)
    at_provider(provider, entity, row, status="complete", subscription="sub_1")
    provider.fails(what, trouble())

    done = run(Scope.CHECKOUT_COMPLETED_PENDING, days=3)

    assert figures(done) == (0, 0, 1)
    assert session(entity).status == "completed_pending_subscription"


# --- checkout_recovery_verification ---------------------------------------------------------------------
def hold(entity, **more):
    request = factories.request(
        entity,
        status="failed",
        pending_lease_expires_at=None,
        failure_code="checkout_configuration_invalid",
        normalized_request_json={"checkoutType": "subscription"},
    )
    values = {
        "status": "recovery_verification_pending",
        "provider_checkout_session_id": None,
        "operation_key": request.operation_key,
        "idempotency_row": request,
    } | more
    return held(entity, **values)


@pytest.mark.parametrize(
    ("said", "status"),
    [("open", "open"), ("complete", "completed_pending_subscription"), ("expired", "expired")],
)
def test_t136_a_hold_becomes_the_session_that_is_found(entity, provider, said, status):
    """T-136 checkout_recovery_verification: an exhaustive lookup by key and entity -> table 6.2."""
    row = hold(entity)
    at_provider(provider, entity, row, status=said, created=int(NOW.timestamp()) - 10)

    done = run(Scope.CHECKOUT_RECOVERY_VERIFICATION)

    assert figures(done) == (1, 1, 0)
    assert (session(entity).status, session(entity).provider_checkout_session_id) == (status, "cs_1")


def test_t136_a_hold_found_open_beside_a_subscription_is_ended_at_the_provider(entity, provider):
    """T-136, T-070: the place was kept after a subscription came; opened, it would sell a second one."""
    factories.subscription(entity, factories.plan(), factories.customer(entity), metadata_json={})
    row = hold(entity)
    at_provider(provider, entity, row, status="open", created=int(NOW.timestamp()) - 10)

    assert figures(run(Scope.CHECKOUT_RECOVERY_VERIFICATION)) == (1, 1, 0)
    assert (session(entity).status, session(entity).status_reason) == ("abandoned", "subscription_exists")
    assert [job.dedupe_key for job in jobs(entity)] == ["expire_checkout_session:cs_1"]


def test_t136_a_hold_whose_session_is_known_is_read_by_its_id(entity, provider):
    """T-136 checkout_recovery_verification: by id, without a search."""
    row = hold(entity, provider_checkout_session_id="cs_1")
    at_provider(provider, entity, row, status="open")

    run(Scope.CHECKOUT_RECOVERY_VERIFICATION)

    assert session(entity).status == "open"
    assert provider.asked == ["cs_1"]


@pytest.mark.parametrize("known", [None, "cs_1"])
def test_t136_a_hold_that_nothing_is_found_for_ends_with_its_time(entity, provider, known):
    """T-136 checkout_recovery_verification: hold expired -> abandoned, not before (INV-19)."""
    hold(entity, provider_checkout_session_id=known)

    early = run(Scope.CHECKOUT_RECOVERY_VERIFICATION, hours=23, minutes=59, seconds=59)
    done = run(Scope.CHECKOUT_RECOVERY_VERIFICATION, hours=24)

    assert figures(early) == (0, 0, 0)
    assert figures(done) == (1, 1, 0)
    assert (session(entity).status, session(entity).status_reason) == ("abandoned", "hold_elapsed")


def test_t136_a_hold_does_not_end_while_nobody_can_be_asked(entity, provider):
    """T-136 checkout_recovery_verification: a search that failed has found nothing out."""
    hold(entity)
    provider.is_down = True

    assert figures(run(Scope.CHECKOUT_RECOVERY_VERIFICATION, days=3)) == (0, 0, 1)
    assert session(entity).status == "recovery_verification_pending"


def test_t136_another_entitys_session_of_the_same_key_is_not_taken(entity, provider):
    """T-136 checkout_recovery_verification: key and reference must both match."""
    row = hold(entity)
    at_provider(provider, entity, row, status="open", created=int(NOW.timestamp()), client_reference_id="999")

    assert figures(run(Scope.CHECKOUT_RECOVERY_VERIFICATION)) == (0, 0, 0)


# --- pending_recent -------------------------------------------------------------------------------------
def test_t136_a_request_that_was_never_frozen_ends_with_a_hold(entity, provider):
    """T-136 pending_recent: metadata missing -> failed checkout_configuration_invalid, with a hold."""
    factories.request(entity, created_at=NOW, normalized_request_json={"checkoutType": "subscription"})

    done = run(Scope.PENDING_RECENT, minutes=15)

    with tenancy.tenant_scope(entity.tenant_id):
        request = BillingRequest.objects.get()
    assert figures(done) == (1, 1, 0)
    assert (request.status, request.failure_code) == ("failed", "checkout_configuration_invalid")
    assert session(entity).status == "recovery_verification_pending"


@pytest.mark.parametrize("is_found", [True, False])
def test_t136_a_request_past_its_deadline_is_looked_up_and_ended(entity, provider, is_found):
    """T-136 pending_recent: deadline passed, session unknown -> 5.4 steps 3 and 4, never another create."""
    factories.plan()
    with frozen():
        assert checkouts.told(entity) == (409, "request_in_progress")
    sent, request = len(provider.wrote), checkouts.request(entity)
    if is_found:
        provider.hold(
            payloads.session(
                "cs_1",
                status="open",
                customer=None,
                created=int(NOW.timestamp()),
                metadata=payloads.labels(entity, request.operation_key),
            )
        )

    early = run(Scope.PENDING_RECENT, seconds=82_799)
    done = run(Scope.PENDING_RECENT, seconds=82_800)

    after = checkouts.request(entity)
    assert early.figures["scanned"] == 0
    assert figures(done) == (1, 1, 0)
    assert len(provider.wrote) == sent == 1
    if is_found:
        assert (after.status, session(entity).status) == ("succeeded", "open")
    else:
        assert (after.status, after.failure_code) == ("expired", "checkout_recovery_window_elapsed")
        assert session(entity).status == "recovery_verification_pending"


def test_t136_a_request_past_its_deadline_is_only_counted_by_a_dry_run(entity, provider):
    """T-136 pending_recent: nothing is leased."""
    factories.plan()
    with frozen():
        checkouts.told(entity)
    before = checkouts.request(entity)

    assert figures(run(Scope.PENDING_RECENT, dry_run=True, days=1)) == (1, 0, 0)
    assert checkouts.request(entity).lease_version == before.lease_version


def test_t136_a_request_that_somebody_works_on_is_left(entity, provider):
    """T-136 pending_recent: a running lease."""
    factories.request(entity, created_at=NOW, pending_lease_expires_at=NOW + dt.timedelta(hours=1))

    assert run(Scope.PENDING_RECENT, minutes=15).figures["scanned"] == 0


# --- subscriptions_active -------------------------------------------------------------------------------
@pytest.fixture
def paying(entity, provider):
    """A subscription, the same here and at the provider."""
    plan, payer = factories.plan(), factories.customer(entity)
    provider.hold(payloads.subscription())
    factories.subscription(entity, plan, payer, provider_subscription_created_at=at(payloads.T0))
    run(Scope.SUBSCRIPTIONS_ACTIVE)
    provider.now += 60
    return entity


def test_t136_what_agrees_is_left_alone(paying, provider):
    """T-136 subscriptions_active: a typed comparison finds nothing where nothing is."""
    before = subscription(paying)

    assert figures(run(Scope.SUBSCRIPTIONS_ACTIVE, hours=6)) == (0, 0, 0)
    assert subscription(paying).revision == before.revision


MOVED = payloads.T0 + 2 * payloads.MONTH


@pytest.mark.parametrize(
    ("change", "column", "value"),
    [
        ({"status": "past_due"}, "status", "past_due"),
        ({"trial_end": MOVED}, "trial_end", at(MOVED)),
        ({"cancel_at": MOVED}, "cancel_at", at(MOVED)),
        ({"canceled_at": payloads.T0}, "canceled_at", at(payloads.T0)),
        ({"cancel_at_period_end": True}, "cancel_at_period_end", True),
        ({"items": {"data": [payloads.item(period_end=MOVED)]}}, "current_period_end", at(MOVED)),
    ],
)
def test_t136_each_field_that_drifts_is_projected(paying, provider, change, column, value):
    """T-136 subscriptions_active: drift -> project; the event watermark stays untouched."""
    provider.things["sub_1"] |= change

    done = run(Scope.SUBSCRIPTIONS_ACTIVE, hours=6)

    after = subscription(paying)
    assert figures(done) == (1, 1, 0)
    assert getattr(after, column) == value
    assert (after.last_provider_event_created_at, after.last_provider_snapshot_at) == (None, at(provider.now))
    assert figures(run(Scope.SUBSCRIPTIONS_ACTIVE, hours=12)) == (0, 0, 0)


def test_t136_items_that_drift_are_projected(paying, provider):
    """T-136 subscriptions_active: another quantity."""
    provider.things["sub_1"]["items"] = {"data": [payloads.item(quantity=7)]}

    assert figures(run(Scope.SUBSCRIPTIONS_ACTIVE, hours=6)) == (1, 1, 0)
    assert figures(run(Scope.SUBSCRIPTIONS_ACTIVE, hours=12)) == (0, 0, 0)


def test_t136_a_subscription_that_ended_at_the_provider_ends_here(paying, provider):
    """T-136 subscriptions_active: terminal -> canceled, ended_at, not current."""
    provider.things["sub_1"] |= {"status": "canceled", "ended_at": payloads.T0 + 5}

    run(Scope.SUBSCRIPTIONS_ACTIVE, hours=6)

    after = subscription(paying)
    assert (after.status, after.ended_at, after.is_current) == ("canceled", at(payloads.T0 + 5), False)


def test_t136_a_subscription_that_the_provider_does_not_know_ends_here(paying, provider):
    """T-136 subscriptions_active: 404 resource_missing -> canceled, ended_at, not current."""
    del provider.things["sub_1"]

    done = run(Scope.SUBSCRIPTIONS_ACTIVE, hours=6)

    after = subscription(paying)
    assert figures(done) == (1, 1, 0)
    assert done.figures["missing"] == 1
    assert (after.status, after.ended_at, after.is_current) == ("canceled", at(provider.now), False)
    assert after.last_provider_event_created_at is None


@pytest.mark.parametrize("code", [None, "url_invalid"])
def test_t137_another_404_is_not_missing(paying, provider, code):
    """T-137: 404 counts only with resource_missing."""
    del provider.things["sub_1"]
    problem = trouble()
    problem.http_status, problem.provider_code = 404, code
    provider.fails("sub_1", problem)

    done = run(Scope.SUBSCRIPTIONS_ACTIVE, hours=6)

    assert (figures(done), done.figures["missing"]) == ((0, 0, 1), 0)
    assert subscription(paying).status == "active"


def test_t137_a_wrong_account_cancels_nobody(db, provider, fired):
    """T-137: seven subscriptions, none known: aborted unapplied."""
    plan = factories.plan()
    entities = [factories.workspace_entity(f"tenant_{number}") for number in range(7)]
    for number, entity in enumerate(entities):
        payer = factories.customer(entity, f"cus_{number}")
        factories.subscription(entity, plan, payer, f"sub_{number}")

    done = run(Scope.SUBSCRIPTIONS_ACTIVE)

    assert (done.status, done.reason) == ("failed", "missing_rate_exceeded")
    assert "RECONCILIATION_MISSING_RATE" in fired
    for number, entity in enumerate(entities):
        assert subscription(entity, f"sub_{number}").is_current


def test_t136_another_live_subscription_of_the_customer_becomes_known(paying, provider):
    """T-136 subscriptions_active: backfill, then 8.6: the paid one that was current stays."""
    provider.hold(payloads.subscription("sub_2", created=payloads.T0 + 5, items=[payloads.item("si_2")]))
    provider.hold(
        payloads.subscription("sub_3", status="canceled", items=[payloads.item("si_3")], ended_at=payloads.T0)
    )

    done = run(Scope.SUBSCRIPTIONS_ACTIVE, hours=6)

    other = subscription(paying, "sub_2")
    assert figures(done) == (1, 1, 0)
    assert (other.is_current, other.provider_subscription_created_at) == (False, at(payloads.T0 + 5))
    assert subscription(paying, "sub_1").is_current
    with tenancy.tenant_scope(paying.tenant_id):
        assert Subscription.objects.count() == 2


def test_t136_an_entity_whose_live_subscription_is_not_chosen_gets_its_choice(paying, provider):
    """T-136 subscriptions_active: no current one among the living is drift."""
    with factories.locked(paying):
        Subscription.objects.update(is_current=False)

    run(Scope.SUBSCRIPTIONS_ACTIVE, hours=6)

    assert subscription(paying).is_current


def test_t136_a_flagged_row_is_projected_even_if_it_has_ended(paying, provider):
    """T-136 subscriptions_active: ordering could not decide, so the provider does (8.4)."""
    with factories.locked(paying):
        Subscription.objects.update(needs_reconciliation=True, status="canceled", is_current=False)

    run(Scope.SUBSCRIPTIONS_ACTIVE, hours=6)

    after = subscription(paying)
    assert (after.status, after.is_current, after.needs_reconciliation) == ("active", True, False)


def test_t136_a_row_that_an_event_wrote_during_our_look_is_not_overwritten(paying, provider, fired):
    """T-136: a look counts only while the row is what it was before it (one second has no order)."""
    provider.things["sub_1"] |= {"status": "past_due"}
    listed = provider.list_subscriptions

    def list_then_event(**asked):
        found = listed(**asked)
        with factories.locked(paying):
            Subscription.objects.update(status="unpaid")
        return found

    provider.list_subscriptions = list_then_event
    done = run(Scope.SUBSCRIPTIONS_ACTIVE, hours=6)

    assert subscription(paying).status == "unpaid"
    assert done.figures["overtaken"] == 1
    assert done.figures["failed"] == 0


# --- invoices_recent ------------------------------------------------------------------------------------
def test_t136_an_invoice_that_is_missing_here_is_fetched(paying, provider):
    """T-136 invoices_recent: backfill, payment with its real id; a draft waits until it is issued."""
    provider.hold(payloads.invoice(payments=[payloads.invoice_payment()]))
    provider.hold(payloads.invoice("in_2", status="draft"))

    done = run(Scope.INVOICES_RECENT)

    (made,) = invoices(paying)
    (payment,) = payments(paying)
    assert figures(done) == (1, 1, 0)
    assert (made.provider_invoice_id, made.status, made.amount_paid_minor) == ("in_1", "paid", 4_900)
    assert made.subscription_id == subscription(paying).pk
    assert (payment.provider_payment_id, payment.is_fallback_id) == ("pi_1", False)
    assert figures(run(Scope.INVOICES_RECENT, hours=1)) == (0, 0, 0)


@pytest.mark.parametrize("of_subscription", ["sub_1", None])
def test_t136_an_invoice_that_drifted_is_refreshed(paying, provider, of_subscription):
    """T-136 invoices_recent: status and amounts, of a subscription or not."""
    provider.hold(payloads.invoice(status="open", subscription=of_subscription))
    run(Scope.INVOICES_RECENT)
    provider.now += 60
    provider.hold(
        payloads.invoice(subscription=of_subscription, payments=[payloads.invoice_payment()], amount=4_900)
    )

    done = run(Scope.INVOICES_RECENT, hours=1)

    (after,) = invoices(paying)
    assert figures(done) == (1, 1, 0)
    assert (after.status, after.amount_paid_minor, after.amount_remaining_minor) == ("paid", 4_900, 0)
    assert (after.last_provider_event_created_at, after.last_provider_snapshot_at) == (None, at(provider.now))


@pytest.mark.parametrize(("event", "status"), [("invoice.paid", "paid"), ("invoice.payment_failed", "open")])
def test_t136_a_made_up_payment_id_gives_way_to_the_real_one(paying, provider, event, status):
    """T-136 invoices_recent: fallback ids -> real ids, in place, paid and failed ones."""
    payloads.deliver(payloads.event(event, payloads.invoice(status=status)))
    (before,) = payments(paying)
    told = payloads.invoice_payment(status="paid" if status == "paid" else "open")
    provider.hold(payloads.invoice(status=status, payments=[told]))

    done = run(Scope.INVOICES_RECENT)

    (after,) = payments(paying)
    assert figures(done) == (1, 1, 0)
    assert before.is_fallback_id
    assert (after.pk, after.provider_payment_id, after.is_fallback_id) == (before.pk, "pi_1", False)
    assert figures(run(Scope.INVOICES_RECENT, hours=1)) == (0, 0, 0)


def test_t136_an_invoice_with_a_trouble_of_its_own_keeps_no_other(paying, provider):
    """T-136 invoices_recent: the others of the customer are refreshed, the failure is counted."""
    stranger = payloads.invoice("in_0", subscription=None)
    provider.hold(stranger)
    provider.hold(payloads.invoice("in_1"))
    other = factories.workspace_entity("tenant_b")
    payer = factories.customer(other, "cus_other")
    from billing.models import Invoice

    with factories.locked(other):
        Invoice.objects.create(
            tenant_id=other.tenant_id,
            billable_entity=other,
            billing_customer=payer,
            provider_invoice_id="in_0",
            status="open",
            amount_due_minor=1,
            amount_paid_minor=0,
            amount_remaining_minor=1,
            currency="USD",
        )

    run(Scope.INVOICES_RECENT)

    assert "in_1" in [row.provider_invoice_id for row in invoices(paying)]


# --- payment_methods ------------------------------------------------------------------------------------
def test_t136_payment_methods_are_synced_and_old_cards_expire(paying, provider):
    """T-136 payment_methods (7.5): the daily loop of every primary customer."""
    from billing.models import PaymentMethod

    provider.hold(payloads.customer())
    provider.hold(payloads.payment_method("pm_1"))

    done = run(Scope.PAYMENT_METHODS)
    run(Scope.PAYMENT_METHODS, days=365 * 10)

    with tenancy.tenant_scope(paying.tenant_id):
        method = PaymentMethod.objects.get()
    assert done.figures["scanned"] == 1
    assert method.provider_payment_method_id == "pm_1"


# --- dry runs -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "scope",
    [Scope.CHECKOUT_OPEN, Scope.CHECKOUT_COMPLETED_PENDING, Scope.CHECKOUT_RECOVERY_VERIFICATION],
)
def test_a_dry_run_of_sessions_finds_the_drift_and_leaves_it(entity, provider, scope):
    made = {
        Scope.CHECKOUT_OPEN: held,
        Scope.CHECKOUT_COMPLETED_PENDING: completed,
        Scope.CHECKOUT_RECOVERY_VERIFICATION: hold,
    }[scope](entity)
    at_provider(provider, entity, made, status="expired", created=int(NOW.timestamp()))
    before = session(entity)

    done = run(scope, dry_run=True, days=2)

    assert figures(done) == (1, 0, 0)
    assert (session(entity).status, session(entity).updated_at) == (before.status, before.updated_at)


def test_a_dry_run_of_subscriptions_and_invoices_finds_the_drift_and_leaves_it(paying, provider):
    provider.things["sub_1"]["status"] = "canceled"
    provider.hold(payloads.invoice())

    assert figures(run(Scope.SUBSCRIPTIONS_ACTIVE, dry_run=True)) == (1, 0, 0)
    assert figures(run(Scope.INVOICES_RECENT, dry_run=True)) == (1, 0, 0)
    assert subscription(paying).status == "active"
    assert invoices(paying) == jobs(paying) == []
