"""POST /api/billing/webhooks/stripe: what is taken, refused and stored (checkout-billing 8.1)."""

import dataclasses
import datetime as dt
import hashlib
import io
import json

import pytest
from django.db import DatabaseError, OperationalError

from settld.core import clock
from settld.stripe_gateway.metrics import GUARDRAILS
from settld.stripe_gateway.models import StripeEvent, StripeEventConsumption
from settld.stripe_gateway.services import inbox
from tests.stripe_gateway.conftest import PATH, event_body
from tests.stripe_gateway.signing import SECRET, digest, signed

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)


def refused(response, status, *, code, error):
    """The answer is this refusal, in the family's form, and nothing was stored."""
    assert response.status_code == status
    assert response.json() == {"error": error, "code": code, "details": {"code": code}}
    assert not StripeEvent.objects.exists()
    return True


def test_an_authentic_event_is_stored_as_received_with_a_consumption_for_each_consumer(register, deliver):
    register("rails", "transfer.created", "transfer.reversed")
    register("checkout", "transfer.created")
    register("wallet", "charge.refunded")
    payload = event_body()

    with clock.freeze(NOW):
        response = deliver(payload)

    assert (response.status_code, response.json()) == (200, {"ok": True})
    event = StripeEvent.objects.get()
    assert event.payload.encode() == payload
    assert event.payload_sha256 == hashlib.sha256(payload).hexdigest()
    assert (event.provider, event.provider_event_id, event.event_type) == (
        "stripe",
        "evt_1",
        "transfer.created",
    )
    assert (event.provider_api_version, event.livemode) == ("2026-10-28.endive", False)
    assert event.provider_created_at == dt.datetime.fromtimestamp(1_790_000_000, dt.UTC)
    assert (event.received_at, event.object_id, event.delivery_count) == (NOW, "tr_1", 1)
    assert event.data_object == {"id": "tr_1", "object": "transfer", "amount": 100}
    waiting = event.consumptions.order_by("consumer").values_list("consumer", "status", "next_attempt_at")
    assert list(waiting) == [("checkout", "pending", NOW), ("rails", "pending", NOW)]


def test_t103_a_body_of_the_greatest_size_is_taken_and_one_byte_more_is_not(register, deliver):
    register()
    empty = len(event_body(padding=""))
    assert deliver(event_body(padding="x" * (262_144 - empty))).status_code == 200
    StripeEvent.objects.filter().update(provider_event_id="evt_0")
    response = deliver(event_body(padding="x" * (262_145 - empty)))
    assert (response.status_code, response.json()["code"]) == (413, "BODY_TOO_LARGE")
    assert StripeEvent.objects.count() == 1


@pytest.mark.parametrize(("size", "status"), [(262_144, 200), (262_145, 413)])
def test_t103_a_body_without_an_announced_length_is_counted(register, rf, stripe_config, size, status):
    from settld.stripe_gateway.api.views import stripe_webhook

    register()
    payload = event_body(padding="x" * (size - len(event_body(padding=""))))
    request = rf.post(PATH, headers={"stripe-signature": signed(payload, at=clock.now())})
    request.META |= {
        "CONTENT_LENGTH": "",
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input": io.BytesIO(payload),
    }
    assert stripe_webhook(request).status_code == status


def test_t105_an_empty_body_is_refused(register, deliver):
    register()
    assert refused(deliver(b""), 400, code="BILLING_WEBHOOK_INVALID", error="Webhook raw body is required.")


def test_t104_a_missing_signature_is_refused(register, deliver):
    register()
    response = deliver(event_body(), header="")
    assert refused(
        response, 400, code="BILLING_WEBHOOK_INVALID", error="Stripe signature header is required."
    )


def test_t111_without_an_endpoint_secret_stripe_is_asked_to_come_back(register, deliver, stripe_config):
    register()
    stripe_config(webhook_secrets=())
    assert refused(
        deliver(event_body()),
        500,
        code="BILLING_PROVIDER_NOT_CONFIGURED",
        error="Stripe webhook secret is not configured.",
    )


def bad_headers():
    payload, now = event_body(), int(NOW.timestamp())
    return {
        "garbage": "garbage",
        "other secret": signed(payload, at=NOW, secret="whsec_other"),
        "too old": signed(payload, at=NOW - dt.timedelta(seconds=301)),
        "from the future": signed(payload, at=NOW + dt.timedelta(seconds=301)),
        "over other bytes": signed(payload + b"\n", at=NOW),
        "old scheme only": f"t={now},v0={digest(payload, timestamp=now)}",
    }


