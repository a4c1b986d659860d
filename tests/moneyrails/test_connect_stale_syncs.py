"""Stale syncs (2.5), by construction: the rival comes between the look and the writing."""

import datetime as dt

import pytest

from tests.moneyrails import connect
from tests.moneyrails.connect import BASE, put, shown, stripe, sync

__all__ = ["stripe"]


def row(account_id="acct_a", tenant_id="tenant_a"):
    from moneyrails.models import ConnectAccount
    from settld.core import tenancy

    with tenancy.tenant_scope(tenant_id):
        return ConnectAccount.objects.filter(tenant_id=tenant_id, account_id=account_id).first()


def change(account_id="acct_a", **fields):
    from moneyrails.models import ConnectAccount
    from settld.core import tenancy

    with tenancy.tenant_scope("tenant_a"):
        assert ConnectAccount.objects.filter(account_id=account_id).update(**fields) == 1


def test_a_failed_look_keeps_eligibility_and_says_when_and_why(stripe, api):
    put(api)
    sync(api)
    before = shown(api)
    stripe.answers["acct_a"] = connect.failure(message="no answer from Stripe (timeout)")

    sync(api)

    after = shown(api)
    error, at = after.pop("kybLastSyncError"), after.pop("kybLastSyncAt")
    assert error["message"] == "no answer from Stripe (timeout)"
    assert at > before.pop("kybLastSyncAt")
    assert before.pop("kybLastSyncError") is None
    assert after == before
    stripe.answers.clear()
    sync(api)
    assert shown(api)["kybLastSyncError"] is None


def test_a_failed_look_does_not_make_an_old_snapshot_young(stripe, api, settings):
    from moneyrails.queries import connect as queries
    from settld.core import clock

    settings.CONNECT_MAX_SYNC_AGE_SECONDS = 60
    put(api)
    assert queries.obstacles(row(), now=clock.now()) == ["sync_too_old"]
    sync(api)
    assert queries.obstacles(row(), now=clock.now()) == []
    change(kyb_seen_at=clock.now() - dt.timedelta(seconds=61))
    stripe.answers["acct_a"] = connect.failure()

    sync(api)

    assert queries.obstacles(row(), now=clock.now()) == ["sync_too_old"]


def test_a_look_that_began_before_the_stored_sync_is_dropped(stripe, api):
    """The rival's sync ends while ours is on its way: ours is older news and says so."""
    put(api)
    stripe.answers["acct_a"] = connect.account()

    def rival():
        stripe.answers["acct_a"] = connect.rejected()
        sync(api)

    stripe.meanwhile = rival
    (told,) = sync(api)["results"]

    assert (told["ok"], told["stale"], told["kybStatus"]) == (True, True, "rejected")
    assert (shown(api)["kybStatus"], shown(api)["status"]) == ("rejected", "disabled")


def test_an_account_deleted_meanwhile_is_not_resurrected(stripe, api):
    put(api)
    stripe.meanwhile = lambda: api.call("DELETE", f"{BASE}/acct_a")

    (told,) = sync(api)["results"]

    assert told["code"] == "STRIPE_CONNECT_ACCOUNT_NOT_CONFIGURED"
    assert shown(api) is None


def test_an_account_removed_and_added_again_meanwhile_keeps_its_fresh_row(stripe, api):
    put(api)
    stripe.answers["acct_a"] = connect.rejected()

    def rival():
        api.call("DELETE", f"{BASE}/acct_a")
        put(api, partyId="p2")

    stripe.meanwhile = rival
    (told,) = sync(api)["results"]

    assert told["stale"] is True
    assert (shown(api)["partyId"], shown(api)["status"], shown(api)["kybLastSyncAt"]) == (
        "p2",
        "active",
        None,
    )


@pytest.mark.parametrize(
    ("edit", "kept"),
    [
        ({"partyId": "p2", "partyRole": "subcontractor"}, {"partyId": "p2", "partyRole": "subcontractor"}),
        ({"payoutsEnabled": False}, {"payoutsEnabled": False, "transfersEnabled": True}),
        ({"transfersEnabled": False}, {"payoutsEnabled": True, "transfersEnabled": False}),
        ({"status": "disabled"}, {"status": "disabled"}),
    ],
)
def test_an_account_edited_meanwhile_is_not_reverted(stripe, api, edit, kept):
    put(api, partyId="p1", partyRole="operator")
    stripe.meanwhile = lambda: put(api, **edit)

    sync(api)

    after = shown(api)
    assert {name: after[name] for name in kept} == kept
    assert after["kybStatus"] == "verified"


def test_an_operator_who_enables_meanwhile_is_not_overruled_by_the_older_look(stripe, api):
    put(api)
    stripe.answers["acct_a"] = connect.rejected()
    sync(api)
    stripe.meanwhile = lambda: put(api, status="active")

    sync(api)

    assert (shown(api)["status"], shown(api)["kybStatus"]) == ("active", "rejected")


def test_a_default_set_meanwhile_stays(stripe, api):
    put(api)
    stripe.meanwhile = lambda: put(api, setDefault=True, enableConnect=True)

    told = sync(api)

    assert (told["connect"]["defaultAccountId"], told["connect"]["enabled"]) == ("acct_a", True)
