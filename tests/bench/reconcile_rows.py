"""Rows for the reconcile bench: as wide as the product's own, made by SQL."""

import psycopg

PERIOD, PROVIDER = "2026-01", "stripe_bench"
EVERY = 200  # one in so many differs
KINDS = 5


def expected(size: int) -> int:
    """Tell how many rows either comparison must find: each odd payout is found once by each."""
    return size // EVERY


_SEED = """
CREATE TEMPORARY TABLE n ON COMMIT DROP AS
SELECT i, CASE WHEN i %% {every} = 0 THEN (i / {every}) %% {kinds} ELSE -1 END AS odd,
  gen_random_uuid() AS id, gen_random_uuid() AS artifact_pk, party, hash,
  %(tenant)s::text || ':party:' || party || ':period:{period}:statement:' || hash AS payout_key,
  10000 + i AS cents, now() - interval '10 days' AS at
FROM (SELECT i, 'party_' || i AS party, encode(sha256((%(tenant)s::text || i)::bytea), 'hex') AS hash
      FROM generate_series(1, %(size)s) i) x;
INSERT INTO tenant (tenant_id, name, status, source, contact_email, billing_email, requires_second_factor,
  retention, quotas, created_at, updated_at)
VALUES (%(tenant)s::text, '', 'active', 'bench', '', '', false, '{{}}', '{{}}', now(), now());
INSERT INTO party_statement (id, tenant_id, party_id, period, party_role, currency, generation, basis, status,
  source, payout_cents, "references", statement_hash, artifact_id, artifact_hash, closed_at, created_at,
  updated_at)
SELECT gen_random_uuid(), %(tenant)s::text, party, '{period}', 'operator', 'USD', 1, 'settledAt',
  'CLOSED', 'manual', cents, '[]', hash, 'statement_' || hash, hash, at, at, at FROM n;
INSERT INTO artifact (id, tenant_id, artifact_id, artifact_type, artifact_hash, body, period, payout_key,
  amount_cents, currency, signature_key_id, signature_base64, created_at)
SELECT artifact_pk, %(tenant)s::text, 'payout_' || %(tenant)s::text || '_' || party || '_{period}_' || hash,
  'PayoutInstruction.v1', hash,
  '{{"partyId":"' || party || '","payoutKey":"' || payout_key || '","filler":"' || repeat('x', 500) || '"}}',
  '{period}', payout_key, cents, CASE WHEN odd = 2 THEN 'EUR' ELSE 'USD' END, 'key_bench', repeat('s', 88), at
FROM n WHERE odd <> 4;
INSERT INTO money_rail_operation (id, tenant_id, provider_id, operation_id, direction, payout_key, party_id,
  period, statement_hash, amount_cents, recovery_applied_cents, currency, counterparty_ref,
  requested_counterparty_ref, requested_provider_id, metadata, provider_mode, state, provider_ref,
  reason_code, initiated_at, submitted_at, confirmed_at, failed_at, gate_verdicts, request_hash, created_at,
  updated_at)
SELECT id, %(tenant)s::text, '{provider}', 'mop_' || payout_key, 'payout', payout_key, party, '{period}',
  hash, CASE WHEN odd = 1 THEN cents - 1 ELSE cents END, 0, 'USD', 'stripe_connect:acct_' || i, '', '',
  jsonb_build_object('payoutKey', payout_key, 'partyId', party, 'filler', repeat('m', 400)), 'production',
  CASE WHEN odd = 3 THEN 'failed' ELSE 'confirmed' END, 'tr_' || substr(hash, 1, 24), '', at, at,
  CASE WHEN odd = 3 THEN NULL ELSE at END, CASE WHEN odd = 3 THEN at END, '[]', hash, at, at
FROM n WHERE odd <> 0;
INSERT INTO movement (id, tenant_id, operation_id, kind, provider_id, provider_mode, provider_ref,
  amount_cents, currency, reference_type, reference_id, at, recorded_at)
SELECT gen_random_uuid(), %(tenant)s::text, id, 'transfer', '{provider}', 'production',
  'tr_' || substr(hash, 1, 24), cents, 'USD', 'party_statement', payout_key, at, at FROM n WHERE odd <> 0;
INSERT INTO provider_transfer (id, tenant_id, provider_id, transfer_id, period, payout_key, operation_ref,
  amount_cents, amount_reversed_cents, currency, destination, transfer_group, provider_created_at,
  attributed_by, content_hash, first_seen_at, changed_at)
SELECT gen_random_uuid(), %(tenant)s::text, '{provider}', 'tr_' || substr(hash, 1, 24), '{period}',
  payout_key, 'mop_' || payout_key, CASE WHEN odd = 2 THEN cents + 1 ELSE cents END, 0, 'USD',
  CASE WHEN odd = 4 THEN 'acct_else' ELSE 'acct_' || i END, payout_key, at, 'metadata', hash, at, at
FROM n WHERE odd <> -2;
"""


def seed(connection: psycopg.Connection, *, tenant_id: str, size: int) -> None:
    """Make a tenant's month: statements, instructions, operations, movements and the provider's lines.

    The odd ones, by kind: 0 has no operation (the provider paid it all the same), 1 another amount than
    instructed, 2 another currency than instructed and another amount at the provider, 3 failed though the
    provider paid, 4 no instruction and another destination at the provider.
    """
    connection.execute("SET LOCAL session_replication_role = replica")
    filled = _SEED.format(every=EVERY, kinds=KINDS, period=PERIOD, provider=PROVIDER)
    for statement in filled.split(";\n"):
        if statement.strip():
            named = {"tenant": tenant_id, "size": size}
            connection.execute(
                statement, {name: value for name, value in named.items() if f"({name})" in statement}
            )  # type: ignore[arg-type]
