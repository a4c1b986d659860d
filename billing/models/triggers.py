"""What the database itself refuses, whoever writes (the INV table of spec/checkout-billing.md 1).

Each refusal is a check_violation that names its rule as the constraint, so that code and tests can tell
them apart.
"""

import pgtrigger


def _refusal(rule: str, message: str) -> str:
    return f"RAISE EXCEPTION '{message}' USING ERRCODE = 'check_violation', CONSTRAINT = '{rule}';"


def entity_lock_held(table: str) -> pgtrigger.Trigger:
    """Refuse a write by a transaction that has not locked the row's entity (INV-3)."""
    return pgtrigger.Trigger(
        name=f"{table}_lock",
        when=pgtrigger.Before,
        operation=pgtrigger.Insert | pgtrigger.Update,
        func=f"""
IF coalesce(current_setting('billing.locked_entity', true), '') <> NEW.billable_entity_id::text THEN
  {_refusal("entity_lock_held", "the writer does not hold the lock of the billable entity")}
END IF;
RETURN NEW;
""",
    )


def immutable(table: str, *columns: str, rule: str) -> pgtrigger.Trigger:
    """Refuse to change columns once a row exists."""
    old, new = (", ".join(f"{side}.{column}" for column in columns) for side in ("OLD", "NEW"))
    return pgtrigger.Trigger(
        name=f"{table}_fixed",
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        func=f"""
IF ROW({old}) IS DISTINCT FROM ROW({new}) THEN
  {_refusal(rule, "these columns never change")}
END IF;
RETURN NEW;
""",
    )


def fill_only(table: str, *columns: str, rule: str) -> pgtrigger.Trigger:
    """Refuse to replace what a column holds; filling an empty one is allowed."""
    replaced = " OR ".join(
        f"(OLD.{column} IS NOT NULL AND NEW.{column} IS DISTINCT FROM OLD.{column})" for column in columns
    )
    return pgtrigger.Trigger(
        name=f"{table}_fill_only",
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        func=f"""
IF {replaced} THEN
  {_refusal(rule, "a value that is set stays")}
END IF;
RETURN NEW;
""",
    )


def revised(table: str) -> pgtrigger.Trigger:
    """Count every write of a row, whoever makes it."""
    return pgtrigger.Trigger(
        name=f"{table}_revision",
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        func="""
NEW.revision = OLD.revision + 1;
RETURN NEW;
""",
    )


SUBSCRIPTION_WRITER = pgtrigger.Trigger(
    name="subscription_writer",
    when=pgtrigger.Before,
    operation=pgtrigger.Insert | pgtrigger.Update,
    func=f"""
IF coalesce(current_setting('billing.writer', true), '')
   NOT IN ('subscription_projection', 'reconciliation') THEN
  {_refusal("subscription_writer", "only the projection and reconciliation write subscriptions")}
END IF;
RETURN NEW;
""",
)

REQUEST_FROZEN_COLUMNS = (
    "provider_request_params_json",
    "provider_request_hash",
    "provider_request_schema_version",
    "provider_sdk_name",
    "provider_sdk_version",
    "provider_api_version",
    "provider_request_frozen_at",
    "provider_idempotency_replay_deadline_at",
    "provider_checkout_session_expires_at_upper_bound",
    "provider_session_id",
)

# Terminal is the end (INV-11), but for one thing: a subscription event may finish a request before its
# session id is known; the session event that follows fills the id in, in the column and in the stored answer.
REQUEST_LIFE = pgtrigger.Trigger(
    name="request_life",
    when=pgtrigger.Before,
    operation=pgtrigger.Update,
    func=f"""
IF NEW.lease_version < OLD.lease_version THEN
  {_refusal("request_lease_version", "a lease version never decreases")}
END IF;
IF OLD.status = 'pending' THEN
  RETURN NEW;
END IF;
IF OLD.provider_session_id IS NULL AND NEW.provider_session_id IS NOT NULL
   AND OLD.response_json #>> '{{checkoutSession,providerCheckoutSessionId}}' IS NULL THEN
  IF (to_jsonb(NEW) - 'provider_session_id' - 'response_json' - 'updated_at')
     = (to_jsonb(OLD) - 'provider_session_id' - 'response_json' - 'updated_at') THEN
    RETURN NEW;
  END IF;
END IF;
IF (to_jsonb(NEW) - 'updated_at') <> (to_jsonb(OLD) - 'updated_at') THEN
  {_refusal("request_terminal", "a finished request never changes")}
END IF;
RETURN NEW;
""",
)

SESSION_LIFE = pgtrigger.Trigger(
    name="session_life",
    when=pgtrigger.Before,
    operation=pgtrigger.Update,
    func=f"""
IF OLD.idempotency_row_id IS NOT NULL AND NEW.idempotency_row_id IS NOT NULL
   AND OLD.idempotency_row_id <> NEW.idempotency_row_id THEN
  {_refusal("session_correlation", "a session belongs to one request")}
END IF;
IF NEW.status <> OLD.status AND NOT (
     (OLD.status = 'open' AND NEW.status IN ('completed_pending_subscription', 'expired', 'abandoned'))
  OR (OLD.status = 'open' AND NEW.status = 'completed_reconciled' AND OLD.flow <> 'subscription')
  OR (OLD.status = 'completed_pending_subscription' AND NEW.status IN ('completed_reconciled', 'abandoned'))
  OR (OLD.status = 'recovery_verification_pending')
) THEN
  {_refusal("session_moves", "a checkout session cannot go that way")}
END IF;
IF OLD.status = 'recovery_verification_pending' AND NEW.status = OLD.status
   AND (NEW.expires_at IS NULL) IS DISTINCT FROM (OLD.expires_at IS NULL) THEN
  {_refusal("hold_never_shortens", "a hold never ends earlier")}
END IF;
IF OLD.status = 'recovery_verification_pending' AND NEW.status = OLD.status
   AND NEW.expires_at < OLD.expires_at THEN
  {_refusal("hold_never_shortens", "a hold never ends earlier")}
END IF;
RETURN NEW;
""",
)
