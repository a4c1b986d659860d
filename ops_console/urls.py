"""The console's routes. Identifiers may hold any character, so an operation id is the rest of its path."""

from django.urls import include, path, re_path

from ops_console import session, views
from ops_console.audit_trail import views as audit_trail
from ops_console.mismatches import views as mismatches
from ops_console.payouts import actions
from ops_console.payouts import views as payouts
from ops_console.statements import views as statements
from ops_console.today import views as today

OPERATION = "console/payouts/<str:provider_id>/<path:operation_id>"
STATEMENT = "console/statements/<str:period>/<path:party_id>"

console = (
    [
        path("console", today.today, name="today"),
        path("console/tenant", session.tenant, name="tenant"),
        path("console/theme", session.theme, name="theme"),
        path("console/payouts", payouts.payouts, name="payouts"),
        path("console/payouts.csv", payouts.payouts_csv, name="payouts-csv"),
        path(f"{OPERATION}/submit", actions.submit, name="payout-submit"),
        path(f"{OPERATION}/cancel", actions.cancel, name="payout-cancel"),
        path(f"{OPERATION}/live", payouts.live, name="payout-live"),
        path(OPERATION, payouts.payout, name="payout"),
        path("console/statements", statements.statements, name="statements"),
        path(f"{STATEMENT}/enqueue", statements.enqueue, name="statement-enqueue"),
        path("console/mismatches", mismatches.mismatches, name="mismatches"),
        path("console/audit", audit_trail.audit, name="audit"),
        re_path(r"^console/.*$", views.nothing_here),
    ],
    "console",
)
urlpatterns = [path("", include(console))]
