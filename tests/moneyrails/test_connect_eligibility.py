"""Which account may be paid, at enqueue (gates 15 and 16) and again at submit (2.2, 2.5)."""

import dataclasses
import datetime as dt

import pytest

ELIGIBLE = {"accountId": "acct_party1", "partyId": "party1"}


@pytest.fixture
def rail(world, settings):
    settings.STRIPE = dataclasses.replace(settings.STRIPE, secret_key="sk_test_rails")
    return world.RecordingRail()


def configure(world, *accounts, default=None, enabled=True):
    connect = {"enabled": enabled, "accounts": list(accounts), "defaultAccountId": default}
    world.set_controls(realMoneyEnabled=True, connect=connect)


def enqueue(world, party_id="party1", **more):
    from moneyrails.services import enqueue

    return enqueue.enqueue(
        **{
            "tenant_id": world.TENANT, "party_id": party_id, "period": "2026-01", "provider_id": "stripe_sim",
            "counterparty_ref": "", "actor": world.ACTOR, "now": world.NOW,
        } | more
    ).operation  # fmt: skip


def change(**fields):
    from moneyrails.models import ConnectAccount

    assert ConnectAccount.objects.filter(account_id="acct_party1").update(**fields) == 1


NOT_ELIGIBLE = [
    {"status": "disabled", "disabled_by": "provider"},
    {"status": "disabled", "disabled_by": "operator"},
    {"payouts_enabled": False},
    {"transfers_enabled": False},
    {"kyb_status": "rejected"},
]


@pytest.mark.parametrize("fault", NOT_ELIGIBLE)
def test_gate_15_refuses_at_enqueue_what_is_not_eligible(world, refused, fault):
    configure(world, ELIGIBLE)
    world.closed()
    change(**fault)
    with refused("STRIPE_CONNECT_ACCOUNT_REQUIRED") as caught:
        enqueue(world)
    assert caught.value.details == {"providerId": "stripe_sim", "partyId": "party1"}


@pytest.mark.parametrize("fault", NOT_ELIGIBLE)
def test_submit_refuses_an_account_that_is_no_longer_eligible_and_sends_nothing(world, rail, refused, fault):
    configure(world, ELIGIBLE)
    world.closed()
    operation = enqueue(world)
    change(**fault)
    with refused("STRIPE_CONNECT_ACCOUNT_REQUIRED") as caught:
        world.submitted(operation, rail=rail)
    assert caught.value.details == {"providerId": "stripe_sim", "partyId": "party1"}
    assert rail.keys == []


@pytest.mark.parametrize("kyb_status", ["", "pending", "restricted", "verified", "unknown"])
def test_every_kyb_status_but_rejected_may_be_paid(world, rail, kyb_status):
    configure(world, ELIGIBLE)
    world.closed()
    change(kyb_status=kyb_status)
    assert world.submitted(enqueue(world), rail=rail).state == "submitted"


def test_what_was_blocked_passes_once_the_account_is_well_again(world, rail, refused):
    configure(world, ELIGIBLE)
    world.closed()
    operation = enqueue(world)
    change(kyb_status="rejected")
    with refused("STRIPE_CONNECT_ACCOUNT_REQUIRED"):
        world.submitted(operation, rail=rail)
    change(kyb_status="verified")
    assert world.submitted(operation, rail=rail).state == "submitted"


@pytest.mark.parametrize(("age", "passes"), [(3_600, True), (3_601, False), (None, False)])
def test_a_required_age_is_asked_at_enqueue_and_at_submit(world, rail, refused, settings, age, passes):
    configure(world, ELIGIBLE, {"accountId": "acct_party2", "partyId": "party2"})
    world.closed()
    operation = enqueue(world)
    settings.CONNECT_MAX_SYNC_AGE_SECONDS = 3_600
    change(kyb_seen_at=None if age is None else world.NOW - dt.timedelta(seconds=age))
    if passes:
        assert world.submitted(operation, rail=rail).state == "submitted"
        return
    with refused("STRIPE_CONNECT_ACCOUNT_REQUIRED"):
        world.submitted(operation, rail=rail)
    world.closed("party2")
    with refused("STRIPE_CONNECT_ACCOUNT_REQUIRED"):
        enqueue(world, "party2")


