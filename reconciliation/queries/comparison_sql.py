"""The one statement that compares instructions with operations.

One statement is one snapshot, so summary and rows always speak of the same moment. The pairs are
kept narrow (ids, amounts, flags) because PostgreSQL reads them several times; texts are looked up by
primary key, for differing rows only (LATERAL with OFFSET 0 keeps it that way). What agrees never
leaves the database.
"""

from typing import Final

COMPARISON: Final = """
WITH instruction AS (
  SELECT id, artifact_id, payout_key, amount_cents, currency
  FROM artifact
  WHERE tenant_id = %(tenant_id)s AND artifact_type = 'PayoutInstruction.v1' AND period = %(period)s
    AND amount_cents IS NOT NULL AND payout_key IS NOT NULL
),
repeated AS (
  SELECT payout_key, min(artifact_id COLLATE "C") AS primary_artifact_id
  FROM instruction GROUP BY payout_key HAVING count(*) > 1
),
expected AS (
  SELECT instruction.*
  FROM instruction LEFT JOIN repeated USING (payout_key)
  WHERE repeated.payout_key IS NULL OR repeated.primary_artifact_id = instruction.artifact_id
),
actual AS (  -- of every provider: an instruction belongs to the one that took it
  SELECT id, payout_key, provider_id, amount_cents, recovery_applied_cents, currency, state
  FROM money_rail_operation
  WHERE tenant_id = %(tenant_id)s AND direction = 'payout' AND period = %(period)s
),
consumed AS (
  SELECT payout_key FROM payout_outcome
  WHERE tenant_id = %(tenant_id)s AND period = %(period)s AND kind = 'offset'
),
stated AS MATERIALIZED (
  SELECT tenant_id || ':party:' || party_id || ':period:' || period || ':statement:' || statement_hash
           AS payout_key,
         bool_and(superseded_at IS NOT NULL) AS is_superseded
  FROM party_statement
  WHERE tenant_id = %(tenant_id)s AND period = %(period)s
  GROUP BY 1
),
superseded AS (
  SELECT payout_key FROM stated WHERE is_superseded
),
pair AS MATERIALIZED (
  SELECT expected.id AS instruction_id, actual.id AS operation_id, actual.state,
    expected.amount_cents AS expected_cents, consumed.payout_key IS NOT NULL AS is_consumed,
    COALESCE(
      expected.amount_cents NOT IN (actual.amount_cents, actual.amount_cents + actual.recovery_applied_cents),
      false
    ) AS amount_differs,
    COALESCE(expected.currency <> actual.currency, false) AS currency_differs
  FROM expected
  FULL OUTER JOIN actual ON actual.payout_key = expected.payout_key
  LEFT JOIN consumed ON actual.id IS NULL AND consumed.payout_key = expected.payout_key
  LEFT JOIN superseded ON actual.id IS NULL AND superseded.payout_key = expected.payout_key
  WHERE COALESCE(actual.provider_id, %(default_provider_id)s) = %(provider_id)s
    AND (superseded.payout_key IS NULL OR consumed.payout_key IS NOT NULL)
),
difference (category, operation_id, artifact_id, detail) AS (
  SELECT 'missingOperations', 'mop_' || document.payout_key, document.artifact_id, json_build_object(
    'operationId', 'mop_' || document.payout_key, 'payoutKey', document.payout_key,
    'amountCents', document.amount_cents, 'currency', document.currency,
    'partyId', document.body::jsonb -> 'partyId', 'artifactId', document.artifact_id)
  FROM pair CROSS JOIN LATERAL (
    SELECT * FROM artifact AS found WHERE found.id = pair.instruction_id OFFSET 0
  ) AS document
  WHERE pair.operation_id IS NULL AND NOT pair.is_consumed

  UNION ALL
  SELECT 'amountMismatches', operation.operation_id, '', json_build_object(
    'operationId', operation.operation_id, 'payoutKey', operation.payout_key,
    'expectedAmountCents', pair.expected_cents, 'actualAmountCents', operation.amount_cents)
  FROM pair CROSS JOIN LATERAL (
    SELECT * FROM money_rail_operation AS found WHERE found.id = pair.operation_id OFFSET 0
  ) AS operation
  WHERE pair.amount_differs

  UNION ALL
  SELECT 'currencyMismatches', operation.operation_id, '', json_build_object(
    'operationId', operation.operation_id, 'payoutKey', operation.payout_key,
    'expectedCurrency', document.currency, 'actualCurrency', operation.currency)
  FROM pair CROSS JOIN LATERAL (
    SELECT * FROM money_rail_operation AS found WHERE found.id = pair.operation_id OFFSET 0
  ) AS operation
  CROSS JOIN LATERAL (
    SELECT * FROM artifact AS found WHERE found.id = pair.instruction_id OFFSET 0
  ) AS document
  WHERE pair.currency_differs

  UNION ALL
  SELECT 'terminalFailures', operation.operation_id, '', json_build_object(
    'operationId', operation.operation_id, 'payoutKey', operation.payout_key,
    'state', operation.state, 'reasonCode', NULLIF(operation.reason_code, ''))
  FROM pair CROSS JOIN LATERAL (
    SELECT * FROM money_rail_operation AS found WHERE found.id = pair.operation_id OFFSET 0
  ) AS operation
  WHERE pair.instruction_id IS NOT NULL AND pair.state IN ('failed', 'reversed')

  UNION ALL
  SELECT 'unexpectedOperations', operation.operation_id, '', json_build_object(
    'operationId', operation.operation_id, 'payoutKey', operation.payout_key,
    'amountCents', operation.amount_cents, 'currency', operation.currency,
    'state', operation.state, 'reasonCode', NULLIF(operation.reason_code, ''))
  FROM pair CROSS JOIN LATERAL (
    SELECT * FROM money_rail_operation AS found WHERE found.id = pair.operation_id OFFSET 0
  ) AS operation
  WHERE pair.instruction_id IS NULL

  UNION ALL
  SELECT 'duplicateExpected', 'mop_' || other.payout_key, other.artifact_id, json_build_object(
    'operationId', 'mop_' || other.payout_key, 'payoutKey', other.payout_key,
    'primaryArtifactId', repeated.primary_artifact_id, 'duplicateArtifactId', other.artifact_id)
  FROM repeated
    JOIN instruction AS first ON first.artifact_id = repeated.primary_artifact_id
    JOIN pair ON pair.instruction_id = first.id
    JOIN instruction AS other ON other.payout_key = repeated.payout_key AND other.id <> first.id

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
  SELECT 'unreferencedMovements', operation.operation_id, '', json_build_object(
    'operationId', operation.operation_id, 'providerRef', NULLIF(movement.provider_ref, ''),
    'amountCents', movement.amount_cents)
  FROM movement
    JOIN money_rail_operation AS operation ON operation.id = movement.operation_id
    LEFT JOIN stated ON stated.payout_key = movement.reference_id
  WHERE movement.tenant_id = %(tenant_id)s AND operation.tenant_id = %(tenant_id)s
    AND operation.direction = 'payout' AND operation.period = %(period)s
    AND operation.provider_id = %(provider_id)s AND stated.payout_key IS NULL
),
total AS (
  SELECT
    count(*) FILTER (WHERE instruction_id IS NOT NULL) AS expected_count,
    COALESCE(sum(expected_cents), 0) AS expected_cents,
    count(*) FILTER (WHERE operation_id IS NOT NULL) AS operation_count,
    count(*) FILTER (WHERE instruction_id IS NOT NULL AND operation_id IS NOT NULL) AS matched_count,
    count(*) FILTER (WHERE instruction_id IS NOT NULL AND state = 'confirmed') AS settled_count,
    count(*) FILTER (WHERE instruction_id IS NOT NULL AND state IN ('initiated', 'submitted'))
      AS in_flight_count,
    count(*) FILTER (WHERE instruction_id IS NOT NULL AND state = 'cancelled') AS cancelled_count,
    count(*) FILTER (WHERE operation_id IS NULL AND is_consumed) AS offset_settled_count,
    count(*) FILTER (WHERE state = 'initiated') AS initiated,
    count(*) FILTER (WHERE state = 'submitted') AS submitted,
    count(*) FILTER (WHERE state = 'confirmed') AS confirmed,
    count(*) FILTER (WHERE state = 'failed') AS failed,
    count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE state = 'reversed') AS reversed
  FROM pair
)
SELECT category, operation_id, artifact_id, detail FROM (
  SELECT '' AS category, '' AS operation_id, '' AS artifact_id, to_json(total) AS detail FROM total
  UNION ALL
  SELECT category, operation_id, artifact_id, detail FROM difference
) AS answer
ORDER BY category, operation_id COLLATE "C", artifact_id COLLATE "C", detail::text COLLATE "C"
"""
