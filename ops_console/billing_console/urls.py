"""The routes below /console/billing."""

from django.urls import path

from ops_console.billing_console import replaying, retrying, selling, views

OPERATIONS = "console/billing/operations"
PLAN = "console/billing/plans/<int:plan_id>"
ITEM = "console/billing/items/<int:item_id>"

urlpatterns = [
    path("console/billing/events", views.events, name="billing-events"),
    path("console/billing/events.csv", views.events_csv, name="billing-events-csv"),
    path("console/billing/plans", views.plans, name="billing-plans"),
    path("console/billing/plans/new", selling.new_plan, name="billing-plan-new"),
    path(f"{PLAN}/price", selling.plan_price, name="billing-plan-price"),
    path(f"{PLAN}/<str:verb>", selling.plan_state, name="billing-plan-state"),
    path("console/billing/items/new", selling.new_item, name="billing-item-new"),
    path(f"{ITEM}/rename", selling.item_rename, name="billing-item-rename"),
    path(f"{ITEM}/<str:verb>", selling.item_state, name="billing-item-state"),
    path(OPERATIONS, views.operations_page, name="billing-operations"),
    path(f"{OPERATIONS}/webhooks/<int:event_id>", replaying.event, name="billing-event"),
    path(f"{OPERATIONS}/webhooks/<int:event_id>/replay", replaying.replay, name="billing-event-replay"),
    path(f"{OPERATIONS}/jobs/<int:row_id>/retry", retrying.job, name="billing-job-retry"),
    path(
        f"{OPERATIONS}/remediations/<int:row_id>/retry",
        retrying.remediation,
        name="billing-remediation-retry",
    ),
    path(f"{OPERATIONS}/runs/<str:scope>/<str:mode>", retrying.run, name="billing-run"),
    path("console/billing/reports", views.reports_page, name="billing-reports"),
    path("console/billing/reports.csv", views.reports_csv, name="billing-reports-csv"),
]
