"""POST /runs/{runId}/dispute/close, with and without a signed verdict: kernel spec 8, 15."""

import datetime as dt

import pytest

from settld.artifacts.models import Artifact
from settld.audit.models import OpsAudit
from settld.core import clock, tenancy
from settld.kernel import open_cases
from settld.kernel.models import Agent
from settld.metering.models import UsageEvent
from tests.kernel.work import (
    ARBITER,
    NOW,
    PAYEE,
    PAYER,
    TENANT,
    arbitration_verdict,
    counts,
    dispute_verdict,
    entry_ids,
    wallet,
)
from tests.support.api import body, refusal

REPLY = {
    "settlement", "disputeEvidence", "disputeEscalation", "verdict", "verdictArtifact", "arbitrationVerdict",
    "arbitrationCaseArtifact", "arbitrationVerdictArtifact",
}  # fmt: skip
END = NOW + dt.timedelta(days=7)
REJECTED = "dispute transition rejected"


@pytest.fixture
def disputed(runs):
    """A settled run with a dispute open on it."""
    runs.settled()
    assert runs.dispute("open", {"openedByAgentId": PAYER, "reason": "it is empty"}).status_code == 200
    return runs


def settlement_of(answer):
    return body(answer)["settlement"]


def error_of(answer):
    return answer.status_code, body(answer)["error"]


def untouched():
    return counts(), wallet(PAYER), wallet(PAYEE), entry_ids()


