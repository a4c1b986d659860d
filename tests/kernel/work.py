"""Agents, money and runs for the tests of the writing routes; all through our own verbs and routes."""

import datetime as dt
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from settld.core import clock, tenancy
from settld.core.hashing import canonical_hash
from settld.core.principals import Actor
from settld.core.signatures import key_id, public_pem
from settld.kernel import agreements, documents
from settld.kernel.models import (
    DecisionRecord,
    Dispute,
    DisputeEvidence,
    Run,
    RunEvent,
    Settlement,
    SettlementReceipt,
    Wallet,
)
from settld.kernel.services import funding
from settld.kernel.services.agents import NewAgent, register
from settld.kernel.states import FundingSource
from settld.ledger.models import JournalEntry
from settld.metering.models import UsageEvent
from tests.support.api import Api, body

NOW = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
TENANT, PAYER, PAYEE, ARBITER = "tenant_a", "agt_payer", "agt_payee", "agt_arbiter"
ACTOR = Actor(principal_id="ops_token:tests", request_id="req_tests")
HEAD = "x-proxy-expected-prev-chain-hash"
KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
PEM = public_pem(KEY.public_key())
TABLES = (
    Run,
    RunEvent,
    Settlement,
    DecisionRecord,
    SettlementReceipt,
    Wallet,
    Dispute,
    DisputeEvidence,
    JournalEntry,
    UsageEvent,
)


def an_agent(agent_id, *, tenant_id=TENANT, **more):
    with tenancy.tenant_scope(tenant_id):
        new = NewAgent(public_key_pem=PEM, agent_id=agent_id, **more)
        return register(tenant_id=tenant_id, new=new, actor=ACTOR, now=NOW)


def money(agent_id, cents, *, currency="USD", tenant_id=TENANT):
    with tenancy.tenant_scope(tenant_id):
        funding.credit(
            tenant_id=tenant_id, agent_id=agent_id, amount_cents=cents, currency=currency,
            source_type=FundingSource.MANUAL, external_ref=None, actor=ACTOR, now=NOW,
        )  # fmt: skip


def parties(cents=100_000, **payer):
    """A payer with money, a payee, and an arbiter whose key the tests hold."""
    an_agent(PAYER, **payer)
    an_agent(PAYEE)
    an_agent(ARBITER)
    money(PAYER, cents)


def wallet(agent_id):
    """(available, locked) of an agent."""
    with tenancy.tenant_scope(TENANT):
        found = Wallet.objects.filter(agent_id=agent_id).values_list("available_cents", "escrow_locked_cents")
        return found.first() or (0, 0)


def counts():
    """How many rows there are, to prove that a refusal left everything as it was."""
    with tenancy.tenant_scope(TENANT):
        return {table.__name__: table.objects.count() for table in TABLES}


def entry_ids():
    """The journal's entries that are not about funding, sorted."""
    with tenancy.tenant_scope(TENANT):
        found = JournalEntry.objects.values_list("entry_id", flat=True)
        return sorted(name for name in found if "fund_" not in name)


@dataclass
class Runs:
    """One caller's runs: opens them, appends to them, and remembers their heads."""

    api: Api
    heads: dict = field(default_factory=dict)

    def open(self, run_id="run_1", *, cents=1000, agent_id=PAYEE, key=None, **more):
        terms = {"payerAgentId": PAYER, "amountCents": cents, **more} if cents else None
        answer = self.api.post(f"/agents/{agent_id}/runs", {"runId": run_id, "settlement": terms}, key=key)
        if answer.status_code == 201:
            self.heads[run_id] = body(answer)["event"]["chainHash"]
        return answer

    def append(self, kind, payload=None, *, run_id="run_1", head=None, key=None, agent_id=PAYEE, **more):
        answer = self.api.post(
            f"/agents/{agent_id}/runs/{run_id}/events", {"type": kind, "payload": payload, **more}, key=key,
            headers={HEAD: self.heads.get(run_id, "") if head is None else head},
        )  # fmt: skip
        if answer.status_code == 201:
            self.heads[run_id] = body(answer)["event"]["chainHash"]
        return answer

    def complete(self, rate=None, *, run_id="run_1", **more):
        metrics = None if rate is None else {"settlementReleaseRatePct": rate}
        return self.append("RUN_COMPLETED", {"metrics": metrics}, run_id=run_id, **more)

    def settled(self, run_id="run_1", *, window_days=7, rate=None, cents=1000):
        """A completed run whose money has moved, and that may be disputed for some days."""
        assert self.open(run_id, cents=cents, disputeWindowDays=window_days).status_code == 201
        answer = self.complete(rate, run_id=run_id)
        assert answer.status_code == 201, answer.content
        return body(answer)

    def resolve(self, given, *, run_id="run_1", key=None):
        return self.api.post(f"/runs/{run_id}/settlement/resolve", given, key=key)

    def dispute(self, verb, given=None, *, run_id="run_1", key=None):
        return self.api.post(f"/runs/{run_id}/dispute/{verb}", given or {}, key=key)

    def settlement(self, run_id="run_1"):
        return body(self.api.get(f"/runs/{run_id}/settlement"))


def under_agreement(monkeypatch, *, policy=None, agreement_id="agr_1", finds=True):
    """Let every run opened from here on be made under an agreement with this policy."""
    from settld.policies import normalization
    from tests.kernel import made

    made_agreement = made.agreement(policy=normalization.policy_of(policy))
    known = {"agreement_id": agreement_id}
    answer = type(made_agreement)(
        **{name: getattr(made_agreement, name) for name in made_agreement.__dataclass_fields__} | known
    )
    monkeypatch.setattr(agreements, "_registered", lambda **_: answer if finds else None)
    return answer


def signed(core, *, key=KEY):
    """A verdict as an arbiter sends it."""
    import base64

    verdict_hash = canonical_hash(core)
    signature = base64.b64encode(key.sign(bytes.fromhex(verdict_hash))).decode()
    return core | {"signerKeyId": key_id(public_pem(key.public_key())), "signature": signature}


def dispute_verdict(*, run_id="run_1", dispute_id=None, key=KEY, **more):
    given = {
        "verdict_id": "dvd_1", "tenant_id": TENANT, "run_id": run_id, "settlement_id": f"setl_{run_id}",
        "dispute_id": dispute_id or f"dsp_{run_id}", "arbiter_agent_id": ARBITER, "outcome": "partial",
        "release_rate_pct": 60, "rationale": "half of it works", "issued_at": clock.iso(NOW),
    } | more  # fmt: skip
    return signed(documents.dispute_verdict_core(**given), key=key)


def arbitration_verdict(*, run_id="run_1", dispute_id=None, key=KEY, **more):
    given = {
        "verdict_id": "avd_1", "case_id": "arb_case_1", "tenant_id": TENANT, "run_id": run_id,
        "settlement_id": f"setl_{run_id}", "dispute_id": dispute_id or f"dsp_{run_id}",
        "arbiter_agent_id": ARBITER, "outcome": "partial", "release_rate_pct": 60,
        "rationale": "half of it works", "evidence_refs": [], "issued_at": clock.iso(NOW),
        "appeal_ref": None,
    } | more  # fmt: skip
    return signed(documents.arbitration_verdict_core(**given), key=key)
