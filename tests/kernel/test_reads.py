"""The reading routes of runs and settlements (kernel spec 5, 6.6, 12.5)."""

import pytest
from django.db import connection

from settld.core import tenancy
from settld.kernel import agreements, chain, wire
from settld.kernel.models import RunEvent
from settld.kernel.queries import runs
from tests.kernel import stored
from tests.kernel.made import COMPLETED, FAILED, PAYEE, PAYER, RUN, TENANT, agreement, at, decision, receipt
from tests.support.api import body

STARTED = ("RUN_STARTED", {"startedBy": "worker"})
DONE = (
    "RUN_COMPLETED",
    {"metrics": {"settlementReleaseRatePct": 60, "seconds": 1.5, "tiny": 1e-7, "a": 1.0}},
)
NOT_FOUND = {
    "agent": "agent identity not found",
    "run": "run not found",
    "settlement": "run settlement not found",
}
pytestmark = pytest.mark.django_db


@pytest.fixture
def world(db):
    for agent_id in (PAYEE, PAYER, "agt_other"):
        stored.agent(agent_id)


def refused(answer):
    return answer.status_code, body(answer)["error"]


def get(api, path, status=200):
    answer = api.get(path)
    assert answer.status_code == status, answer.content
    return body(answer)


def test_a_run_is_read_with_its_verification_and_settlement(api, world):
    run = stored.run(STARTED, DONE)
    assert get(api, f"/agents/{PAYEE}/runs/{RUN}")["settlement"] is None
    stored.settlement(run)

    read = get(api, f"/agents/{PAYEE}/runs/{RUN}")

    assert list(read) == ["run", "verification", "settlement"]
    assert read["run"] == run
    assert read["verification"] == {
        "verificationStatus": "amber", "runStatus": "completed",
        "reasonCodes": ["RUN_COMPLETED_PARTIAL_SETTLEMENT"], "evidenceCount": 0, "eventCount": 3,
        "durationMs": 1000, "settlementReleaseRatePct": 60,
    }  # fmt: skip
    assert read["settlement"]["settlementId"] == f"setl_{RUN}"
    assert get(api, f"/runs/{RUN}/verification") == {
        "runId": RUN, "agentId": PAYEE, "runStatus": "completed", "verification": read["verification"],
    }  # fmt: skip


def test_served_events_still_walk_and_add_up_to_the_run(api, world):
    run = stored.run(STARTED, DONE)

    events = get(api, f"/agents/{PAYEE}/runs/{RUN}/events")["events"]

    assert [event["type"] for event in events] == ["RUN_CREATED", "RUN_STARTED", "RUN_COMPLETED"]
    assert chain.check(events).ok
    assert events[-1]["chainHash"] == run["lastChainHash"]
    assert list(events[0]) == [
        "schemaVersion", "v", "id", "at", "streamId", "type", "actor", "payload", "payloadHash",
        "prevChainHash", "chainHash", "signature", "signerKeyId", "tenantId", "createdAt", "updatedAt",
    ]  # fmt: skip
    with tenancy.tenant_scope(TENANT):
        assert runs.check(tenant_id=TENANT, run_id=RUN) == runs.RunCheck(ok=True, event_count=3)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE agent_run SET metrics = '{\"settlementReleaseRatePct\": 100}'", "run_differs_from_events"),
        ("UPDATE agent_run SET revision = 7", "run_differs_from_events"),
        ("UPDATE agent_run SET last_chain_hash = repeat('0', 64)", "run_differs_from_events"),
    ],
)
def test_a_run_that_is_not_what_its_events_say_is_found(world, change, reason):
    stored.run(STARTED, DONE)
    with tenancy.tenant_scope(TENANT):
        with connection.cursor() as cursor:
            cursor.execute(change)

        assert runs.check(tenant_id=TENANT, run_id=RUN).reason == reason


def test_a_stream_with_a_foreign_event_is_found(world):
    stored.run(STARTED, DONE)
    late = chain.sealed(
        event_id="evt_late", at=at(9), run_id=RUN, event_type="RUN_STARTED", actor=chain.agent_actor(PAYEE),
        payload={"runId": RUN, "startedBy": None}, prev_chain_hash=runs_head(),
    )  # fmt: skip
    with tenancy.tenant_scope(TENANT):
        RunEvent.objects.create(**wire.event_columns(late, tenant_id=TENANT, seq=3))

        assert runs.check(tenant_id=TENANT, run_id=RUN).reason == "events_do_not_fold"


def runs_head():
    with tenancy.tenant_scope(TENANT):
        return runs.get(tenant_id=TENANT, run_id=RUN).last_chain_hash


