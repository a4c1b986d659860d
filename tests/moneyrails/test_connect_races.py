"""Connect with real connections: one party, one account; a stop that has been answered stops."""

import threading
import time

import pytest

from tests.moneyrails import connect
from tests.moneyrails.connect import BASE, STRIPE, audits, put, shown, sync
from tests.support.api import Api, refusal


@pytest.fixture
def stripe(live_world, settings, monkeypatch):
    return connect.answering(settings, monkeypatch)


def together(*acts):
    """Run acts at once, each on a connection of its own; gives what each returned."""
    from django.db import connections

    gate, ends = threading.Barrier(len(acts)), [None] * len(acts)

    def run(number, act):
        try:
            gate.wait(10)
            ends[number] = act()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return ends


def putting(account_id, **wish):
    return lambda: Api().put(f"{BASE}/{account_id}", wish)


def test_of_many_who_map_one_party_exactly_one_does_and_the_others_are_told(stripe, api):
    for number in range(5):
        party_id = f"party_{number}"
        ends = together(*[putting(f"acct_{number}_{rival}", partyId=party_id) for rival in range(4)])
        statuses = sorted(answer.status_code for answer in ends)
        assert statuses == [200, 409, 409, 409]
        codes = {refusal(answer)[1] for answer in ends if answer.status_code == 409}
        assert codes == {"STRIPE_CONNECT_PARTY_CONFLICT"}
    assert len(audits("STRIPE_CONNECT_ACCOUNT_UPSERT")) == 5


def test_two_who_make_one_new_account_make_one(stripe, api):
    ends = together(*[putting("acct_same", partyRole=f"r{rival}") for rival in range(4)])
    assert [answer.status_code for answer in ends] == [200] * 4
    assert len(audits("STRIPE_CONNECT_ACCOUNT_UPSERT")) == 4


def test_of_many_defaults_one_stays(stripe, api):
    from moneyrails.models import ConnectAccount

    ends = together(*[putting(f"acct_{rival}", setDefault=True) for rival in range(4)])
    assert [answer.status_code for answer in ends] == [200] * 4
    assert ConnectAccount.objects.filter(is_default=True).count() == 1


def test_deleting_twice_at_once_deletes_once(stripe, api):
    put(api)
    ends = together(*[lambda: Api().call("DELETE", f"{BASE}/acct_a")] * 3)
    assert sorted(answer.status_code for answer in ends) == [200, 404, 404]
    assert len(audits("STRIPE_CONNECT_ACCOUNT_DELETE")) == 1


def test_syncs_edits_and_deletions_at_once_neither_clash_nor_resurrect(stripe, api):
    for number in range(6):
        put(api, f"acct_{number}")

    def syncing():
        return Api().post(f"{BASE}/sync", {"providerId": STRIPE})

    def deleting():
        return Api().call("DELETE", f"{BASE}/acct_3")

    ends = together(
        syncing, syncing, deleting, putting("acct_1", status="disabled"), putting("acct_2", partyId="p2")
    )
    assert [answer.status_code for answer in ends] == [200] * 5
    assert shown(api, "acct_3") is None
    assert shown(api, "acct_1")["status"] == "disabled"
    assert shown(api, "acct_2")["partyId"] == "p2"


def test_two_syncs_under_one_key_are_one(stripe, api):
    put(api)

    def syncing():
        return Api().post(f"{BASE}/sync", {"providerId": STRIPE}, key="k")

    ends = together(syncing, syncing, syncing)
    assert [answer.status_code for answer in ends] == [200] * 3
    assert len({answer.content for answer in ends}) == 1
    assert len(audits("STRIPE_CONNECT_ACCOUNTS_SYNC")) == 1


def test_a_sync_that_takes_an_account_out_waits_for_a_dispatch_under_way(stripe, live_world, api):
    """Once the sync has been answered, no attempt that missed it is still about to be opened."""
    from moneyrails.models import DispatchAttempt
    from moneyrails.queries import connect as queries
    from moneyrails.services import enqueue
    from settld.core import tenancy, transactions

    live_world.set_controls(realMoneyEnabled=True)
    put(api, "acct_party1", partyId="party1", enableConnect=True)
    live_world.closed()
    made = enqueue.enqueue(
        tenant_id="tenant_a", party_id="party1", period="2026-01", provider_id=STRIPE, counterparty_ref="",
        actor=live_world.ACTOR, now=live_world.NOW,
    )  # fmt: skip
    held, moments = threading.Event(), []
    stripe.answers["acct_party1"] = connect.rejected("acct_party1")

    def sending():
        with tenancy.tenant_scope("tenant_a"), transactions.atomic():
            assert queries.is_payable(
                tenant_id="tenant_a", counterparty_ref="stripe_connect:acct_party1", party_id="party1",
                now=live_world.NOW, hold=True,
            )  # fmt: skip
            held.set()
            time.sleep(0.4)
            moments.append("dispatch is written")

    def syncing():
        held.wait(10)
        answer = Api().post(f"{BASE}/sync", {"providerId": STRIPE, "accountIds": ["acct_party1"]})
        moments.append(f"sync is answered {answer.status_code}")

    together(sending, syncing)
    assert moments == ["dispatch is written", "sync is answered 200"]
    from settld.core.errors import Conflict

    with pytest.raises(Conflict) as caught:
        live_world.submitted(made.operation, rail=live_world.RecordingRail())
    assert caught.value.code == "STRIPE_CONNECT_ACCOUNT_REQUIRED"
    assert DispatchAttempt.objects.count() == 0


def test_an_operator_s_disabling_waits_for_a_dispatch_under_way_too(stripe, live_world, api):
    from moneyrails.queries import payout_facts
    from settld.core import tenancy, transactions

    put(api)
    held, moments = threading.Event(), []

    def sending():
        with tenancy.tenant_scope("tenant_a"), transactions.atomic():
            payout_facts.lock_controls(tenant_id="tenant_a", now=live_world.NOW)
            held.set()
            time.sleep(0.4)
            moments.append("dispatch is written")

    def disabling():
        held.wait(10)
        putting("acct_a", status="disabled")()
        moments.append("disabling is answered")

    together(sending, disabling)
    assert moments == ["dispatch is written", "disabling is answered"]


def test_a_round_by_beat_beside_a_round_is_single(stripe, api):
    from moneyrails.services import connect_rounds

    for number in range(4):
        put(api, f"acct_{number}")
    plain = stripe.retrieve_account

    def slow(account_id):
        time.sleep(0.3)
        return plain(account_id)

    from moneyrails.rails import stripe_connect

    stripe_connect.client.retrieve_account = slow
    ends = together(*[lambda: connect_rounds.sync_stale(limit=10, budget_seconds=30)] * 3)
    assert sorted(map(str, ends)) == ["{'busy': 1}", "{'busy': 1}", "{'synced': 4}"]
    assert sorted(stripe.asked) == [f"acct_{number}" for number in range(4)]
    assert sync(api, "acct_0")["summary"]["syncedCount"] == 1
