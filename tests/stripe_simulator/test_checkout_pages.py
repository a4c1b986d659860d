"""The hosted checkout page as a browser without script meets it."""

import re

import pytest

from tests.stripe_simulator.shop import CANCEL_URL, DECLINED, GOOD, SUCCESS_URL, visit

FORM = {
    "email": "kim@example.com",
    "card_number": GOOD,
    "expiry": "12 / 34",
    "cvc": "123",
    "name": "Kim",
    "method": "card",
}


def test_an_open_session_shows_what_is_bought_and_a_card_that_works(shop):
    made = shop.subscribe()

    page = visit(made.url)

    assert page.status == 200
    for text in ("Stripe simulator", "Team plan", "29.00 USD", "per month", 'value="4242 4242 4242 4242"'):
        assert text in page.text
    assert f'href="{CANCEL_URL}"' in page.text
    assert not re.search(r"<script|src=|@import|url\(", page.text)
    assert re.findall("<link[^>]*>", page.text) == ['<link rel="icon" href="data:,">']


def test_paying_leads_to_the_success_url_and_the_page_then_says_so(shop):
    made = shop.subscribe()

    paid = visit(made.url, FORM)

    assert (paid.status, paid.location) == (303, SUCCESS_URL.replace("{CHECKOUT_SESSION_ID}", made.id))
    assert shop.client.v1.checkout.sessions.retrieve(made.id).status == "complete"
    again = visit(made.url)
    assert "You are all done here" in again.text
    assert "Continue to the shop" in again.text
    twice = visit(made.url, FORM)
    assert (twice.status, "You are all done here" in twice.text) == (200, True)
    assert len(shop.client.v1.subscriptions.list().data) == 1


@pytest.mark.parametrize("change", [{"card_number": DECLINED}, {"method": "declined"}])
def test_a_declined_card_shows_the_error_and_lets_one_try_again(change, shop):
    made = shop.sell()

    refused = visit(made.url, {**FORM, **change})

    assert refused.status == 402
    assert 'role="alert"' in refused.text
    assert "Your card was declined." in refused.text
    assert 'value="kim@example.com"' in refused.text
    assert visit(made.url, FORM).status == 303


def test_a_delayed_payment_is_decided_on_the_page(shop):
    made = shop.sell()

    visit(made.url, {**FORM, "method": "us_bank_account"})
    waiting = visit(made.url)
    settled = visit(f"{made.url}/settle", {"outcome": "failed"})

    assert "on its way from the bank" in waiting.text
    assert settled.status == 303
    assert "has not arrived" in visit(made.url).text
    assert shop.events()[-1]["type"] == "checkout.session.async_payment_failed"


def test_an_expired_session_says_so_and_takes_no_money(shop):
    made = shop.subscribe()
    shop.client.v1.checkout.sessions.expire(made.id)

    shown, paid = visit(made.url), visit(made.url, FORM)

    assert (shown.status, paid.status) == (410, 410)
    assert "has expired" in shown.text
    assert shop.client.v1.subscriptions.list().data == []


def test_names_are_escaped(shop):
    nasty = "<script>alert(1)</script>"
    product = {"name": nasty}
    price = {"currency": "usd", "unit_amount": 100, "product_data": product}
    made = shop.session(mode="payment", line_items=[{"price_data": price, "quantity": 1}])

    refused = visit(made.url, {**FORM, "name": '"><b>', "method": "declined"})

    assert nasty not in refused.text
    assert "&lt;script&gt;" in refused.text
    assert 'value="&quot;&gt;&lt;b&gt;"' in refused.text


@pytest.mark.parametrize(
    ("currency", "amount", "shown"),
    [("jpy", 1500, "1,500 JPY"), ("usd", 5, "0.05 USD"), ("kwd", 1234, "1.234 KWD")],
)
def test_amounts_follow_the_currency(currency, amount, shown, shop):
    price = {"currency": currency, "unit_amount": amount, "product_data": {"name": "x"}}
    made = shop.session(mode="payment", line_items=[{"price_data": price, "quantity": 1}])

    assert shown in visit(made.url).text


@pytest.mark.parametrize(
    "path", ["/c/pay/cs_nobody", "/b/plink_nobody", "/p/session/bps_nobody", "/c/pay/a/b/c"]
)
def test_an_address_of_nothing_is_a_page_that_says_so(path, stripe_sim):
    page = visit(stripe_sim.url + path)

    assert (page.status, "<h1>" in page.text) == (404, True)


def test_a_form_of_nonsense_is_refused(shop):
    made = shop.sell()

    for form in ({"surprise": "x"}, {"method": "barter"}, {"email": "x" * 600}):
        assert visit(made.url, form).status == 400
    assert shop.client.v1.checkout.sessions.retrieve(made.id).status == "open"