def test_an_agents_runs_are_listed_newest_first(api, world):
    for number, steps in enumerate([[STARTED], [FAILED], [COMPLETED]]):
        stored.run(*steps, run_id=f"run_{number}", later=number)
    stored.run(run_id="run_of_other", agent_id="agt_other")

    listed = get(api, f"/agents/{PAYEE}/runs")
    failed = get(api, f"/agents/{PAYEE}/runs?status=failed")
    page = get(api, f"/agents/{PAYEE}/runs?limit=1&offset=1")

    assert [run["runId"] for run in listed["runs"]] == ["run_2", "run_1", "run_0"]
    assert (listed["total"], listed["limit"], listed["offset"]) == (3, 50, 0)
    assert ([run["runId"] for run in failed["runs"]], failed["total"]) == (["run_1"], 1)
    assert ([run["runId"] for run in page["runs"]], page["total"]) == (["run_1"], 3)
    assert refused(api.get(f"/agents/{PAYEE}/runs?status=gone"))[0] == 400


@pytest.mark.parametrize(
    ("query", "limit", "offset"),
    [
        ("limit=x&offset=-1", 50, 0),
        ("limit=0&offset=1.5", 50, 0),
        ("limit=99999&offset=", 1000, 0),
        ("limit=" + "9" * 400 + "&offset=99999999999999999999", 1000, 2**31 - 1),
        ("limit=%D9%A3", 50, 0),
    ],
)
def test_a_bad_page_takes_the_defaults_and_a_large_one_is_cut(api, world, query, limit, offset):
    listed = get(api, f"/agents/{PAYEE}/runs?{query}")

    assert (listed["limit"], listed["offset"]) == (limit, offset)


def test_a_settlement_is_read_with_the_newest_pair_and_its_verification(api, world):
    run = stored.run(STARTED, COMPLETED)
    record = decision(run)
    proof = receipt(run, record)
    stored.settlement(run, record=record, proof=proof)

    read = get(api, f"/runs/{RUN}/settlement")

    assert list(read) == ["settlement", "decisionRecord", "settlementReceipt", "kernelVerification"]
    assert (read["decisionRecord"], read["settlementReceipt"]) == (record, proof)
    assert read["kernelVerification"] == {"valid": True, "errors": []}
    assert list(read["settlement"]) == [
        "schemaVersion", "settlementId", "tenantId", "runId", "agentId", "payerAgentId", "amountCents",
        "currency", "status", "lockedAt", "resolvedAt", "resolutionEventId", "runStatus",
        "releasedAmountCents", "refundedAmountCents", "releaseRatePct", "disputeWindowDays",
        "disputeWindowEndsAt", "disputeStatus", "disputeId", "disputeOpenedAt", "disputeClosedAt",
        "disputeVerdictId", "disputeVerdictHash", "disputeVerdictArtifactId", "disputeVerdictSignerKeyId",
        "disputeVerdictIssuedAt", "disputeContext", "disputeResolution", "decisionStatus", "decisionMode",
        "decisionPolicyHash", "decisionReason", "decisionTrace", "decisionUpdatedAt", "revision",
        "createdAt", "updatedAt",
    ]  # fmt: skip
    assert (read["settlement"]["payerAgentId"], read["settlement"]["releasedAmountCents"]) == (PAYER, 1001)


def test_documents_that_are_not_there_are_reported_and_not_a_fault_of_ours(api, world):
    stored.settlement(stored.run(COMPLETED), decision_id=None, receipt_id=None)

    read = get(api, f"/runs/{RUN}/settlement")

    assert (read["decisionRecord"], read["settlementReceipt"]) == (None, None)
    assert read["kernelVerification"]["errors"] == ["decision_record_missing", "settlement_receipt_missing"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/agents/agt_none/runs", NOT_FOUND["agent"]),
        (f"/agents/agt_none/runs/{RUN}", NOT_FOUND["agent"]),
        (f"/agents/agt_none/runs/{RUN}/events", NOT_FOUND["agent"]),
        (f"/agents/agt_other/runs/{RUN}", NOT_FOUND["run"]),
        (f"/agents/agt_other/runs/{RUN}/events", NOT_FOUND["run"]),
        (f"/agents/{PAYEE}/runs/run_none", NOT_FOUND["run"]),
        ("/runs/run_none/verification", NOT_FOUND["run"]),
        ("/runs/run_none/settlement", NOT_FOUND["settlement"]),
        (f"/runs/{RUN}/settlement", NOT_FOUND["settlement"]),
        ("/runs/run_none/settlement/policy-replay", NOT_FOUND["run"]),
        (f"/runs/{RUN}/settlement/policy-replay", NOT_FOUND["settlement"]),
        (f"/runs/{RUN}/settlement/replay-evaluate", "run has no marketplace agreement policy"),
        ("/runs/run_none/agreement", NOT_FOUND["run"]),
        (f"/runs/{RUN}/agreement", "run has no linked marketplace rfq"),
    ],
)
def test_what_is_not_there_is_said_in_the_words_of_the_spec(api, world, path, message):
    stored.run(COMPLETED)

    assert refused(api.get(path)) == (404, message)


