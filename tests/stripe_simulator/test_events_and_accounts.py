"""Events with what changed, and connected accounts through their onboarding."""

import pytest
import stripe

from tests.stripe_simulator.shapes import missing_fields


def test_each_change_of_a_transfer_makes_its_event(client, pay):
    made = pay(metadata={"a": "1"})
    client.v1.transfers.update(made.id, params={"metadata": {"a": "2"}})
    client.v1.transfers.reversals.create(made.id)

    found = client.v1.events.list(params={"type": "transfer.*"}).data[::-1]

    assert [event.type for event in found] == ["transfer.created", "transfer.updated", "transfer.reversed"]
    assert [missing_fields(event) for event in found] == [[], [], []]
    created, updated, reverse = (event.to_dict() for event in found)
    assert "previous_attributes" not in created["data"]
    assert updated["data"]["previous_attributes"] == {"metadata": {"a": "1"}}
    assert reverse["data"]["object"]["reversals"]["data"][0]["amount"] == 1000
    assert reverse["data"]["previous_attributes"]["reversed"] is False
    assert reverse["data"]["previous_attributes"]["amount_reversed"] == 0
    assert created["data"]["object"]["metadata"] == {"a": "1"}


def test_events_are_listed_by_type_and_found_by_id(client, pay, stripe_sim, payee):
    pay()
    stripe_sim.account(payee, payouts_enabled=False)

    updated = client.v1.events.list(params={"types": ["account.updated", "balance.available"]}).data

    assert [event.type for event in updated] == ["account.updated"]
    assert client.v1.events.retrieve(updated[0].id).account == payee
    assert client.v1.events.list(params={"type": "none.such"}).data == []
    assert client.v1.events.list(params={"type": "none.*"}).data == []
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.events.retrieve("evt_none")


def test_an_unchanged_object_makes_no_event(client, pay, stripe_sim, payee):
    made = pay(description="same")
    client.v1.transfers.update(made.id, params={"description": "same"})
    stripe_sim.account(payee, payouts_enabled=True)
    assert [event.type for event in client.v1.events.list().data] == ["transfer.created"]


def test_a_balance_change_by_the_provider_is_told(client, stripe_sim):
    stripe_sim.control("/_sim/balance", {"currency": "EUR", "available": 500})
    event = client.v1.events.list().data[0].to_dict()
    assert event["type"] == "balance.available"
    assert {"amount": 500, "currency": "eur", "source_types": {"card": 500}} in event["data"]["object"][
        "available"
    ]
    assert missing_fields(event["data"]["object"]) == []


def test_an_account_goes_from_new_to_payable_through_the_api(client, pay):
    params = {"type": "custom", "country": "DE", "capabilities": {"transfers": {"requested": True}}}
    made = client.v1.accounts.create(params=params)
    assert missing_fields(made) == []
    assert (made.payouts_enabled, made.details_submitted, made.default_currency) == (False, False, "eur")
    assert made.capabilities.transfers == "inactive"
    with pytest.raises(stripe.InvalidRequestError):
        pay(destination=made.id)

    done = client.v1.accounts.update(
        made.id,
        params={
            "business_profile": {
                "product_description": "x",
                "support_phone": "1",
                "url": "https://a.example",
            },
            "external_account": "btok_us",
            "tos_acceptance": {"date": 1700000000, "ip": "127.0.0.1"},
        },
    )

    assert done.capabilities.transfers == "active"
    assert (done.payouts_enabled, done.requirements.currently_due) == (True, [])
    assert done.tos_acceptance.date == 1700000000
    assert pay(destination=made.id).destination == made.id


@pytest.mark.parametrize(
    ("preset", "payouts", "transfers", "reason"),
    [
        ("verified", True, "active", None),
        ("pending", False, "pending", None),
        ("restricted", False, "inactive", None),
        ("rejected", False, "inactive", "rejected.other"),
    ],
)
def test_presets(preset, payouts, transfers, reason, client, stripe_sim):
    stripe_sim.account("acct_1", preset=preset, metadata={"party": "p1"})
    found = client.v1.accounts.retrieve("acct_1")
    assert (found.payouts_enabled, found.capabilities.transfers) == (payouts, transfers)
    assert found.requirements.disabled_reason == reason
    assert found.metadata.party == "p1"


def test_single_fields_change_over_what_is_there(client, stripe_sim, payee):
    requirements = {"currently_due": ["external_account"]}
    stripe_sim.account(payee, requirements=requirements, disabled_reason="requirements.past_due")

    found = client.v1.accounts.retrieve(payee)

    assert found.requirements.currently_due == ["external_account"]
    assert found.requirements.disabled_reason == "requirements.past_due"
    assert found.payouts_enabled is True
    previous = client.v1.events.list().data[0].data.previous_attributes.to_dict()
    assert previous == {"requirements": {"currently_due": [], "disabled_reason": None}}


def test_a_deleted_account_is_gone(client, pay, payee):
    assert client.v1.accounts.delete(payee).deleted is True
    with pytest.raises(stripe.PermissionError) as refused:
        client.v1.accounts.retrieve(payee)
    assert refused.value.json_body["error"]["code"] == "account_invalid"
    with pytest.raises(stripe.InvalidRequestError, match="No such destination: 'acct_payee'"):
        pay()
    assert client.v1.accounts.list().data == []


def test_the_platform_has_an_account_of_its_own(client, stripe_sim):
    own = client.v1.accounts.retrieve_current()
    assert own.id == stripe_sim.control("/_sim/state")["platform_account"]
    assert client.v1.accounts.retrieve(own.id).payouts_enabled is True


def test_life_brings_news_while_nobody_calls(client, pay, payee, stripe_sim):
    made = pay(metadata={"demo": "1"})
    spared = pay()
    life = {"enabled": True, "interval_seconds": 0.05, "reversal_share": 0.5, "metadata": {"demo": "1"}}
    stripe_sim.control("/_sim/life", life)

    news = set()
    for _ in range(100):
        news = {event.type for event in client.v1.events.list(params={"limit": 100}).data}
        if {"transfer.reversed", "account.updated"} <= news:
            break
        stripe_sim.control("/_sim/webhooks/wait", {"timeout_ms": 100})

    stripe_sim.control("/_sim/life", {"enabled": False})
    assert {"transfer.reversed", "account.updated"} <= news
    assert client.v1.transfers.retrieve(made.id).reversed is True
    assert client.v1.transfers.retrieve(spared.id).reversed is False


def test_an_event_is_told_for_thirty_days(client, stripe_sim):
    stripe_sim.control("/_sim/clock", {"now": 1_800_000_000})
    stripe_sim.control("/_sim/balance", {"available": 1})
    event = client.v1.events.list().data[0].id
    stripe_sim.control("/_sim/clock", {"advance_seconds": 30 * 86_400})
    assert client.v1.events.retrieve(event).id == event
    stripe_sim.control("/_sim/clock", {"advance_seconds": 1})
    with pytest.raises(stripe.InvalidRequestError, match="No such event"):
        client.v1.events.retrieve(event)