@pytest.mark.parametrize("kind", bad_headers())
def test_t104_a_signature_that_proves_nothing_is_refused(register, deliver, kind):
    register()
    with clock.freeze(NOW):
        response = deliver(event_body(), header=bad_headers()[kind])
    assert refused(
        response, 400, code="BILLING_WEBHOOK_SIGNATURE_INVALID", error="Stripe webhook signature is invalid."
    )


def test_t102_a_signature_holds_for_the_exact_bytes_only(register, deliver):
    register()
    payload = event_body()
    reserialised = json.dumps(json.loads(payload)).encode()
    assert json.loads(reserialised) == json.loads(payload)
    with clock.freeze(NOW):
        response = deliver(reserialised, header=signed(payload, at=NOW))
        assert response.status_code == 400
        assert response.json()["code"] == "BILLING_WEBHOOK_SIGNATURE_INVALID"
        assert not StripeEvent.objects.exists()
        assert deliver(payload, header=signed(payload, at=NOW)).status_code == 200


@pytest.mark.parametrize("age", [300, -300])
def test_t104_a_signature_at_the_edge_of_the_tolerance_is_taken(register, deliver, age):
    register()
    payload = event_body()
    with clock.freeze(NOW):
        response = deliver(payload, header=signed(payload, at=NOW - dt.timedelta(seconds=age)))
    assert response.status_code == 200


def test_t104_each_of_several_secrets_is_trusted(register, deliver, stripe_config):
    register()
    stripe_config(webhook_secrets=("whsec_new", SECRET))
    assert deliver(event_body()).status_code == 200


@pytest.mark.parametrize(
    "payload",
    [
        b"not json",
        b"[]",
        b"null",
        b'"event"',
        b"\xff\xfe",
        b"[" * 100_000,
        event_body(object="charge"),
        event_body(id=None),
        event_body(id=""),
        event_body(id="evt\x00"),
        event_body(id="e" * 192),
        event_body(type=7),
        event_body(created="now"),
        event_body(created=10**15),
    ],
)
def test_t105_authentic_bytes_that_are_no_event_are_refused(register, deliver, payload):
    register()
    response = deliver(payload)
    assert refused(
        response, 400, code="BILLING_WEBHOOK_INVALID", error="Stripe webhook payload is not an event."
    )


@pytest.mark.parametrize(
    ("key", "livemode"), [("sk_test_x", True), ("sk_live_x", False), ("rk_live_x", False)]
)
def test_t109_an_event_of_the_other_mode_is_answered_and_dropped(
    register, deliver, stripe_config, key, livemode
):
    register()
    stripe_config(secret_key=key)
    guardrail = GUARDRAILS.labels(code="BILLING_WEBHOOK_LIVEMODE_MISMATCH")
    before = guardrail._value.get()

    response = deliver(event_body(livemode=livemode))

    assert (response.status_code, response.json()) == (200, {"ok": True})
    assert not StripeEvent.objects.exists()
    assert guardrail._value.get() == before + 1


def test_without_a_key_there_is_no_mode_to_differ_from(register, deliver, stripe_config):
    register()
    stripe_config(secret_key="")
    deliver(event_body(livemode=True))
    assert StripeEvent.objects.get().livemode is True


def test_a_type_that_nobody_wants_is_answered_and_dropped(register, deliver):
    register("rails", "transfer.created")
    assert deliver(event_body(type="customer.created")).json() == {"ok": True}
    assert not StripeEvent.objects.exists()


def test_t109_another_api_version_is_taken_and_noted(register, deliver, stripe_config):
    register()
    stripe_config(pinned_api_version="2024-01-01")
    guardrail = GUARDRAILS.labels(code="BILLING_PROVIDER_SDK_API_BASELINE_DRIFT")
    before = guardrail._value.get()
    assert deliver(event_body()).status_code == 200
    assert (guardrail._value.get(), StripeEvent.objects.count()) == (before + 1, 1)


