"""Acts on the console's billing pages (T-173): asked for in two steps, done once, audited with reasons."""

import datetime as dt
import json

import pytest

from billing.models import BillingOutboxJob, BillingRequest, CheckoutSession, ReconciliationRun, Remediation
from billing.states import Scope
from settld.core import tenancy
from settld.stripe_gateway.models import StripeEventConsumption
from tests.billing import factories, payloads
from tests.billing.conftest import billing_on
from tests.billing.workers import job, owe_cancellation, owe_expiry, owed, subscription, two_subscriptions
from tests.ops_console.billing_desk import (
    HOME,
    HTMX,
    NOW,
    act,
    admin,
    audited,
    entity,
    faults,
    form_of,
    inbox,
    operator,
    provider,
    shown,
    text_of,
    told,
)

__all__ = ["admin", "billing_on", "entity", "operator", "provider"]
WHY = "Stripe is back"


# --- The lists ------------------------------------------------------------------------------------------
def test_t173_a_session_shows_its_lease_its_end_and_what_happens_next(entity, operator):
    """T-173: an open session whose request somebody still works on."""
    request = factories.request(entity, lease_owner="web-1:7")
    factories.session(
        entity,
        operation_key=request.operation_key,
        idempotency_row=request,
        provider_checkout_session_id="cs_1",
        created_at=NOW - dt.timedelta(minutes=20),
    )
    text = shown(operator, "/operations")

    assert "Sessions 1" in text
    assert "Subscription checkout cs_1 tenant_a Open Ends: 24 h 00 min left" in text
    assert "Lease: web-1:7 until 12:02:00" in text
    assert "The payer may pay; unpaid, it ends at 2026-03-11 12:01:30 UTC, in 1 day." in text
    assert "checkout_open" in text


def test_t173_a_hold_shows_when_the_place_is_free(entity, operator):
    """T-173: a hold with its end."""
    factories.session(
        entity, status="recovery_verification_pending", expires_at=NOW + dt.timedelta(minutes=30)
    )
    text = shown(operator, "/operations?queue=holds")

    assert "Held Hold: 30 min left" in text
    assert "searches Stripe for a session of this operation" in text
    assert "the place is free at 12:30:00 UTC, in 30 minutes" in text


def test_t173_a_pending_request_counts_down_to_its_replay_deadline(entity, operator):
    """T-173: the deadline, and the step that recovery would take."""
    factories.request(
        entity,
        pending_lease_expires_at=NOW - dt.timedelta(seconds=1),
        provider_idempotency_replay_deadline_at=NOW + dt.timedelta(hours=3),
    )
    text = shown(operator, "/operations?queue=requests")

    assert "Replay: 3 h 00 min left" in text
    assert "Request pending, nobody on it" in text
    assert "Recovery takes it up within a minute (attempt 1)." in text


@pytest.mark.parametrize(
    "queue", ["sessions", "holds", "requests", "webhooks", "jobs", "remediations", "runs"]
)
def test_a_list_says_what_it_will_hold_and_has_its_past(entity, operator, queue):
    assert "None" in shown(operator, f"/operations?queue={queue}")
    assert operator.get(f"{HOME}/operations?queue={queue}&state=ended").status_code == 200


def test_what_has_ended_is_in_the_past(entity, operator):
    factories.session(entity, status="abandoned", status_reason="displaced")

    assert "Abandoned" not in shown(operator, "/operations")
    text = shown(operator, "/operations?queue=sessions&state=ended")
    assert "Abandoned" in text
    assert "Displaced" in text
    assert "Nothing: it has ended." in text


def test_a_long_list_is_paged_the_longest_waiting_first(entity, operator, monkeypatch):
    from ops_console.billing_console import paging

    monkeypatch.setattr(paging, "ROWS", 2)
    for number in range(5):
        factories.session(entity, flow="one_off", provider_checkout_session_id=f"cs_{number}")

    seen, path = [], "/operations"
    while path:
        page = operator.get(f"{HOME}{path}").content.decode()
        seen += [number for number in range(5) if f"cs_{number}<" in page]
        following = page.split('rel="next" href="', 1)
        path = (
            following[1].split('"')[0].replace("&amp;", "&").removeprefix(HOME) if len(following) > 1 else ""
        )
    assert seen == [0, 1, 2, 3, 4]
    assert 'rel="prev"' in page


# --- Jobs and remediations ------------------------------------------------------------------------------
@pytest.fixture
def dead_job(entity):
    row = owe_expiry(entity, "cs_9")
    with tenancy.tenant_scope(entity.tenant_id):
        BillingOutboxJob.objects.filter(pk=row.pk).update(
            status="dead_letter",
            attempt_count=8,
            last_error_text="TransientError: no answer",
            finished_at=NOW,
        )
    return row


