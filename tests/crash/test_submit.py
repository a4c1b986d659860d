"""Submit, killed before and after each commit and each provider call: one transfer, and a way forward.

Spec: money-rails 3.4, A1-A3; 10.1.
"""

import pytest

from tests.crash.scene import operation_path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

NOTHING_OPENED = ("submit.before_t1", "submit.before_t1_commit")
HAS_LEFT = ("submit.after_call", "submit.before_t2", "submit.before_t2_commit", "submit.after_t2")
WEB = (*NOTHING_OPENED, "submit.after_t1", "submit.before_call", *HAS_LEFT)
WORKER = ("doubt.before_list", "doubt.after_list", "submit.before_call", *HAS_LEFT)


@pytest.mark.parametrize("point", WEB)
def test_a_submit_killed_in_a_web_process_pays_once(scene, point):
    by_caller, by_worker = scene.enqueued("p_caller"), scene.enqueued("p_worker")
    with scene.doomed(point) as dies:
        for operation in (by_caller, by_worker):
            dies(f"{operation_path(operation)}/submit", {}, key=f"first-{operation['metadata']['partyId']}")
            assert len(scene.transfers(operation)) == (1 if point in HAS_LEFT else 0)
    _shows_what_it_knows(scene, by_caller, point)

    scene.expire_leases()
    again = scene("POST", f"{operation_path(by_caller)}/submit", {}, key="first-p_caller")
    assert again["operation"]["state"] == "submitted"
    recovered = scene.recover_here()
    if point in NOTHING_OPENED:
        assert recovered == {}
        scene("POST", f"{operation_path(by_worker)}/submit", {}, key="first-p_worker")
    for operation in (by_caller, by_worker):
        scene.is_whole(operation)
        scene.confirm(operation)
    scene.agrees()


def _shows_what_it_knows(scene, operation, point):
    """Until somebody has found out, nobody sends again and nobody calls it off."""
    if point in NOTHING_OPENED:
        assert scene.rows("SELECT count(*) FROM dispatch_attempt") == [(0,)]
        return
    if point == "submit.after_t2":
        assert scene.operation(operation)["state"] == "submitted"
        return
    assert scene("GET", operation_path(operation))["dispatch"]["status"] == "dispatching"
    for verb, code in (
        ("submit", "MONEY_RAIL_SUBMIT_IN_PROGRESS"),
        ("cancel", "MONEY_RAIL_CANCEL_IN_FLIGHT"),
    ):
        refused = scene.send("POST", f"{operation_path(operation)}/{verb}", {}, key=f"other-{verb}")
        assert (refused.status, refused.json["code"]) == (409, code)


def test_a_refusal_that_was_written_down_before_the_death_allows_a_new_attempt(scene):
    operation = scene.enqueued("p_refused")
    scene.account(preset="restricted")
    with scene.doomed("submit.after_t2_failure") as dies:
        dies(f"{operation_path(operation)}/submit", {}, key="first")
    assert scene("GET", operation_path(operation))["dispatch"]["status"] == "rejected"

    scene.account(preset="verified")
    assert scene("POST", f"{operation_path(operation)}/submit", {}, key="first")["applied"] is True
    assert scene("GET", operation_path(operation))["dispatch"]["attempt"] == 2
    scene.is_whole(operation)
    scene.confirm(operation)
    scene.agrees()


def test_a_refusal_that_nobody_wrote_down_stays_a_doubt_until_a_person_looks(scene):
    operation = scene.enqueued("p_refused")
    submit = f"{operation_path(operation)}/submit"
    scene.account(preset="restricted")
    with scene.doomed("submit.before_t2_failure") as dies:
        dies(submit, {}, key="first")

    scene.account(preset="verified")  # too late: the provider repeats its first answer for this key
    scene.expire_leases()
    assert scene("POST", submit, {}, key="first", expect=502)["details"]["category"] == "upstream_rejected"
    assert scene("GET", operation_path(operation))["dispatch"]["status"] == "in_doubt"

    scene.let_the_provider_forget(operation)
    assert scene("POST", submit, {}, key="first", expect=409)["code"] == "MONEY_RAIL_SUBMIT_INDETERMINATE"
    assert scene("GET", operation_path(operation))["dispatch"]["status"] == "indeterminate"
    assert scene.transfers(operation) == []


def test_a_recovery_killed_in_a_worker_pays_once(scene):
    operations = []
    for point in WORKER:
        operations.append(scene.enqueued("p_" + point.replace(".", "_")))
        scene.left_in_doubt(operations[-1])
        scene.expire_leases(operations[-1])
        scene.tick(dies_at=point)
        assert len(scene.transfers(operations[-1])) == (1 if point in HAS_LEFT else 0)

    scene.expire_leases()
    scene.tick()
    for operation in operations:
        scene.is_whole(operation)
        scene.confirm(operation)
    scene.agrees()
