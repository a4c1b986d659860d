"""/api/console/billing/*: what operators do about work that got stuck, and the report (spec 7.2)."""

from typing import Any, ClassVar, Final

from django.http import HttpRequest, HttpResponse
from django.urls import path

from billing import clock
from billing.api.base import READ, WRITE, BillingRequest
from billing.api.console_base import OPERATIONS, ConsoleView
from billing.api.describing import describe
from billing.api.errors import NotFound, ValidationFailed
from billing.api.schema import Reader
from billing.api.serializers import AMOUNT, ID
from billing.models import BillingOutboxJob, Remediation
from billing.services import outbox, reconciliation, remediation_work, reports, reprocess, revival
from billing.services.reprocess import Reprocessed
from billing.states import BLOCKING, CURRENT_SUBSCRIPTION, JobStatus, RemediationStatus, Scope
from settld.api import openapi
from settld.api.openapi import BOOL, INSTANT, INT, OBJECT, TEXT, many, mapping, maybe, obj, one_of
from settld.api.responses import Json
from settld.core.clock import iso

LARGEST_ID: Final = 2**63 - 1
DEFAULT_ROWS: Final = 200  # somebody waits for the answer; a worker goes on with the rest
MOST_ROWS: Final = 1_000
MOST_MONTHS: Final = 36

# What only some scopes count; a scope that counted none leaves it out.
_NOTES: Final = (
    "overtaken",
    "notDue",
    "cardsExpired",
    "webhooksDue",
    "webhooksReplayed",
    "webhooksFailed",
    "webhooksLeft",
)
_RUN: Final = obj(
    {
        "scope": one_of(*Scope.values),
        "status": one_of("succeeded", "failed", "skipped", "fenced"),
        "reason": maybe(TEXT),
        "dryRun": BOOL,
        "complete": BOOL,
        "scanned": INT,
        "driftDetected": INT,
        "repaired": INT,
        "failed": INT,
        "missing": INT,
        "providerCalls": INT,
        **dict.fromkeys(_NOTES, INT),
    },
    optional=("scanned", "driftDetected", "repaired", "failed", "missing", "providerCalls", *_NOTES),
)
_JOB: Final = obj(
    {
        "id": ID,
        "billableEntityId": maybe(ID),
        "jobType": TEXT,
        "status": one_of(*JobStatus.values),
        "availableAt": INSTANT,
        "attemptCount": INT,
        "lastErrorText": maybe(TEXT),
    }
)
_REMEDIATION: Final = obj(
    {
        "id": ID,
        "billableEntityId": ID,
        "action": TEXT,
        "canonicalProviderSubscriptionId": TEXT,
        "duplicateProviderSubscriptionId": TEXT,
        "status": one_of(*RemediationStatus.values),
        "nextAttemptAt": maybe(INSTANT),
        "attemptCount": INT,
        "errorText": maybe(TEXT),
    }
)
_CHANGE: Final = obj(
    {
        "table": TEXT,
        "id": maybe(ID),
        "kind": one_of("created", "changed", "deleted"),
        "before": OBJECT,
        "after": OBJECT,
    }
)
_REPROCESSED: Final = obj(
    {
        "id": ID,
        "dryRun": BOOL,
        "status": TEXT,
        "outcome": maybe(TEXT),
        "errorCode": maybe(TEXT),
        "error": maybe(TEXT),
        "attemptCount": INT,
        "changes": many(_CHANGE),
    }
)
_MONTH: Final = obj({"month": TEXT, "paid": AMOUNT, "failed": AMOUNT, "open": AMOUNT})
_SUMMARY: Final = obj(
    {
        "generatedAt": INSTANT,
        "currencies": many(obj({"currency": TEXT, "mrrMinor": AMOUNT, "invoices": many(_MONTH)})),
        "subscriptions": obj({status.value: INT for status in CURRENT_SUBSCRIPTION}),
        "blockedCheckouts": obj({status.value: INT for status in BLOCKING}),
        "deadLetters": mapping(INT),
    }
)


class OperationsView(ConsoleView):
    """A route that acts on, or tells about, the work of the whole deployment."""

    permission = OPERATIONS
    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"POST": WRITE}


class ReconciliationRun(OperationsView):
    """POST /api/console/billing/reconciliation/{scope}/run"""

    @describe(
        "Run a reconciliation scope now",
        body=obj({"limit": INT, "dryRun": BOOL}, optional=("limit", "dryRun")),
        answers={200: obj({"run": _RUN})},
        refusals=(404,),
        of_entity=False,
        description="Looks at 200 rows unless told otherwise; what is left, a worker goes on with. One run of"
        " a scope is at work at a time; while another is, the answer is `skipped`.",
    )
    def post(self, request: BillingRequest, scope: str) -> HttpResponse:
        body = Reader(request.body_json)
        limit = body.integer("limit", least=1, most=MOST_ROWS, default=DEFAULT_ROWS)
        is_dry = body.boolean("dryRun", default=False)
        body.finish()
        if scope not in Scope.values:
            raise NotFound()
        details: dict[str, Any] = {"dryRun": is_dry, "limit": limit}
        self.note(
            request,
            action="BILLING_RECONCILIATION_RUN",
            target_type="billing_reconciliation",
            target_id=scope,
            details=details,
        )
        done = reconciliation.run(Scope(scope), limit=limit, dry_run=is_dry)
        return Json({"run": done.as_json()})


