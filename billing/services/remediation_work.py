"""Cancelling duplicates at the provider, after a last look at who survives (spec/checkout-billing.md 9.1)."""

import contextlib
import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import structlog
from django.conf import settings

from billing import clock
from billing.guardrail_codes import Guardrail
from billing.models import BillableEntity, Remediation, Subscription
from billing.providers import base
from billing.providers.errors import ProviderProblem
from billing.providers.facts import Answer, SubscriptionFacts
from billing.services import (
    canonical,
    guardrails,
    leasing,
    locks,
    provider_keys,
    revisions,
    revival,
    subscriptions,
    transactions,
)
from billing.services.leasing import Queue
from billing.services.remediation import NOT_NEEDED
from billing.services.revisions import Overtaken, Revisions
from billing.states import TERMINAL_SUBSCRIPTION, RemediationStatus, Writer
from settld.core import failpoints
from settld.core.principals import Actor

log = structlog.get_logger(__name__)
MOST_LOOKS: Final = 3
CANCELED: Final = "canceled"
ALREADY_ENDED: Final = "already_ended"
REFUND_NOTE: Final = "Charges on the cancelled duplicate need a refund review."
Looks = dict[str, Answer[SubscriptionFacts] | None]


class RemediationFailed(Exception):
    """The duplicate stands as it stood; the text is for whoever reads the row."""


@dataclass(frozen=True)
class Decision:
    """What the stored rows say under the lock: cancel, leave (with the outcome), or look at one more."""

    cancel: bool = False
    outcome: str = ""
    look_at: str | None = None


def queue() -> Queue[Remediation]:
    """Describe the table of remediations, with the deployment's settings."""
    limits = settings.BILLING
    return Queue(
        name="remediation",
        model=Remediation,
        working=RemediationStatus.IN_PROGRESS,
        due_column="next_attempt_at",
        finished_column="resolved_at",
        error_column="error_text",
        lease_seconds=limits.remediation_lease_seconds,
        retry_delay_seconds=limits.remediation_retry_delay_seconds,
        most_attempts=limits.remediation_max_attempts,
        dead_letter=Guardrail.REMEDIATION_DEAD_LETTER,
        fenced=Guardrail.REMEDIATION_LEASE_FENCED,
        locks_entity=True,
    )


def tick(*, limit: int = 10) -> int:
    """Work off due remediations, at most `limit`; gives how many were tried. Safe beside itself."""
    owed = queue()
    return leasing.work_off(owed, limit=limit, execute=lambda row: execute(owed, row))


def execute(owed: Queue[Remediation], row: Remediation) -> None:
    """Carry out a leased remediation and close it; a worker that lost its lease stops without a trace."""
    failpoints.hit("billing.remediation.claimed")
    try:
        _carry_out(owed, row)
    except leasing.Fenced:
        return
    except Exception as error:
        _put_back(owed, row, error)
    failpoints.hit("billing.remediation.finished")


def _carry_out(owed: Queue[Remediation], row: Remediation) -> None:
    if row.provider != settings.BILLING.provider:
        guardrails.emit(Guardrail.PROVIDER_MISMATCH, **leasing.whom(row), provider=row.provider)
        raise RemediationFailed(f"{Guardrail.PROVIDER_MISMATCH}: the row is for {row.provider}")
    decision = _decide(owed, row)
    failpoints.hit("billing.remediation.decided")
    if not decision.cancel:
        leasing.finish(owed, row, metadata_json=row.metadata_json | {"outcome": decision.outcome})
        return
    leasing.require_held(owed, row)
    answer = _cancel(row)
    failpoints.hit("billing.remediation.dispatched")
    outcome = CANCELED if answer is not None else ALREADY_ENDED
    note = {"outcome": outcome, "note": REFUND_NOTE}
    leasing.finish(owed, row, metadata_json=row.metadata_json | note)
    if answer is not None:
        _project(row, answer)


def _put_back(owed: Queue[Remediation], row: Remediation, error: Exception) -> None:
    log.warning(
        "billing_remediation_failed",
        remediation_id=row.pk,
        attempt=row.attempt_count,
        **leasing.whom(row),
        exc_info=None if isinstance(error, RemediationFailed | ProviderProblem) else error,
    )
    with contextlib.suppress(leasing.Fenced):
        leasing.fail(
            owed,
            row,
            error=f"{type(error).__name__}: {error}",
            retry_after_seconds=error.retry_after_seconds if isinstance(error, ProviderProblem) else None,
        )


