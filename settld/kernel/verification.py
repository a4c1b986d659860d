"""What a run's own outcome says about its quality (kernel spec 5): the `verification` object.

How the open spots are read here:

- `metrics.settlementReleaseRatePct` counts where it is a whole number from 0 to 100. `50.0` counts as 50:
  the event's hash cannot tell them apart. A boolean, a fraction, a text or anything out of range does not
  count, and the rate is 100.
- A failed run without a code has the one reason RUN_FAILED.
- Before the end there is no rate and no duration: both are null. The duration is from `startedAt` to the
  end, in milliseconds.
"""

from collections.abc import Mapping
from typing import Any

from settld.core import clock
from settld.kernel.states import RunStatus


def verification_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """Verify an AgentRun.v1; gives the object in wire order.

    `verificationStatus` is green, amber or red; `settlementReleaseRatePct` is the rate that a direct
    settlement is resolved at (6.3), null before the end.
    """
    status, reasons, rate = _judged(run)
    return {
        "verificationStatus": status,
        "runStatus": run["status"],
        "reasonCodes": reasons,
        "evidenceCount": len(run["evidenceRefs"]),
        "eventCount": run["revision"] + 1,
        "durationMs": _duration_ms(run),
        "settlementReleaseRatePct": rate,
    }


def _judged(run: Mapping[str, Any]) -> tuple[str, list[str], int | None]:
    if run["status"] == RunStatus.COMPLETED:
        rate = release_rate_pct(run["metrics"])
        if rate == 100:
            return "green", [], rate
        if rate == 0:
            return "red", ["RUN_COMPLETED_ZERO_SETTLEMENT"], rate
        return "amber", ["RUN_COMPLETED_PARTIAL_SETTLEMENT"], rate
    if run["status"] == RunStatus.FAILED:
        code = (run["failure"] or {}).get("code")
        return "red", ["RUN_FAILED", *([f"RUN_FAILED_{code}"] if code else [])], 0
    if run["status"] == RunStatus.RUNNING:
        return "amber", ["RUN_IN_PROGRESS"], None
    return "amber", ["RUN_CREATED_NOT_STARTED"], None


def release_rate_pct(metrics: Any) -> int:
    """Read the share that a completed run asks to be paid, in whole percent; 100 where it says none."""
    rate = metrics.get("settlementReleaseRatePct") if isinstance(metrics, Mapping) else None
    if isinstance(rate, float) and rate.is_integer():
        rate = int(rate)
    if isinstance(rate, bool) or not isinstance(rate, int) or not 0 <= rate <= 100:
        return 100
    return rate


def _duration_ms(run: Mapping[str, Any]) -> int | None:
    ended = run["completedAt"] or run["failedAt"]
    if ended is None or run["startedAt"] is None:
        return None
    span = clock.parse_iso(ended) - clock.parse_iso(run["startedAt"])
    return round(span.total_seconds() * 1000)