def test_t173_a_dead_letter_is_retried_once_with_its_reason_in_the_audit(dead_job, entity, operator):
    """T-173: two steps; the second sending of one form changes nothing more."""
    path = f"/operations/jobs/{dead_job.pk}/retry"
    listed = shown(operator, "/operations?queue=jobs")
    form = form_of(operator, path)
    sent = act(operator, path, form, reason=WHY)
    text = told(operator, sent)
    again = told(operator, act(operator, path, form, reason=WHY))

    assert "Given up after 8 attempts: only a person has it tried again." in listed
    assert "TransientError: no answer" in listed
    assert "The job is due at once" in text
    assert "sent before" in again
    assert (job(entity).status, job(entity).attempt_count) == ("pending", 0)
    (row,) = audited("BILLING_OUTBOX_RETRY")
    assert (row.tenant_id, row.target_id) == ("tenant_a", str(dead_job.pk))
    assert json.loads(row.details_text)["reason"] == WHY


def test_a_reason_is_needed_and_the_form_keeps_its_key(dead_job, entity, operator):
    path = f"/operations/jobs/{dead_job.pk}/retry"
    form = form_of(operator, path)
    answer = act(operator, path, form, reason=" ")

    assert faults(answer) == ["Reason is needed."]
    assert form["idempotency_key"].encode() in answer.content
    assert job(entity).status == "dead_letter"
    assert audited("BILLING_OUTBOX_RETRY") == []


def test_a_form_of_another_tenants_row_is_refused(dead_job, entity, operator):
    path = f"/operations/jobs/{dead_job.pk}/retry"
    answer = act(operator, path, form_of(operator, path) | {"tenant": "tenant_b"}, reason=WHY)

    assert (answer.status_code, "TENANT_SWITCHED" in text_of(answer)) == (409, True)
    assert job(entity).status == "dead_letter"


def test_a_form_without_its_key_is_refused(dead_job, entity, operator):
    answer = operator.post(
        f"{HOME}/operations/jobs/{dead_job.pk}/retry", {"tenant": "tenant_a", "reason": WHY}
    )

    assert answer.status_code == 400
    assert job(entity).status == "dead_letter"


def test_what_is_done_meanwhile_is_said_so_inside_the_form(dead_job, entity, operator):
    path = f"/operations/jobs/{dead_job.pk}/retry"
    form = form_of(operator, path)
    with tenancy.tenant_scope(entity.tenant_id):
        BillingOutboxJob.objects.update(status="succeeded")
    answer = operator.post(HOME + path, form | {"reason": WHY}, headers=HTMX | {"HX-Target": "act"})

    assert answer.status_code == 409
    assert b"BILLING_NOTHING_TO_RETRY" in answer.content
    assert b"<h1>" not in answer.content


def test_t173_a_remediation_is_retried(entity, operator, provider):
    """T-173: the form names who survives and who is cancelled."""
    owe_cancellation(entity, *two_subscriptions(provider, entity))
    row = owed(entity)
    with factories.locked(entity):
        Remediation.objects.update(status="dead_letter", attempt_count=6, error_text="no answer")
    path = f"/operations/remediations/{row.pk}/retry"

    assert "Both subscriptions are charged meanwhile." in shown(operator, "/operations?queue=remediations")
    assert "Duplicate sub_2 Survivor sub_1" in shown(operator, path)
    told(operator, act(operator, path, reason=WHY))
    assert (owed(entity).status, owed(entity).attempt_count) == ("pending", 0)
    assert json.loads(audited("BILLING_REMEDIATION_RETRY")[0].details_text)["reason"] == WHY


# --- Runs -----------------------------------------------------------------------------------------------
@pytest.fixture
def expired_at_stripe(entity, provider):
    row = factories.session(
        entity, provider_checkout_session_id="cs_1", expires_at=NOW - dt.timedelta(hours=1)
    )
    labels = payloads.labels(entity, row.operation_key)
    provider.hold(payloads.session(status="expired", customer=None, metadata=labels))
    return row


def status_of(entity):
    with tenancy.tenant_scope(entity.tenant_id):
        return CheckoutSession.objects.get(provider_checkout_session_id="cs_1").status


