"""A reconcile run, killed around its commits: the rerun gives the same artifact, and nobody is locked out.

Spec: money-rails 2.6, 2.7, 5, 6; issue 3.3 for the provider's statement.
"""

import pytest

from tests.crash.scene import PERIOD, PROVIDER

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

RUN = "/ops/maintenance/money-rails-reconcile/run"
ORDER = {"period": PERIOD, "providerId": PROVIDER}
FIRST_COMMITS = ("statement.before_commit", "statement.after_commit", "reconcile.before_commit")
LATER = ("reconcile.after_commit", "reconcile.provider.before_commit", "reconcile.provider.after_commit")

REPORTS_LEFT = {
    "reconcile.after_commit": 1,
    "reconcile.provider.before_commit": 1,
    "reconcile.provider.after_commit": 2,
}


def _count(scene, table):
    return scene.rows(f"SELECT count(*) FROM {table}")[0][0]


@pytest.mark.parametrize("point", [*FIRST_COMMITS, *LATER])
def test_a_run_killed_in_a_web_process_is_done_once_by_the_next(scene, point):
    operation = scene.enqueued("p_paid")
    scene("POST", f"/ops/money-rails/{PROVIDER}/operations/{operation['operationId']}/submit", {})
    scene.enqueued("p_waits")
    expected = scene("GET", f"/ops/finance/money-rails/reconcile?period={PERIOD}&providerId={PROVIDER}")
    with scene.doomed(point) as dies:
        dies(RUN, ORDER)
    assert _count(scene, "reconcile_report") == REPORTS_LEFT.get(point, 0)
    assert scene.rows("SELECT outcome FROM maintenance_run") == [("running",)]

    again = scene("POST", RUN, ORDER)  # the lock died with the connection that held it
    once_more = scene("POST", RUN, ORDER)

    (row,) = again["results"]
    assert (row["status"], row["reportHash"]) == (expected["status"], expected["reportHash"])
    assert again["results"] == once_more["results"]
    assert again["providerSide"]["results"] == once_more["providerSide"]["results"]
    assert again["providerSide"]["statement"]["complete"] is True
    assert _count(scene, "reconcile_report") == 2
    lines = scene.rows("SELECT count(*) FROM provider_transfer WHERE tenant_id = %s", scene.tenant_id)
    assert lines == [(1,)]
    artifacts = scene.rows("SELECT artifact_id FROM artifact WHERE artifact_type LIKE 'MoneyRail%%Report.v1'")
    assert (row["artifactId"],) in artifacts
    assert len(artifacts) == 2
    audits = scene.rows(
        "SELECT count(*) FROM ops_audit WHERE action = 'MAINTENANCE_MONEY_RAIL_RECONCILE_RUN'"
    )
    assert audits == [(2,)]  # one for each call that came to its end
    scene.agrees()
