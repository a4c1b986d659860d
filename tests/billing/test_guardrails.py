"""T-166: each guardrail is counted, logged and raised by some path; measurements above zero are events."""

import ast
import datetime as dt
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from billing import guardrail_codes
from billing.guardrail_codes import Guardrail
from billing.models import BillingOutboxJob
from billing.services import gauges, guardrails
from billing.services.guardrails import emit, measure
from settld.core import tenancy
from settld.stripe_gateway.metrics import ALIASES
from settld.stripe_gateway.models import StripeEventConsumption
from tests.billing import factories, payloads
from tests.billing.workers import NOW, fired, frozen, owe_expiry

__all__ = ["fired"]
PROJECT = Path(guardrail_codes.__file__).parents[1]
ROOMS = ("billing", "settld/stripe_gateway")


def count(code: str) -> float:
    return REGISTRY.get_sample_value("app_billing_guardrail_events_total", {"code": code}) or 0.0


def measured(code: str, name: str) -> float | None:
    labels = {"code": code, "measure": name}
    return REGISTRY.get_sample_value("app_billing_guardrail_measurement", labels)


def named_in_code() -> set[str]:
    """The codes that product code names where it runs: as a member of the enumeration, or by its text."""
    found = set()
    for room in ROOMS:
        for file in (PROJECT / room).rglob("*.py"):
            if file.name == "guardrail_codes.py":
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "Guardrail":
                    found.add(Guardrail[node.attr].value)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(node.value)
    return found


def test_t166_every_code_is_raised_by_some_path():
    """T-166: a code that nothing raises would make an alert that never fires."""
    assert {code.value for code in Guardrail} - named_in_code() == set()


@pytest.mark.parametrize("code", Guardrail)
def test_t166_a_guardrail_is_counted_and_logged_with_whom_it_concerns(code):
    """T-166: metric and log line, for each code."""
    before = count(code.value)
    with capture_logs() as lines:
        emit(code, operation_key="op", provider_event_id="evt", billable_entity_id=7, value=1)

    assert count(code.value) == before + 1
    assert lines[-1] == {
        "event": "billing.guardrail",
        "log_level": "warning",
        "code": code.value,
        "operation_key": "op",
        "provider_event_id": "evt",
        "billable_entity_id": 7,
        "value": 1,
    }


def test_t166_what_has_two_names_is_counted_under_both():
    """T-166: PROVIDER_SDK_API_BASELINE_DRIFT, alias STRIPE_SDK_API_BASELINE_DRIFT."""
    (alias,) = ALIASES.values()
    before = count(alias)
    emit(Guardrail.PROVIDER_SDK_API_BASELINE_DRIFT)

    assert count(alias) == before + 1


def test_t166_a_measurement_of_zero_is_kept_and_is_no_event():
    """T-166: zero measurements emit no event."""
    code = Guardrail.WEBHOOK_FAILURE_RETRY
    before = count(code.value)
    with capture_logs() as lines:
        measure(code, name="count", value=0)
    quiet = (count(code.value), measured(code.value, "count"), lines)
    measure(code, name="count", value=3)

    assert quiet == (before, 0.0, [])
    assert (count(code.value), measured(code.value, "count")) == (before + 1, 3.0)


@pytest.fixture
def entity(db):
    return factories.workspace_entity()


def take(**later: float) -> dict[str, float]:
    with frozen(**later):
        return {name.removeprefix("BILLING_"): value for name, value in gauges.measure().items() if value}


def test_t166_nothing_waits_and_nothing_is_said(db, fired):
    assert take() == {}
    assert fired == []


