"""Filling the product's database: statements by its own command, a great many operations by SQL."""

import json
from concurrent.futures import ThreadPoolExecutor

import psycopg

from tests.bench.world import World

PERIOD = "2026-01"
FILL_PERIOD = "2025-11"


def statements(world: World, *, by_tenant: dict[str, int], prefix: str, payout_cents: int = 1000) -> None:
    """Leave closed, instructed statements for parties `prefix0`... in each tenant.

    The product makes the first of each tenant, closing the month; the others are copies of it.
    """

    def seed(tenant_id: str) -> None:
        order = {
            "tenantId": tenant_id, "period": PERIOD, "prefix": prefix, "count": 1,
            "payoutCents": payout_cents, "partyRole": "operator",
        }  # fmt: skip
        world.manage("bench_seed", stdin=json.dumps(order))
        given = {"tenant": tenant_id, "count": by_tenant[tenant_id] - 1, "period": PERIOD, "prefix": prefix}
        with psycopg.connect(world.admin_url) as connection:
            connection.execute("SET LOCAL session_replication_role = replica")
            connection.execute(_NEW, given)
            connection.execute(_FIRST_STATEMENT, given)
            _copy(connection, ("party_statement", "artifact"), given)

    with ThreadPoolExecutor(max_workers=world.workers) as pool:
        list(pool.map(seed, by_tenant))
    world.sql("ANALYZE party_statement, artifact")


# A real row of each kind is copied with the columns that must differ; all else stays as the product made it.
_COPIES = {
    "party_statement": (
        "o.party_id = p.party_id AND o.period = p.period",
        (
            "'id', gen_random_uuid(), 'party_id', n.party, 'period', %(period)s::text,"
            " 'statement_hash', n.hash, 'artifact_hash', n.hash, 'artifact_id', 'statement_' || n.hash"
        ),
    ),
    "artifact": (
        "o.payout_key = p.payout_key",
        (
            "'id', gen_random_uuid(), 'payout_key', n.payout_key, 'period', %(period)s::text, 'artifact_id',"
            " 'payout_' || o.tenant_id || '_' || n.party || '_' || %(period)s || '_' || n.hash"
        ),
    ),
    "money_rail_operation": (
        "o.id = p.id",
        (
            "'id', n.id, 'party_id', n.party, 'period', %(period)s::text, 'statement_hash', n.hash,"
            " 'payout_key', n.payout_key, 'operation_id', 'mop_' || n.payout_key, 'initiated_at', n.at,"
            " 'created_at', n.at, 'updated_at', n.at"
        ),
    ),
    "payout_outcome": (
        "o.operation_id = p.id",
        (
            "'id', gen_random_uuid(), 'operation_id', n.id, 'party_id', n.party, 'period', %(period)s::text,"
            " 'payout_key', n.payout_key, 'created_at', n.at"
        ),
    ),
    "idempotency_record": (
        "o.id = (SELECT r.id FROM idempotency_record r WHERE r.tenant_id = p.tenant_id LIMIT 1)",
        "'id', gen_random_uuid(), 'key', n.party, 'identity_hash', n.hash, 'created_at', n.at",
    ),
    "ops_audit": (
        "o.target_id = p.operation_id AND o.action = 'PAYOUT_ENQUEUED'",
        (
            "'id', nextval(pg_get_serial_sequence('ops_audit', 'id')), 'seq', n.seq, 'row_hash', n.hash,"
            " 'prev_hash', n.hash, 'target_id', 'mop_' || n.payout_key, 'at', n.at"
        ),
    ),
}
_NEW = """
CREATE TEMPORARY TABLE n ON COMMIT DROP AS
SELECT gen_random_uuid() AS id, %(prefix)s || g AS party,
  encode(sha256((%(tenant)s || %(prefix)s || g)::bytea), 'hex') AS hash,
  %(tenant)s || ':party:' || %(prefix)s || g || ':period:' || %(period)s || ':statement:'
    || encode(sha256((%(tenant)s || %(prefix)s || g)::bytea), 'hex') AS payout_key,
  date_trunc('day', now()) - make_interval(days => 1 + g %% 60, secs => g %% 86400) AS at,
  (SELECT seq FROM ops_audit_head WHERE tenant_id = %(tenant)s) + g AS seq
FROM generate_series(1, %(count)s) g
"""
_PATTERN = """
CREATE TEMPORARY TABLE p ON COMMIT DROP AS
SELECT * FROM money_rail_operation WHERE tenant_id = %(tenant)s AND state = 'initiated' LIMIT 1
"""
_FIRST_STATEMENT = """
CREATE TEMPORARY TABLE p ON COMMIT DROP AS
SELECT s.*, s.tenant_id || ':party:' || s.party_id || ':period:' || s.period || ':statement:'
  || s.statement_hash AS payout_key
FROM party_statement s
WHERE s.tenant_id = %(tenant)s AND s.period = %(period)s AND s.party_id = %(prefix)s || '0'
"""
_COUNTERS = """
INSERT INTO exposure_counter (id, tenant_id, provider_mode, day_key, amount_cents, operation_count)
SELECT gen_random_uuid(), %(tenant)s, p.provider_mode, to_char(n.at AT TIME ZONE 'UTC', 'YYYY-MM-DD'),
  sum(p.amount_cents), count(*)
FROM n, p GROUP BY p.provider_mode, 4
"""
_HEAD = """
UPDATE ops_audit_head SET (seq, row_hash) = (SELECT n.seq, n.hash FROM n ORDER BY n.seq DESC LIMIT 1)
WHERE tenant_id = %(tenant)s
"""


def operations(world: World, *, tenants: list[str], count: int) -> None:
    """Copy one real payout of each tenant with all its rows, spread over sixty past days."""
    for tenant_id in tenants:
        given = {
            "tenant": tenant_id, "count": count // len(tenants), "period": FILL_PERIOD, "prefix": "fill",
        }  # fmt: skip
        with psycopg.connect(world.admin_url) as connection:
            connection.execute("SET LOCAL session_replication_role = replica")
            connection.execute(_NEW, given)
            connection.execute(_PATTERN, given)
            _copy(connection, tuple(_COPIES), given)
            connection.execute(_COUNTERS, given)
            connection.execute(_HEAD, given)
    world.sql("VACUUM ANALYZE")
    world.sql("CHECKPOINT")


def _copy(connection: psycopg.Connection, tables: tuple[str, ...], given: dict[str, str | int]) -> None:
    """Copy the rows that belong to the pattern `p` once for each row of `n`."""
    for table in tables:
        pattern, changes = _COPIES[table]
        connection.execute(
            f"INSERT INTO {table} SELECT copy.* FROM p JOIN {table} o ON o.tenant_id = p.tenant_id"  # type: ignore[arg-type]
            f" AND {pattern} CROSS JOIN n"
            f" CROSS JOIN LATERAL jsonb_populate_record(o, jsonb_build_object({changes})) copy",
            given,
        )
