"""Redis stopped in the middle: what it carried was only bells, so work is late and nothing is lost.

Spec: ruling 16.
"""

import pytest

from tests.crash.scene import ACCOUNT, CENTS, PROVIDER, Scene, operation_path
from tests.support import deployment
from tests.support.http import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PERIOD = "2026-02"


def test_redis_stopped_in_the_middle_loses_nothing(live_db):
    with deployment.running("simulator", "web", "worker", "beat", web_workers=1) as running:
        scene = Scene(running, Server(running.base_url), "tenant_no_redis")
        scene("PUT", "/ops/finance/billing/plan", {"moneyRails": {"realMoneyEnabled": True}})
        scene.account(preset="verified")
        early = scene.enqueued("p_early")
        scene("POST", f"{operation_path(early)}/submit", {}, key="early")
        scene.eventually(lambda: scene.operation(early)["state"] == "confirmed")

        running.kill("redis")
        payouts = [scene.enqueued(f"p_{number}") for number in range(3)]
        for operation in payouts:
            scene("POST", f"{operation_path(operation)}/submit", {}, key=operation["metadata"]["partyId"])
        statement = {"partyRole": "operator", "payoutCents": CENTS}
        scene("PUT", f"/ops/party-statements/p_late/{PERIOD}", statement)
        scene("POST", "/ops/month-close", {"month": PERIOD}, key="close", expect=202)
        stored = "SELECT count(*) FROM billing_webhook_events WHERE event_type = 'transfer.created'"
        scene.eventually(lambda: scene.rows(stored)[0][0] == 4)
        for operation in payouts:
            assert scene.operation(operation)["state"] == "submitted"

        running.start("redis")
        for operation in payouts:
            # The worker finds its broker again in its own time, longer the busier the machine is.
            scene.eventually(
                lambda operation=operation: scene.operation(operation)["state"] == "confirmed", seconds=400
            )
        month = f"/ops/month-close?month={PERIOD}"
        scene.eventually(lambda: scene("GET", month)["monthClose"]["status"] == "CLOSED")
        wish = {"moneyRailProviderId": PROVIDER, "counterpartyRef": f"stripe_connect:{ACCOUNT}"}
        scene("POST", f"/ops/payouts/p_late/{PERIOD}/enqueue", wish, expect=201)
        for operation in payouts:
            assert len(scene.transfers(operation)) == 1
        scene.agrees()


def test_with_redis_gone_for_good_a_tick_by_hand_does_the_work(live_db):
    with deployment.running("simulator", "web", web_workers=1) as running:
        scene = Scene(running, Server(running.base_url), "tenant_by_hand")
        running.kill("redis")
        statement = {"partyRole": "operator", "payoutCents": CENTS}
        scene("PUT", f"/ops/party-statements/p_one/{PERIOD}", statement)
        scene("POST", "/ops/month-close", {"month": PERIOD}, key="close", expect=202)
        scene.tick()
        assert scene("GET", f"/ops/month-close?month={PERIOD}")["monthClose"]["status"] == "CLOSED"
