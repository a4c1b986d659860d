"""The Connect consumer of the Stripe inbox: in any order, twice, late, the newest facts stand."""

import dataclasses
import datetime as dt
import itertools
import json

import pytest

from tests.moneyrails import connect
from tests.moneyrails.connect import audits, put, shown, stripe, sync

__all__ = ["stripe"]


def event(snapshot=None, *, event_type="account.updated", account="acct_a", received_at=None, body=None):
    from settld.core import clock
    from settld.stripe_gateway.models import StripeEvent

    snapshot = snapshot or connect.account()
    payload = {"id": "evt_1", "type": event_type, "data": {"object": snapshot}}
    if account is not None:
        payload["account"] = account
    return StripeEvent(
        provider_event_id="evt_1", event_type=event_type, provider_created_at=clock.now(), livemode=False,
        payload=json.dumps(payload if body is None else body), payload_sha256="0" * 64,
        received_at=received_at or clock.now(), last_delivered_at=clock.now(),
    )  # fmt: skip


def consume(*args, **more):
    from moneyrails.services import connect_events
    from settld.core import tenancy

    with tenancy.tenant_scope("nobody_in_particular"):
        return connect_events.consume(event(*args, **more))


def goodbye(**more):
    application = {"id": "ca_1", "object": "application"}
    return consume(application, event_type="account.application.deauthorized", **more)


def test_it_is_registered_for_its_events():
    from settld.stripe_gateway import consumers

    for event_type in ("account.updated", "account.application.deauthorized"):
        assert "connect" in [consumer.name for consumer in consumers.interested_in(event_type)]


def test_news_makes_us_look_and_what_we_see_is_written(stripe, api):
    put(api)
    stripe.answers["acct_a"] = connect.rejected()

    assert consume(connect.account()) == ("applied", "the account is rejected")

    assert (shown(api)["kybStatus"], shown(api)["status"]) == ("rejected", "disabled")
    ((target, details),) = audits("STRIPE_CONNECT_ACCOUNT_CHANGED")
    assert (target, details["source"]) == ("acct_a", "event")
    assert details["changes"]["kybStatus"] == {"before": None, "after": "rejected"}


STORY = (
    connect.asking(currently_due=["a"]),
    connect.rejected(),
    connect.asking(pending_verification=["a"]),
    connect.account(),
)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_whatever_the_order_the_last_facts_stand(stripe, api, order):
    put(api)
    stripe.answers["acct_a"] = STORY[-1]

    for number in order:
        consume(STORY[number])

    assert (shown(api)["kybStatus"], shown(api)["status"]) == ("verified", "active")


@pytest.mark.parametrize("moves", [1, 2, 3, 4])
def test_a_late_event_never_brings_an_older_state_back(stripe, api, moves):
    """The account moves on while its events are under way; each look shows the present."""
    put(api)
    for number in range(4):
        stripe.answers["acct_a"] = STORY[min(number * moves, 3)]
        consume(STORY[0])
    assert shown(api)["kybStatus"] == "verified"


def test_every_tenant_that_configured_the_account_learns_of_it(stripe, api):
    other = api.as_tenant("tenant_b")
    put(api, partyId="p1")
    put(other, status="disabled")
    stripe.answers["acct_a"] = connect.rejected()

    assert consume()[0] == "applied"

    assert (shown(api)["kybStatus"], shown(other)["kybStatus"]) == ("rejected", "rejected")
    stripe.answers.clear()
    consume()
    assert (shown(api)["status"], shown(other)["status"]) == ("active", "disabled")
    assert stripe.asked == ["acct_a", "acct_a"]


def test_an_account_nobody_configured_is_ignored_without_a_call(stripe, api):
    put(api, "acct_b")
    assert consume()[0] == "ignored"
    assert stripe.asked == []


@pytest.mark.parametrize(
    "body",
    [
        {}, {"data": None}, {"data": {"object": None}}, {"data": {"object": {"id": "acct_a"}}},
        {"account": 7}, {"account": "acct_a/x"}, {"account": "acct_" + "a" * 300}, {"account": ["acct_a"]},
        {"data": {"object": {"id": {"x": 1}, "object": "account"}}},
    ],
)  # fmt: skip
def test_an_event_that_names_no_account_is_ignored(stripe, api, body):
    put(api)
    assert consume(body=body)[0] == "ignored"
    assert stripe.asked == []


def test_an_event_of_our_own_kind_names_the_account_by_its_object(stripe, api):
    put(api)
    assert consume(account=None)[0] == "applied"


def test_an_event_that_a_newer_look_covers_asks_nobody(stripe, api):
    from settld.core import clock

    put(api)
    sync(api)
    long_ago = clock.now() - dt.timedelta(minutes=5)

    assert consume(received_at=long_ago)[0] == "stale"

    assert stripe.asked == ["acct_a"]


