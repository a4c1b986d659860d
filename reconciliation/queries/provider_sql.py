"""The one statement that compares operations with the provider's statement.

Operations and lines meet by payout key. Totals and the pairs that want a second look come out of one
pass over that join; the few pairs are then looked up by primary key, and by transfer id where a key does
not lead from one side to the other (a transfer made by hand and adopted, a line filed under another month).
"""

from typing import Final

# What a pair is looked at again for. A line or a dispatch younger than the lag is given its time.
_IS_ODD: Final = """(
  (operation.id IS NULL AND line.provider_created_at < %(before)s
    AND line.amount_reversed_cents < line.amount_cents)
  OR (line.id IS NULL AND operation.provider_ref <> ''
    AND operation.state IN ('submitted', 'confirmed', 'reversed'))
  OR (operation.id IS NOT NULL AND line.id IS NOT NULL AND (
    line.transfer_id <> operation.provider_ref
    OR line.amount_cents <> operation.amount_cents
    OR line.currency <> operation.currency
    OR line.transfer_group <> operation.payout_key
    OR 'stripe_connect:' || line.destination <> operation.counterparty_ref
    OR operation.state IN ('initiated', 'failed', 'cancelled')
    OR (operation.state = 'reversed') <> (line.amount_reversed_cents >= line.amount_cents)
    OR (line.amount_reversed_cents > 0 AND line.amount_reversed_cents < line.amount_cents)))
)"""

