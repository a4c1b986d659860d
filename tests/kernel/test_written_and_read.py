"""What the writing routes leave behind, read back: streams that walk, bindings and replays that match."""

import pytest

from settld.core import tenancy
from settld.kernel.queries import runs
from settld.kernel.services import decisions
from settld.kernel.services import runs as opening
from tests.kernel.work import NOW, PAYEE, PAYER, TENANT, Runs, parties, under_agreement
from tests.support.api import body

pytestmark = pytest.mark.django_db
AWKWARD = {
    "tiny": 1e-7, "whole": 1.0, "most": 2**53 - 1, "deep": [{"é": ["\U0001f600", None, True, 0.1 + 0.2]}],
    "": {}, "seventeen": 1234567890123.4567, "long": 1e15, "least": 5e-324,
}  # fmt: skip


def agreed(api, monkeypatch, **policy):
    """A run under an agreement with a pinned policy."""
    parties()
    under_agreement(monkeypatch, **policy)
    terms = opening.SettlementTerms(payer_agent_id=PAYER, amount_cents=1001, agreement_id="agr_1")
    with tenancy.tenant_scope(TENANT):
        opened = opening.open_run(
            tenant_id=TENANT, agent_id=PAYEE, run_id="run_1", terms=terms, now=NOW,
            phase=decisions.AGREEMENT_ACCEPTED,
        )  # fmt: skip
    return Runs(api, {"run_1": opened.event["chainHash"]})


def compared(api):
    return body(api.get("/runs/run_1/settlement/replay-evaluate"))["comparisons"]


def test_a_run_with_awkward_numbers_and_texts_still_hashes_as_it_was_written(api):
    parties()
    work = Runs(api)
    work.open()
    for kind, payload in [
        ("RUN_STARTED", {"startedBy": "wörker"}),
        ("RUN_HEARTBEAT", {"progressPct": 33.3}),
        ("EVIDENCE_ADDED", {"evidenceRef": "\U0001f600"}),
        ("EVIDENCE_ADDED", {"evidenceRef": "\uff5e"}),
        ("RUN_COMPLETED", {"metrics": AWKWARD}),
    ]:
        assert work.append(kind, payload).status_code == 201

    with tenancy.tenant_scope(TENANT):
        assert runs.check(tenant_id=TENANT, run_id="run_1") == runs.RunCheck(ok=True, event_count=6)
    read = body(api.get("/agents/agt_payee/runs/run_1"))
    assert read["run"]["metrics"] == AWKWARD
    assert read["run"]["evidenceRefs"] == ["\U0001f600", "\uff5e"]
    assert body(api.get("/runs/run_1/settlement"))["kernelVerification"] == {"valid": True, "errors": []}


@pytest.mark.parametrize(
    ("policy", "end"),
    [
        (None, ("RUN_COMPLETED", {})),
        (None, ("RUN_FAILED", {"code": "X"})),
        (None, ("RUN_COMPLETED", {"metrics": {"settlementReleaseRatePct": 40}})),
        ({"rules": {"autoReleaseOnAmber": True, "amberReleaseRatePct": 33}},
         ("RUN_COMPLETED", {"metrics": {"settlementReleaseRatePct": 40}})),
        ({"mode": "manual-review"}, ("RUN_COMPLETED", {})),
    ],
)  # fmt: skip
def test_a_replay_finds_again_what_the_terminal_event_decided(api, monkeypatch, policy, end):
    work = agreed(api, monkeypatch, policy=policy)
    assert body(api.get("/runs/run_1/settlement/policy-replay"))["matchesStoredDecision"] is True
    work.append(*end)

    assert set(compared(api).values()) == {True}


def test_a_persons_decision_is_told_from_the_policys(api, monkeypatch):
    work = agreed(api, monkeypatch)
    work.append("RUN_FAILED", {})
    assert compared(api)["matchesStoredDecision"] is True

    assert work.resolve({"status": "released", "releaseRatePct": 50}).status_code == 200

    assert compared(api) == {
        "matchesStoredDecision": False, "policyDecisionMatchesStored": True,
        "decisionRecordReplayCriticalMatchesStored": False, "verifierRefMatchesStored": True,
        "kernelBindingsValid": True,
    }  # fmt: skip
