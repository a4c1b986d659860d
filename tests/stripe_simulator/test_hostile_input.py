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
        ("POST", "/v1/checkout/sessions", "mode=payment&line_items=x&success_url=http://a/"),
        ("POST", "/v1/checkout/sessions", "mode=payment&line_items[a][price]=x&success_url=http://a/"),
        ("POST", "/v1/checkout/sessions", "mode=payment&line_items[0][price][x]=x&success_url=http://a/"),
        ("POST", "/v1/checkout/sessions", "mode[x]=payment"),
        ("POST", "/v1/checkout/sessions", "mode=payment&success_url=http://a/%00&line_items[0]=x"),
        ("POST", "/v1/checkout/sessions", "mode=payment&success_url=http://[&line_items[0][price]=x"),
        ("POST", "/v1/checkout/sessions", "mode=payment&success_url=http://a/&expires_at=9e99"),
        ("POST", "/v1/checkout/sessions", "mode=payment&success_url=http://a/&invoice_creation=x"),
        ("POST", "/v1/checkout/sessions", "mode=subscription&success_url=http://a/&subscription_data=x"),
        ("GET", "/v1/checkout/sessions?status=strange", None),
        ("GET", "/v1/checkout/sessions?customer_details=x", None),
        ("POST", "/v1/payment_links", "line_items[0][price_data][currency]=usd&line_items[0][quantity]=1"),
        ("POST", "/v1/payment_links", "line_items[0]=x&after_completion=x"),
        ("POST", "/v1/billing_portal/sessions", "customer[x]=y"),
        ("POST", "/v1/billing_portal/configurations", "features[subscription_update][products]=x"),
        ("POST", "/v1/billing_portal/configurations", "features[surprise][enabled]=true"),
        ("POST", "/_sim/checkout/sessions/cs_x/pay", '{"surprise": 1}'),
        ("POST", "/_sim/checkout/sessions/cs_x/pay", '{"subscription_after_seconds": -1}'),
        ("POST", "/_sim/checkout/sessions/cs_x/settle", '{"outcome": "perhaps"}'),
        ("POST", "/v1/customers", "address=x"),
        ("POST", "/v1/customers", "metadata[a][b]=x"),
        ("POST", "/v1/customers", "invoice_settings=x"),
        ("POST", "/v1/customers", "balance=1e9"),
        ("POST", "/v1/products", "name="),
        ("POST", "/v1/prices", "currency=usd&unit_amount=1&product_data=x"),
        ("POST", "/v1/prices", "currency=usd&unit_amount=1&product_data[name]=x&recurring=x"),
        ("POST", "/v1/payment_methods", "type=card&card=x"),
        ("POST", "/v1/payment_methods", "type=card&card[number]=4242424242424242&card[exp_month]=13"),
        ("POST", "/v1/payment_intents", "amount=0&currency=usd"),
        ("POST", "/v1/subscriptions", "customer=cus_1&items=x"),
        ("POST", "/v1/subscriptions", "customer=cus_1&items[a][price]=x"),
        ("POST", "/v1/refunds", "charge=ch_1&payment_intent=pi_1"),
        ("GET", "/v1/subscriptions?status=nice", None),
        ("GET", "/v1/invoices?status=nice", None),
        ("GET", "/v1/invoices?created[gte]=x", None),
        ("GET", "/v1/prices?recurring=x", None),
        ("GET", "/v1/subscription_items", None),
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
