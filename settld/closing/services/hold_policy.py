"""Which money still held stands in the way of a close, and who decided that (finance spec 5.2.1)."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db import connection

from settld.audit import services as audit
from settld.closing.models import GovernanceEvent
from settld.closing.models.governance_event import TENANT_POLICY_UPDATED
from settld.core import clock, failpoints, ids, transactions
from settld.core.errors import Refusal
from settld.core.hashing import canonical_hash
from settld.core.principals import Actor
from settld.core.signatures import sign_hash
from settld.kernel.models import FundingHold
from settld.kernel.queries.payables import month_bounds

ANY: Final = "BLOCK_ANY_OPEN_HOLDS"
IN_PERIOD: Final = "BLOCK_HOLDS_ORIGINATED_IN_PERIOD"
DISCLOSE: Final = "ALLOW_WITH_DISCLOSURE"
POLICIES: Final = (ANY, IN_PERIOD, DISCLOSE)
MOST_NAMED: Final = 1000
_CONFIG: Final = {"kind": "config", "eventId": None, "chainHash": None, "effectiveFrom": None}


class InvalidHoldPolicy(Refusal):
    """There is no such policy."""

    message = "monthCloseHoldPolicy must be one of " + ", ".join(POLICIES)


@dataclass(frozen=True, slots=True)
class HoldPolicy:
    """The policy of a close and where it comes from."""

    name: str
    source: dict[str, Any]


def policy_for(*, tenant_id: str, month: str) -> HoldPolicy:
    """Give the policy for a month: the event latest in effect before the period's end, else the settings'."""
    _, ends_at = month_bounds(month)
    event = (
        GovernanceEvent.objects.filter(
            tenant_id=tenant_id, type=TENANT_POLICY_UPDATED, effective_from__lt=ends_at
        )
        .order_by("-effective_from", "-seq")
        .first()
    )
    if event is None:
        return HoldPolicy(settings.MONTH_CLOSE_HOLD_POLICY, dict(_CONFIG))
    source = {
        "kind": "governance_event",
        "eventId": event.event_id,
        "chainHash": event.chain_hash,
        "effectiveFrom": clock.iso(event.effective_from),
    }
    return HoldPolicy(event.policy["finance"]["monthCloseHoldPolicy"], source)


def open_holds(*, tenant_id: str, month: str, policy: HoldPolicy) -> list[dict[str, Any]]:
    """List holds that are still held and that the policy looks at, oldest first, at most a thousand."""
    rows = FundingHold.objects.filter(tenant_id=tenant_id, status="held")
    if policy.name == IN_PERIOD:
        starts_at, ends_at = month_bounds(month)
        rows = rows.filter(created_at__gte=starts_at, created_at__lt=ends_at)
    named = rows.order_by("created_at", "hold_hash")[:MOST_NAMED]
    return [
        {"jobId": row.agreement_hash, "holdId": row.hold_hash, "heldAt": clock.iso(row.created_at)}
        for row in named
    ]


def update(
    *, tenant_id: str, policy: str, effective_from: dt.datetime | None, actor: Actor, now: dt.datetime
) -> GovernanceEvent:
    """Decide the tenant's hold policy from an instant on; appends TENANT_POLICY_UPDATED to its chain."""
    if policy not in POLICIES:
        raise InvalidHoldPolicy()
    with transactions.joined():
        with connection.cursor() as cursor:  # one writer at a time adds to a tenant's chain
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"governance:{tenant_id}"]
            )
        last = GovernanceEvent.objects.filter(tenant_id=tenant_id).order_by("-seq").first()
        event = GovernanceEvent(
            tenant_id=tenant_id,
            seq=last.seq + 1 if last else 1,
            event_id=f"evt_{ids.uuid7().hex}",
            type=TENANT_POLICY_UPDATED,
            at=now,
            effective_from=effective_from or now,
            actor={"type": "principal", "id": actor.principal_id},
            policy={"finance": {"monthCloseHoldPolicy": policy}},
            prev_chain_hash=last.chain_hash if last else None,
        )
        event.payload_hash = canonical_hash(_payload(event))
        event.chain_hash = canonical_hash(
            {"v": 1, "prevChainHash": event.prev_chain_hash, "payloadHash": event.payload_hash}
        )
        signature = sign_hash(event.chain_hash)
        event.signature_key_id, event.signature_base64 = signature.key_id, signature.signature_base64
        event.save(force_insert=True)
        audit.append(
            tenant_id=tenant_id,
            actor=actor,
            action=TENANT_POLICY_UPDATED,
            target_type="governance_event",
            target_id=event.event_id,
            details={"policy": event.policy, "effectiveFrom": clock.iso(event.effective_from)},
            at=now,
        )
        failpoints.hit("close_policy.before_commit")
    return event


def _payload(event: GovernanceEvent) -> dict[str, Any]:
    return {
        "v": 1,
        "id": event.event_id,
        "type": event.type,
        "at": clock.iso(event.at),
        "effectiveFrom": clock.iso(event.effective_from),
        "actor": event.actor,
        "policy": event.policy,
    }
