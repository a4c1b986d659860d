"""Saying, in the log and in the metrics, that something happened which the design expects not to."""

import structlog
from prometheus_client import Gauge

from billing.guardrail_codes import Guardrail
from settld.stripe_gateway import metrics

MEASUREMENTS = Gauge(
    "app_billing_guardrail_measurement",
    "Latest measurement of a guardrail",
    ["code", "measure"],
    multiprocess_mode="mostrecent",
)
log = structlog.get_logger(__name__)


def emit(
    code: Guardrail,
    *,
    operation_key: str | None = None,
    provider_event_id: str | None = None,
    billable_entity_id: int | None = None,
    **context: object,
) -> None:
    """Count a guardrail and log it with whom it concerns, where known; the context holds no secret."""
    known = {
        "operation_key": operation_key,
        "provider_event_id": provider_event_id,
        "billable_entity_id": billable_entity_id,
    }
    metrics.guardrail(code.value, **{name: value for name, value in known.items() if value}, **context)


def measure(code: Guardrail, *, name: str, value: float, is_event: bool = True) -> None:
    """Keep a measurement for the metrics page; only one above zero is an event.

    `is_event=False` for what was an event of its own when it happened, and is counted once for that.
    """
    MEASUREMENTS.labels(code=code.value, measure=name).set(value)
    if value > 0 and is_event:
        metrics.guardrail(code.value, measure=name, value=value)
