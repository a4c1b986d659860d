"""/console/connect: the list, an account's page, and its acts, without scripts and with htmx."""

import dataclasses
import html
import re

import pytest

from settld.core import tenancy
from tests.moneyrails import connect
from tests.moneyrails.connect import audits, put, shown, sync
from tests.ops_console.test_payout_acts import form_of
from tests.ops_console.world import queries_of

LIST = "/console/connect"
HTMX = {"HX-Request": "true", "HX-Target": "act"}
LIVE = {"HX-Request": "true", "HX-Target": "live"}


@pytest.fixture
def stripe(world, settings, monkeypatch):
    """A deployment with a Stripe provider, and a Stripe that answers as it is told."""
    from tests.support.factories import rails

    settings.MONEY_RAILS = rails()
    return connect.answering(settings, monkeypatch)


def text_of(client, address, **more):
    page = client.get(address, **more)
    assert page.status_code == 200, page.content
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page.content.decode())))


def rows_of(client, address=LIST):
    return re.findall(r'data-href="/console/connect/(acct_\w+)"', client.get(address).content.decode())


# --- The list -------------------------------------------------------------------------------------
def test_without_accounts_the_page_says_how_to_begin(world, finance):
    page = text_of(finance, LIST)
    assert "No accounts yet" in page
    assert "Connect is not enabled" in page


def test_the_list_shows_how_each_account_stands(stripe, world, api, finance):
    put(api, "acct_a", partyId="p1", partyRole="operator", enableConnect=True)
    put(api, "acct_b", setDefault=True)
    put(api, "acct_c", status="disabled")
    stripe.answers["acct_a"] = connect.asking(
        "acct_a", currently_due=["external_account", "individual.dob.day", "individual.dob.month", "x.y_z"]
    )
    stripe.answers["acct_b"] = connect.rejected("acct_b")
    sync(api, "acct_a", "acct_b")

    page = text_of(finance, LIST)

    assert rows_of(finance) == ["acct_a", "acct_b", "acct_c"]
    assert "A bank account to pay out to; The person's date of birth; 1 more" in page
    assert "Rejected Something that Stripe asked for is overdue" in page
    assert "Disabled by Stripe" in page
    assert "Disabled by an operator" in page
    assert "1 of 3 accounts may be paid" in page
    assert "1 never looked at" in page
    assert "default acct_b" in page
    assert "Connect is not enabled" not in page


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("status=active", ["acct_a"]), ("status=provider", ["acct_b"]), ("status=operator", ["acct_c"]),
        ("kyb=rejected", ["acct_b"]), ("kyb=none", ["acct_c"]), ("party=p1", ["acct_a"]), ("party=p", []),
        ("due=due", ["acct_a"]), ("due=pending", []), ("due=nothing", ["acct_b", "acct_c"]),
        ("q=acct_b", ["acct_b"]), ("q=P1", ["acct_a"]), ("q=%00acct_c", ["acct_c"]),
        ("status=bogus", ["acct_a", "acct_b", "acct_c"]), ("after=acct_a", ["acct_b", "acct_c"]),
    ],
)  # fmt: skip
def test_filters_narrow_the_list(stripe, world, api, finance, query, left):
    put(api, "acct_a", partyId="p1")
    put(api, "acct_b")
    put(api, "acct_c", status="disabled")
    stripe.answers["acct_a"] = connect.asking("acct_a", currently_due=["external_account"])
    stripe.answers["acct_b"] = connect.rejected("acct_b")
    sync(api, "acct_a", "acct_b")

    assert rows_of(finance, f"{LIST}?{query}") == left
    if "bogus" in query:
        assert "is no status" in text_of(finance, f"{LIST}?{query}")


def test_pages_are_walked_by_key_and_cost_the_same(stripe, world, api, finance, monkeypatch):
    from ops_console.connect import listing

    monkeypatch.setattr(listing, "ROWS", 3)
    put(api, "acct_0")
    few = queries_of(finance, LIST)
    for number in range(1, 8):
        put(api, f"acct_{number}", partyId=f"p{number}")
    assert rows_of(finance) == ["acct_0", "acct_1", "acct_2"]
    following = re.search(r'rel="next" href="([^"]+)"', finance.get(LIST).content.decode())[1]
    assert rows_of(finance, following) == ["acct_3", "acct_4", "acct_5"]
    assert queries_of(finance, LIST) == few


def test_an_unchanged_list_is_not_sent_again_and_a_changed_one_is(stripe, world, api, finance):
    put(api)
    address = re.search(r'hx-get="(/console/connect\?[^"]+)"', finance.get(LIST).content.decode())[1]
    address = address.replace("&amp;", "&")

    assert finance.get(address, headers=LIVE).status_code == 204

    stripe.answers["acct_a"] = connect.rejected()
    sync(api)
    again = finance.get(address, headers=LIVE)
    assert again.status_code == 200
    assert b"by Stripe" in again.content
    assert b"<html" not in again.content


