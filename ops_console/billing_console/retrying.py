"""GET, POST …/operations/jobs/{id}/retry, …/remediations/{id}/retry, …/runs/{scope}/{mode}"""

from typing import Any, Final

from django.http import HttpRequest, HttpResponse

from billing import clock
from billing.models import BillingOutboxJob, Remediation
from billing.services import outbox, permissions, reconciliation, remediation_work, revival
from billing.services.reconciliation import Summary
from billing.states import Scope
from ops_console import words
from ops_console.access import Visit
from ops_console.acts import ActForm, Field
from ops_console.billing_console import acting, guard
from ops_console.billing_console.acting import Act, Crumb, FieldFaults, Told
from ops_console.billing_console.guard import METHODS, billing_page
from ops_console.billing_console.operations import RUNS, href_of
from ops_console.billing_console.wording import SCOPES, label
from ops_console.errors import Fact
from settld.core import tenancy
from settld.core.errors import NotFound
from settld.core.transactions import atomic

KEY: Final = "billing-operations"
LARGEST_ID: Final = 2**63 - 1
MOST_ROWS: Final = 1_000  # somebody waits for the answer
USUAL_ROWS: Final = "100"
WHY: Final = "What has changed, so that it will succeed now. Kept in the audit."
MODES: Final = {"run": False, "dry-run": True}


@billing_page(permissions.OPERATIONS, methods=METHODS)
def job(request: HttpRequest, visit: Visit, row_id: int) -> HttpResponse:
    """Have an outbox job that waits or was given up tried again."""
    row = _find(BillingOutboxJob, row_id)
    back = href_of("jobs")

    def retry(form: ActForm) -> Told:
        outbox.retry(
            tenant_id=row.tenant_id,
            job_id=row.pk,
            actor=visit.actor,
            now=clock.now(),
            reason=form.values["reason"],
        )
        return Told("The job is due at once, its attempts counted anew.", back)

    form = ActForm(
        action=request.path,
        title="Try this job again?",
        text="A worker takes it up within seconds. What is done at Stripe already is found to be done: the"
        " job never does it twice.",
        button="Try again",
        back_href=back,
        tenant_id=row.tenant_id,
        facts=[
            Fact("Job", words.label(row.job_type)),
            Fact("Stands", f"{label(row.status)}, {words.count(row.attempt_count, 'attempt')}"),
            *([Fact("Last error", row.last_error_text)] if row.last_error_text else []),
        ],
        fields=(acting.reason_field(WHY),),
    )
    return acting.answer(request, visit, Act(KEY, Crumb("Outbox", back, f"Job {row.pk}"), form, retry))


@billing_page(permissions.OPERATIONS, methods=METHODS)
def remediation(request: HttpRequest, visit: Visit, row_id: int) -> HttpResponse:
    """Have the cancellation of a duplicate tried again."""
    row = _find(Remediation, row_id)
    back = href_of("remediations")

    def retry(form: ActForm) -> Told:
        remediation_work.retry(
            tenant_id=row.tenant_id,
            remediation_id=row.pk,
            actor=visit.actor,
            now=clock.now(),
            reason=form.values["reason"],
        )
        return Told("The cancellation is due at once, its attempts counted anew.", back)

    form = ActForm(
        action=request.path,
        title="Try this cancellation again?",
        text="A worker looks at both subscriptions first. It cancels the duplicate without an invoice and"
        " without credit, or leaves it where it is the only one left.",
        button="Try again",
        back_href=back,
        tenant_id=row.tenant_id,
        is_destructive=True,
        facts=[
            Fact("Duplicate", row.duplicate_provider_subscription_id, is_code=True),
            Fact("Survivor", row.canonical_provider_subscription_id, is_code=True),
            Fact("Stands", f"{label(row.status)}, {words.count(row.attempt_count, 'attempt')}"),
            *([Fact("Last error", row.error_text)] if row.error_text else []),
        ],
        fields=(acting.reason_field(WHY),),
    )
    crumb = Crumb("Remediations", back, f"Remediation {row.pk}")
    return acting.answer(request, visit, Act(KEY, crumb, form, retry))