def test_t106_a_second_delivery_stores_nothing_and_is_counted(register, deliver):
    register()
    deliver(event_body())
    response = deliver(event_body(pending_webhooks=0))

    assert response.json() == {"ok": True}
    event = StripeEvent.objects.get()
    assert (event.delivery_count, event.body["pending_webhooks"]) == (2, 1)
    assert StripeEventConsumption.objects.count() == 1


@pytest.mark.parametrize(
    ("status", "after"), [("failed", "pending"), ("dead", "pending"), ("done", "done"), ("leased", "leased")]
)
def test_t107_a_second_delivery_makes_due_what_had_failed_and_leaves_the_rest(
    register, deliver, status, after
):
    register()
    deliver(event_body())
    later = NOW + dt.timedelta(days=1000)
    StripeEventConsumption.objects.update(
        status=status,
        attempts=12,
        next_attempt_at=later,
        outcome="applied" if status == "done" else "",
        finished_at=NOW if status == "done" else None,
        lease_expires_at=NOW if status == "leased" else None,
    )

    deliver(event_body())

    consumption = StripeEventConsumption.objects.get()
    assert (consumption.status, consumption.attempts) == (after, 12)
    assert (consumption.next_attempt_at == later) is (after != "pending")


@pytest.mark.parametrize("path", ["/api/billing/webhooks/paypal", "/api/billing/webhooks/Stripe"])
def test_t111_another_provider_has_no_door(client, path):
    response = client.post(path, data=b"{}", content_type="application/json")
    assert response.status_code == 404
    assert response.json() == {"error": "Not found.", "code": "NOT_FOUND", "details": {"code": "NOT_FOUND"}}


@pytest.mark.parametrize(
    ("enabled", "key", "secrets", "status"),
    [
        (False, "", (), 404),
        (False, "sk_test_x", (), 500),  # the rails have a key: Stripe is asked to come back
        (False, "", (SECRET,), 200),
        (False, "sk_test_x", (SECRET,), 200),
        (True, "sk_test_x", (SECRET,), 200),
    ],
)
def test_t110_with_billing_off_the_door_is_there_for_the_rails_only(
    register, deliver, stripe_config, settings, enabled, key, secrets, status
):
    rails = register()
    settings.BILLING = dataclasses.replace(settings.BILLING, enabled=enabled)
    stripe_config(secret_key=key, webhook_secrets=secrets)

    response = deliver(event_body())

    assert response.status_code == status
    assert StripeEvent.objects.count() == (status == 200)
    if status == 404:
        assert response.json() == {"error": "Not found."}
    assert rails.seen == []


def test_a_client_secret_is_blanked_and_nothing_else(register, deliver):
    register()
    secret = b'"client_secret" :  "pi_1_secret_\\"abc"'
    payload = event_body().replace(
        b'"amount": 100', secret + b', "amount": 100.0, "none": {"client_secret": null}'
    )
    assert deliver(payload).status_code == 200
    stored = StripeEvent.objects.get()
    assert stored.payload.encode() == payload.replace(secret, b'"client_secret" :  "[REDACTED]"')
    assert stored.payload_sha256 == hashlib.sha256(payload).hexdigest()


def test_only_post_is_answered(client):
    assert client.get(PATH).status_code == 404


def test_no_csrf_token_is_asked_for(register, deliver, settings):
    from django.test import Client

    register()
    payload = event_body()
    response = Client(enforce_csrf_checks=True).post(
        PATH,
        data=payload,
        content_type="application/json",
        headers={"stripe-signature": signed(payload, at=clock.now())},
    )
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [
        (OperationalError("lock timeout"), 503, "SERVICE_UNAVAILABLE"),
        (DatabaseError("secret text"), 500, "INTERNAL_ERROR"),
    ],
)
def test_t111_trouble_of_ours_asks_for_redelivery_and_tells_nothing(
    register, deliver, monkeypatch, trouble, status, code
):
    def fail(_event):
        raise trouble

    register()
    monkeypatch.setattr(inbox, "_insert", fail)
    response = deliver(event_body())
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert "secret text" not in response.content.decode()


def test_the_stored_text_keeps_what_parsing_would_lose(register, deliver):
    register()
    payload = event_body().replace(b'"amount": 100', b'"amount": 100.0,  "amount": 1E2')
    deliver(payload)
    assert StripeEvent.objects.get().payload.encode() == payload
    assert json.loads(payload)["data"]["object"]["amount"] == 100.0
