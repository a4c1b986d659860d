"""What must hold of usage counters and of the audit chain."""

from typing import Final

from reconciliation.invariants.kinds import Invariant, Sweep
from reconciliation.states import Severity

USAGE_COUNTERS: Final = Sweep(
    keys="""SELECT period || ' ' || event_type AS key FROM billing_usage_counter
      WHERE tenant_id = %(tenant_id)s""",
    newest="""SELECT %(today_period)s || ' ' || kind AS key
      FROM unnest(ARRAY['arbitration_usage', 'settled_volume', 'verified_run']) AS kind""",
    batch=3,
)
USAGE: Final = Invariant(
    name="usage_counter_equals_events",
    severity=Severity.HIGH,
    means="What is counted of a month's usage is the sum of its billable events.",
    advice="The invoice and the hard limit rest on it. Compare the month's billable events with the counter.",
    sweep=USAGE_COUNTERS,
    sql="""SELECT key, difference_quantity, difference_count, difference_cents FROM (
  SELECT subject.key,
    (coalesce(kept.quantity, 0) - coalesce(events.quantity, 0))::bigint AS difference_quantity,
    (coalesce(kept.event_count, 0) - events.number)::bigint AS difference_count,
    (coalesce(kept.amount_cents, 0) - coalesce(events.cents, 0))::bigint AS difference_cents
  FROM subject
  LEFT JOIN billing_usage_counter AS kept ON kept.tenant_id = %(tenant_id)s
    AND kept.period = split_part(subject.key, ' ', 1) AND kept.event_type = split_part(subject.key, ' ', 2)
  CROSS JOIN LATERAL (
    SELECT sum(event.quantity) AS quantity, count(*) AS number,
      sum(event.amount_cents) FILTER (WHERE coalesce(event.currency, 'USD') = 'USD') AS cents
    FROM billing_usage_event AS event WHERE event.tenant_id = %(tenant_id)s
      AND event.period = split_part(subject.key, ' ', 1)
      AND event.event_type = split_part(subject.key, ' ', 2)
  ) AS events
) AS found WHERE difference_quantity <> 0 OR difference_count <> 0 OR difference_cents <> 0
ORDER BY key LIMIT %(limit)s""",
)
AUDIT_HEAD: Final = Invariant(
    name="audit_head_is_the_last_row",
    severity=Severity.HIGH,
    means="The audit chain ends with the row that its head names.",
    advice="Rows were taken from the end of the chain, or added past it. Verify the chain and compare it with"
    " the last signed checkpoint.",
    sql="""SELECT 'head' AS key, 'is not the last row' AS problem FROM ops_audit_head AS head
WHERE head.tenant_id = %(tenant_id)s AND (
  NOT EXISTS (SELECT FROM ops_audit AS last WHERE last.tenant_id = head.tenant_id
    AND last.seq = head.seq AND last.row_hash = head.row_hash)
  OR EXISTS (SELECT FROM ops_audit AS beyond WHERE beyond.tenant_id = head.tenant_id
    AND beyond.seq > head.seq))
LIMIT %(limit)s""",
)
ALL: Final = (USAGE, AUDIT_HEAD)