def test_t166_a_pending_checkout_is_measured_by_its_age(entity, fired):
    """T-166: twice the lease, and not before."""
    factories.request(entity, created_at=NOW)

    assert take(seconds=239) == {}
    assert take(seconds=240) == {
        "PENDING_CHECKOUT_IDEMPOTENCY_OLDER_THAN_2X_LEASE_TTL.count": 1,
        "PENDING_CHECKOUT_IDEMPOTENCY_OLDER_THAN_2X_LEASE_TTL.age_seconds": 240,
    }
    assert set(fired) == {"PENDING_CHECKOUT_IDEMPOTENCY_OLDER_THAN_2X_LEASE_TTL"}


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-901, []), (-900, ["NEARING"]), (-1, ["NEARING"]), (0, ["EXCEEDED"]), (60, ["EXCEEDED"])],
)
def test_t166_a_replay_deadline_nears_and_passes(entity, seconds, said):
    """T-166: fifteen minutes before, and from the deadline on."""
    factories.request(entity, created_at=NOW, provider_idempotency_replay_deadline_at=NOW)
    found = take(seconds=seconds)

    prefix = "PENDING_CHECKOUT_REPLAY_DEADLINE_"
    names = [name.removeprefix(prefix) for name in found if name.startswith(prefix)]
    assert [name.removesuffix(".count") for name in names if name.endswith(".count")] == said
    if seconds == 60:
        assert found[f"{prefix}EXCEEDED.age_seconds"] == 60


@pytest.mark.parametrize(
    ("session", "seconds", "is_late"),
    [
        ({"status": "completed_pending_subscription", "completed_at": NOW}, 299, False),
        ({"status": "completed_pending_subscription", "completed_at": NOW}, 300, True),
        ({"status": "open", "expires_at": NOW}, 389, False),
        ({"status": "open", "expires_at": NOW}, 390, True),
        ({"status": "open", "expires_at": None, "created_at": NOW}, 300, True),
        ({"status": "open", "flow": "one_off", "expires_at": NOW}, 9_999, False),
        ({"status": "completed_reconciled", "completed_at": NOW}, 9_999, False),
    ],
)
def test_t166_a_session_that_blocks_too_long_is_measured(entity, session, seconds, is_late):
    """T-166: BLOCKING_CHECKOUT_SESSIONS_OLDER_THAN_SLA."""
    factories.session(entity, **session)

    assert ("BLOCKING_CHECKOUT_SESSIONS_OLDER_THAN_SLA.count" in take(seconds=seconds)) is is_late


def test_t166_holds_failed_events_and_dead_letters_are_measured_over_all_tenants(entity, fired):
    """T-166: counts and ages of what a person may have to look at."""
    other = factories.workspace_entity("tenant_b")
    hold = {"status": "recovery_verification_pending", "created_at": NOW}
    factories.session(entity, **hold)
    factories.session(other, **hold | {"created_at": NOW - dt.timedelta(seconds=30)})
    job = owe_expiry(entity)
    with tenancy.tenant_scope(entity.tenant_id):
        BillingOutboxJob.objects.filter(pk=job.pk).update(status="dead_letter", created_at=NOW)
    for status, consumer in (("failed", "checkout"), ("dead", "checkout"), ("failed", "rails")):
        StripeEventConsumption.objects.create(
            event=payloads.stored(payloads.event("invoice.paid", payloads.invoice())),
            consumer=consumer,
            status=status,
            next_attempt_at=NOW,
            created_at=NOW,
            updated_at=NOW,
        )

    assert take(seconds=10) == {
        "CHECKOUT_RECOVERY_VERIFICATION_PENDING.count": 2,
        "CHECKOUT_RECOVERY_VERIFICATION_PENDING.age_seconds": 40,
        "WEBHOOK_FAILURE_RETRY.count": 2,
        "WEBHOOK_FAILURE_RETRY.age_seconds": 10,
        "OUTBOX_DEAD_LETTER.count": 1,
        "OUTBOX_DEAD_LETTER.age_seconds": 10,
    }
    assert set(fired) == {"CHECKOUT_RECOVERY_VERIFICATION_PENDING", "WEBHOOK_FAILURE_RETRY"}


def test_t166_every_measurement_is_taken_each_time(db):
    """T-166: one that is zero again must not stay on the metrics page as it was."""
    with frozen():
        gauges.measure()

    assert measured("BILLING_OUTBOX_DEAD_LETTER", "count") == 0.0
    assert guardrails.MEASUREMENTS is not None