def test_another_tenant_sees_nothing(api, world):
    stored.settlement(stored.run(COMPLETED))
    stored.agent(tenant_id="tenant_b")
    other = api.as_tenant("tenant_b")

    assert refused(other.get(f"/agents/{PAYEE}/runs/{RUN}")) == (404, NOT_FOUND["run"])
    assert refused(other.get(f"/runs/{RUN}/settlement")) == (404, NOT_FOUND["settlement"])
    assert get(other, f"/agents/{PAYEE}/runs")["total"] == 0


@pytest.mark.parametrize("scope", ["ops_read", "finance_read", "audit_read", "governance_tenant_read"])
def test_any_of_three_scopes_may_read(api, world, settings, scope):
    settings.OPS_TOKENS = {"tok_one": frozenset({scope})}
    stored.run()

    answer = api.with_token("tok_one").get(f"/runs/{RUN}/verification")

    assert answer.status_code == (403 if scope.startswith("governance") else 200)


@pytest.fixture
def pinned():
    """A marketplace that knows one agreement, for the run."""
    agreed = agreement()
    agreements.register(lambda *, tenant_id, run_id: agreed if (tenant_id, run_id) == (TENANT, RUN) else None)
    yield agreed
    agreements.register(agreements._none_yet)


def test_a_replay_matches_until_a_person_decides_otherwise(api, world, pinned):
    run = stored.run(COMPLETED)
    record = decision(run, policy=pinned.policy, method=pinned.verification_method)
    row = stored.settlement(run, record=record, proof=receipt(run, record))

    replayed = get(api, f"/runs/{RUN}/settlement/policy-replay")
    assert replayed["matchesStoredDecision"] is True
    assert replayed["replay"]["decision"]["releaseAmountCents"] == 1001
    assert replayed["verifierExecution"] == {
        "verifierId": "settld.policy-engine", "verifierVersion": "v1", "verifierHash": None,
        "modality": "deterministic", "verificationStatus": "green", "runStatus": "completed",
        "reasonCodes": [],
    }  # fmt: skip

    with tenancy.tenant_scope(TENANT):
        row.decision_status, row.decision_mode = "manual_resolved", "manual-review"
        row.save()
    compared = get(api, f"/runs/{RUN}/settlement/replay-evaluate")
    assert compared["matchesStoredDecision"] is False
    assert compared["comparisons"] == {
        "matchesStoredDecision": False, "policyDecisionMatchesStored": False,
        "decisionRecordReplayCriticalMatchesStored": True, "verifierRefMatchesStored": True,
        "kernelBindingsValid": True,
    }  # fmt: skip


def test_a_direct_run_is_replayed_and_never_evaluated_against_an_agreement(api, world):
    row = stored.settlement(stored.run(COMPLETED))

    replayed = get(api, f"/runs/{RUN}/settlement/policy-replay")
    assert (replayed["agreementId"], replayed["matchesStoredDecision"]) == (None, True)
    assert replayed["replay"]["decision"]["releaseAmountCents"] == 1001
    evaluated = api.get(f"/runs/{RUN}/settlement/replay-evaluate")
    assert refused(evaluated) == (404, "run has no marketplace agreement policy")

    with tenancy.tenant_scope(TENANT):
        row.decision_status, row.decision_mode = "manual_resolved", "manual-review"
        row.save()
    assert get(api, f"/runs/{RUN}/settlement/policy-replay")["matchesStoredDecision"] is False


def test_a_run_whose_agreement_is_not_to_be_found_is_not_taken_for_a_direct_one(api, world):
    stored.settlement(stored.run(COMPLETED), agreement_id="agr_gone")

    answer = api.get(f"/runs/{RUN}/settlement/policy-replay")

    assert refused(answer) == (404, "run has no marketplace agreement policy")


def test_an_agreement_is_read_with_the_settlement(api, world, pinned):
    stored.settlement(stored.run(COMPLETED))

    read = get(api, f"/runs/{RUN}/agreement")

    assert read["agreement"] == {"agreementId": "agr_rfq_1_bid_1"}
    assert (read["runId"], read["rfqId"], read["agreementId"]) == (RUN, "rfq_1", "agr_rfq_1_bid_1")
    assert read["settlement"]["runId"] == RUN
    assert read["kernelVerification"]["valid"] is True
