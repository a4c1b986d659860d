"""An operator has a stored event applied again, or looks first at what that would change (7.2, 8.8)."""

from dataclasses import dataclass, field
from typing import Any, Final

from billing import clock
from billing.services import rehearsal, webhooks
from billing.services.reconciliation import webhook_replay
from billing.services.revival import NothingToRetry, WorkNotFound
from settld.api.requests import DEFAULT_TENANT
from settld.audit import services as audit
from settld.core import tenancy
from settld.core.principals import Actor
from settld.core.transactions import atomic
from settld.stripe_gateway.consumers import Consumed
from settld.stripe_gateway.models import StripeEventConsumption
from settld.stripe_gateway.services import consumption, failures, payloads
from settld.stripe_gateway.states import ConsumptionStatus

WIRE_STATUS: Final = {
    ConsumptionStatus.PENDING: "received",
    ConsumptionStatus.LEASED: "processing",
    ConsumptionStatus.DONE: "processed",
    ConsumptionStatus.FAILED: "failed",
    ConsumptionStatus.DEAD: "failed",
}


@dataclass(frozen=True)
class Reprocessed:
    """Where the event stands, or would stand, and the rows that a preview would write."""

    status: str
    outcome: str | None
    error_code: str | None
    error: str | None
    attempts: int
    changes: list[dict[str, Any]] = field(default_factory=list)


def reprocess(*, event_id: int, actor: Actor, reason: str = "") -> Reprocessed:
    """Apply a failed or waiting event now, its attempts counted anew; audited before it is tried.

    One that is applied already stays so (INV-33). Raises WorkNotFound, NothingToRetry. Failure to apply is
    an answer here, kept with the event as any other.
    """
    row = _row(event_id)
    _note(row, action="BILLING_WEBHOOK_REPROCESS", actor=actor, reason=reason)
    now = clock.now()
    consumption.consume_again(consumption_ids=[row.pk], now=now)
    StripeEventConsumption.objects.filter(
        pk=row.pk, status=ConsumptionStatus.PENDING, next_attempt_at__gt=now
    ).update(next_attempt_at=now)
    webhook_replay.replay(row.pk)
    row.refresh_from_db()
    return Reprocessed(
        status=WIRE_STATUS[ConsumptionStatus(row.status)],
        outcome=row.outcome or None,
        error_code=row.error_code or None,
        error=row.error or None,
        attempts=row.attempts,
    )


def preview(*, event_id: int, actor: Actor) -> Reprocessed:
    """Tell what applying the event would write; nothing of it is kept, the look is audited."""
    row = _row(event_id)
    _note(row, action="BILLING_WEBHOOK_PREVIEW", actor=actor)
    try:
        verdict, changes = rehearsal.rehearse(lambda: webhooks.apply(payloads.readable(row.event)))
    except Exception as error:
        return Reprocessed(
            status="failed",
            outcome=None,
            error_code=failures.code_of(error),
            error=f"{type(error).__name__}: {error}",
            attempts=row.attempts,
        )
    outcome = Consumed(*verdict).outcome
    told = [change.as_json() for change in changes]
    return Reprocessed("processed", str(outcome), None, None, row.attempts, told)


def _row(event_id: int) -> StripeEventConsumption:
    rows = StripeEventConsumption.objects.select_related("event")
    row = rows.filter(event_id=event_id, consumer=webhook_replay.CONSUMER).first()
    if row is None:
        raise WorkNotFound("There is no such event.")
    is_leased = row.status == ConsumptionStatus.LEASED and (
        row.lease_expires_at is None or row.lease_expires_at > clock.now()
    )
    if row.status == ConsumptionStatus.DONE or is_leased:
        raise NothingToRetry(details={"status": WIRE_STATUS[ConsumptionStatus(row.status)]})
    return row


def _note(row: StripeEventConsumption, *, action: str, actor: Actor, reason: str = "") -> None:
    tenant_id = row.tenant_id or DEFAULT_TENANT
    with tenancy.tenant_scope(tenant_id), atomic():
        audit.append(
            tenant_id=tenant_id,
            actor=actor,
            action=action,
            target_type="billing_webhook_event",
            target_id=str(row.event_id),
            details={"providerEventId": row.event.provider_event_id, "statusBefore": row.status}
            | ({"reason": reason} if reason else {}),
        )