class OutboxRetry(OperationsView):
    """POST /api/console/billing/outbox/{id}/retry"""

    @describe(
        "Have a job that waits or was given up tried again",
        answers={200: obj({"job": _JOB})},
        refusals=(404, 409),
        of_entity=False,
        is_write=True,
    )
    def post(self, request: BillingRequest, row_id: str) -> HttpResponse:
        Reader(request.body_json).finish()
        job_id = _id(row_id)
        job = outbox.retry(
            tenant_id=revival.tenant_of(BillingOutboxJob, job_id),
            job_id=job_id,
            actor=request.actor,
            now=clock.now(),
        )
        return Json({"job": _job(job)})


class RemediationRetry(OperationsView):
    """POST /api/console/billing/remediations/{id}/retry"""

    @describe(
        "Have the cancellation of a duplicate subscription tried again",
        answers={200: obj({"remediation": _REMEDIATION})},
        refusals=(404, 409),
        of_entity=False,
        is_write=True,
    )
    def post(self, request: BillingRequest, row_id: str) -> HttpResponse:
        Reader(request.body_json).finish()
        remediation_id = _id(row_id)
        row = remediation_work.retry(
            tenant_id=revival.tenant_of(Remediation, remediation_id),
            remediation_id=remediation_id,
            actor=request.actor,
            now=clock.now(),
        )
        return Json({"remediation": _remediation(row)})


class WebhookReprocess(OperationsView):
    """POST /api/console/billing/webhooks/{id}/reprocess"""

    @describe(
        "Apply a stored event that failed, or tell what that would change",
        body=obj({"dryRun": BOOL}, optional=("dryRun",)),
        answers={200: obj({"webhook": _REPROCESSED})},
        refusals=(404, 409),
        of_entity=False,
        description="An event that is applied already stays so (409). A dry run writes nothing.",
    )
    def post(self, request: BillingRequest, row_id: str) -> HttpResponse:
        body = Reader(request.body_json)
        is_dry = body.boolean("dryRun", default=False)
        body.finish()
        event_id = _id(row_id)
        act = reprocess.preview if is_dry else reprocess.reprocess
        return Json({"webhook": _webhook(event_id, is_dry, act(event_id=event_id, actor=request.actor))})


class ReportSummary(OperationsView):
    """GET /api/console/billing/reports/summary"""

    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"GET": READ}

    @describe(
        "Revenue, invoice totals by month, blocked checkouts, dead letters",
        answers={200: _SUMMARY},
        of_entity=False,
        parameters=(openapi.query("months", INT, "months back, this one included; 12 unless told"),),
    )
    def get(self, request: BillingRequest) -> HttpResponse:
        months = _months(request)
        self.note(
            request, action="PLATFORM_READ", target_type="billing_report", target_id="summary", details=None
        )
        return Json(reports.summary(months=months))


def _months(request: HttpRequest) -> int:
    text = request.GET.get("months", "12").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and 1 <= int(text) <= MOST_MONTHS):
        raise ValidationFailed({"months": f"months must be from 1 to {MOST_MONTHS}."})
    return int(text)


def _id(text: str) -> int:
    """Read a row's id from the path; what cannot be one is not found."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and 0 < int(text) <= LARGEST_ID):
        raise revival.WorkNotFound()
    return int(text)


def _job(job: BillingOutboxJob) -> dict[str, Any]:
    return {
        "id": job.pk,
        "billableEntityId": job.billable_entity_id,
        "jobType": job.job_type,
        "status": job.status,
        "availableAt": iso(job.available_at),
        "attemptCount": job.attempt_count,
        "lastErrorText": job.last_error_text,
    }


def _remediation(row: Remediation) -> dict[str, Any]:
    return {
        "id": row.pk,
        "billableEntityId": row.billable_entity_id,
        "action": row.action,
        "canonicalProviderSubscriptionId": row.canonical_provider_subscription_id,
        "duplicateProviderSubscriptionId": row.duplicate_provider_subscription_id,
        "status": row.status,
        "nextAttemptAt": iso(row.next_attempt_at),
        "attemptCount": row.attempt_count,
        "errorText": row.error_text,
    }


def _webhook(event_id: int, is_dry: bool, done: Reprocessed) -> dict[str, Any]:
    return {
        "id": event_id,
        "dryRun": is_dry,
        "status": done.status,
        "outcome": done.outcome,
        "errorCode": done.error_code,
        "error": done.error,
        "attemptCount": done.attempts,
        "changes": done.changes,
    }


_CONSOLE: Final = "api/console/billing"
urlpatterns: Final = [
    path(f"{_CONSOLE}/reconciliation/<str:scope>/run", ReconciliationRun.as_view()),
    path(f"{_CONSOLE}/outbox/<str:row_id>/retry", OutboxRetry.as_view()),
    path(f"{_CONSOLE}/remediations/<str:row_id>/retry", RemediationRetry.as_view()),
    path(f"{_CONSOLE}/webhooks/<str:row_id>/reprocess", WebhookReprocess.as_view()),
    path(f"{_CONSOLE}/reports/summary", ReportSummary.as_view()),
]
