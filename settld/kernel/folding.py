"""A run is what its events add up to (AgentRun.v1, kernel spec 5).

How the open spots are read here:

- A payload carries every member its type knows, null where nothing was given; members we do not know are
  dropped, `runId` is the server's. Texts are trimmed, and a blank one is null.
- `progressPct` is any JSON number from 0 to 100. `metrics` is a free object whose numbers stay within
  +-(2^53-1), the ones that every reader of JSON keeps.
- EVIDENCE_ADDED keeps the status and, on a run not yet started, leaves `startedAt` null.
- `outputRef` stays in its event; it is no evidence by itself.
- A run holds at most 1000 pieces of evidence; one more is refused as "run update rejected".
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from settld.core import canonical_json
from settld.core.canonical_json import CanonicalJsonError
from settld.core.errors import Invalid
from settld.core.money import MAX_MINOR
from settld.kernel.states import RUN_ENDS, RunEventType, RunStatus

RUN_SCHEMA: Final = "AgentRun.v1"
MOST_EVIDENCE: Final = 1000
MOST_REF_CHARACTERS: Final = 512
MOST_NAME_CHARACTERS: Final = 200
MOST_TEXT_CHARACTERS: Final = 4000
MOST_METRICS_BYTES: Final = 65_536


class UnsupportedEventType(Invalid):
    """No such event, or one that only the server makes (RUN_CREATED)."""

    message = "unsupported run event type"


class InvalidPayload(Invalid):
    """The payload does not fit the event's type; details.message says where."""

    message = "invalid run event payload"


class RunUpdateRejected(Invalid):
    """The run takes no more events: it has ended, or it is full."""

    message = "run update rejected"


def appendable_type(given: Any) -> str:
    """Require the type of an event that a caller may append. Raises UnsupportedEventType."""
    if not isinstance(given, str) or given not in RunEventType.values or given == RunEventType.RUN_CREATED:
        raise UnsupportedEventType(details={"type": given if isinstance(given, str) else None})
    return given


def created_payload(
    *, run_id: str, agent_id: str, task_type: str | None, input_ref: str | None
) -> dict[str, Any]:
    """Make the payload of RUN_CREATED; the fold takes the run's own members from it."""
    return {"runId": run_id, "agentId": agent_id, "taskType": task_type, "inputRef": input_ref}


def payload_of(*, event_type: str, run_id: str, given: Any) -> dict[str, Any]:
    """Read the payload of an event to be appended, in wire order; absent and null are {}.

    Raises InvalidPayload. What comes out has a canonical form and can be stored as it is.
    """
    if given is not None and not isinstance(given, Mapping):
        raise InvalidPayload(details={"message": "payload must be an object"})
    members = _READERS[event_type](given or {})
    _canonical(members)
    return {"runId": run_id, **members}


def fold(run: Mapping[str, Any] | None, event: Mapping[str, Any], *, tenant_id: str) -> dict[str, Any]:
    """Add one AgentEvent.v1 to an AgentRun.v1; None for RUN_CREATED. The given run is left as it is.

    Raises RunUpdateRejected for any event on a run that has ended, for one before RUN_CREATED or a second
    RUN_CREATED, and for evidence beyond 1000.
    """
    kind, at, payload = event["type"], event["at"], event["payload"]
    if (run is None) != (kind == RunEventType.RUN_CREATED):
        raise RunUpdateRejected(details={"message": "RUN_CREATED opens a run, once"})
    if run is None:
        folded = _opened(event, tenant_id=tenant_id)
    else:
        if run["status"] in RUN_ENDS:
            raise RunUpdateRejected(details={"message": "run is terminal", "status": run["status"]})
        folded = {**run, "revision": run["revision"] + 1}
    if kind == RunEventType.EVIDENCE_ADDED:
        folded["evidenceRefs"] = _with_evidence(folded["evidenceRefs"], payload["evidenceRef"])
    elif kind != RunEventType.RUN_CREATED:
        folded["startedAt"] = folded["startedAt"] or at
        folded["status"] = _STATUS_AFTER[kind]
    if kind == RunEventType.RUN_COMPLETED:
        folded["completedAt"], folded["metrics"] = at, payload.get("metrics")
    elif kind == RunEventType.RUN_FAILED:
        folded["failedAt"] = at
        folded["failure"] = {"code": payload.get("code"), "message": payload.get("message")}
    folded["lastEventId"], folded["lastChainHash"] = event["id"], event["chainHash"]
    folded["updatedAt"] = at
    return folded


def fold_all(events: Iterable[Mapping[str, Any]], *, tenant_id: str) -> dict[str, Any]:
    """Add up a whole stream in order. Raises RunUpdateRejected as `fold`, and for no events at all."""
    run: dict[str, Any] | None = None
    for event in events:
        run = fold(run, event, tenant_id=tenant_id)
    if run is None:
        raise RunUpdateRejected(details={"message": "a run has at least one event"})
    return run


