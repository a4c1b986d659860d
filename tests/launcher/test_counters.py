"""Counters that all workers share: platform-operations 6."""

from settld.launcher.home import open_home
from settld.launcher.run import _Deployment
from settld.launcher.supervisor import Supervisor


def prepared(home, **given):
    deployment = _Deployment(
        home=home, given=given, host="127.0.0.1", port=8123, supervisor=Supervisor(home, show_all=False)
    )
    deployment._share_counters()
    return deployment


def test_processes_count_in_one_folder_that_starts_empty(tmp_path):
    home = open_home(tmp_path / "state")
    home.metrics.mkdir()
    (home.metrics / "counter_1.db").write_bytes(b"of an earlier run")
    assert prepared(home)._counters == {"PROMETHEUS_MULTIPROC_DIR": str(home.metrics)}
    assert list(home.metrics.iterdir()) == []


def test_a_folder_that_is_given_is_left_alone(tmp_path):
    home = open_home(tmp_path / "state")
    assert prepared(home, PROMETHEUS_MULTIPROC_DIR="/elsewhere")._counters == {}
    assert not home.metrics.exists()
