from django.db import migrations

from settld.core.rls import Fence

# Child, its columns beside tenant_id, parent, the parent's columns beside tenant_id, and what a deletion does.
FOREIGN_KEYS = (
    ("billable_entity_grants", "billable_entity_id", "billable_entities", "id", ""),
    ("billing_customers", "billable_entity_id", "billable_entities", "id", ""),
    ("billing_subscriptions", "billable_entity_id", "billable_entities", "id", ""),
    (
        "billing_subscriptions",
        "billing_customer_id, billable_entity_id, provider",
        "billing_customers",
        "id, billable_entity_id, provider",
        "",
    ),
    ("billing_subscription_items", "subscription_id, provider", "billing_subscriptions", "id, provider", ""),
    ("billing_subscription_remediations", "billable_entity_id", "billable_entities", "id", ""),
    (
        "billing_subscription_remediations",
        "canonical_subscription_id, provider",
        "billing_subscriptions",
        "id, provider",
        "ON DELETE SET NULL (canonical_subscription_id)",
    ),
    ("billing_invoices", "billable_entity_id", "billable_entities", "id", ""),
    (
        "billing_invoices",
        "billing_customer_id, billable_entity_id, provider",
        "billing_customers",
        "id, billable_entity_id, provider",
        "",
    ),
    ("billing_invoices", "subscription_id, provider", "billing_subscriptions", "id, provider", ""),
    ("billing_payments", "invoice_id, provider", "billing_invoices", "id, provider", ""),
    (
        "billing_payment_methods",
        "billing_customer_id, billable_entity_id, provider",
        "billing_customers",
        "id, billable_entity_id, provider",
        "",
    ),
    ("billing_payment_method_sync_events", "billable_entity_id", "billable_entities", "id", ""),
    (
        "billing_payment_method_sync_events",
        "billing_customer_id, billable_entity_id, provider",
        "billing_customers",
        "id, billable_entity_id, provider",
        "ON DELETE SET NULL (billing_customer_id)",
    ),
    ("billing_payment_links", "billable_entity_id", "billable_entities", "id", ""),
    ("billing_request_idempotency", "billable_entity_id", "billable_entities", "id", ""),
    ("billing_checkout_sessions", "billable_entity_id", "billable_entities", "id", ""),
    (
        "billing_checkout_sessions",
        "idempotency_row_id",
        "billing_request_idempotency",
        "id",
        "ON DELETE SET NULL (idempotency_row_id)",
    ),
    ("billing_checkout_sessions", "payment_link_id", "billing_payment_links", "id", ""),
    ("billing_outbox_jobs", "billable_entity_id", "billable_entities", "id", ""),
    ("billing_usage_counters", "billable_entity_id", "billable_entities", "id", ""),
    ("billing_usage_events", "billable_entity_id", "billable_entities", "id", ""),
)
FENCED = {
    "BillableEntity": True,
    "EntityGrant": False,
    "Customer": True,
    "PaymentMethod": True,
    "PaymentMethodSync": False,
    "Subscription": True,
    "SubscriptionItem": True,
    "Remediation": True,
    "Invoice": True,
    "Payment": False,
    "BillingRequest": False,
    "PaymentLink": True,
    "CheckoutSession": True,
    "UsageCounter": False,
    "UsageEvent": False,
    "BillingOutboxJob": False,
}


def _foreign_keys():
    for number, (child, columns, parent, parents, on_delete) in enumerate(FOREIGN_KEYS, start=1):
        name = f"billing_fk_{number}"
        yield migrations.RunSQL(
            sql=(
                f"ALTER TABLE {child} ADD CONSTRAINT {name} FOREIGN KEY (tenant_id, {columns})"
                f" REFERENCES {parent} (tenant_id, {parents}) {on_delete}"
            ),
            reverse_sql=f"ALTER TABLE {child} DROP CONSTRAINT {name}",
        )


ITEM_PRICE = migrations.RunSQL(
    sql=(
        "ALTER TABLE billing_subscription_items ADD CONSTRAINT billing_fk_price"
        " FOREIGN KEY (billing_plan_price_id, provider) REFERENCES billing_plan_prices (id, provider)"
    ),
    reverse_sql="ALTER TABLE billing_subscription_items DROP CONSTRAINT billing_fk_price",
)

