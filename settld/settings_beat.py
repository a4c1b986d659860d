"""The beat schedule: static, so that it is audited by being code (spec ruling 16).

Beat only wakes workers. Each loop is made single by a lease or an advisory lock in PostgreSQL.
"""

CELERY_BEAT_SCHEDULE = {
    "outbox-drain": {"task": "outbox.drain_due", "schedule": 5.0},
    "stripe-inbox-consume": {"task": "stripe_gateway.consume_due", "schedule": 5.0},
    "month-close": {"task": "closing.close_requested_months", "schedule": 5.0},
    "dispatch-recovery": {"task": "moneyrails.recover_dispatches", "schedule": 60.0},
    "connect-sync": {"task": "moneyrails.sync_connect_accounts", "schedule": 60.0},
    "approval-expiry": {"task": "moneyrails.expire_approvals", "schedule": 60.0},
    "beat-heartbeat": {"task": "maintenance.heartbeat", "schedule": 10.0},
    "audit-checkpoint": {"task": "audit.sign_checkpoints", "schedule": 3600.0},
    "money-rails-reconcile": {"task": "reconciliation.money_rails_tick", "schedule": 60.0},
    "retention": {"task": "maintenance.retention_tick", "schedule": 300.0},
    "idempotency-purge": {"task": "idempotency.purge_expired", "schedule": 3600.0},
}