def test_submit_refuses_an_account_that_was_removed_or_given_to_another_party(world, rail, refused):
    from moneyrails.services import connect_accounts
    from moneyrails.services.connect_accounts import Wish

    configure(world, ELIGIBLE)
    world.closed()
    operation = enqueue(world)
    about = {"tenant_id": world.TENANT, "account_id": "acct_party1", "actor": world.ACTOR, "now": world.NOW}
    connect_accounts.upsert(**about, wish=Wish(party_id="party9"))
    with refused("STRIPE_CONNECT_ACCOUNT_REQUIRED"):
        world.submitted(operation, rail=rail)
    connect_accounts.remove(**about)
    with refused("STRIPE_CONNECT_ACCOUNT_REQUIRED"):
        world.submitted(operation, rail=rail)
    connect_accounts.upsert(**about, wish=Wish())
    assert world.submitted(operation, rail=rail).state == "submitted"
    assert rail.made[rail.keys[0]].destination == "acct_party1"


def test_without_connect_the_named_account_is_paid_unasked(world, rail):
    configure(world, enabled=False)
    world.closed()
    operation = enqueue(world, counterparty_ref="stripe_connect:acct_elsewhere")
    assert world.submitted(operation, rail=rail).state == "submitted"


def test_connect_that_is_enabled_later_is_asked_at_submit(world, rail, refused):
    configure(world, enabled=False)
    world.closed()
    operation = enqueue(world, counterparty_ref="stripe_connect:acct_elsewhere")
    configure(world, ELIGIBLE)
    with refused("STRIPE_CONNECT_ACCOUNT_REQUIRED"):
        world.submitted(operation, rail=rail)


def test_the_order_of_the_refusals_at_submit(world, refused, settings):
    """Counterparty, then account, then key (2.2)."""
    settings.STRIPE = dataclasses.replace(settings.STRIPE, secret_key="")
    configure(world, enabled=False)
    world.closed("by_bank")
    by_bank = enqueue(world, "by_bank", counterparty_ref="bank:1")
    configure(world, ELIGIBLE)
    world.closed()
    operation = enqueue(world)
    with refused("STRIPE_CONNECT_COUNTERPARTY_REQUIRED"):
        world.submitted(by_bank)
    with refused("STRIPE_SECRET_KEY_REQUIRED"):
        world.submitted(operation)
    change(payouts_enabled=False)
    with refused("STRIPE_CONNECT_ACCOUNT_REQUIRED"):
        world.submitted(operation)


def test_an_ineligible_default_is_no_way_out(world, refused):
    configure(world, {"accountId": "acct_party1"}, default="acct_party1")
    world.closed()
    change(transfers_enabled=False)
    with refused("STRIPE_CONNECT_ACCOUNT_REQUIRED"):
        enqueue(world)


def test_the_default_s_payout_keeps_its_account_when_the_party_gets_its_own(world, rail):
    configure(world, {"accountId": "acct_party1"}, default="acct_party1")
    world.closed()
    operation = enqueue(world)
    configure(world, {"accountId": "acct_party1"}, {"accountId": "acct_own", "partyId": "party1"})
    assert world.submitted(operation, rail=rail).counterparty_ref == "stripe_connect:acct_party1"


def test_a_recovery_looks_but_never_sends_to_an_account_that_is_out(world, rail):
    """A doubt about an account that is restricted meanwhile is looked into, and nothing new is sent."""
    from moneyrails.services import doubt
    from tests.moneyrails.connect import failure

    configure(world, ELIGIBLE)
    world.closed()
    operation = enqueue(world)
    rail.before = [failure()]
    with pytest.raises(Exception, match="submit failed"):
        world.submitted(operation, rail=rail)
    change(kyb_status="rejected")
    assert doubt.recover_due(now=world.NOW + dt.timedelta(minutes=5), rail=rail) == {"blocked": 1}
    assert (len(rail.keys), rail.made) == (1, {})
