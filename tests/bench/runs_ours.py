"""A run with settlement as the product does it: opened, started, completed, each in its own transaction."""

import datetime as dt
import os
import uuid
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection

from settld.core import signatures, tenancy, transactions
from settld.core.principals import Actor
from settld.kernel.queries.checks import ESCROW_UNLIKE_HOLDINGS_ANYWHERE, WALLETS_UNLIKE_LEDGER_ANYWHERE
from settld.kernel.services import agents, funding, run_events, runs
from settld.kernel.services.agents import NewAgent
from settld.kernel.states import FundingSource
from settld.ledger.queries.checks import BALANCES_DIFFER_ANYWHERE, ENTRIES_UNBALANCED_ANYWHERE
from settld.metering import limit

TENANT = "runs_ours"
CENTS = 1000
FUNDED_CENTS = 10**12
ACTOR = Actor.system("bench")


def payer(number: int) -> str:
    return f"agt_payer_{number}"


def payee(number: int) -> str:
    return f"agt_payee_{number}"


def turn(number: int, now: dt.datetime) -> None:
    """Take one run of the payer and the payee of a number from its opening to its end."""
    run_id = f"run_{os.getpid()}_{uuid.uuid4().hex}"
    for _ in steps(TENANT, number, run_id=run_id, now=now):
        pass


def steps(tenant_id: str, number: int, *, run_id: str, now: dt.datetime) -> Iterator[None]:
    """Open, start and complete a run; pauses after each, when it is committed."""
    own = {"tenant_id": tenant_id, "agent_id": payee(number), "run_id": run_id}
    terms = runs.SettlementTerms(payer_agent_id=payer(number), amount_cents=CENTS, dispute_window_days=7)
    with tenancy.tenant_scope(tenant_id):
        head = runs.open_run(**own, terms=terms, now=now).event["chainHash"]
    yield
    settled = None
    for event_type in ("RUN_STARTED", "RUN_COMPLETED"):
        with tenancy.tenant_scope(tenant_id):
            appended = run_events.append(**own, event_type=event_type, expected_prev_chain_hash=head, now=now)
        head, settled = appended.event["chainHash"], appended.settled
        yield
    if settled is None or settled.row.released_cents != CENTS:
        raise RuntimeError(f"{run_id} was not settled")


def prepare(tenant_id: str, *, pairs: int, now: dt.datetime) -> None:
    """Register payers and payees, and give the payers money."""
    pem = signatures.public_pem(Ed25519PrivateKey.generate().public_key())
    with tenancy.tenant_scope(tenant_id):
        for number in range(pairs):
            for agent_id in (payer(number), payee(number)):
                new = NewAgent(public_key_pem=pem, agent_id=agent_id)
                agents.register(tenant_id=tenant_id, new=new, actor=ACTOR, now=now)
                funding.credit(
                    tenant_id=tenant_id, agent_id=agent_id, amount_cents=FUNDED_CENTS, currency="USD",
                    source_type=FundingSource.TEST_FUNDS, external_ref=None, actor=ACTOR, now=now,
                )  # fmt: skip


def lift_limits() -> None:
    """Let no plan bound the bench; what the limit costs is three statements more."""
    limit.register(lambda **_: None)


def problems() -> list[str]:
    """Tell where wallets, holdings and books of either side differ."""
    found = []
    with tenancy.platform_scope(reason="bench"), transactions.snapshot(), connection.cursor() as cursor:
        for check in (
            WALLETS_UNLIKE_LEDGER_ANYWHERE, ESCROW_UNLIKE_HOLDINGS_ANYWHERE, BALANCES_DIFFER_ANYWHERE,
            ENTRIES_UNBALANCED_ANYWHERE,
        ):  # fmt: skip
            cursor.execute(check)
            found += [str(row) for row in cursor.fetchmany(10)]
    return found