def held_up(world, api, stripe):
    """A payout that waits for an account which Stripe has shut meanwhile."""
    world.controls(realMoneyEnabled=True)
    put(api, "acct_a", partyId="p1", enableConnect=True)
    operation = world.payout("p1", cents=12_345, moneyRailProviderId=connect.STRIPE)
    stripe.answers["acct_a"] = connect.rejected()
    sync(api, "acct_a")
    return operation


def test_payouts_that_an_account_holds_up_are_shown(stripe, world, api, finance):
    operation = held_up(world, api, stripe)

    row = text_of(finance, LIST)
    page = text_of(finance, f"{LIST}/acct_a")

    assert "123.45 USD in 1" in row
    assert "Held up" in row
    assert "Payouts held up" in page
    assert "123.45 USD in 1 payout" in page
    assert operation["operationId"] in finance.get(f"{LIST}/acct_a").content.decode()
    stripe.answers.clear()
    sync(api, "acct_a")
    assert "Held up" not in text_of(finance, LIST)
    assert "Payouts to submit" in text_of(finance, f"{LIST}/acct_a")


def test_the_payout_s_own_page_says_that_its_account_refuses_it(stripe, world, api, finance):
    from tests.ops_console.world import page_of

    operation = held_up(world, api, stripe)
    assert "Refuses a submit now: STRIPE_CONNECT_ACCOUNT_REQUIRED" in text_of(finance, page_of(operation))


# --- One account ----------------------------------------------------------------------------------
def test_the_account_s_page_tells_everything(stripe, world, api, finance):
    put(api, partyId="p1", setDefault=True)
    stripe.answers["acct_a"] = connect.asking(
        payouts=False,
        currently_due=["external_account", "individual.verification.document"],
        past_due=["external_account"],
        eventually_due=["external_account", "company.tax_id"],
        disabled_reason="requirements.past_due",
        errors=[{"code": "c", "requirement": "individual.verification.document", "reason": "It <expired>."}],
    )
    sync(api)

    page = text_of(finance, f"{LIST}/acct_a")

    for said in (
        "Overdue", "A bank account to pay out to", "Due now", "The person's identity document",
        "Stripe says: It <expired>.", "Due later", "The company's tax number", "Disabled by Stripe",
        "Something that Stripe asked for is overdue", "It is not fit to be paid", "Configured",
        "Mapped to p1.", "Found by a sync that somebody asked for.",
    ):  # fmt: skip
        assert said in page, said


def test_a_failed_look_is_told(stripe, world, api, finance):
    put(api)
    stripe.answers["acct_a"] = connect.failure(message="no answer from Stripe")
    sync(api)
    assert "The last look failed" in text_of(finance, f"{LIST}/acct_a")
    assert "Failed" in text_of(finance, LIST)


def test_an_account_of_another_tenant_is_not_there(stripe, world, api, finance):
    put(api.as_tenant("tenant_b"))
    for address in (f"{LIST}/acct_a", f"{LIST}/acct_a/live", f"{LIST}/acct_a/map", f"{LIST}/acct_a/bogus"):
        assert finance.get(address).status_code == 404


def test_the_live_part_comes_when_it_has_changed_and_leaves_a_form_alone(stripe, world, api, finance):
    put(api)
    page = finance.get(f"{LIST}/acct_a").content.decode()
    address = re.search(r'hx-get="([^"]+/live\?version=[^"]+)"', page)[1]
    assert finance.get(address, headers=LIVE).status_code == 204
    stripe.answers["acct_a"] = connect.rejected()
    sync(api)

    answer = finance.get(address, headers=LIVE)

    assert answer.status_code == 200
    assert b"Disabled by Stripe" in answer.content
    assert b'id="act"' not in answer.content


# --- Acts -----------------------------------------------------------------------------------------
def act(client, address, **filled):
    form = form_of(client, address) | filled
    return client.post(address, form)


def test_mapping_in_two_steps_without_scripts(stripe, world, api, finance):
    put(api)
    answer = act(finance, f"{LIST}/acct_a/map", party_id="p1", party_role="operator")
    assert (answer.status_code, answer["location"]) == (303, f"{LIST}/acct_a")
    assert (shown(api)["partyId"], shown(api)["partyRole"]) == ("p1", "operator")
    assert "Mapped to p1." in text_of(finance, answer["location"])
    act(finance, f"{LIST}/acct_a/map", party_id="", party_role="")
    assert (shown(api)["partyId"], shown(api)["partyRole"]) == (None, None)


def test_a_party_conflict_lands_in_the_form(stripe, world, api, finance):
    put(api, "acct_a", partyId="p1")
    put(api, "acct_b")
    address = f"{LIST}/acct_b/map"
    form = form_of(finance, address) | {"party_id": "p1"}

    answer = finance.post(address, form, headers=HTMX)

    assert answer.status_code == 409
    assert b"STRIPE_CONNECT_PARTY_CONFLICT" in answer.content
    assert b"acct_a" in answer.content
    assert form["idempotency_key"].encode() in answer.content
    assert shown(api, "acct_b")["partyId"] is None