class TestClosing:
    def test_defaults(self, disputed):
        disputed.at(END + dt.timedelta(days=400))  # unsigned, at any time
        before = wallet(PAYER), wallet(PAYEE), entry_ids()
        found = settlement_of(disputed.dispute("close"))
        assert found["disputeStatus"] == "closed"
        assert found["disputeResolution"] == {
            "outcome": "unresolved", "escalationLevel": "l1_counterparty", "closedByAgentId": None,
            "summary": None, "closedAt": clock.iso(END + dt.timedelta(days=400)), "evidenceRefs": [],
        }  # fmt: skip
        assert found["disputeVerdictId"] is None
        assert (wallet(PAYER), wallet(PAYEE), entry_ids()) == before
        with tenancy.tenant_scope(TENANT):
            assert not UsageEvent.objects.filter(event_type="arbitration_usage").exists()
            actions = OpsAudit.objects.filter(target_type="run_dispute").values_list("action", flat=True)
            assert sorted(actions) == ["RUN_DISPUTE_CLOSED", "RUN_DISPUTE_OPENED"]

    def test_flat_members_win(self, disputed):
        given = {
            "resolution": {"outcome": "accepted", "summary": "inner", "closedByAgentId": PAYER,
                           "escalationLevel": "l2_arbiter", "evidenceRefs": ["ev://inner"]},
            "resolutionOutcome": "partial", "resolutionSummary": "flat", "closedByAgentId": PAYEE,
            "resolutionEscalationLevel": "l3_external", "resolutionEvidenceRefs": ["ev://flat"],
        }  # fmt: skip
        found = settlement_of(disputed.dispute("close", given))["disputeResolution"]
        assert {key: found[key] for key in found if key != "closedAt"} == {
            "outcome": "partial",
            "escalationLevel": "l3_external",
            "closedByAgentId": PAYEE,
            "summary": "flat",
            "evidenceRefs": ["ev://flat"],
        }

    def test_what_is_malformed_closes_nothing(self, disputed):
        for given, status in [
            ({"resolutionOutcome": "won"}, 409),
            ({"resolution": "won"}, 409),
            ({"resolution": {"outcome": 5}}, 409),
            ({"resolutionEscalationLevel": "l9"}, 409),
            ({"closedByAgentId": "a b"}, 400),
            ({"resolutionSummary": 5}, 400),
            ({"resolutionEvidenceRefs": [5]}, 400),
        ]:
            before = untouched()
            assert disputed.dispute("close", given).status_code == status
            assert untouched() == before

    def test_an_open_case_decides_instead(self, disputed, monkeypatch):
        class Cases:
            def of_runs(self, *, tenant_id, run_ids):
                return frozenset(run_ids)

        monkeypatch.setattr(open_cases, "_registered", Cases())
        assert refusal(disputed.dispute("close")) == (409, "ARBITRATION_CASE_OPEN")

    def test_a_signed_verdict_fills_in_what_is_missing_and_is_kept(self, disputed):
        verdict = dispute_verdict()
        answer = body(disputed.dispute("close", {"verdict": verdict}))
        found = answer["settlement"]
        assert found["disputeResolution"]["outcome"] == "partial"
        assert found["disputeResolution"]["summary"] == "half of it works"
        assert found["disputeResolution"]["closedByAgentId"] == ARBITER
        assert answer["verdict"] == verdict | {
            "verdictHash": found["disputeVerdictHash"],
            "signatureEnvelope": answer["verdict"]["signatureEnvelope"],
        }
        assert (found["disputeVerdictId"], found["disputeVerdictIssuedAt"]) == ("dvd_1", clock.iso(NOW))
        assert found["disputeVerdictSignerKeyId"] == verdict["signerKeyId"]
        assert found["disputeVerdictArtifactId"] == "dispute_verdict_dvd_1"
        with tenancy.tenant_scope(TENANT):
            kept = Artifact.objects.get(artifact_id="dispute_verdict_dvd_1")
        assert answer["verdictArtifact"] == {
            "artifactId": "dispute_verdict_dvd_1", "artifactHash": kept.artifact_hash, "deliveriesCreated": 0,
        }  # fmt: skip
        assert kept.document["verdict"] == answer["verdict"]
        assert disputed.dispute("open").status_code == 200  # no arbitration, so it may be opened again

    def test_an_arbitration_verdict_is_billed_and_ends_it(self, disputed):
        disputed.dispute("evidence", {"evidenceRef": "ev://a"})
        verdict = arbitration_verdict(evidence_refs=["ev://a"])
        answer = body(
            disputed.dispute("close", {"arbitrationVerdict": verdict, "resolutionOutcome": "accepted"})
        )
        assert answer["settlement"]["disputeResolution"]["outcome"] == "accepted"
        assert answer["settlement"]["disputeResolution"]["evidenceRefs"] == ["ev://a"]
        assert answer["settlement"]["disputeVerdictId"] == "avd_1"
        assert answer["arbitrationVerdict"]["caseId"] == "arb_case_1"
        assert answer["arbitrationVerdictArtifact"]["artifactId"] == "arbitration_verdict_avd_1"
        with tenancy.tenant_scope(TENANT):
            billed = UsageEvent.objects.get(event_type="arbitration_usage")
        assert (billed.event_key, billed.source_type) == (
            "arbitration_usage:arb_case_1:case",
            "arbitration_verdict",
        )
        before = untouched()
        assert refusal(disputed.dispute("open")) == (409, "DISPUTE_ALREADY_ARBITRATED")
        assert untouched() == before

    @pytest.mark.parametrize("which", ["verdict", "arbitrationVerdict"])
    @pytest.mark.parametrize(("now", "issued", "status"), [
        (END, END, 200),
        (END, END + dt.timedelta(milliseconds=1), 409),
        (END + dt.timedelta(milliseconds=1), END, 409),
    ])  # fmt: skip
    def test_a_signed_close_keeps_to_the_window(self, disputed, which, now, issued, status):
        make = dispute_verdict if which == "verdict" else arbitration_verdict
        disputed.at(now)
        answer = disputed.dispute("close", {which: make(issued_at=clock.iso(issued))})
        assert answer.status_code == status
        if status == 409:
            assert refusal(answer) == (409, "APPEAL_WINDOW_CLOSED")
            assert body(answer)["error"] == "appeal window has closed"

    def test_not_any_agent_signs_any_verdict_15(self, disputed):
        for which, verdict in [
            ("verdict", "yes"),
            ("verdict", {}),
            ("verdict", dispute_verdict() | {"signature": "AAAA"}),
            ("verdict", dispute_verdict() | {"outcome": "accepted"}),
            ("verdict", dispute_verdict(run_id="run_2")),
            ("verdict", dispute_verdict(dispute_id="another")),
            ("verdict", dispute_verdict(arbiter_agent_id="agt_nobody")),
            ("verdict", dispute_verdict(arbiter_agent_id=PAYER)),
            ("verdict", dispute_verdict(arbiter_agent_id=PAYEE)),
            ("verdict", dispute_verdict(tenant_id="tenant_b")),
            ("arbitrationVerdict", []),
            ("arbitrationVerdict", arbitration_verdict(evidence_refs=["ev://unknown"])),
            ("arbitrationVerdict", arbitration_verdict(arbiter_agent_id=PAYER)),
            ("arbitrationVerdict", arbitration_verdict() | {"signerKeyId": "key_other"}),
            ("arbitrationVerdict", arbitration_verdict() | {"releaseRatePct": 101}),
        ]:
            before = untouched()
            answer = disputed.dispute("close", {which: verdict})
            word = "dispute" if which == "verdict" else "arbitration"
            assert (refusal(answer), body(answer)["error"]) == (
                (400, "SCHEMA_INVALID"), f"invalid {word} verdict",
            )  # fmt: skip
            assert untouched() == before

    def test_another_agents_key_does_not_sign_for_the_arbiter_15(self, disputed):
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        verdict = dispute_verdict(key=Ed25519PrivateKey.generate())
        assert body(disputed.dispute("close", {"verdict": verdict}))["error"] == "invalid dispute verdict"

    def test_an_arbiter_out_of_office_rules_nothing_3(self, disputed):
        with tenancy.tenant_scope(TENANT):
            Agent.objects.filter(agent_id=ARBITER).update(status="suspended")
        assert refusal(disputed.dispute("close", {"verdict": dispute_verdict()})) == (409, "AGENT_NOT_ACTIVE")

    def test_a_verdicts_id_is_used_once(self, disputed):
        disputed.dispute("close", {"verdict": dispute_verdict()})
        disputed.dispute("open")
        before = untouched()
        verdict = dispute_verdict(dispute_id="dsp_run_1_2", outcome="rejected")
        assert refusal(disputed.dispute("close", {"verdict": verdict})) == (409, "ARTIFACT_CONFLICT")
        assert untouched() == before
