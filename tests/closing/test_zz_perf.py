import io, json, time, pytest
from django.core.management import call_command
@pytest.mark.parametrize("n",[100000])
def test_perf(live_db, monkeypatch, n, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"tenantId":"t_b","period":"2026-01","prefix":"p","count":n,"payoutCents":5,"partyRole":"operator"})))
    import cProfile,pstats
    pr=cProfile.Profile()
    t=time.perf_counter()
    if n==2000: pr.enable()
    call_command("bench_seed", stdout=io.StringIO())
    pr.disable()
    with capsys.disabled():
        print(n, time.perf_counter()-t)
        if n==2000: pstats.Stats(pr).sort_stats("tottime").print_stats(14)