def test_t173_a_dry_run_tells_and_a_run_repairs(expired_at_stripe, entity, operator):
    """T-173: a dry run writes nothing but its audit row."""
    dry = told(operator, act(operator, "/operations/runs/checkout_open/dry-run", limit="10"))
    between = status_of(entity), ReconciliationRun.objects.count()
    text = told(operator, act(operator, "/operations/runs/checkout_open/run", limit="10", reason=WHY))

    assert "1 looked at, 1 differ, nothing was written." in dry
    assert between == ("open", 0)
    assert "1 looked at, 1 differ, 1 repaired." in text
    assert status_of(entity) == "expired"
    details = [json.loads(row.details_text) for row in audited("BILLING_RECONCILIATION_RUN")]
    assert details == [{"dryRun": True, "limit": 10}, {"dryRun": False, "limit": 10, "reason": WHY}]
    listed = shown(operator, "/operations?queue=runs")
    assert "1 looked at, 1 differed, 1 repaired" in listed
    assert "checkout_open" in shown(operator, "/operations?queue=runs&scope=checkout_open")


@pytest.mark.parametrize("limit", ["0", "1001", "\uff11"])
def test_a_number_of_rows_that_is_none_is_said_beside_its_field(entity, operator, provider, limit):
    answer = act(operator, "/operations/runs/checkout_open/dry-run", limit=limit)

    assert faults(answer) == ["Write a whole number from 1 to 1,000."]
    assert audited("BILLING_RECONCILIATION_RUN") == []


def test_a_run_beside_another_says_so(entity, operator, provider):
    from billing.services.reconciliation import runs

    runs.open_run(Scope.CHECKOUT_OPEN)
    text = told(operator, act(operator, "/operations/runs/checkout_open/run", limit="5", reason=""))

    assert "Another run of checkout_open is at work. Nothing was done." in text


# --- The inbox ------------------------------------------------------------------------------------------
@pytest.fixture
def failed_event(entity, provider):
    """An event that says that the entity's subscription is past due, and was not applied."""
    factories.subscription(entity, factories.plan(), factories.customer(entity))
    body = payloads.event("customer.subscription.updated", payloads.subscription(status="past_due"))
    return inbox(body, status="dead", attempts=12, billable_entity_id=entity.pk)


def test_t173_a_replay_is_previewed_and_then_done(failed_event, entity, operator):
    """T-173: the preview names each row and column, and keeps nothing; the replay applies the event."""
    path = f"/operations/webhooks/{failed_event.event_id}"
    listed = shown(operator, "/operations?queue=webhooks")
    preview = shown(operator, f"{path}/replay")
    kept = subscription(entity).status, StripeEventConsumption.objects.get().status
    form = form_of(operator, f"{path}/replay")
    text = told(operator, act(operator, f"{path}/replay", form, reason=WHY))

    assert "Given up. Only a replay from here, or a redelivery by Stripe" in listed
    assert "It would be applied, and write" in preview
    assert "changed" in preview.lower()
    assert "Status active past_due" in preview
    assert kept == ("active", "dead")
    assert "Applied; it was applied." in text
    assert subscription(entity).status == "past_due"
    assert json.loads(audited("BILLING_WEBHOOK_REPROCESS")[0].details_text)["reason"] == WHY
    assert len(audited("BILLING_WEBHOOK_PREVIEW")) == 2
    assert "Preview and replay" not in shown(operator, path)


def test_a_preview_that_fails_says_why_and_leaves_the_choice(failed_event, operator, provider):
    body = payloads.event("invoice.paid", payloads.invoice(customer="cus_foreign", subscription=None))
    row = inbox(body)
    path = f"/operations/webhooks/{row.event_id}/replay"

    assert "As things stand it would fail again." in shown(operator, path)
    text = told(operator, act(operator, path, reason=WHY))
    assert "It could not be applied." in text


def test_an_event_shows_its_reason_its_payload_and_where_it_leads(failed_event, operator):
    text = shown(operator, f"/operations/webhooks/{failed_event.event_id}")

    assert "Why it is not applied INTERNAL_ERROR: no such row" in text
    assert '"status": "past_due"' in text
    assert "tenant_a" in text


def test_an_event_that_is_applied_is_not_replayed(failed_event, operator):
    StripeEventConsumption.objects.update(status="done", outcome="applied", finished_at=NOW)
    answer = operator.get(f"{HOME}/operations/webhooks/{failed_event.event_id}/replay")

    assert (answer.status_code, b"BILLING_NOTHING_TO_RETRY" in answer.content) == (409, True)
    assert "Processed" in shown(operator, "/operations?queue=webhooks&state=ended")


def test_acts_leave_what_they_do_not_concern(dead_job, entity, operator):
    told(operator, act(operator, f"/operations/jobs/{dead_job.pk}/retry", reason=WHY))

    with tenancy.platform_scope(reason="test"):
        assert BillingRequest.objects.count() == CheckoutSession.objects.count() == 0
