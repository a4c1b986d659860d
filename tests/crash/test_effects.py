"""Enqueue, ingest, cancel and month close, killed around their commits: all or nothing, and a repeat is safe.

Spec: money-rails P4.5, 1 (closing), 2.1 ("no rejected request leaves any row"), 2.3.7.
"""

import pytest

from tests.crash.scene import ACCOUNT, CENTS, PERIOD, PROVIDER, operation_path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

WISH = {"moneyRailProviderId": PROVIDER, "counterpartyRef": f"stripe_connect:{ACCOUNT}"}
TRACES = ("money_rail_operation", "payout_outcome", "exposure_counter", "idempotency_record")


def _counts(scene, *tables):
    return [scene.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables]


@pytest.mark.parametrize(
    ("point", "is_done"),
    [
        ("enqueue.before_write", False),
        ("enqueue.before_commit", False),
        ("idempotent.before_commit", False),
        ("idempotent.after_commit", True),
    ],
)
def test_an_enqueue_killed_in_a_web_process_happens_once(scene, point, is_done):
    scene.closed_statement("p_one")
    path = f"/ops/payouts/p_one/{PERIOD}/enqueue"
    with scene.doomed(point) as dies:
        dies(path, WISH, key="e1")
    assert _counts(scene, *TRACES) == [int(is_done)] * 4

    again = scene.send("POST", path, WISH, key="e1")
    assert again.status == 201
    assert again.headers.get("x-idempotent-replay") == ("true" if is_done else None)
    assert _counts(scene, *TRACES) == [1] * 4
    assert scene.rows("SELECT amount_cents, operation_count FROM exposure_counter") == [(CENTS, 1)]
    audits = "SELECT count(*) FROM ops_audit WHERE action = 'PAYOUT_ENQUEUED'"
    assert scene.rows(audits) == [(1,)]

    operation = again.json["moneyRailOperation"]
    scene("POST", f"{operation_path(operation)}/submit", {}, key="s1")
    scene.is_whole(operation)
    scene.confirm(operation)
    scene.agrees()


@pytest.mark.parametrize(
    ("point", "is_done"), [("ingest.before_commit", False), ("ingest.after_commit", True)]
)
def test_an_ingest_killed_in_a_web_process_is_applied_once(scene, point, is_done):
    operation = scene.enqueued("p_one")
    scene("POST", f"{operation_path(operation)}/submit", {})
    news = {"operationId": operation["operationId"], "eventType": "confirmed", "eventId": "evt_one"}
    path = f"/ops/money-rails/{PROVIDER}/events/ingest"
    with scene.doomed(point) as dies:
        dies(path, news)
    assert scene.operation(operation)["state"] == ("confirmed" if is_done else "submitted")
    assert _counts(scene, "provider_event") == [int(is_done)]

    assert scene("POST", path, news)["applied"] is not is_done
    assert scene.operation(operation)["state"] == "confirmed"
    assert _counts(scene, "provider_event") == [1]
    scene.agrees()


def test_a_cancel_killed_before_its_commit_has_not_happened(scene):
    operation = scene.enqueued("p_one")
    path = f"{operation_path(operation)}/cancel"
    with scene.doomed("cancel.before_commit") as dies:
        dies(path, {}, key="c1")
    assert scene.operation(operation)["state"] == "initiated"

    assert scene("POST", path, {}, key="c1")["applied"] is True
    assert scene.rows("SELECT amount_cents, operation_count FROM exposure_counter") == [(0, 0)]
    assert scene.transfers(operation) == []


def test_a_month_close_killed_in_web_or_worker_completes_when_run_again(scene):
    for number in range(3):
        statement = {"partyRole": "operator", "payoutCents": CENTS}
        scene("PUT", f"/ops/party-statements/p_{number}/{PERIOD}", statement)
    ask = ("/ops/month-close", {"month": PERIOD})
    with scene.doomed("close_request.before_commit") as dies:
        dies(*ask, key="close")
    assert _counts(scene, "outbox_job", "month_event") == [0, 0]
    scene("POST", *ask, key="close", expect=202)

    for point in ("close.before_freeze", "close.before_commit"):
        scene.tick(dies_at=point)
        assert scene("GET", f"/ops/month-close?month={PERIOD}")["monthClose"]["status"] == "OPEN"
        assert _instructions(scene) == 0
        scene.expire_leases()
    scene.tick(dies_at="close.after_commit")
    scene.expire_leases()
    scene.tick()

    assert scene("GET", f"/ops/month-close?month={PERIOD}")["monthClose"]["status"] == "CLOSED"
    assert _instructions(scene) == 3
    assert scene.rows("SELECT type FROM month_event ORDER BY seq") == [
        ("MONTH_CLOSE_REQUESTED",),
        ("MONTH_CLOSED",),
    ]
    assert scene.rows("SELECT status FROM outbox_job") == [("succeeded",)]
    assert scene.rows("SELECT DISTINCT status FROM party_statement") == [("CLOSED",)]


def _instructions(scene):
    return scene.rows("SELECT count(*) FROM artifact WHERE artifact_type = 'PayoutInstruction.v1'")[0][0]