# A workspace's owner is left open: a tenant may be run by API keys alone.
ENTITY_SHAPE = migrations.RunSQL(
    sql="""
ALTER TABLE billable_entities ADD CONSTRAINT billable_entity_shape CHECK (CASE entity_type
  WHEN 'workspace' THEN workspace_id IS NOT NULL AND workspace_id = tenant_id AND entity_ref IS NULL
    AND organization_id IS NULL
  WHEN 'user' THEN owner_user_id IS NOT NULL AND entity_ref IS NOT DISTINCT FROM 'user:' || owner_user_id
    AND workspace_id IS NULL AND organization_id IS NULL
  WHEN 'organization' THEN organization_id IS NOT NULL
    AND entity_ref IS NOT DISTINCT FROM 'organization:' || organization_id AND workspace_id IS NULL
  ELSE entity_ref IS NOT NULL AND entity_ref ~ '^external:[a-z0-9_-]{1,40}:.+$' AND workspace_id IS NULL
    AND organization_id IS NULL
END);
""",
    reverse_sql="ALTER TABLE billable_entities DROP CONSTRAINT billable_entity_shape",
)

REQUEST_CHECKS = migrations.RunSQL(
    sql="""
ALTER TABLE billing_request_idempotency
  ADD CONSTRAINT request_deadline_within_a_day CHECK (
    provider_request_frozen_at IS NULL
    OR provider_idempotency_replay_deadline_at < provider_request_frozen_at + interval '24 hours'),
  ADD CONSTRAINT request_bound_is_frozen CHECK (
    action <> 'checkout' OR provider_request_params_json IS NULL
    OR (jsonb_typeof(provider_request_params_json -> 'expires_at') IS NOT DISTINCT FROM 'number'
        AND to_timestamp((provider_request_params_json ->> 'expires_at')::bigint)
          = provider_checkout_session_expires_at_upper_bound));
""",
    reverse_sql="""
ALTER TABLE billing_request_idempotency
  DROP CONSTRAINT request_deadline_within_a_day,
  DROP CONSTRAINT request_bound_is_frozen;
""",
)

# It runs at commit, when the writer's tenant scope may have ended, so it reads as the owner of the tables.
NEVER_INTO_NOTHING = migrations.RunSQL(
    sql="""
CREATE FUNCTION billing_request_never_into_nothing() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
  latest public.billing_request_idempotency%ROWTYPE;
  instant timestamptz := coalesce(nullif(current_setting('billing.now', true), '')::timestamptz, clock_timestamp());
  grace interval := coalesce(nullif(current_setting('billing.grace_seconds', true), '')::int, 90) * interval '1 second';
BEGIN
  SELECT * INTO latest FROM public.billing_request_idempotency WHERE id = NEW.id;
  IF NOT FOUND OR latest.action <> 'checkout' OR latest.status = 'pending' THEN
    RETURN NULL;
  END IF;
  IF NOT (latest.status = 'succeeded'
      OR (latest.failure_code IN ('checkout_recovery_window_elapsed', 'checkout_replay_provenance_mismatch')
          AND instant < latest.provider_checkout_session_expires_at_upper_bound + grace)) THEN
    RETURN NULL;
  END IF;
  IF NOT EXISTS (
      SELECT 1 FROM public.billing_checkout_sessions
      WHERE tenant_id = latest.tenant_id AND provider = latest.provider
        AND operation_key = latest.operation_key) THEN
    RAISE EXCEPTION 'a claim is cleared only into a session or a hold'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'request_never_into_nothing';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER request_never_into_nothing
  AFTER INSERT OR UPDATE OF status ON billing_request_idempotency
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.status <> 'pending')
  EXECUTE FUNCTION billing_request_never_into_nothing();
""",
    reverse_sql="""
DROP TRIGGER request_never_into_nothing ON billing_request_idempotency;
DROP FUNCTION billing_request_never_into_nothing();
""",
)


class Migration(migrations.Migration):
    """What Django cannot say: keys that name the tenant, the stored parameters, the deferred rule, the fences."""

    dependencies = [("billing", "0001_initial"), ("core", "0001_application_role")]

    operations = [
        migrations.RunSQL(
            sql="ALTER TABLE billing_customers ADD CONSTRAINT billing_customer_in_tenant UNIQUE (tenant_id, id)",
            reverse_sql="ALTER TABLE billing_customers DROP CONSTRAINT billing_customer_in_tenant",
        ),
        migrations.RunSQL(
            sql="ALTER TABLE billing_request_idempotency ADD CONSTRAINT request_in_tenant UNIQUE (tenant_id, id)",
            reverse_sql="ALTER TABLE billing_request_idempotency DROP CONSTRAINT request_in_tenant",
        ),
        *_foreign_keys(),
        ITEM_PRICE,
        ENTITY_SHAPE,
        REQUEST_CHECKS,
        NEVER_INTO_NOTHING,
        *(Fence(model, keeps_rows=keeps) for model, keeps in FENCED.items()),
    ]
