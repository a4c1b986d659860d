"""A run is what its events add up to (AgentRun.v1, kernel spec 5)."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from settld.core.hashing import canonical_hash
from settld.kernel import folding
from settld.kernel.folding import InvalidPayload, RunUpdateRejected, UnsupportedEventType
from tests.kernel.made import COMPLETED, FAILED, PAYEE, RUN, TENANT, at, folded, stream

# Characters whose order by code point and by UTF-16 code unit differs are among the refs.
REFS = st.sampled_from(["evidence://a", "evidence://b", "\uff5e", "\U0001f600", "é"])
STEPS = st.one_of(
    st.just(("RUN_STARTED", {})),
    st.just(("RUN_HEARTBEAT", {"progressPct": 12.5})),
    REFS.map(lambda ref: ("EVIDENCE_ADDED", {"evidenceRef": ref})),
)
ENDS = st.sampled_from([None, ("RUN_COMPLETED", {"metrics": {"n": 1}}), FAILED])


def oracle(steps):
    """Say what the run must look like from the list of steps as a whole, not step by step."""
    kinds = [kind for kind, _ in steps]
    starting = [number for number, kind in enumerate(kinds, start=1) if kind != "EVIDENCE_ADDED"]
    last = kinds[-1] if kinds else None
    ended = {"RUN_COMPLETED": "completed", "RUN_FAILED": "failed"}.get(last)
    refs = {payload["evidenceRef"] for kind, payload in steps if kind == "EVIDENCE_ADDED"}
    return {
        "status": ended or ("running" if starting else "created"),
        "evidenceRefs": sorted(refs, key=lambda ref: ref.encode("utf-16-be")),
        "metrics": {"n": 1} if ended == "completed" else None,
        "failure": {"code": "TIMEOUT", "message": None} if ended == "failed" else None,
        "startedAt": at(starting[0]) if starting else None,
        "completedAt": at(len(steps)) if ended == "completed" else None,
        "failedAt": at(len(steps)) if ended == "failed" else None,
        "revision": len(steps),
        "createdAt": at(0),
        "updatedAt": at(len(steps)),
    }


@settings(max_examples=40, deadline=None)
@given(middle=st.lists(STEPS, max_size=8), end=ENDS)
def test_the_fold_agrees_with_the_whole_history(middle, end):
    steps = [*middle, *([end] if end else [])]
    events = stream(*steps)

    run = folding.fold_all(events, tenant_id=TENANT)

    assert {key: run[key] for key in oracle(steps)} == oracle(steps)
    assert (run["lastEventId"], run["lastChainHash"]) == (events[-1]["id"], events[-1]["chainHash"])


def test_a_run_carries_its_members_in_the_order_of_the_spec():
    assert list(folded()) == [
        "schemaVersion", "runId", "tenantId", "agentId", "taskType", "inputRef", "status", "evidenceRefs",
        "metrics", "failure", "startedAt", "completedAt", "failedAt", "revision", "lastEventId",
        "lastChainHash", "createdAt", "updatedAt",
    ]  # fmt: skip
    assert (folded()["runId"], folded()["agentId"], folded()["schemaVersion"]) == (RUN, PAYEE, "AgentRun.v1")


def test_folding_leaves_the_run_before_as_it_was():
    events = stream(("EVIDENCE_ADDED", {"evidenceRef": "a"}), ("EVIDENCE_ADDED", {"evidenceRef": "b"}))
    before = folding.fold_all(events[:2], tenant_id=TENANT)
    kept = copy.deepcopy(before)

    folding.fold(before, events[2], tenant_id=TENANT)

    assert before == kept


@pytest.mark.parametrize("end", [COMPLETED, FAILED])
@pytest.mark.parametrize(
    "late", [("RUN_STARTED", {}), ("EVIDENCE_ADDED", {"evidenceRef": "a"}), COMPLETED, FAILED]
)
def test_a_run_that_has_ended_takes_no_more_events(end, late):
    with pytest.raises(RunUpdateRejected) as refused:
        folded(end, late)
    assert (refused.value.status, refused.value.message) == (400, "run update rejected")


def test_a_stream_opens_once():
    events = stream()
    with pytest.raises(RunUpdateRejected):
        folding.fold_all([*events, *events], tenant_id=TENANT)
    with pytest.raises(RunUpdateRejected):
        folding.fold_all(stream(COMPLETED)[1:], tenant_id=TENANT)
    with pytest.raises(RunUpdateRejected):
        folding.fold_all([], tenant_id=TENANT)


def test_the_thousand_and_first_piece_of_evidence_is_refused_and_a_known_one_is_not():
    full = {**folded(), "evidenceRefs": [f"e{number:04}" for number in range(1000)]}
    known, new = stream(
        ("EVIDENCE_ADDED", {"evidenceRef": "e0001"}), ("EVIDENCE_ADDED", {"evidenceRef": "x"})
    )[1:]

    assert len(folding.fold(full, known, tenant_id=TENANT)["evidenceRefs"]) == 1000
    with pytest.raises(RunUpdateRejected):
        folding.fold(full, new, tenant_id=TENANT)


@pytest.mark.parametrize("given", ["RUN_CREATED", "RUN_PAUSED", "", None, 3, ["RUN_STARTED"], {}])
def test_only_known_events_may_be_appended(given):
    with pytest.raises(UnsupportedEventType, match="unsupported run event type"):
        folding.appendable_type(given)


@pytest.mark.parametrize(
    ("event_type", "given", "payload"),
    [
        ("RUN_STARTED", None, {"startedBy": None}),
        ("RUN_STARTED", {"startedBy": " w ", "runId": "run_other", "x": 1}, {"startedBy": "w"}),
        ("RUN_HEARTBEAT", {"progressPct": 0}, {"progressPct": 0, "stage": None}),
        ("RUN_HEARTBEAT", {"progressPct": 99.5, "stage": ""}, {"progressPct": 99.5, "stage": None}),
        ("EVIDENCE_ADDED", {"evidenceRef": "e"}, {"evidenceRef": "e"}),
        ("RUN_COMPLETED", {}, {"outputRef": None, "metrics": None}),
        ("RUN_COMPLETED", {"metrics": {"a": [1e-7]}}, {"outputRef": None, "metrics": {"a": [1e-7]}}),
        ("RUN_FAILED", {"code": "X"}, {"code": "X", "message": None}),
    ],
)
def test_a_payload_carries_every_member_of_its_type(event_type, given, payload):
    read = folding.payload_of(event_type=event_type, run_id=RUN, given=given)

    assert read == {"runId": RUN, **payload}
    assert next(iter(read)) == "runId"
    assert canonical_hash(read)


@pytest.mark.parametrize(
    ("event_type", "given"),
    [
        ("RUN_STARTED", []),
        ("RUN_STARTED", {"startedBy": 1}),
        ("RUN_STARTED", {"startedBy": "x" * 201}),
        ("RUN_HEARTBEAT", {"progressPct": 101}),
        ("RUN_HEARTBEAT", {"progressPct": -1}),
        ("RUN_HEARTBEAT", {"progressPct": True}),
        ("RUN_HEARTBEAT", {"progressPct": "5"}),
        ("RUN_HEARTBEAT", {"progressPct": float("nan")}),
        ("RUN_HEARTBEAT", {"progressPct": -0.0}),
        ("RUN_HEARTBEAT", {"progressPct": float("inf")}),
        ("RUN_HEARTBEAT", {"progressPct": 10**400}),  # too large to become a float
        ("EVIDENCE_ADDED", {}),
        ("EVIDENCE_ADDED", {"evidenceRef": "  "}),
        ("EVIDENCE_ADDED", {"evidenceRef": "x" * 513}),
        ("EVIDENCE_ADDED", {"evidenceRef": "a\x00"}),
        ("EVIDENCE_ADDED", {"evidenceRef": "\ud800"}),
        ("RUN_COMPLETED", {"metrics": []}),
        ("RUN_COMPLETED", {"metrics": {"n": 2**53}}),
        ("RUN_COMPLETED", {"metrics": {"n": [1e21]}}),
        ("RUN_COMPLETED", {"metrics": {"a": {"b\x00": 1}}}),
        ("RUN_COMPLETED", {"metrics": {"a": "x" * 70_000}}),
        ("RUN_FAILED", {"message": "x" * 4001}),
    ],
)
def test_a_payload_that_does_not_fit_is_refused(event_type, given):
    with pytest.raises(InvalidPayload, match="invalid run event payload"):
        folding.payload_of(event_type=event_type, run_id=RUN, given=given)