def test_default_and_status_are_switched_and_switched_back(stripe, world, api, finance):
    put(api)
    act(finance, f"{LIST}/acct_a/set-default")
    act(finance, f"{LIST}/acct_a/disable")
    with tenancy.tenant_scope("tenant_a"):
        from moneyrails.models import ConnectAccount

        row = ConnectAccount.objects.get()
        assert (row.is_default, row.status, row.disabled_by) == (True, "disabled", "operator")
    act(finance, f"{LIST}/acct_a/clear-default")
    act(finance, f"{LIST}/acct_a/enable")
    with tenancy.tenant_scope("tenant_a"):
        row.refresh_from_db()
        assert (row.is_default, row.status, row.disabled_by) == (False, "active", "")


def test_the_same_form_sent_twice_disables_once(stripe, world, api, finance):
    put(api)
    address = f"{LIST}/acct_a/disable"
    form = form_of(finance, address)
    finance.post(address, form)
    again = finance.post(address, form)
    assert "sent before" in text_of(finance, again["location"])
    assert shown(api)["status"] == "disabled"
    assert len(audits("STRIPE_CONNECT_ACCOUNT_UPSERT")) == 2


def test_a_form_shown_before_somebody_else_switched_does_what_it_said(stripe, world, api, finance):
    put(api)
    address = f"{LIST}/acct_a/disable"
    form = form_of(finance, address)
    put(api, status="disabled")

    finance.post(address, form)

    assert shown(api)["status"] == "disabled"


def test_removing_leads_back_to_the_list(stripe, world, api, finance):
    put(api)
    answer = act(finance, f"{LIST}/acct_a/remove")
    assert (answer.status_code, answer["location"]) == (303, LIST)
    assert shown(api) is None
    assert "acct_a is removed." in text_of(finance, LIST)


def test_syncing_one_shows_what_is_seen(stripe, world, api, finance):
    put(api)
    stripe.answers["acct_a"] = connect.rejected()
    address = f"{LIST}/acct_a/sync"
    answer = finance.post(address, form_of(finance, address) | {"provider_id": connect.STRIPE}, headers=HTMX)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert 'id="live" hx-swap-oob="outerHTML"' in page
    assert "Disabled by Stripe" in page
    assert "Synced with Stripe." in page


def test_syncing_all_counts_and_tells_failures(stripe, world, api, finance):
    put(api, "acct_a")
    put(api, "acct_b")
    stripe.answers["acct_b"] = connect.failure()
    answer = act(finance, f"{LIST}/sync", provider_id=connect.STRIPE)
    assert answer["location"] == LIST
    assert "1 account synced, 1 failed" in text_of(finance, LIST)


def test_a_sync_that_is_refused_says_why_in_the_form(stripe, world, api, finance, settings):
    put(api)
    settings.STRIPE = dataclasses.replace(settings.STRIPE, secret_key="")
    answer = act(finance, f"{LIST}/acct_a/sync", provider_id=connect.STRIPE)
    assert answer.status_code == 409
    assert b"STRIPE_SECRET_KEY_REQUIRED" in answer.content


def test_adding_an_account(stripe, world, api, finance):
    filled = {"account_id": "acct_new", "party_id": "p1", "set_default": "yes", "enable_connect": "yes"}
    answer = act(finance, f"{LIST}/add", **filled)
    assert answer["location"] == f"{LIST}/acct_new"
    assert shown(api, "acct_new")["partyId"] == "p1"
    assert "Connect is not enabled" not in text_of(finance, LIST)
    again = act(finance, f"{LIST}/add", **filled)
    assert (again.status_code, b"configured already" in again.content) == (400, True)
    bad = act(finance, f"{LIST}/add", account_id="acct/1", set_default="no", enable_connect="no")
    assert (bad.status_code, b"accountId must look like acct_" in bad.content) == (400, True)
    assert (
        act(finance, f"{LIST}/add", account_id="", set_default="no", enable_connect="no").status_code == 422
    )


@pytest.mark.parametrize("role", ["viewer", "approver", "auditor"])
def test_a_role_that_may_not_change_money_cannot(stripe, world, api, role):
    put(api)
    person = world.person(role)
    form = {"tenant": "tenant_a", "idempotency_key": "k", "party_id": "p"}
    for address in ("add", "sync", "acct_a/map", "acct_a/disable", "acct_a/remove", "acct_a/sync"):
        assert person.get(f"{LIST}/{address}").status_code == 403
        assert person.post(f"{LIST}/{address}", form).status_code == 403
    assert shown(api)["partyId"] is None


def test_a_reader_sees_no_acts(stripe, world, api, approver):
    put(api)
    assert b"Add account" not in approver.get(LIST).content
    assert b"Remove" not in approver.get(f"{LIST}/acct_a").content