def code_unit_order(text: str) -> bytes:
    """Order texts by UTF-16 code unit, as canonical JSON orders keys."""
    return text.encode("utf-16-be", "surrogatepass")


_STATUS_AFTER: Final = {
    RunEventType.RUN_STARTED: RunStatus.RUNNING.value,
    RunEventType.RUN_HEARTBEAT: RunStatus.RUNNING.value,
    RunEventType.RUN_COMPLETED: RunStatus.COMPLETED.value,
    RunEventType.RUN_FAILED: RunStatus.FAILED.value,
}


def _opened(event: Mapping[str, Any], *, tenant_id: str) -> dict[str, Any]:
    payload = event["payload"]
    return {
        "schemaVersion": RUN_SCHEMA,
        "runId": event["streamId"],
        "tenantId": tenant_id,
        "agentId": payload["agentId"],
        "taskType": payload["taskType"],
        "inputRef": payload["inputRef"],
        "status": RunStatus.CREATED.value,
        "evidenceRefs": [],
        "metrics": None,
        "failure": None,
        "startedAt": None,
        "completedAt": None,
        "failedAt": None,
        "revision": 0,
        "lastEventId": None,
        "lastChainHash": None,
        "createdAt": event["at"],
        "updatedAt": event["at"],
    }


def _with_evidence(refs: list[str], ref: str) -> list[str]:
    if ref in refs:
        return list(refs)
    if len(refs) >= MOST_EVIDENCE:
        raise RunUpdateRejected(details={"message": f"a run holds at most {MOST_EVIDENCE} evidence refs"})
    return sorted([*refs, ref], key=code_unit_order)


def _started(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"startedBy": _text(given, "startedBy", most=MOST_NAME_CHARACTERS)}


def _heartbeat(given: Mapping[str, Any]) -> dict[str, Any]:
    progress = given.get("progressPct")
    if progress is not None and (
        isinstance(progress, bool) or not isinstance(progress, int | float) or not 0 <= progress <= 100
    ):
        raise InvalidPayload(details={"message": "progressPct must be a number from 0 to 100"})
    return {"progressPct": progress, "stage": _text(given, "stage", most=MOST_NAME_CHARACTERS)}


def _evidence(given: Mapping[str, Any]) -> dict[str, Any]:
    ref = _text(given, "evidenceRef", most=MOST_REF_CHARACTERS)
    if ref is None:
        raise InvalidPayload(details={"message": "evidenceRef is required"})
    return {"evidenceRef": ref}


def _completed(given: Mapping[str, Any]) -> dict[str, Any]:
    metrics = given.get("metrics")
    if metrics is not None and not isinstance(metrics, Mapping):
        raise InvalidPayload(details={"message": "metrics must be an object"})
    if metrics is not None:
        _require_storable(metrics)
    return {"outputRef": _text(given, "outputRef", most=MOST_REF_CHARACTERS), "metrics": metrics}


def _failed(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "code": _text(given, "code", most=MOST_NAME_CHARACTERS),
        "message": _text(given, "message", most=MOST_TEXT_CHARACTERS),
    }


_READERS: Final = {
    RunEventType.RUN_STARTED.value: _started,
    RunEventType.RUN_HEARTBEAT.value: _heartbeat,
    RunEventType.EVIDENCE_ADDED.value: _evidence,
    RunEventType.RUN_COMPLETED.value: _completed,
    RunEventType.RUN_FAILED.value: _failed,
}


def _text(given: Mapping[str, Any], key: str, *, most: int) -> str | None:
    value = given.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > most or "\x00" in value:
        raise InvalidPayload(details={"message": f"{key} must be a string of at most {most} characters"})
    return value.strip() or None


def _require_storable(metrics: Mapping[str, Any]) -> None:
    """Refuse metrics that would come back from the database as something else, and so hash differently."""
    pending: list[Any] = [metrics]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            pending += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            pending += value
        elif isinstance(value, str) and "\x00" in value:
            raise InvalidPayload(details={"message": "metrics may not hold NUL"})
        elif isinstance(value, int | float) and not abs(value) <= MAX_MINOR:
            raise InvalidPayload(details={"message": "metrics hold a number beyond 2^53-1"})
    if len(_canonical(metrics)) > MOST_METRICS_BYTES:
        raise InvalidPayload(details={"message": f"metrics take more than {MOST_METRICS_BYTES} bytes"})


def _canonical(value: Any) -> bytes:
    """Write a value canonically; InvalidPayload where it has no canonical form."""
    try:
        return canonical_json.dumps(value)
    except CanonicalJsonError as error:
        raise InvalidPayload(details={"message": str(error)}) from error