# --- Who survives -------------------------------------------------------------------------------------
def _decide(owed: Queue[Remediation], row: Remediation) -> Decision:
    """Look at both subscriptions, and at any other that turns out to survive, then choose under the lock."""
    wanted = [row.duplicate_provider_subscription_id, row.canonical_provider_subscription_id]
    for _ in range(MOST_LOOKS):
        leasing.require_held(owed, row)
        before = revisions.of_subscriptions(tenant_id=row.tenant_id, entity_id=row.billable_entity_id)
        looks = {subscription_id: _look(subscription_id) for subscription_id in wanted}
        if all(look is None for look in looks.values()):
            # One that is gone may have been deleted; a provider that knows neither is the wrong one to ask.
            raise RemediationFailed("the provider knows neither of the subscriptions")
        with contextlib.suppress(Overtaken):
            decision = _choose(owed, row, looks, before)
            if decision.look_at is None:
                return decision
            wanted.append(decision.look_at)
    raise RemediationFailed("the choice of the subscription that survives does not settle")


def _look(subscription_id: str) -> Answer[SubscriptionFacts] | None:
    """Read a subscription as it is now; None when the provider knows none of that id."""
    try:
        return base.active().retrieve_subscription(subscription_id, profile="worker")
    except ProviderProblem as problem:
        if problem.is_missing:
            return None
        raise


def _choose(owed: Queue[Remediation], row: Remediation, looks: Looks, before: Revisions) -> Decision:
    def work() -> Decision:
        entity = locks.lock_entity(entity_id=row.billable_entity_id, writer=Writer.RECONCILIATION)
        for subscription_id in looks:
            revisions.require_subscription_unchanged(subscription_id, before)
        for answer in looks.values():
            if answer is not None:
                _write(entity, answer)
        leasing.renew(owed, row)  # last in the order of locks; Fenced undoes what was written here
        return _judge(locks.lock_subscriptions(entity), row.duplicate_provider_subscription_id, looks)

    version = row.lease_version

    def again() -> Decision:
        row.lease_version = version  # an attempt of the transaction that was undone renewed nothing
        return work()

    return transactions.retried(tenant_id=row.tenant_id, work=again)


def _judge(rows: list[Subscription], duplicate_id: str, looks: Looks) -> Decision:
    """Judge by the rows as just projected; what the provider knows no more is not among the living."""
    duplicate = next((row for row in rows if row.provider_subscription_id == duplicate_id), None)
    if looks[duplicate_id] is None:
        return Decision(outcome=ALREADY_ENDED)
    if duplicate is None or duplicate.status in TERMINAL_SUBSCRIPTION:
        return Decision(outcome=NOT_NEEDED)
    living = [row for row in rows if looks.get(row.provider_subscription_id, row) is not None]
    survivor = canonical.select(living)
    if survivor is None or survivor.provider_subscription_id == duplicate_id:
        return Decision(outcome=NOT_NEEDED)
    if survivor.provider_subscription_id not in looks:
        return Decision(look_at=survivor.provider_subscription_id)
    return Decision(cancel=True)


def _cancel(row: Remediation) -> Answer[SubscriptionFacts] | None:
    """End the duplicate at once, with no invoice and no proration; None when it has ended already."""
    try:
        return base.active().cancel_subscription(
            row.duplicate_provider_subscription_id,
            idempotency_key=provider_keys.of_attempt(row),
            invoice_now=False,
            prorate=False,
            profile="worker",
        )
    except ProviderProblem as problem:
        if problem.is_missing:
            return None
        raise


def _project(row: Remediation, answer: Answer[SubscriptionFacts]) -> None:
    """Write down the end that we brought about; should that fail, the provider's event or a run does it."""

    def work() -> None:
        _write(locks.lock_entity(entity_id=row.billable_entity_id, writer=Writer.RECONCILIATION), answer)

    try:
        transactions.retried(tenant_id=row.tenant_id, work=work)
    except Exception:
        log.warning("billing_remediation_not_projected", remediation_id=row.pk, exc_info=True)


def _write(entity: BillableEntity, answer: Answer[SubscriptionFacts]) -> None:
    subscriptions.project(
        entity=entity,
        facts=answer.facts,
        event=None,
        snapshot_at=answer.provider_time,
        writer=Writer.RECONCILIATION,
        now=clock.now(),
    )


def retry(
    *, tenant_id: str, remediation_id: int, actor: Actor, now: dt.datetime, reason: str = ""
) -> Remediation:
    """Have a remediation that waits or was given up tried again now, its attempts counted anew; audited.

    Raises WorkNotFound, and NothingToRetry for one that is done or being worked on.
    """

    def work() -> Remediation:
        known = Remediation.objects.filter(pk=remediation_id).first()
        if known is None:
            raise revival.WorkNotFound()
        locks.lock_entity(entity_id=known.billable_entity_id)
        row: Any = Remediation.objects.select_for_update(no_key=True, of=("self",)).get(pk=remediation_id)
        if not revival.revive(queue(), row, now=now):
            raise revival.NothingToRetry(details={"status": row.status})
        revival.note_retry(
            row,
            action="BILLING_REMEDIATION_RETRY",
            target_type="billing_remediation",
            actor=actor,
            reason=reason,
        )
        return Remediation.objects.get(pk=remediation_id)

    return transactions.retried(tenant_id=tenant_id, work=work)
