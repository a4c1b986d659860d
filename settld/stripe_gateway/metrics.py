"""What the gateway counts, and the guardrail that both logs and counts."""

import structlog
from prometheus_client import Counter, Histogram

CALLS = Counter("stripe_calls_total", "Calls to Stripe by how they ended", ["endpoint", "outcome"])
CALL_SECONDS = Histogram("stripe_call_seconds", "Length of a call to Stripe, retries included", ["endpoint"])
RETRIES = Counter("stripe_call_retries_total", "Sends beyond the first of a call", ["endpoint"])
CIRCUIT_OPENED = Counter("stripe_circuit_opened_total", "Times the circuit opened")
DELIVERIES = Counter("stripe_webhook_deliveries_total", "Webhook deliveries by how we took them", ["result"])
CONSUMPTIONS = Counter("stripe_event_consumptions_total", "Consumptions of events", ["consumer", "result"])
BELLS_LOST = Counter("stripe_bells_lost_total", "Wake-ups of a worker that the broker did not take")
GUARDRAILS = Counter("app_billing_guardrail_events_total", "Guardrails that fired", ["code"])

# A second name under which alerts know the same thing (spec/checkout-billing.md 11).
ALIASES = {"BILLING_PROVIDER_SDK_API_BASELINE_DRIFT": "BILLING_STRIPE_SDK_API_BASELINE_DRIFT"}

log = structlog.get_logger(__name__)


def guardrail(code: str, **context: object) -> None:
    """Say that something happened which the design expects not to; the context holds no secret."""
    GUARDRAILS.labels(code=code).inc()
    if alias := ALIASES.get(code):
        GUARDRAILS.labels(code=alias).inc()
    log.warning("billing.guardrail", code=code, **context)
