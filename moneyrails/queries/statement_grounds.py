"""What a derived statement's payout rests on: all references of the kernel that add up to it."""

from typing import Final

from django.db import connection

from settld.closing.models import PartyStatement, StatementSource
from settld.closing.queries import PayoutSubject
from settld.kernel.queries import agents, ref_lookup, refs
from settld.kernel.queries.refs import Ref, ReferenceMismatch
from settld.kernel.states import RefKind

# What a party without a wallet may be owed: nothing of it was ever settled.
_WITHOUT_WALLET: Final = frozenset({RefKind.LEDGER_ENTRY, RefKind.CARRY_IN})

# What earlier months could not pay by a payout of their own.
_BEFORE: Final = """
SELECT own.item->>'type', own.item->>'id', own.item->>'hash', (own.item->>'amountCents')::bigint
FROM party_statement stated
CROSS JOIN LATERAL jsonb_array_elements(stated."references") WITH ORDINALITY AS own (item, place)
WHERE stated.tenant_id = %(tenant_id)s AND stated.party_id = %(party_id)s
  AND stated.period < %(period)s AND stated.party_role = %(role)s AND stated.currency = %(currency)s
  AND stated.basis = %(basis)s AND stated.source = 'derived' AND stated.status = 'CLOSED'
  AND stated.superseded_at IS NULL AND stated.payout_cents <= 0
ORDER BY stated.period, own.place
"""
_TAKEN: Final = """
SELECT ref_id, operation_id FROM payout_allocation
WHERE tenant_id = %s AND ref_id = ANY(%s) AND released_at IS NULL
"""


def references_of(subject: PayoutSubject) -> list[Ref] | None:
    """Name all that a statement pays: what was settled, what was entered by hand, what was carried in.

    None where the kernel has nothing to reserve: for a statement made by hand, and for a party that is no
    agent and is owed by manual entries only. Raises ReferenceMismatch for references in no known form.
    """
    if subject.source != StatementSource.DERIVED or subject.party_role != "operator":
        return None
    named = refs.of_statement(subject.references)
    if named is None:
        raise ReferenceMismatch(details={"mismatched": [{"problem": "unreadable"}], "mismatchedCount": 1})
    kinds = {ref.kind for ref in named}
    if RefKind.CARRY_IN not in kinds:
        named = _with_carry(subject, named)
    if RefKind.LEDGER_ENTRY not in kinds:
        named += ref_lookup.manual_entries(
            tenant_id=subject.tenant_id,
            party_id=subject.party_id,
            period=subject.period,
            currency=subject.currency,
        )
    agent_id = refs.agent_of_party(subject.party_id)
    has_wallet = agent_id is not None and agents.find(tenant_id=subject.tenant_id, agent_id=agent_id)
    return None if not has_wallet and {ref.kind for ref in named} <= _WITHOUT_WALLET else named


def _with_carry(subject: PayoutSubject, own: list[Ref]) -> list[Ref]:
    """Say what the carry-in is made of: receipts and adjustments as themselves, and the rest of it.

    What an earlier month could not pay itself is paid here, if its window and disputes let it. In a month
    that was closed again, what a later month's payout has taken meanwhile is left out.
    """
    of_period = f"mop_{subject.payout_key.removesuffix(subject.statement_hash)}"
    taken = _taken(subject, own) if subject.generation > 1 else {}
    kept = [ref for ref in own if taken.get(ref.id, of_period).startswith(of_period)]
    artifact_id, carry_in_cents = _carry_of(subject)
    brought = _open_before(subject) if carry_in_cents else []
    rest = carry_in_cents + _sum(own) - _sum(kept) - _sum(brought)
    if rest:
        brought.append(Ref(RefKind.CARRY_IN, artifact_id, subject.statement_hash, rest))
    return kept + brought


def _open_before(subject: PayoutSubject) -> list[Ref]:
    """Name what earlier months left open and no payout has been given since."""
    with connection.cursor() as cursor:
        cursor.execute(
            _BEFORE,
            {
                "tenant_id": subject.tenant_id,
                "party_id": subject.party_id,
                "period": subject.period,
                "role": subject.party_role,
                "currency": subject.currency,
                "basis": subject.basis,
            },
        )
        found = [Ref(refs.KIND_OF_TYPE[kind], *rest) for kind, *rest in cursor.fetchall()]
    taken = _taken(subject, found)
    return [ref for ref in found if ref.id not in taken]


def _taken(subject: PayoutSubject, named: list[Ref]) -> dict[str, str]:
    """Tell which references a payout holds, and which payout."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKEN, [subject.tenant_id, [ref.id for ref in named]])
        return dict(cursor.fetchall())


def _carry_of(subject: PayoutSubject) -> tuple[str, int]:
    """Give the artifact that states the carry-in, and its cents."""
    rows = PartyStatement.objects.filter(
        tenant_id=subject.tenant_id,
        party_id=subject.party_id,
        period=subject.period,
        party_role=subject.party_role,
        currency=subject.currency,
        statement_hash=subject.statement_hash,
        superseded_at__isnull=True,
    )
    stated = rows.values_list("artifact_id", "payable_carry_in_cents").first()
    return stated or ("", 0)


def _sum(named: list[Ref]) -> int:
    return sum(ref.amount_cents or 0 for ref in named)