PROVIDER_COMPARISON: Final = """
WITH line AS (
  SELECT id, transfer_id, payout_key, amount_cents, amount_reversed_cents, currency, destination,
    transfer_group, provider_created_at
  FROM provider_transfer
  WHERE tenant_id = %(tenant_id)s AND provider_id = %(provider_id)s AND period = %(period)s
    AND withdrawn_at IS NULL
),
operation AS (
  SELECT id, payout_key, provider_ref, amount_cents, currency, counterparty_ref, state
  FROM money_rail_operation
  WHERE tenant_id = %(tenant_id)s AND provider_id = %(provider_id)s AND direction = 'payout'
    AND period = %(period)s AND provider_mode = 'production'
),
folded AS MATERIALIZED (
  SELECT
    count(line.id) AS transfer_count,
    COALESCE(sum(line.amount_cents), 0) AS transfer_cents,
    COALESCE(sum(line.amount_reversed_cents), 0) AS reversed_cents,
    count(*) FILTER (WHERE operation.state IN ('submitted', 'confirmed', 'reversed')) AS sent_pairs,
    COALESCE(sum(operation.amount_cents)
      FILTER (WHERE operation.state IN ('submitted', 'confirmed', 'reversed')), 0) AS sent_cents,
    count(*) FILTER (WHERE operation.provider_ref = line.transfer_id) AS matched_count,
    array_agg(line.id) FILTER (WHERE IS_ODD) AS line_ids,
    array_agg(operation.id) FILTER (WHERE IS_ODD) AS operation_ids
  FROM operation FULL OUTER JOIN line ON line.payout_key = operation.payout_key
),
odd AS MATERIALIZED (
  SELECT line.id AS line_id, operation.id AS operation_id,
    COALESCE(operation.operation_id, NULLIF(line.operation_ref, '')) AS operation_name,
    COALESCE(operation.payout_key, NULLIF(line.payout_key, '')) AS payout_key,
    operation.state, operation.provider_ref, operation.submitted_at,
    operation.amount_cents AS our_cents, operation.currency AS our_currency, operation.counterparty_ref,
    line.transfer_id, line.amount_cents, line.amount_reversed_cents, line.currency, line.destination,
    line.transfer_group, line.provider_created_at, line.reversed_at, line.attributed_by,
    line.amount_reversed_cents >= line.amount_cents AS is_undone,
    -- The provider's line of the transfer that the operation names, whichever month it is filed under.
    own.transfer_id AS own_transfer_id,
    -- The operation that names this transfer, if not by key.
    adopter.operation_id AS adopter_id
  FROM folded CROSS JOIN LATERAL unnest(folded.line_ids, folded.operation_ids) AS pair (line_id, operation_id)
  LEFT JOIN LATERAL (
    SELECT * FROM money_rail_operation AS found WHERE found.id = pair.operation_id OFFSET 0
  ) AS operation ON true
  LEFT JOIN LATERAL (
    SELECT found.transfer_id FROM provider_transfer AS found
    WHERE found.tenant_id = %(tenant_id)s AND found.transfer_id = operation.provider_ref
      AND found.withdrawn_at IS NULL OFFSET 0
  ) AS own ON operation.provider_ref <> ''
  LEFT JOIN LATERAL (
    SELECT found.* FROM provider_transfer AS found WHERE found.id = pair.line_id
    UNION ALL
    SELECT found.* FROM provider_transfer AS found
    WHERE pair.line_id IS NULL AND found.tenant_id = %(tenant_id)s
      AND found.transfer_id = operation.provider_ref AND found.withdrawn_at IS NULL
    OFFSET 0
  ) AS line ON true
  LEFT JOIN LATERAL (
    SELECT found.operation_id FROM movement AS found
    WHERE pair.operation_id IS NULL AND found.tenant_id = %(tenant_id)s
      AND found.provider_id = %(provider_id)s AND found.provider_ref = line.transfer_id
      AND found.kind = 'transfer' AND found.provider_mode = 'production' AND found.provider_ref <> ''
    OFFSET 0
  ) AS moved ON true
  LEFT JOIN LATERAL (
    SELECT found.operation_id FROM money_rail_operation AS found WHERE found.id = moved.operation_id OFFSET 0
  ) AS adopter ON true
),
ranked AS MATERIALIZED (
  SELECT odd.*,
    line_id IS NOT NULL AND operation_id IS NOT NULL AND transfer_id <> provider_ref AND (
      own_transfer_id IS NOT NULL
      OR row_number() OVER (
        PARTITION BY operation_id, line_id IS NULL, transfer_id <> provider_ref
        ORDER BY is_undone, provider_created_at, transfer_id COLLATE "C") > 1
    ) AS is_second,
    first_value(transfer_id) OVER (
      PARTITION BY operation_id, line_id IS NULL
      ORDER BY is_undone, provider_created_at, transfer_id COLLATE "C") AS first_transfer_id
  FROM odd
),
difference (category, sort_key, transfer_key, detail) AS (
  SELECT 'providerOnlyTransfers', COALESCE(operation_name, ''), transfer_id, json_build_object(
    'transferId', transfer_id, 'operationId', operation_name, 'payoutKey', payout_key,
    'amountCents', amount_cents, 'amountReversedCents', amount_reversed_cents, 'currency', currency,
    'destination', destination, 'attributedBy', attributed_by,
    'createdAt', to_char(provider_created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
  FROM ranked WHERE operation_id IS NULL AND adopter_id IS NULL

  UNION ALL
  SELECT 'missingTransfers', operation_name, provider_ref, json_build_object(
    'operationId', operation_name, 'payoutKey', payout_key, 'providerRef', provider_ref,
    'amountCents', our_cents, 'currency', our_currency, 'state', state,
    'submittedAt', to_char(submitted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
  FROM ranked
  WHERE operation_id IS NOT NULL AND own_transfer_id IS NULL AND NOT is_second AND provider_ref <> ''
    AND (line_id IS NULL OR transfer_id <> provider_ref)
    AND state IN ('submitted', 'confirmed', 'reversed')
    AND submitted_at < %(checked_before)s AND submitted_at >= %(covered_from)s

  UNION ALL
  SELECT 'transferMismatches', operation_name, transfer_id, json_build_object(
    'operationId', operation_name, 'payoutKey', payout_key, 'transferId', transfer_id,
    'differs', array_to_json(array_remove(ARRAY[
      CASE WHEN amount_cents <> our_cents THEN 'amountCents' END,
      CASE WHEN currency <> our_currency THEN 'currency' END,
      CASE WHEN 'stripe_connect:' || destination <> counterparty_ref THEN 'destination' END,
      CASE WHEN transfer_group <> payout_key THEN 'transferGroup' END,
      CASE WHEN provider_ref <> '' AND provider_ref <> transfer_id THEN 'transferId' END], NULL)),
    'expected', json_build_object('amountCents', our_cents, 'currency', our_currency,
      'destination', counterparty_ref, 'transferGroup', payout_key,
      'transferId', NULLIF(provider_ref, '')),
    'actual', json_build_object('amountCents', amount_cents, 'currency', currency,
      'destination', 'stripe_connect:' || destination, 'transferGroup', NULLIF(transfer_group, ''),
      'transferId', transfer_id))
  FROM ranked
  WHERE operation_id IS NOT NULL AND line_id IS NOT NULL AND NOT is_second
    AND (amount_cents <> our_cents OR currency <> our_currency OR transfer_group <> payout_key
      OR 'stripe_connect:' || destination <> counterparty_ref
      OR (provider_ref <> '' AND provider_ref <> transfer_id))

  UNION ALL
  SELECT 'unrecordedTransfers', operation_name, transfer_id, json_build_object(
    'operationId', operation_name, 'payoutKey', payout_key, 'transferId', transfer_id, 'state', state,
    'amountCents', amount_cents, 'currency', currency,
    'createdAt', to_char(provider_created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
  FROM ranked
  WHERE operation_id IS NOT NULL AND line_id IS NOT NULL AND NOT is_second AND NOT is_undone
    AND state IN ('initiated', 'failed', 'cancelled') AND provider_created_at < %(before)s

  UNION ALL
  SELECT 'unrecordedReversals', operation_name, transfer_id, json_build_object(
    'operationId', operation_name, 'payoutKey', payout_key, 'transferId', transfer_id, 'state', state,
    'extent', CASE WHEN is_undone THEN 'whole' ELSE 'part' END,
    'amountCents', amount_cents, 'amountReversedCents', amount_reversed_cents, 'currency', currency)
  FROM ranked
  WHERE operation_id IS NOT NULL AND line_id IS NOT NULL AND NOT is_second
    AND amount_reversed_cents > 0 AND state IN ('initiated', 'submitted', 'confirmed')
    AND COALESCE(reversed_at, provider_created_at) < %(before)s

  UNION ALL
  SELECT 'reversalsOnlyHere', operation_name, transfer_id, json_build_object(
    'operationId', operation_name, 'payoutKey', payout_key, 'transferId', transfer_id,
    'amountCents', amount_cents, 'amountReversedCents', amount_reversed_cents, 'currency', currency)
  FROM ranked
  WHERE operation_id IS NOT NULL AND line_id IS NOT NULL AND NOT is_second AND NOT is_undone
    AND state = 'reversed'

  UNION ALL
  SELECT 'duplicateTransfers', operation_name, transfer_id, json_build_object(
    'operationId', operation_name, 'payoutKey', payout_key, 'transferId', transfer_id,
    'primaryTransferId', COALESCE(own_transfer_id, first_transfer_id),
    'amountCents', amount_cents, 'amountReversedCents', amount_reversed_cents, 'currency', currency,
    'createdAt', to_char(provider_created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
  FROM ranked WHERE is_second AND NOT is_undone AND provider_created_at < %(before)s
),
total AS (
  SELECT transfer_count, transfer_cents, reversed_cents, matched_count,
    sent_pairs - (SELECT count(*) FROM ranked
      WHERE is_second AND state IN ('submitted', 'confirmed', 'reversed')) AS sent_count,
    sent_cents - (SELECT COALESCE(sum(our_cents), 0) FROM ranked
      WHERE is_second AND state IN ('submitted', 'confirmed', 'reversed')) AS sent_cents,
    (SELECT count(*) FROM ranked
      WHERE line_id IS NULL AND own_transfer_id IS NULL AND submitted_at >= %(checked_before)s)
      AS in_flight_count,
    (SELECT count(*) FROM ranked
      WHERE line_id IS NULL AND own_transfer_id IS NULL AND submitted_at < %(covered_from)s)
      AS unchecked_count
  FROM folded
)
SELECT category, detail FROM (
  SELECT '' AS category, '' AS sort_key, '' AS transfer_key, to_json(total) AS detail FROM total
  UNION ALL
  SELECT category, sort_key, transfer_key, detail FROM difference
) AS answer
ORDER BY category COLLATE "C", sort_key COLLATE "C", transfer_key COLLATE "C"
""".replace("IS_ODD", _IS_ODD)
