"""The console's routes. Identifiers may hold any character, so an operation id is the rest of its path."""

from django.urls import include, path, re_path

from ops_console import session, views
from ops_console.agents import views as agents
from ops_console.approvals import views as approvals
from ops_console.audit_trail import views as audit_trail
from ops_console.billing_console import urls as billing_console
from ops_console.chargebacks import views as chargebacks
from ops_console.connect import actions as connect_actions
from ops_console.connect import views as connect
from ops_console.controls import editor, simulating, stopping
from ops_console.controls import views as controls
from ops_console.evidence import views as evidence
from ops_console.finance import account_map, doing, downloads
from ops_console.finance import views as finance
from ops_console.holds import views as holds
from ops_console.journal import views as journal
from ops_console.mismatches import batches, deciding
from ops_console.mismatches import files as mismatch_files
from ops_console.mismatches import views as mismatches
from ops_console.payouts import actions
from ops_console.payouts import views as payouts
from ops_console.reconciliation import views as reconciliation
from ops_console.runs import views as runs
from ops_console.statements import detail as statement_detail
from ops_console.statements import importing, months
from ops_console.statements import views as statements
from ops_console.today import views as today
from ops_console.unknown_outcomes import actions as unknown_actions
from ops_console.unknown_outcomes import views as unknown
from ops_console.usage import views as usage
from ops_console.workspace_billing import deeds as billing_deeds
from ops_console.workspace_billing import views as workspace_billing

OPERATION = "console/payouts/<str:provider_id>/<path:operation_id>"
ACCOUNT = "<str:mode>/<str:currency>/<path:party_id>"
UNKNOWN = "console/unknown-outcomes/<uuid:attempt_id>"
BATCH = "console/mismatches/batches/<uuid:batch_id>"
STATEMENT = "console/statements/<str:period>/<path:party_id>"
BILLING = "w/<str:slug>/billing"

