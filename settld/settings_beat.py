"""The beat schedule: static, so that it is audited by being code (spec ruling 16).

Beat only wakes workers. Each loop is made single by a lease or an advisory lock in PostgreSQL.
"""

CELERY_BEAT_SCHEDULE = {
    "outbox-drain": {"task": "outbox.drain_due", "schedule": 5.0},
    "stripe-inbox-consume": {"task": "stripe_gateway.consume_due", "schedule": 5.0},
    "month-close": {"task": "closing.close_requested_months", "schedule": 5.0},
    "tool-call-holdback": {"task": "kernel.release_holds", "schedule": 60.0},
    "dispatch-recovery": {"task": "moneyrails.recover_dispatches", "schedule": 60.0},
    "connect-sync": {"task": "moneyrails.sync_connect_accounts", "schedule": 60.0},
    "approval-expiry": {"task": "moneyrails.expire_approvals", "schedule": 60.0},
    "beat-heartbeat": {"task": "maintenance.heartbeat", "schedule": 10.0},
    "audit-checkpoint": {"task": "audit.sign_checkpoints", "schedule": 3600.0},
    "money-rails-reconcile": {"task": "reconciliation.money_rails_tick", "schedule": 60.0},
    "finance-reconcile": {"task": "reconciliation.finance_tick", "schedule": 60.0},
    "invariants": {"task": "reconciliation.invariants_tick", "schedule": 20.0},
    "retention": {"task": "maintenance.retention_tick", "schedule": 300.0},
    "idempotency-purge": {"task": "idempotency.purge_expired", "schedule": 3600.0},
}

# Checkout billing's (spec/checkout-billing.md 9.2); there while BILLING_ENABLED is on.
BILLING_BEAT_SCHEDULE = {
    "billing-outbox": {"task": "billing.outbox_tick", "schedule": 5.0},
    "billing-remediation": {"task": "billing.remediation_tick", "schedule": 10.0},
    "billing-recover-pending": {"task": "billing.recover_pending", "schedule": 60.0},
    "billing-gauges": {"task": "billing.gauges", "schedule": 60.0},
    "billing-reconcile-due": {"task": "billing.reconcile_due", "schedule": 300.0},
    # Once a day, which the gate in the database decides.
    "billing-retention": {"task": "billing.retention", "schedule": 3600.0},
} | {
    f"billing-{scope.replace('_', '-')}": {
        "task": "billing.reconcile",
        "schedule": seconds,
        "kwargs": {"scope": scope},
    }
    for scope, seconds in (
        ("pending_recent", 900.0),
        ("checkout_recovery_verification", 600.0),
        ("checkout_completed_pending", 600.0),
        ("checkout_open", 1800.0),
        ("subscriptions_active", 21_600.0),
        ("invoices_recent", 86_400.0),
        ("payment_methods", 86_400.0),
    )
}