def test_a_look_that_fails_is_written_and_the_inbox_tries_again(stripe, api):
    from moneyrails.services.connect_events import LookFailed

    put(api)
    sync(api)
    stripe.answers["acct_a"] = connect.failure(message="no answer")
    with pytest.raises(LookFailed):
        consume()
    assert shown(api)["kybLastSyncError"]["message"] == "no answer"
    assert (shown(api)["kybStatus"], shown(api)["status"]) == ("verified", "active")
    stripe.answers["acct_a"] = connect.rejected()
    assert consume()[0] == "applied"


def test_a_clear_no_is_not_asked_for_ever(stripe, api):
    put(api)
    stripe.answers["acct_a"] = connect.gone()
    assert consume()[0] == "unmatched"
    assert (shown(api)["status"], shown(api)["kybLastSyncError"]["httpStatus"]) == ("active", 403)


@pytest.mark.parametrize("event_type", ["account.updated", "account.application.deauthorized"])
def test_a_key_that_stripe_refuses_says_nothing_of_the_account(stripe, api, event_type):
    from moneyrails.services.connect_events import LookFailed

    put(api)
    sync(api)
    stripe.answers["acct_a"] = connect.failure("ProviderRejected", httpStatus=401, message="Invalid API Key")
    with pytest.raises(LookFailed):
        consume(event_type=event_type)
    assert (shown(api)["kybStatus"], shown(api)["status"]) == ("verified", "active")


def test_an_account_that_takes_its_permission_back_is_out(stripe, api):
    put(api)
    sync(api)
    stripe.answers["acct_a"] = connect.gone()

    assert goodbye() == ("applied", "the account is rejected")

    row = shown(api)
    assert (row["status"], row["kybStatus"], row["kybDisabledReason"]) == (
        "disabled",
        "rejected",
        "application_deauthorized",
    )
    assert (row["payoutsEnabled"], row["transfersEnabled"]) == (False, False)


def test_a_goodbye_that_is_no_longer_true_only_refreshes(stripe, api):
    """It came late: the account is ours to see again."""
    put(api)
    assert goodbye() == ("applied", "the account is verified")
    assert shown(api)["status"] == "active"


def test_an_account_that_comes_back_is_active_again(stripe, api):
    put(api)
    stripe.answers["acct_a"] = connect.gone()
    goodbye()
    stripe.answers.clear()
    assert consume()[0] == "applied"
    assert (shown(api)["status"], shown(api)["kybDisabledReason"]) == ("active", None)


def test_a_sync_that_overtakes_the_event_s_look_makes_it_look_again(stripe, api):
    put(api)
    stripe.meanwhile = lambda: sync(api)

    assert consume()[0] == "applied"

    assert stripe.asked == ["acct_a", "acct_a", "acct_a"]  # ours, the rival's, and ours again


def test_without_a_key_nobody_is_asked(stripe, api, settings):
    put(api)
    settings.STRIPE = dataclasses.replace(settings.STRIPE, secret_key="")
    assert consume()[0] == "ignored"


def test_through_the_inbox_a_failed_look_is_retried_and_then_applied(stripe, api, settings):
    """The whole way: signed delivery, stored event, leased consumption, a failure, a retry."""
    from django.test import Client

    from settld.core import clock
    from settld.stripe_gateway.models import StripeEventConsumption
    from settld.stripe_gateway.services import consumption
    from tests.stripe_gateway import signing

    secret = "whsec_connect"
    settings.STRIPE = dataclasses.replace(settings.STRIPE, webhook_secrets=(secret,))
    put(api)
    payload = json.dumps(
        {
            "id": "evt_whole", "object": "event", "type": "account.updated", "livemode": False,
            "api_version": settings.STRIPE.pinned_api_version or "x", "created": 1_773_144_000,
            "account": "acct_a", "data": {"object": connect.account()},
        }
    ).encode()  # fmt: skip
    answer = Client().post(
        "/api/billing/webhooks/stripe", payload, content_type="application/json",
        headers={"stripe-signature": signing.signed(payload, secret=secret, at=clock.now())},
    )  # fmt: skip
    assert answer.status_code == 200, answer.content
    stripe.answers["acct_a"] = connect.failure()
    job = consumption.claim_next(owner="t", now=clock.now())
    consumption.consume(job)
    assert StripeEventConsumption.objects.get(consumer="connect").status == "failed"
    stripe.answers["acct_a"] = connect.rejected()
    again = consumption.claim_next(owner="t", now=clock.now() + dt.timedelta(minutes=2))
    consumption.consume(again)
    assert StripeEventConsumption.objects.get(consumer="connect").outcome == "applied"
    assert shown(api)["status"] == "disabled"