console = (
    [
        path("console", today.today, name="today"),
        path("console/tenant", session.tenant, name="tenant"),
        path("console/theme", session.theme, name="theme"),
        path("console/agents", agents.agents, name="agents"),
        path("console/agents/<str:agent_id>", agents.agent, name="agent"),
        path("console/runs", runs.runs, name="runs"),
        path("console/runs/<str:run_id>", runs.run, name="run"),
        path("console/holds", holds.holds, name="holds"),
        path("console/journal", journal.journal, name="journal"),
        path("console/journal/accounts", journal.accounts, name="journal-accounts"),
        path("console/journal/accounts/<path:account_id>", journal.account, name="journal-account"),
        path("console/journal/entries/<path:entry_id>", journal.entry, name="journal-entry"),
        path("console/usage", usage.usage, name="usage"),
        path("console/usage/drafts/<str:artifact_id>", usage.document, name="usage-document"),
        path("console/usage/<str:period>/draft", usage.draft, name="usage-draft"),
        path("console/payouts", payouts.payouts, name="payouts"),
        path("console/payouts.csv", payouts.payouts_csv, name="payouts-csv"),
        path(f"{OPERATION}/submit", actions.submit, name="payout-submit"),
        path(f"{OPERATION}/cancel", actions.cancel, name="payout-cancel"),
        path(f"{OPERATION}/live", payouts.live, name="payout-live"),
        path(OPERATION, payouts.payout, name="payout"),
        path("console/unknown-outcomes", unknown.unknown_outcomes, name="unknown-outcomes"),
        path(UNKNOWN, unknown.unknown_outcome, name="unknown-outcome"),
        path(f"{UNKNOWN}/listing", unknown.listed_now, name="unknown-outcome-listing"),
        path(f"{UNKNOWN}/ask", unknown_actions.ask, name="unknown-outcome-ask"),
        path(f"{UNKNOWN}/replay", unknown_actions.replay, name="unknown-outcome-replay"),
        path(f"{UNKNOWN}/settle/<str:outcome>", unknown_actions.settle, name="unknown-outcome-settle"),
        path("console/statements/import", importing.import_statements, name="statements-import"),
        path("console/statements/import/template.csv", importing.template, name="statements-template"),
        path("console/statements/import/example.csv", importing.example, name="statements-example"),
        path("console/statements/import/<uuid:upload_id>", importing.upload, name="statements-upload"),
        path(
            "console/statements/import/<uuid:upload_id>/confirm/<str:plan_hash>",
            importing.confirm,
            name="statements-confirm",
        ),
        path("console/statements", statements.statements, name="statements"),
        path("console/statements/<str:period>/close", months.close, name="month-close"),
        path("console/statements/<str:period>/reopen", months.reopen, name="month-reopen"),
        path(f"{STATEMENT}/enqueue", statements.enqueue, name="statement-enqueue"),
        path(STATEMENT, statement_detail.statement, name="statement"),
        path("console/reconciliation", reconciliation.reconciliation, name="reconciliation"),
        path("console/reconciliation/run", reconciliation.run, name="reconciliation-run"),
        path(
            "console/reconciliation/reports/<str:artifact_id>",
            reconciliation.report_page,
            name="reconciliation-report",
        ),
        path(
            "console/reconciliation/reports/<str:artifact_id>/artifact.json",
            reconciliation.artifact,
            name="reconciliation-artifact",
        ),
        path("ops/finance/reconciliation/workspace", finance.page, name="finance"),
        path("console/finance", finance.alias, name="finance-alias"),
        path("console/finance/account-map", account_map.account_map, name="finance-account-map"),
        path("console/finance/<str:period>/act/<str:name>", doing.act, name="finance-act"),
        path("console/finance/<str:period>/files/<str:name>", downloads.file, name="finance-file"),
        path("console/mismatches", mismatches.mismatches, name="mismatches"),
        path("console/mismatches.csv", mismatches.mismatches_csv, name="mismatches-csv"),
        path("console/mismatches.xlsx", mismatches.mismatches_xlsx, name="mismatches-xlsx"),
        path("console/mismatches/file", mismatch_files.upload, name="mismatch-file"),
        path("console/mismatches/batches", batches.batches, name="mismatch-batches"),
        path("console/mismatches/batches/preview", batches.preview, name="mismatch-batch-preview"),
        path(BATCH, batches.batch, name="mismatch-batch"),
        path(f"{BATCH}/confirm", batches.confirm, name="mismatch-batch-confirm"),
        path(f"{BATCH}/resume", batches.resume, name="mismatch-batch-resume"),
        path(f"{BATCH}/results.csv", batches.results_csv, name="mismatch-batch-results"),
        path("console/mismatches/<str:triage_key>", mismatches.mismatch, name="mismatch"),
        path("console/mismatches/<str:triage_key>/decide", deciding.decide, name="mismatch-decide"),
        path(
            "console/evidence/payouts/<str:provider_id>/<path:operation_id>",
            evidence.payout_pack,
            name="evidence-payout",
        ),
        path("console/evidence/reports/<str:artifact_id>", evidence.report_pack, name="evidence-report"),
        path("console/chargebacks", chargebacks.chargebacks, name="chargebacks"),
        path("console/chargebacks.csv", chargebacks.chargebacks_csv, name="chargebacks-csv"),
        path(f"console/chargebacks/of/{ACCOUNT}", chargebacks.party, name="chargebacks-party"),
        path(f"console/chargebacks/csv/{ACCOUNT}", chargebacks.party_csv, name="chargebacks-party-csv"),
        path(
            "console/chargebacks/adjust/<str:provider_id>/<path:operation_id>",
            chargebacks.adjust,
            name="chargebacks-adjust",
        ),
        path("console/connect", connect.accounts, name="connect"),
        path("console/connect/add", connect_actions.add, name="connect-add"),
        path("console/connect/sync", connect_actions.sync_all, name="connect-sync"),
        path("console/connect/<str:account_id>/live", connect.live, name="connect-live"),
        path("console/connect/<str:account_id>/<str:act>", connect_actions.change, name="connect-change"),
        path("console/connect/<str:account_id>", connect.account, name="connect-account"),
        path("console/controls", controls.page, name="controls"),
        path("console/controls/edit", editor.edit, name="controls-edit"),
        path("console/controls/simulate", simulating.simulate, name="controls-simulate"),
        path("console/controls/stop", stopping.stop, name="controls-stop"),
        path("console/controls/extend", stopping.extend, name="controls-extend"),
        path("console/controls/lift", stopping.lift, name="controls-lift"),
        path("console/approvals", approvals.listing, name="approvals"),
        path("console/approvals/<str:approval_id>", approvals.detail, name="approval"),
        path("console/approvals/<str:approval_id>/<str:verb>", approvals.decide, name="approval-decide"),
        path("console/audit", audit_trail.audit, name="audit"),
        path(BILLING, workspace_billing.billing, name="billing"),
        path(f"{BILLING}/confirm", workspace_billing.confirm, name="billing-confirm"),
        path(f"{BILLING}/standing", workspace_billing.standing_now, name="billing-standing"),
        path(f"{BILLING}/refresh", workspace_billing.look_again, name="billing-refresh"),
        path(f"{BILLING}/checkout", billing_deeds.start_checkout, name="billing-checkout"),
        path(f"{BILLING}/portal", billing_deeds.open_portal, name="billing-portal"),
        path(f"{BILLING}/links", billing_deeds.make_link, name="billing-links"),
        path(f"{BILLING}/links/<int:link_id>/end", billing_deeds.end_link, name="billing-link-end"),
        path(f"{BILLING}/payment-methods/sync", billing_deeds.sync_methods, name="billing-sync"),
        path("w/paid", workspace_billing.paid, name="billing-paid"),
        *billing_console.urlpatterns,
        re_path(r"^console/.*$", views.nothing_here),
    ],
    "console",
)
urlpatterns = [path("", include(console))]
