"""What a run's outcome says about its quality (kernel spec 5)."""

import pytest

from settld.kernel.verification import verification_of
from tests.kernel.made import FAILED, folded

PARTIAL, ZERO = "RUN_COMPLETED_PARTIAL_SETTLEMENT", "RUN_COMPLETED_ZERO_SETTLEMENT"


def completed(**metrics):
    return ("RUN_COMPLETED", {"metrics": metrics or None})


@pytest.mark.parametrize(
    ("steps", "status", "reasons", "rate", "duration"),
    [
        ([], "amber", ["RUN_CREATED_NOT_STARTED"], None, None),
        ([("EVIDENCE_ADDED", {"evidenceRef": "e"})], "amber", ["RUN_CREATED_NOT_STARTED"], None, None),
        ([("RUN_STARTED", {})], "amber", ["RUN_IN_PROGRESS"], None, None),
        ([completed()], "green", [], 100, 0),
        ([("RUN_HEARTBEAT", {}), ("RUN_STARTED", {}), completed()], "green", [], 100, 2000),
        ([FAILED], "red", ["RUN_FAILED", "RUN_FAILED_TIMEOUT"], 0, 0),
        ([("RUN_FAILED", {"message": "no code"})], "red", ["RUN_FAILED"], 0, 0),
    ],
)
def test_each_state_of_a_run(steps, status, reasons, rate, duration):
    found = verification_of(folded(*steps))

    assert (found["verificationStatus"], found["reasonCodes"]) == (status, reasons)
    assert (found["settlementReleaseRatePct"], found["durationMs"]) == (rate, duration)
    assert found["eventCount"] == len(steps) + 1
    assert found["evidenceCount"] == sum(kind == "EVIDENCE_ADDED" for kind, _ in steps)


@pytest.mark.parametrize(
    ("given", "rate", "status", "reasons"),
    [
        (100, 100, "green", []),
        (0, 0, "red", [ZERO]),
        (1, 1, "amber", [PARTIAL]),
        (99, 99, "amber", [PARTIAL]),
        (50.0, 50, "amber", [PARTIAL]),
        (0.0, 0, "red", [ZERO]),
        (50.5, 100, "green", []),
        (101, 100, "green", []),
        (-1, 100, "green", []),
        ("50", 100, "green", []),
        (None, 100, "green", []),
        (True, 100, "green", []),
        (False, 100, "green", []),
        ([0], 100, "green", []),
    ],
)
def test_the_rate_counts_where_it_is_a_whole_number_from_0_to_100(given, rate, status, reasons):
    found = verification_of(folded(completed(settlementReleaseRatePct=given)))

    assert (found["settlementReleaseRatePct"], found["verificationStatus"]) == (rate, status)
    assert found["reasonCodes"] == reasons
