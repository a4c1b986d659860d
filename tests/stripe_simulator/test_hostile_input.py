"""Whatever it is sent, the simulator refuses in words, changes nothing and goes on."""

import http.client
import json

import pytest

from tests.support.simulator import API_KEY

TRANSFER = "amount=1&currency=usd&destination=acct_payee"


def send(stripe_sim, method, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", stripe_sim.port, timeout=5)
    connection.request(method, path, body, {"Authorization": f"Bearer {API_KEY}"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/transfers", "a[b=1"),
        ("POST", "/v1/transfers", "amount[x]=1&currency=usd&destination=acct_payee"),
        ("POST", "/v1/transfers", TRANSFER + "&metadata=x"),
        ("POST", "/v1/transfers", TRANSFER + "&metadata[a][b]=x"),
        ("POST", "/v1/transfers", TRANSFER + "&source_transaction=ch_1"),
        ("POST", "/v1/transfers", "amount=99999999999999999999999&currency=usd&destination=acct_payee"),
        ("POST", "/v1/transfers", "amount=1&currency=dollars&destination=acct_payee"),
        ("POST", "/v1/transfers", "amount=1&currency=u%ffd&destination=acct_payee"),
        ("GET", "/v1/transfers?created[gte]=x", None),
        ("GET", "/v1/transfers?created[foo]=1", None),
        ("GET", "/v1/transfers?expand[]=nothing", None),
        ("GET", "/v1/events?type=a&types[]=b", None),
        ("POST", "/v1/accounts", "business_profile=x"),
        ("POST", "/v1/accounts", "tos_acceptance[date][a]=1"),
        ("POST", "/v1/webhook_endpoints", "url=http://[::1&enabled_events[]=*"),
        ("POST", "/v1/webhook_endpoints", "url=http://a:99999999/x&enabled_events[]=*"),
        ("POST", "/v1/webhook_endpoints", "url=ftp://a/x&enabled_events[]=*"),
        ("POST", "/v1/webhook_endpoints", "url=http://127.0.0.1/x"),
        ("POST", "/_sim/clock", '{"now": 1e999}'),
        ("POST", "/_sim/clock", '{"now": 99999999999999999}'),
        ("POST", "/_sim/clock", '{"advance_seconds": "x"}'),
        ("POST", "/_sim/clock", '{"signature_time": "never"}'),
        ("POST", "/_sim/faults", '{"rules": [{"kind": "slow", "path": "^("}]}'),
        ("POST", "/_sim/faults", '{"rules": [{"kind": "slow", "match": []}]}'),
        ("POST", "/_sim/faults", '{"rules": [{"kind": "slow", "times": "x"}]}'),
        ("POST", "/_sim/faults", '{"rules": 5}'),
        ("POST", "/_sim/faults", '{"rates": {"slow": "x"}}'),
        ("POST", "/_sim/webhooks", '{"mode": "delay", "delay_ms": "x"}'),
        ("POST", "/_sim/webhooks", '{"mode": "sideways"}'),
        ("POST", "/_sim/webhooks/flush", '{"order": "up"}'),
        ("POST", "/_sim/life", '{"interval_seconds": "x"}'),
        ("POST", "/_sim/accounts/acct_payee", '{"requirements": "x"}'),
        ("POST", "/_sim/accounts/acct_payee", '{"preset": "rich"}'),
        ("POST", "/_sim/accounts/bad-id", "{}"),
        ("POST", "/_sim/transfers", '{"amount": [1]}'),
        ("POST", "/_sim/transfers/tr_x/reverse", "[]"),
        ("POST", "/_sim/settings", '{"rate_limit_per_second": "x"}'),
        ("POST", "/_sim/webhook_endpoints", '{"url": "http://a:999999/", "secret": "x"}'),
        ("POST", "/_sim/reset", "not json"),
        ("GET", "/_sim/log?after=99999999999999999999999", None),
    ],
)
def test_nonsense_is_refused_and_changes_nothing(method, path, body, stripe_sim, payee):
    before = stripe_sim.control("/_sim/state")

    status, answer = send(stripe_sim, method, path, body)

    assert (status, "error" in answer) == (400, True), answer
    after = stripe_sim.control("/_sim/state")
    assert before.pop("clock")["mode"] == after.pop("clock")["mode"]

    assert after == before
