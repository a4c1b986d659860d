"""What log lines say and never say: correlation ids, no secrets (checkout-billing 11, INV-50)."""

import dataclasses
import io
import json
import logging

import pytest
import structlog

from billing.log_context import correlated
from settld.settings_logging import LOGGING
from settld.stripe_gateway import client, consumers
from settld.stripe_gateway.metrics import guardrail
from settld.stripe_gateway.models import StripeEventConsumption
from settld.stripe_gateway.states import Outcome
from tests.stripe_gateway.conftest import KEY, event_body
from tests.stripe_gateway.scripted_stripe import refusal
from tests.stripe_gateway.signing import SECRET

pytestmark = pytest.mark.django_db
CLIENT_SECRET = "pi_3Abc_secret_DefGhi123"
SIGNATURE = "v1=" + "ab12" * 16
OPERATION = "f" * 64
OURS = ("operation-key-secret-x", "provider-key-secret-x")
log = structlog.get_logger("billing.tests")


@pytest.fixture
def lines(settings):
    """Every log line from here on, as it would be written."""
    settings.BILLING = dataclasses.replace(
        settings.BILLING, operation_key_secret=OURS[0], provider_idempotency_key_secret=OURS[1]
    )
    manner = LOGGING["formatters"]["json"]
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=manner["processors"], foreign_pre_chain=manner["foreign_pre_chain"]
        )
    )
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)
    root.setLevel(level)


SECRETS = {
    "a key": KEY,
    "a restricted key": "rk_live_51Abc",
    "an endpoint secret": "whsec_AbC123",
    "a bearer": "Bearer hunter2hunter2",
    "a client secret": CLIENT_SECRET,
    "a session's client secret": "cs_test_a1B2_secret_c3D4",
    "a signature": SIGNATURE,
    "our endpoint's secret": SECRET,
    "the operation key secret": OURS[0],
    "the provider key secret": OURS[1],
    "a member": '{"client_secret": "anything \\" at all"}',
    "a printed member": "{'client_secret': 'anything at all'}",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_t171_no_text_of_a_line_holds_a_secret(lines, stripe_config, kind):
    secret = SECRETS[kind]
    bare = secret.removeprefix("Bearer ") if kind != "a member" else "anything"
    bare = "anything" if kind == "a printed member" else bare

    event = f"event with {secret}"
    log.warning(event, note=f"see {secret}, please", inner={"rows": [f"x {secret} y"]})
    logging.getLogger("somebody.else").warning("told %s", secret)
    try:
        raise ValueError(f"cannot use {secret}")
    except ValueError:
        log.exception("failed")

    written = json.dumps(lines())
    assert len(lines()) == 3
    assert bare not in written
    assert written.count("[REDACTED]") >= 5


@pytest.mark.parametrize(
    "name", ["client_secret", "stripe_signature", "Authorization", "api_key", "webhook_secrets", "csrf_token"]
)
def test_t171_a_value_whose_name_is_secret_is_blanked(lines, name):
    log.info("line", **{name: "open sesame"}, inner={name: ["open sesame"]})
    assert "open sesame" not in json.dumps(lines())


def test_t171_harmless_words_stay(lines):
    log.info(
        "stripe_webhook_secret_missing", operation_key=OPERATION, endpoint="/v1/prices", amount=3, v1="v1=x"
    )
    (line,) = lines()
    assert (line["event"], line["operation_key"]) == ("stripe_webhook_secret_missing", OPERATION)
    assert (line["endpoint"], line["amount"], line["v1"]) == ("/v1/prices", 3, "v1=x")


def test_t171_a_failing_delivery_writes_and_stores_no_secret(lines, register, deliver):
    checkout = register("checkout", inline=True)
    checkout.misbehave = ValueError(f"{KEY} {CLIENT_SECRET} {SIGNATURE} Bearer abcdefgh")
    response = deliver(event_body(data={"object": {"id": "pi_1", "client_secret": CLIENT_SECRET}}))

    row = StripeEventConsumption.objects.get()
    told = json.dumps(lines()) + row.error + row.event.payload + response.content.decode()
    for secret in (KEY, CLIENT_SECRET, SIGNATURE, "abcdefgh", SECRET):
        assert secret not in told
    assert row.error == "ValueError: [REDACTED] [REDACTED] [REDACTED] Bearer [REDACTED]"


def test_t171_a_refused_signature_is_not_written(lines, register, deliver):
    register()
    deliver(event_body(), header=f"t=1790000000,{SIGNATURE}")
    assert any(line["event"] == "stripe_webhook_refused" for line in lines())
    assert SIGNATURE not in json.dumps(lines())
    assert SECRET not in json.dumps(lines())


def test_t171_a_providers_own_words_are_cleaned(lines, provider):
    provider.will(refusal(401, message=f"Invalid API Key: {KEY}"))
    with pytest.raises(Exception, match="REDACTED") as caught:
        client.retrieve_account("acct_1")
    assert KEY not in str(caught.value) + json.dumps(lines())


def test_t167_every_line_of_a_consumer_carries_the_event(lines, register, deliver):
    def handler(event):
        log.info("looked")
        with correlated(operation_key=OPERATION, billable_entity_id=7):
            guardrail("BILLING_TEST")
            log.info("found")
        log.info("left")
        return Outcome.APPLIED, ""

    consumers.register(name="checkout", event_types=("transfer.created",), handler=handler, inline=True)
    deliver(event_body())
    log.info("afterwards")

    by_event = {line["event"]: line for line in lines()}
    ids = ("provider_event_id", "operation_key", "billable_entity_id")
    told = {event: tuple(by_event[event].get(name) for name in ids) for event in by_event}
    assert told["stripe_event_received"] == told["looked"] == told["left"] == ("evt_1", None, None)
    assert told["found"] == told["billing.guardrail"] == ("evt_1", OPERATION, 7)
    assert told["afterwards"] == (None, None, None)


def test_t167_a_failure_is_written_with_all_three_ids(lines, register, deliver):
    checkout = register("checkout", inline=True)
    checkout.misbehave = ValueError("no")
    consumers.correlate(checkout.misbehave, operation_key=OPERATION, billable_entity_id=7)
    deliver(event_body())
    told = [
        line for line in lines() if line["event"] in ("stripe_event_consumption_failed", "billing.guardrail")
    ]
    assert len(told) == 2
    for line in told:
        assert (line["provider_event_id"], line["operation_key"], line["billable_entity_id"]) == (
            "evt_1",
            OPERATION,
            7,
        )


def test_t167_calls_to_the_provider_say_for_which_operation(lines, provider):
    provider.will(refusal(404))
    with correlated(operation_key=OPERATION, billable_entity_id=7), pytest.raises(Exception, match="No"):
        client.retrieve_account("acct_1")
    (line,) = [line for line in lines() if line["event"] == "stripe_send_failed"]
    assert (line["operation_key"], line["billable_entity_id"]) == (OPERATION, 7)


def test_t167_what_is_not_known_inside_stays_as_it_was_outside(lines):
    with correlated(operation_key=OPERATION, billable_entity_id=7):
        with correlated(provider_event_id="evt_2"):
            log.info("inner")
    (line,) = lines()
    assert (line["operation_key"], line["billable_entity_id"], line["provider_event_id"]) == (
        OPERATION,
        7,
        "evt_2",
    )