def _find(model: Any, row_id: int) -> Any:
    """Read a row of whatever tenant, as it stands."""
    if row_id > LARGEST_ID:
        raise NotFound()
    tenant_id = revival.tenant_of(model, row_id)
    with tenancy.tenant_scope(tenant_id), atomic():
        return model.objects.get(pk=row_id)


# --- Runs -----------------------------------------------------------------------------------------
@billing_page(permissions.OPERATIONS, methods=METHODS)
def run(request: HttpRequest, visit: Visit, scope: str, mode: str) -> HttpResponse:
    """Compare one scope with Stripe now, or tell what would differ."""
    if scope not in Scope.values or mode not in MODES:
        raise NotFound()
    is_dry = MODES[mode]
    back = href_of(RUNS)

    def start(form: ActForm) -> Told:
        limit = _limit(form.values["limit"])
        details: dict[str, Any] = {"dryRun": is_dry, "limit": limit} | (
            {"reason": form.values["reason"]} if form.values.get("reason") else {}
        )
        guard.note(
            visit,
            action="BILLING_RECONCILIATION_RUN",
            target_type="billing_reconciliation",
            target_id=scope,
            details=details,
        )
        done = reconciliation.run(Scope(scope), limit=limit, dry_run=is_dry)
        return Told(_told(done), href_of(RUNS, scope=scope), is_good=_is_good(done))

    crumb = Crumb("Comparisons", back, f"{'Dry run' if is_dry else 'Run'} of {scope}")
    return acting.answer(request, visit, Act(KEY, crumb, _run_form(request, scope, is_dry), start))


def _run_form(request: HttpRequest, scope: str, is_dry: bool) -> ActForm:
    what = f"{SCOPES[scope]}."
    text = (
        f"{what} Stripe is asked, nothing is written: you learn how many rows differ."
        if is_dry
        else f"{what} Stripe is asked, and what differs here is brought in line with it. At most one run of a"
        " scope is at work; rows beyond the limit wait for the next one."
    )
    limit = Field(
        "limit", "Rows to look at", value=USUAL_ROWS, max_length=6, is_required=True,
        hint=f"From 1 to {MOST_ROWS:,}; the page answers when they are done.",
    )  # fmt: skip
    reason = Field("reason", "Reason", max_length=500, hint="If there is one. Kept in the audit.")
    return ActForm(
        action=request.path,
        title=f"{'Dry run' if is_dry else 'Run'} of {scope}?",
        text=text,
        button="Compare, write nothing" if is_dry else "Compare and repair",
        back_href=href_of(RUNS),
        tenant_id=acting.HOME,
        fields=(limit,) if is_dry else (limit, reason),
    )


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_ROWS):
        raise FieldFaults({"limit": f"Write a whole number from 1 to {MOST_ROWS:,}."})
    return int(text)


def _is_good(done: Summary) -> bool:
    return done.status == "succeeded" and not done.figures.get("failed")


def _told(done: Summary) -> str:
    """Put a run's outcome into sentences."""
    if done.status == "skipped":
        return f"Another run of {done.scope.value} is at work. Nothing was done."
    if done.status == "fenced":
        return f"Another process took the run of {done.scope.value} over. What was repaired before stands."
    figures = done.figures
    text = (
        f"{'Dry run' if done.is_dry else 'Run'} of {done.scope.value}:"
        f" {figures.get('scanned', 0):,} looked at, {figures.get('driftDetected', 0):,} differ"
    )
    text += ", nothing was written." if done.is_dry else f", {figures.get('repaired', 0):,} repaired."
    if figures.get("failed"):
        text += f" {words.count(figures['failed'], 'row')} failed; the log says why."
    if done.status == "failed" and done.reason == "missing_rate_exceeded":
        return f"{text} It was stopped: Stripe does not know so many of ours that the key is likely wrong."
    if done.status == "failed":
        return f"{text} It broke off with an error; the log says why."
    if not done.is_complete:
        text += " Not all rows were seen; the next run goes on from there."
    return text
