"""The one statement that compares instructions with operations.

One statement is one snapshot, so summary and rows always speak of the same moment. Totals, and the
pairs that want a second look, come out of one pass over the join of both sides, narrow enough (keys,
amounts, flags) and simple enough for the server to share out among its workers. The few odd pairs are
then looked up by primary key and judged; what agrees never leaves the database.

What is not decided in the pass, because it would cost every pair a join: whether an instruction without
operation was used up by a debt or superseded; whether an instruction is the second of its payout. The
latter is suspected of each whose artifact id is not the one that its payout key leads to: of those that
are, there is one per key. Totals count what the pass saw, less what the second look found not to count.

A movement reaches its settlement when it references its operation's payout and that has an instruction:
an instruction is written out of its statement alone. All others are held against the statements.

Collations are spelled out where columns of two tables meet in a lookup: an index serves only its own.
"""

from typing import Final

# Every provider that the tenant ever used, jumping along the index from one to the next.
USED_PROVIDERS: Final = """
WITH RECURSIVE used (provider_id) AS (
  (SELECT provider_id FROM money_rail_operation WHERE tenant_id = %(tenant_id)s ORDER BY provider_id LIMIT 1)
  UNION ALL
  SELECT (SELECT provider_id FROM money_rail_operation
          WHERE tenant_id = %(tenant_id)s AND provider_id > used.provider_id ORDER BY provider_id LIMIT 1)
  FROM used WHERE used.provider_id IS NOT NULL
)
SELECT provider_id FROM used WHERE provider_id IS NOT NULL
"""
COMPARISON: Final = """
WITH folded AS MATERIALIZED (
  SELECT
    count(expected.id) AS expected_count,
    COALESCE(sum(expected.amount_cents), 0) AS expected_cents,
    count(actual.id) AS operation_count,
    count(*) FILTER (WHERE expected.id IS NOT NULL AND actual.id IS NOT NULL) AS matched_count,
    count(*) FILTER (WHERE actual.state = 'initiated') AS initiated,
    count(*) FILTER (WHERE actual.state = 'submitted') AS submitted,
    count(*) FILTER (WHERE actual.state = 'confirmed') AS confirmed,
    count(*) FILTER (WHERE actual.state = 'failed') AS failed,
    count(*) FILTER (WHERE actual.state = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE actual.state = 'reversed') AS reversed,
    array_agg(expected.id) FILTER (WHERE IS_ODD) AS instruction_ids,
    array_agg(actual.id) FILTER (WHERE IS_ODD) AS operation_ids
  FROM (
    SELECT id, payout_key, amount_cents, currency, artifact_id <> 'payout_' || replace(replace(replace(
      payout_key, ':party:', '_'), ':period:', '_'), ':statement:', '_') AS is_suspect
    FROM artifact
    WHERE tenant_id = %(tenant_id)s AND artifact_type = 'PayoutInstruction.v1' AND period = %(period)s
      AND amount_cents IS NOT NULL AND payout_key IS NOT NULL
  ) AS expected
  FULL OUTER JOIN (  -- of every provider: an instruction belongs to the one that took it
    SELECT id, payout_key, provider_id, amount_cents, recovery_applied_cents, currency, state
    FROM money_rail_operation
    WHERE tenant_id = %(tenant_id)s AND direction = 'payout' AND period = %(period)s
      AND provider_id = ANY(%(provider_ids)s)  -- all there are: it only lets an index find the month
  ) AS actual ON actual.payout_key = expected.payout_key
  WHERE COALESCE(actual.provider_id, %(default_provider_id)s) = %(provider_id)s
),
odd AS MATERIALIZED (
  SELECT instruction.id AS instruction_id, instruction.artifact_id, instruction.body,
    instruction.amount_cents AS expected_cents, instruction.currency AS expected_currency,
    operation.id AS operation_pk, operation.operation_id, operation.amount_cents,
    operation.recovery_applied_cents, operation.currency, operation.state, operation.reason_code,
    COALESCE(instruction.payout_key COLLATE "C", operation.payout_key) AS payout_key,
    instruction.payout_key AS instructed_key,
    outcome.payout_key IS NOT NULL AS is_consumed, COALESCE(statement.is_superseded, false) AS is_superseded
  FROM folded CROSS JOIN LATERAL
    unnest(folded.instruction_ids, folded.operation_ids) AS pair (instruction_id, operation_id)
  LEFT JOIN LATERAL (
    SELECT * FROM artifact AS found WHERE found.id = pair.instruction_id OFFSET 0
  ) AS instruction ON true
  LEFT JOIN LATERAL (
    SELECT * FROM money_rail_operation AS found WHERE found.id = pair.operation_id OFFSET 0
  ) AS operation ON true
  LEFT JOIN LATERAL (
    SELECT found.payout_key FROM payout_outcome AS found
    WHERE pair.operation_id IS NULL AND found.tenant_id = %(tenant_id)s
      AND found.payout_key = instruction.payout_key COLLATE "C" AND found.kind = 'offset' OFFSET 0
  ) AS outcome ON true
  LEFT JOIN LATERAL (
    SELECT bool_and(found.superseded_at IS NOT NULL) AS is_superseded FROM party_statement AS found
    WHERE pair.operation_id IS NULL AND found.tenant_id = %(tenant_id)s AND found.period = %(period)s
      AND found.party_id = substring(instruction.payout_key FROM ':party:(.*):period:')
      AND STATEMENT_KEY = instruction.payout_key
  ) AS statement ON true
),
family AS MATERIALIZED (  -- every instruction of each payout that has several
  SELECT member.*, suspect.operation_pk, suspect.operation_state, suspect.is_consumed, suspect.is_superseded
  FROM (
    SELECT DISTINCT instructed_key, operation_pk, state AS operation_state, is_consumed, is_superseded
    FROM odd WHERE instruction_id IS NOT NULL AND artifact_id <> 'payout_' || replace(replace(replace(
      payout_key, ':party:', '_'), ':period:', '_'), ':statement:', '_')
  ) AS suspect
  CROSS JOIN LATERAL (
    SELECT found.id, found.payout_key, found.artifact_id, found.amount_cents,
      min(found.artifact_id COLLATE "C") OVER () AS primary_artifact_id
    FROM artifact AS found
    WHERE found.tenant_id = %(tenant_id)s AND found.payout_key = suspect.instructed_key
      AND found.artifact_type = 'PayoutInstruction.v1' AND found.period = %(period)s
      AND found.amount_cents IS NOT NULL
    OFFSET 0
  ) AS member
),
second AS MATERIALIZED (
  SELECT * FROM family WHERE artifact_id <> primary_artifact_id
),
judged AS MATERIALIZED (
  SELECT odd.*, second.id IS NOT NULL AS is_second,
    odd.operation_pk IS NULL AND odd.is_superseded AND NOT odd.is_consumed AS is_void
  FROM odd LEFT JOIN second ON second.id = odd.instruction_id
),
uncounted AS (  -- pairs of the pass that do not count
  SELECT expected_cents, NULL AS state FROM judged WHERE is_void AND NOT is_second
  UNION ALL
  SELECT amount_cents, operation_state FROM second
),
strange AS MATERIALIZED (  -- movements that do not lead to an instructed payout of their operation
  SELECT movement.provider_ref, movement.amount_cents, movement.reference_id, operation.operation_id
  FROM movement JOIN money_rail_operation AS operation ON operation.id = movement.operation_id
  WHERE movement.tenant_id = %(tenant_id)s AND operation.tenant_id = %(tenant_id)s
    AND operation.direction = 'payout' AND operation.period = %(period)s
    AND operation.provider_id = %(provider_id)s AND movement.reference_id <> operation.payout_key
  UNION ALL
  SELECT movement.provider_ref, movement.amount_cents, movement.reference_id, judged.operation_id
  FROM judged CROSS JOIN LATERAL (
    SELECT * FROM movement AS found WHERE found.operation_id = judged.operation_pk OFFSET 0
  ) AS movement
  WHERE judged.instruction_id IS NULL AND movement.reference_id = judged.payout_key
),
difference (category, operation_id, artifact_id, detail) AS (
  SELECT 'missingOperations', 'mop_' || payout_key, artifact_id, json_build_object(
    'operationId', 'mop_' || payout_key, 'payoutKey', payout_key, 'amountCents', expected_cents,
    'currency', expected_currency, 'partyId', body::jsonb -> 'partyId', 'artifactId', artifact_id)
  FROM judged
  WHERE operation_pk IS NULL AND NOT is_second AND NOT is_void AND NOT is_consumed

  UNION ALL
  SELECT 'amountMismatches', operation_id, '', json_build_object(
    'operationId', operation_id, 'payoutKey', payout_key,
    'expectedAmountCents', expected_cents, 'actualAmountCents', amount_cents)
  FROM judged
  WHERE NOT is_second AND expected_cents NOT IN (amount_cents, amount_cents + recovery_applied_cents)

  UNION ALL
  SELECT 'currencyMismatches', operation_id, '', json_build_object(
    'operationId', operation_id, 'payoutKey', payout_key,
    'expectedCurrency', expected_currency, 'actualCurrency', currency)
  FROM judged WHERE NOT is_second AND expected_currency <> currency

  UNION ALL
  SELECT 'terminalFailures', operation_id, '', json_build_object(
    'operationId', operation_id, 'payoutKey', payout_key,
    'state', state, 'reasonCode', NULLIF(reason_code, ''))
  FROM judged
  WHERE NOT is_second AND instruction_id IS NOT NULL AND state IN ('failed', 'reversed')

  UNION ALL
  SELECT 'unexpectedOperations', operation_id, '', json_build_object(
    'operationId', operation_id, 'payoutKey', payout_key, 'amountCents', amount_cents,
    'currency', currency, 'state', state, 'reasonCode', NULLIF(reason_code, ''))
  FROM judged WHERE instruction_id IS NULL

  UNION ALL
  SELECT 'duplicateExpected', 'mop_' || payout_key, artifact_id, json_build_object(
    'operationId', 'mop_' || payout_key, 'payoutKey', payout_key,
    'primaryArtifactId', primary_artifact_id, 'duplicateArtifactId', artifact_id)
  FROM second WHERE operation_pk IS NOT NULL OR is_consumed OR NOT is_superseded

  UNION ALL
  SELECT 'indeterminateOperations', operation.operation_id, '', json_build_object(
    'operationId', operation.operation_id, 'payoutKey', operation.payout_key,
    'attempt', attempt.attempt,
    'since', to_char(attempt.first_sent_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
  FROM dispatch_attempt AS attempt CROSS JOIN LATERAL (
    SELECT * FROM money_rail_operation AS found WHERE found.id = attempt.operation_id OFFSET 0
  ) AS operation
  WHERE attempt.tenant_id = %(tenant_id)s
    AND attempt.status IN ('dispatching', 'in_doubt', 'indeterminate')
    AND attempt.first_sent_at < %(doubtful_before)s
    AND (attempt.status <> 'dispatching' OR attempt.lease_expires_at < %(now)s)
    AND operation.direction = 'payout' AND operation.period = %(period)s
    AND operation.provider_id = %(provider_id)s

  UNION ALL
  SELECT 'unreferencedMovements', strange.operation_id, '', json_build_object(
    'operationId', strange.operation_id, 'providerRef', NULLIF(strange.provider_ref, ''),
    'amountCents', strange.amount_cents)
  FROM strange LEFT JOIN LATERAL (
    SELECT 1 AS is_there FROM party_statement AS found
    WHERE found.tenant_id = %(tenant_id)s AND found.period = %(period)s
      AND found.party_id = substring(strange.reference_id FROM ':party:(.*):period:') COLLATE "default"
      AND STATEMENT_KEY = strange.reference_id COLLATE "default"
    LIMIT 1
  ) AS statement ON true
  WHERE statement.is_there IS NULL
),
total AS (
  SELECT
    folded.expected_count - less.pairs AS expected_count,
    folded.expected_cents - less.cents AS expected_cents,
    folded.operation_count - less.with_operation AS operation_count,
    folded.matched_count - less.with_operation AS matched_count,
    folded.initiated - less.initiated AS initiated, folded.submitted - less.submitted AS submitted,
    folded.confirmed - less.confirmed AS confirmed, folded.failed - less.failed AS failed,
    folded.cancelled - less.cancelled AS cancelled, folded.reversed - less.reversed AS reversed,
    unasked.initiated + unasked.submitted AS unasked_in_flight, unasked.confirmed AS unasked_confirmed,
    unasked.cancelled AS unasked_cancelled,
    (SELECT count(*) FROM judged WHERE operation_pk IS NULL AND is_consumed AND NOT is_second)
      AS offset_settled_count
  FROM folded CROSS JOIN (
    SELECT count(*) AS pairs, COALESCE(sum(expected_cents), 0) AS cents, count(state) AS with_operation,
      count(*) FILTER (WHERE state = 'initiated') AS initiated,
      count(*) FILTER (WHERE state = 'submitted') AS submitted,
      count(*) FILTER (WHERE state = 'confirmed') AS confirmed,
      count(*) FILTER (WHERE state = 'failed') AS failed,
      count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
      count(*) FILTER (WHERE state = 'reversed') AS reversed
    FROM uncounted
  ) AS less CROSS JOIN (  -- operations without instruction are in no count of matched ones
    SELECT count(*) FILTER (WHERE state = 'initiated') AS initiated,
      count(*) FILTER (WHERE state = 'submitted') AS submitted,
      count(*) FILTER (WHERE state = 'confirmed') AS confirmed,
      count(*) FILTER (WHERE state = 'cancelled') AS cancelled
    FROM judged WHERE instruction_id IS NULL
  ) AS unasked
)
SELECT category, detail FROM (
  SELECT '' AS category, '' AS operation_id, '' AS artifact_id, to_json(total) AS detail FROM total
  UNION ALL
  SELECT category, operation_id, artifact_id, detail FROM difference
) AS answer
ORDER BY category COLLATE "C", operation_id COLLATE "C", artifact_id COLLATE "C", detail::text COLLATE "C"
""".replace(
    "IS_ODD",
    """expected.id IS NULL OR actual.id IS NULL OR expected.is_suspect
      OR expected.amount_cents NOT IN (actual.amount_cents,
        actual.amount_cents + actual.recovery_applied_cents)
      OR expected.currency <> actual.currency OR actual.state IN ('failed', 'reversed')""",
).replace(
    "STATEMENT_KEY",
    """found.tenant_id || ':party:' || found.party_id || ':period:' || found.period
        || ':statement:' || found.statement_hash""",
)
