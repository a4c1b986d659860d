"""What a derived statement's payout rests on: all references of the kernel that add up to it."""

from typing import Final

from settld.closing.models import PartyStatement, StatementSource
from settld.closing.queries import PayoutSubject
from settld.kernel.queries import agents, ref_lookup, refs
from settld.kernel.queries.refs import Ref, ReferenceMismatch
from settld.kernel.states import RefKind

# What a party without a wallet may be owed: nothing of it was ever settled.
_WITHOUT_WALLET: Final = frozenset({RefKind.LEDGER_ENTRY, RefKind.CARRY_IN})


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
    if RefKind.LEDGER_ENTRY not in kinds:
        named += ref_lookup.manual_entries(
            tenant_id=subject.tenant_id,
            party_id=subject.party_id,
            period=subject.period,
            currency=subject.currency,
        )
    if RefKind.CARRY_IN not in kinds:
        named += _carried_in(subject)
    agent_id = refs.agent_of_party(subject.party_id)
    has_wallet = agent_id is not None and agents.find(tenant_id=subject.tenant_id, agent_id=agent_id)
    return None if not has_wallet and {ref.kind for ref in named} <= _WITHOUT_WALLET else named


def _carried_in(subject: PayoutSubject) -> list[Ref]:
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
    if stated is None or not stated[1]:
        return []
    return [Ref(RefKind.CARRY_IN, stated[0], subject.statement_hash, stated[1])]
