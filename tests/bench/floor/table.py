"""The floor's table and its writes, for those who start no Django."""

TABLE = """
CREATE TABLE IF NOT EXISTS floor_row (
  id uuid PRIMARY KEY, tenant_id text NOT NULL, key text NOT NULL, state text NOT NULL,
  amount_cents bigint NOT NULL, document jsonb NOT NULL, created_at timestamptz NOT NULL,
  UNIQUE (tenant_id, key)
);
CREATE INDEX IF NOT EXISTS floor_row_age ON floor_row (tenant_id, created_at);
"""
INSERT = (
    "INSERT INTO floor_row (id, tenant_id, key, state, amount_cents, document, created_at)"
    " VALUES (%s, %s, %s, %s, %s, %s::jsonb, now())"
)
UPDATE = "UPDATE floor_row SET amount_cents = amount_cents + 1 WHERE tenant_id = 'floor' AND key = %s"
