"""Pointing the Stripe simulator's signed events at this deployment's one intake."""

from urllib.parse import urlsplit

from settld.launcher.http import get_json, post_form, post_json

INTAKE_PATH = "/api/billing/webhooks/stripe"
_TEST_KEY = "sk_test_launcher"  # the simulator takes any test key


def connect_events(*, simulator_url: str, base_url: str, secret: str) -> None:
    """Register the intake, with the secret that its signatures are checked by.

    An endpoint of an earlier run on another port is moved here, so that events still owed to it arrive.
    """
    ours = base_url + INTAKE_PATH
    endpoints = get_json(f"{simulator_url}/_sim/webhook_endpoints").get("webhook_endpoints", [])
    known = {endpoint["url"] for endpoint in endpoints}
    for endpoint in endpoints:
        if ours not in known and urlsplit(endpoint["url"]).path == INTAKE_PATH:
            post_form(
                f"{simulator_url}/v1/webhook_endpoints/{endpoint['id']}", {"url": ours}, token=_TEST_KEY
            )
            known.add(ours)
    post_json(
        f"{simulator_url}/_sim/webhook_endpoints", {"url": ours, "secret": secret, "enabled_events": ["*"]}
    )
