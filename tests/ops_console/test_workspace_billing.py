"""/w/<slug>/billing (section 14; T-173): the page in every state, and what its forms do."""

import dataclasses
import datetime as dt
import html
import re

import pytest

from billing.models import (
    BillableEntity,
    BillingRequest,
    CatalogItem,
    Invoice,
    PaymentLink,
    PaymentMethod,
    SubscriptionItem,
    UsageCounter,
)
from billing.providers.errors import Category
from billing.services import windows
from billing.services.idempotency import Answer, RequestInProgress
from ops_console.workspace_billing import deeds
from settld.core import clock, tenancy
from settld.tenants.roles import Role
from tests.billing import factories, payloads
from tests.billing.checkout_provider import problem, provider
from tests.billing.conftest import billing_on
from tests.billing.shop_provider import shop
from tests.ops_console.world import login, make_person, queries_of

__all__ = ["billing_on", "provider", "shop"]
NOW = factories.NOW
HOME = "/w/tenant_a/billing"
HTMX = {"HX-Request": "true"}
DAY = dt.timedelta(days=1)
ACTS = ("checkout", "portal", "links", "links/1/end", "payment-methods/sync", "refresh")


@pytest.fixture
def entity(db):
    with clock.freeze(NOW):
        yield factories.workspace_entity()


@pytest.fixture
def person(entity, settings):
    """Somebody of the tenant's finance, at a deployment whose provider is a stand-in."""
    settings.STRIPE = dataclasses.replace(settings.STRIPE, api_base_url="https://pay.example.com")
    return login(make_person("ada", {"tenant_a": "finance"}))


@pytest.fixture
def member(entity):
    return login(make_person("vera", {"tenant_a": "viewer"}))


def text_of(answer):
    """What a person reads, in one line."""
    page = re.sub(r"<(script|style)\b.*?</\1>", " ", answer.content.decode(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def shown(client, tab="", **query):
    more = "".join(f"&{name}={value}" for name, value in query.items())
    answer = client.get(f"{HOME}?tab={tab}{more}")
    assert answer.status_code == 200, answer.content
    return text_of(answer)


def key_of(client, act):
    """The key of the form that does an act, as the page shows it now."""
    page = client.get(HOME).content.decode()
    form = next(form for form in re.findall(r"<form.*?</form>", page, re.DOTALL) if f'/{act}"' in form)
    return re.search(r'name="idempotency_key" value="([^"]+)"', form)[1]


def send(client, act, key=None, **fields):
    keyed = {"idempotency_key": key or key_of(client, act)} if act in ("checkout", "portal", "links") else {}
    return client.post(f"{HOME}/{act}", keyed | fields)


def own(client, key=None, **fields):
    values = {"kind": "own", "name": "Setup", "amount": "15.00", "quantity": "2"} | fields
    return send(client, "links", key, **values)


def subscribed(entity, **more):
    plan = factories.plan()
    made = factories.subscription(entity, plan, factories.customer(entity, email="pay@example.com"), **more)
    with factories.locked(entity):
        SubscriptionItem.objects.create(
            tenant_id=entity.tenant_id,
            subscription=made,
            provider_subscription_item_id="si_1",
            billing_plan_price=plan.prices.get(),
            quantity=2,
        )
    return made


def rows(model, **filters):
    with tenancy.tenant_scope("tenant_a"):
        return list(model.objects.filter(**filters).order_by("pk"))


# --- Nothing yet ----------------------------------------------------------------------------------
def test_t173_a_new_workspace_is_told_how_to_begin(person):
    factories.plan()
    page = shown(person)
    assert "No subscription Choose a plan under Purchase to begin." in page
    assert "Pro, 49.00 USD per month" in page
    assert "No payment links yet" in page
    assert "Manage billing" not in page
    assert "No payment methods yet" in shown(person, "payment-methods")
    assert "No plan, no limits" in shown(person, "usage")
    assert "Nothing has happened yet" in shown(person, "timeline")


def test_t173_only_plans_that_can_be_sold_and_read_are_offered(person):
    factories.plan("retired", price_id="price_retired", is_active=False)
    factories.entitlement(
        factories.plan("broken", price_id="price_broken"), "x", "entitlement.quota.v1", {"limit": "many"}
    )
    assert "No plan is on sale at present." in shown(person)
    factories.plan()
    page = shown(person)
    assert ("Pro, 49.00" in page, "Retired" in page, "Broken" in page) == (True, False, False)


def test_t173_the_page_is_found_from_the_console_and_leads_to_its_own_tenant(person, member, settings):
    make_person("bob", {"tenant_a": "owner", "tenant_b": "owner"})
    for client in (person, member):
        assert f'href="{HOME}"' in client.get("/console").content.decode()
    both = login(make_person("eve", {"tenant_a": "owner", "tenant_b": "owner"}))
    assert 'href="/w/tenant_a/billing" aria-current' in both.get(HOME).content.decode()
    both.get("/w/tenant_b/billing")
    assert 'href="/w/tenant_b/billing"' in both.get("/console").content.decode()
    settings.BILLING = dataclasses.replace(settings.BILLING, enabled=False)
    assert HOME not in person.get("/console").content.decode()
    assert person.get(HOME).status_code == 404


def test_t173_forms_may_lead_to_the_provider_and_nowhere_else(person, settings):
    def policy():
        return re.search(r"form-action ([^;]*)", person.get(HOME).headers["Content-Security-Policy"])[1]

    assert policy() == "'self' https://pay.example.com"
    settings.STRIPE = dataclasses.replace(settings.STRIPE, api_base_url="https://api.stripe.com")
    assert policy() == (
        "'self' https://billing.stripe.com https://buy.stripe.com https://checkout.stripe.com"
    )
    settings.STRIPE = dataclasses.replace(settings.STRIPE, api_base_url="")
    assert "checkout.stripe.com" in policy()
    assert "stripe" not in person.get("/console").headers["Content-Security-Policy"]


# --- Who may --------------------------------------------------------------------------------------
def test_t173_members_look_and_only_holders_of_the_permission_act(person, member, provider, shop):
    with tenancy.tenant_scope("tenant_a"):
        entity = BillableEntity.objects.get()
    subscribed(entity)
    assert "Active" in shown(member)
    for tab in ("", "payment-methods", "usage", "timeline"):
        page = member.get(f"{HOME}?tab={tab}").content.decode()
        assert "Your role may look at billing." in page
        assert "/billing/" not in "".join(re.findall(r'action="([^"]+)"', page))
    for act in ACTS:
        refused = send(member, act, "k" * 20, plan="pro", name="x", amount="1", quantity="1")
        assert (refused.status_code, b"BILLING_PERMISSION_REQUIRED" in refused.content) == (403, True)
    assert (rows(BillingRequest), shop.calls, provider.creates) == ([], [], [])


def test_t173_the_roles_that_manage_billing(entity):
    factories.plan()
    pages = {role: login(make_person(role, {"tenant_a": role})).get(HOME).content for role in Role.values}
    managers = {role for role, page in pages.items() if b"Start subscription checkout" in page}
    assert managers == {"owner", "admin", "finance"}


def test_t173_strangers_get_the_console_s_usual_refusal(person, entity):
    stranger = login(make_person("mallory", {"tenant_b": "owner"}))
    staff = login(make_person("staff", {}, platform_role="admin"))
    for client in (stranger, staff):
        for path in (HOME, f"{HOME}?tab=timeline", f"{HOME}/confirm", "/w/nobody/billing"):
            refused = client.get(path)
            assert (refused.status_code, b"BILLING_WORKSPACE_FORBIDDEN" in refused.content) == (403, True)
        for act in ACTS:
            assert client.post(f"{HOME}/{act}", {"idempotency_key": "k", "plan": "pro"}).status_code == 403
    person.logout()
    sent = person.get(f"{HOME}?tab=usage")
    assert (sent.status_code, sent["location"]) == (
        303,
        f"/login?next={HOME.replace('/', '%2F')}%3Ftab%3Dusage",
    )
    assert rows(BillingRequest) == []


def test_t173_an_inactive_entity_is_looked_at_only(person, entity, provider):
    factories.plan()
    with tenancy.tenant_scope("tenant_a"):
        BillableEntity.objects.filter(pk=entity.pk).update(status="inactive")
    page = person.get(HOME)
    assert b"billing is switched off" in page.content
    assert b"Start subscription checkout" not in page.content
    refused = send(person, "checkout", "k" * 20, plan="pro")
    assert (refused.status_code, b"BILLING_ENTITY_INACTIVE" in refused.content) == (409, True)
    assert provider.creates == []


# --- Subscription checkout ------------------------------------------------------------------------
def test_t173_a_plan_is_chosen_and_one_form_starts_one_checkout_however_often_it_is_sent(person, provider):
    factories.plan()
    key = key_of(person, "checkout")
    first = send(person, "checkout", key, plan="pro")
    again = send(person, "checkout", key, plan="pro")

    assert (first.status_code, first["location"]) == (303, "https://pay.example.com/cs_1")
    assert (again.status_code, again["location"]) == (303, "https://pay.example.com/cs_1")
    assert len(provider.creates) == 1
    params = provider.creates[0][0]
    assert params["success_url"] == f"https://app.example.com{HOME}?checkout=success"
    assert params["cancel_url"] == f"https://app.example.com{HOME}?checkout=cancelled"
    assert key_of(person, "checkout") != key_of(person, "checkout")


def test_t173_an_old_form_leads_to_the_page_once_its_checkout_is_over(person, provider, entity):
    factories.plan()
    key = key_of(person, "checkout")
    send(person, "checkout", key, plan="pro")
    with factories.locked(entity):
        from billing.models import CheckoutSession

        CheckoutSession.objects.update(status="expired")
    again = send(person, "checkout", key, plan="pro")
    assert (again.status_code, again["location"]) == (303, HOME)
    assert "This checkout is over." in shown(person)


def test_t173_where_a_form_may_not_lead_a_link_does(person, provider, settings):
    factories.plan()
    settings.STRIPE = dataclasses.replace(settings.STRIPE, api_base_url="https://api.stripe.com")
    answer = send(person, "checkout", plan="pro")
    assert (answer.status_code, b'href="https://pay.example.com/cs_1"' in answer.content) == (200, True)


@pytest.mark.parametrize(
    ("row", "reason", "link"),
    [
        (
            {"checkout_url": "https://pay.example.com/cs_9", "provider_checkout_session_id": "cs_9"},
            "A checkout is open until 2026-03-11 12:00:00 UTC.",
            'href="https://pay.example.com/cs_9"',
        ),
        (
            {"status": "completed_pending_subscription"},
            "A checkout is paid, and its subscription is being set up.",
            'href="/w/tenant_a/billing?tab=timeline&amp;operationKey=',
        ),
        (
            {"status": "recovery_verification_pending"},
            "is being verified, at the latest until 2026-03-11 12:00:00 UTC.",
            'href="/w/tenant_a/billing?tab=timeline&amp;operationKey=',
        ),
    ],
)
def test_t173_a_blocking_session_disables_the_start_and_says_where_to_go_on(
    person, member, entity, row, reason, link
):
    factories.plan()
    factories.session(entity, **row)
    page = person.get(HOME).content.decode()
    assert reason in html.unescape(page)
    assert link in page
    assert re.search(r"<button[^>]* disabled[^>]*>Start subscription checkout", page)
    seen = member.get(HOME).content.decode()
    assert reason in html.unescape(seen)
    assert "pay.example.com" not in seen  # paying is for those who may


def test_t173_a_session_whose_time_is_over_blocks_nothing(person, entity):
    factories.plan()
    factories.session(entity, expires_at=NOW - dt.timedelta(seconds=91))
    assert 'id="blocked"' not in person.get(HOME).content.decode()


def test_t173_a_request_without_an_outcome_is_said_and_keeps_its_key(person, provider, monkeypatch):
    monkeypatch.setattr(deeds, "PATIENCE_SECONDS", 0)
    factories.plan()
    provider.will(problem(Category.TRANSIENT_NETWORK))
    key = key_of(person, "checkout")
    answer = send(person, "checkout", key, plan="pro")

    page = answer.content.decode()
    assert (answer.status_code, "request_in_progress" in page) == (409, True)
    assert f'value="{key}"' in page
    assert "it goes on with the same request" in page
    assert "whether the provider has it is not known yet" in page
    assert "notice--warn" in page
    assert "Try this checkout again" in page
    assert key_of(person, "checkout") == key  # also later, on a page of its own
    other = send(person, "checkout", "another-key", plan="pro")
    assert (other.status_code, b"checkout_in_progress" in other.content) == (409, True)


def test_t173_trying_again_goes_on_with_the_same_request(person, provider, monkeypatch):
    monkeypatch.setattr(deeds, "PATIENCE_SECONDS", 0)
    factories.plan()
    provider.will(problem(Category.TRANSIENT_NETWORK))
    send(person, "checkout", plan="pro")
    with clock.freeze(NOW + dt.timedelta(seconds=121)):
        answer = send(person, "checkout", plan="pro")  # with the key that the page gives
    assert (answer.status_code, answer["location"]) == (303, "https://pay.example.com/cs_1")
    assert len(rows(BillingRequest)) == 1
    assert len({key for _, key in provider.creates}) == 1


def test_t173_a_request_of_the_api_is_not_offered_again(person, entity):
    factories.plan()
    factories.request(entity, normalized_request_json={"planCode": "pro", "successPath": "/done"})
    page = person.get(HOME).content.decode()
    assert "is not known yet" in page
    assert "Try this checkout again" not in page
    assert re.search(r"<button[^>]* disabled[^>]*>Start subscription checkout", page)


def test_t173_a_stored_failure_is_shown_in_the_form_and_the_next_try_is_a_new_one(person, provider):
    factories.plan()
    factories.plan("team", price_id="price_team", amount=9_900)
    provider.will(problem(Category.INVALID_REQUEST, 400))
    key = key_of(person, "checkout")
    answer = send(person, "checkout", key, plan="team")
    page = answer.content.decode()
    assert (answer.status_code, "The payment provider rejected the request." in page) == (409, True)
    assert key not in page
    assert '<option value="team" selected>' in page
    assert send(person, "checkout", key, plan="team").status_code == 409  # a reload replays
    assert len(provider.creates) == 1
    assert send(person, "checkout", plan="team").status_code == 303


def test_t173_a_checkout_without_a_plan_is_asked_for_one(person, provider):
    factories.plan()
    answer = send(person, "checkout", "k" * 20)
    assert (answer.status_code, b"Choose a plan." in answer.content) == (422, True)
    assert rows(BillingRequest) == []


def test_t173_a_plan_that_is_not_sold_is_refused(person, provider):
    factories.plan()
    for plan in ("nope", "PRO'--", "x" * 5_000, "p\x00o"):
        answer = send(person, "checkout", plan=plan)
        assert (answer.status_code, b"Billing plan not found." in answer.content) == (404, True)
    assert provider.creates == []


def test_t173_a_form_without_its_key_does_nothing(person, provider):
    factories.plan()
    for key in ("", "\u00fc", "x" * 192):
        answer = person.post(f"{HOME}/checkout", {"plan": "pro", "idempotency_key": key})
        assert (answer.status_code, b"lost its key" in answer.content) == (400, True)
    assert provider.creates == []


def test_t173_the_second_of_a_double_click_waits_for_the_first(monkeypatch):
    monkeypatch.setattr(deeds, "PAUSE_SECONDS", 0)
    told = [RequestInProgress(), RequestInProgress(), Answer(200, {})]

    def verb():
        outcome = told.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert deeds._patiently(verb).status == 200
    monkeypatch.setattr(deeds, "PATIENCE_SECONDS", -1)
    told[:] = [RequestInProgress(), Answer(200, {})]
    with pytest.raises(RequestInProgress):
        deeds._patiently(verb)


# --- A subscription -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("state", "words", "problem_text"),
    [
        ({"status": "active"}, "Active Pro 98.00 USD per month Renews on 2026-04-10 12:00:00 UTC", ""),
        (
            {"status": "active", "cancel_at_period_end": True},
            "Ends on 2026-04-10 12:00:00 UTC",
            "",
        ),
        ({"status": "active", "cancel_at": NOW + DAY}, "Ends on 2026-03-11 12:00:00 UTC", ""),
        ({"status": "trialing", "trial_end": NOW + DAY}, "Trial ends on 2026-03-11 12:00:00 UTC", ""),
        ({"status": "past_due"}, "Payment overdue", "The last payment failed."),
        ({"status": "unpaid"}, "Unpaid", "Payments have failed and are not tried any more."),
        ({"status": "paused"}, "Paused", "The trial ended without a payment method."),
        ({"status": "incomplete"}, "Waiting for the first payment", "The first payment has not gone"),
        ({"status": "active", "current_period_end": None}, "98.00 USD per month Invoices go to pay@", ""),
    ],
)
def test_t173_the_status_panel(person, entity, state, words, problem_text):
    subscribed(entity, **({"current_period_end": NOW + 31 * DAY} | state))
    page = shown(person)
    assert words in page
    assert problem_text in page
    assert ("The last payment" in page) is (state["status"] == "past_due")
    assert "There is a subscription already." in page
    assert re.search(r"<button[^>]* disabled[^>]*>Start", person.get(HOME).content.decode())


def test_t173_an_open_invoice_is_a_payment_problem(person, entity):
    made = subscribed(entity, status="past_due")
    with factories.locked(entity):
        for number, (status, paid, left) in enumerate([("paid", 4_900, 0), ("open", 0, 4_900)]):
            Invoice.objects.create(
                tenant_id="tenant_a",
                billable_entity=entity,
                subscription=made,
                billing_customer=made.billing_customer,
                provider_invoice_id=f"in_{number}",
                status=status,
                amount_due_minor=4_900,
                amount_paid_minor=paid,
                amount_remaining_minor=left,
                currency="USD",
                issued_at=NOW + number * DAY,
                paid_at=NOW if paid else None,
            )
    page = shown(person)
    assert "49.00 USD of an invoice is open." in page
    assert "Last paid 49.00 USD, 2026-03-10 12:00:00 UTC" in page


def test_t173_manage_billing_opens_the_portal_once_per_form(person, entity, shop, settings):
    settings.STRIPE = dataclasses.replace(settings.STRIPE, api_base_url="https://portal.example.com")
    subscribed(entity)
    key = key_of(person, "portal")
    first, again = send(person, "portal", key), send(person, "portal", key)
    assert [answer.status_code for answer in (first, again)] == [303, 303]
    assert first["location"] == again["location"] == "https://portal.example.com/bps_1"
    assert shop.made("portal") == [
        {"customer": "cus_1", "return_url": f"https://app.example.com{HOME}?portal=back"}
    ]


def test_t173_a_portal_that_is_refused_says_so_beside_its_button(person, entity, shop):
    subscribed(entity)
    shop.will("portal", problem(Category.INVALID_REQUEST, 400))
    answer = send(person, "portal")
    assert answer.status_code == 409
    assert answer.content.index(b"checkout_provider_error") < answer.content.index(b'class="plan"')


def test_t173_back_from_the_portal_the_panel_shows_what_was_changed_there(person, entity):
    made = subscribed(entity, current_period_end=NOW + 31 * DAY)
    page = person.get(f"{HOME}?portal=back").content.decode()
    href = html.unescape(re.search(r'hx-get="([^"]+/standing[^"]+)"', page)[1])
    assert person.get(href, headers=HTMX).status_code == 204
    with factories.locked(entity):
        made.cancel_at_period_end = True
        made.save()
    fresh = person.get(href, headers=HTMX)
    assert "Ends on 2026-04-10 12:00:00 UTC" in text_of(fresh)
    assert b"hx-get" in fresh.content
    with clock.freeze(NOW + dt.timedelta(seconds=60)):
        assert b"hx-get" not in person.get(href, headers=HTMX).content
    assert "/standing" not in person.get(HOME).content.decode()


# --- Payment links --------------------------------------------------------------------------------
def test_t173_a_link_for_something_of_ones_own(person, entity, shop):
    key = key_of(person, "links")
    first, again = own(person, key), own(person, key)
    assert first.status_code == again.status_code == 303
    assert first["location"] == again["location"] == f"{HOME}?tab=purchase&link=plink_2#links"
    (link,) = rows(PaymentLink)
    page = person.get(first["location"])
    assert f'value="{link.url}"' in page.content.decode()
    assert "2 x Setup New 30.00 USD Active" in text_of(page)
    assert shop.made("price")[0]["unit_amount"] == 1_500
    redirect = shop.made("link")[0]["after_completion"]["redirect"]["url"]
    assert redirect == "https://app.example.com/w/paid"


def test_t173_a_link_for_an_item_of_the_catalog(person, entity, shop):
    for code, is_active in (("price_box", True), ("price_gone", False)):
        CatalogItem.objects.create(
            provider_price_id=code, name="Box", currency="USD", unit_amount_minor=700, is_active=is_active
        )
    page = person.get(HOME).content.decode()
    assert "Box, 7.00 USD" in page
    assert "price_gone" not in page
    answer = send(person, "links", "k1", kind="item", item="price_box", quantity="3")
    assert answer.status_code == 303
    assert shop.made("link")[0]["line_items"] == [{"price": "price_box", "quantity": 3}]
    assert "3 x Box 21.00 USD" in shown(person)
    refused = send(person, "links", "k2", kind="item", item="price_gone", quantity="3")
    assert (refused.status_code, b"Choose one of the list." in refused.content) == (422, True)


FAULTS = (
    ({"name": ""}, "Say what is sold."),
    ({"name": "x" * 161}, "At most 160 characters."),
    ({"amount": ""}, "An amount such as 49.00"),
    ({"amount": "1,000.00"}, "An amount such as 49.00"),
    ({"amount": "49.005"}, "An amount such as 49.00"),
    ({"amount": "-1"}, "An amount such as 49.00"),
    ({"amount": "0"}, "More than nothing, and at most 999,999.99 USD."),
    ({"amount": "1000000"}, "More than nothing, and at most 999,999.99 USD."),
    ({"quantity": "0"}, "A whole number from 1 to 10,000."),
    ({"quantity": "10001"}, "A whole number from 1 to 10,000."),
    ({"quantity": "1.5"}, "A whole number from 1 to 10,000."),
    ({"quantity": "\u0663"}, "A whole number from 1 to 10,000."),
)


def test_t173_faults_stand_beside_their_fields_and_the_key_is_kept(person, shop):
    key = key_of(person, "links")
    for fields, fault in FAULTS:
        answer = own(person, key, **fields)
        page = html.unescape(answer.content.decode())
        assert (answer.status_code, fault in page, 'aria-invalid="true"' in page) == (422, True, True), fault
        assert f'value="{key}"' in page
        for name, value in ({"name": "Setup"} | fields).items():
            assert f'name="{name}" value="{value}"' in page
    assert shop.calls == []


@pytest.mark.parametrize(
    ("currency", "typed", "minor", "shown_as"),
    [("JPY", "1500", 1_500, "1,500 JPY"), ("KWD", "1.5", 1_500, "1.500 KWD"), ("USD", "7", 700, "7.00 USD")],
)
def test_t173_money_has_the_decimals_of_its_currency(
    person, shop, settings, currency, typed, minor, shown_as
):
    settings.BILLING = dataclasses.replace(settings.BILLING, currency=currency)
    assert own(person, amount=typed, quantity="1").status_code == 303
    assert shop.made("price")[0]["unit_amount"] == minor
    assert shown_as in shown(person)


def test_t173_a_plan_s_limit_is_a_refusal_in_the_form(person, entity, shop):
    made = subscribed(entity)
    quota = {"limit": 1, "interval": "month", "enforcement": "hard"}
    factories.entitlement(made.plan, "payment_links_created_monthly", "entitlement.quota.v1", quota)
    assert own(person).status_code == 303
    answer = own(person, name="Another")
    page = text_of(answer)
    assert (answer.status_code, "The plan's limit is reached" in page) == (429, True)
    assert "Window end at 2026-04-01 00:00:00 UTC" in page
    assert 'value="Another"' in answer.content.decode()
    assert len(rows(PaymentLink)) == 1


def test_t173_a_link_is_switched_off_for_good(person, entity, shop):
    own(person)
    (link,) = rows(PaymentLink)
    for _ in range(2):
        answer = send(person, f"links/{link.pk}/end")
        assert (answer.status_code, answer["location"]) == (303, f"{HOME}?tab=purchase#links")
    assert shop.made("switch") == [("plink_2", False)]
    page = shown(person)
    assert "The payment link is off." in page
    assert "30.00 USD Off" in page
    assert f'id="link-{link.pk}"' not in person.get(HOME).content.decode()


def test_t173_a_link_of_another_tenant_or_of_nobody_is_not_found(person, entity, shop):
    other = factories.workspace_entity("tenant_b")
    with factories.locked(other):
        theirs = PaymentLink.objects.create(
            tenant_id="tenant_b",
            billable_entity=other,
            provider_payment_link_id="plink_x",
            operation_key="f" * 64,
            url="https://buy.example.com/x",
        )
    for link_id in (theirs.pk, theirs.pk + 1, 2**63, 10**30):
        answer = send(person, f"links/{link_id}/end")
        assert (answer.status_code, b"Payment link not found." in answer.content) == (404, True)
    assert shop.calls == []


def test_t173_a_link_that_the_provider_does_not_switch_off_stays_on(person, entity, shop):
    own(person)
    shop.will("switch", problem(Category.TRANSIENT_NETWORK))
    (link,) = rows(PaymentLink)
    answer = send(person, f"links/{link.pk}/end")
    assert (answer.status_code, b"did not deactivate the link" in answer.content) == (409, True)
    assert rows(PaymentLink)[0].active


def test_t173_whoever_paid_a_link_is_thanked_and_told_nothing_of_anybody(client, db):
    answer = client.get("/w/paid")
    assert (answer.status_code, b"If your payment went through" in answer.content) == (200, True)
    assert b"tenant" not in answer.content


# --- Payment methods ------------------------------------------------------------------------------
def test_t173_payment_methods_are_synced_by_hand(person, member, entity, shop):
    factories.customer(entity)
    assert "No payment methods known" in shown(person, "payment-methods")
    shop.hold_customer("cus_1", payloads.payment_method("pm_1"))
    answer = send(person, "payment-methods/sync")
    assert (answer.status_code, answer["location"]) == (303, f"{HOME}?tab=payment-methods")
    page = shown(person, "payment-methods")
    assert "Synced: the provider has 1 payment method." in page
    assert "Visa card •••• 4242" in page
    assert "Synced 2026-03-10 12:00:00 UTC" in page
    assert "Sync now" not in shown(member, "payment-methods")


def test_t173_a_sync_that_fails_changes_nothing_and_says_so(person, entity, shop):
    factories.customer(entity)
    shop.hold_customer("cus_1", payloads.payment_method("pm_1"))
    shop.will("list methods", problem(Category.TRANSIENT_PROVIDER, 500))
    answer = send(person, "payment-methods/sync")
    page = text_of(answer)
    assert (answer.status_code, "The payment methods could not be synced" in page) == (409, True)
    assert "What is shown is as of the sync before." in page
    assert rows(PaymentMethod) == []


def test_t173_without_a_customer_there_is_nothing_to_sync(person, shop):
    send(person, "payment-methods/sync")
    assert "There is nothing to sync" in shown(person, "payment-methods")
    assert shop.calls == []


# --- Usage ----------------------------------------------------------------------------------------
def test_t173_quotas_have_bars_and_say_when_they_begin_anew(person, entity):
    made = subscribed(entity)
    month = windows.of("month", now=NOW)
    for code, enforcement, used in (("hard_one", "hard", 10), ("soft_one", "soft", 12), ("low", "hard", 3)):
        value = {"limit": 10, "interval": "month", "enforcement": enforcement}
        factories.entitlement(made.plan, code, "entitlement.quota.v1", value)
        with factories.locked(entity):
            UsageCounter.objects.create(
                tenant_id="tenant_a",
                billable_entity=entity,
                entitlement_code=code,
                window_start_at=month.start_at,
                window_end_at=month.end_at,
                usage_count=used,
            )
    factories.entitlement(made.plan, "sso", "entitlement.boolean.v1", {"enabled": True})
    factories.entitlement(made.plan, "regions", "entitlement.string_list.v1", {"values": ["eu", "us"]})
    page = shown(person, "usage")
    assert "Hard one 10 of 10 used this month" in page
    assert "Used up: more is refused until the reset Resets 2026-04-01 00:00:00 UTC, in 21 days" in page
    assert "2 more than the plan has; not refused" in page
    assert "7 left" in page
    assert "Sso Included" in page
    assert "Regions eu, us" in page
    raw = person.get(f"{HOME}?tab=usage").content.decode()
    assert 'aria-label="Low: 3 of 10 used this month"' in raw
    assert 'class="fill--good" x="0" width="300"' in raw


def test_t173_grants_that_cannot_be_read_are_told_as_our_mistake(person, entity):
    made = subscribed(entity)
    factories.entitlement(made.plan, "broken", "entitlement.boolean.v1", {"enabled": "perhaps"})
    assert "What the plan grants cannot be read." in shown(person, "usage")
    assert "Nothing is counted" not in shown(person, "usage")


# --- Timeline -------------------------------------------------------------------------------------
def test_t173_the_timeline_is_filtered_and_walked(person, entity):
    keys = [factories.session(entity, flow="one_off", status="expired").operation_key for _ in range(25)]
    subscribed(entity)
    first = person.get(f"{HOME}?tab=timeline").content.decode()
    assert first.count("Checkout Expired") + first.count("Subscription Active") == 20
    following = html.unescape(re.search(r'rel="next" href="([^"]+)"', first)[1])
    second = person.get(following).content.decode()
    assert second.count("Checkout Expired") + second.count("Subscription Active") == 6
    assert "Entries 21 to 26" in second
    assert 'rel="next"' not in second
    assert 'rel="prev"' in second
    assert person.get(f"{HOME}?tab=timeline&pageSize=50").content.decode().count("Checkout Expired") == 25
    one = shown(person, "timeline", operationKey=keys[3])
    assert one.count("Checkout Expired") == 1
    page = person.get(f"{HOME}?tab=timeline&source=subscription").content.decode()
    assert (page.count("Subscription Active"), page.count("Checkout Expired")) == (1, 0)
    assert "Nothing fits these filters" in shown(person, "timeline", providerEventId="evt_none")
    assert "is no source" in shown(person, "timeline", source="bogus")


SENSELESS = (
    *("page=0", "page=-1", "page=x", "page=99999", "page=501", "page=%D9%A3", "pageSize=100&page=100"),
    *("pageSize=7", "operationKey=%00a", "providerEventId=" + "x" * 3_000, "source=%27%3B--"),
    *("tab=bogus", "link=%00", "checkout=%00"),
)


def test_t173_addresses_that_make_no_sense_show_a_page(person):
    for query in SENSELESS:
        assert person.get(f"{HOME}?tab=timeline&{query}").status_code == 200, query


# --- Coming back ----------------------------------------------------------------------------------
def confirm_href(page):
    return html.unescape(re.search(r'hx-get="([^"]+/confirm[^"]+)"', page)[1])


def test_t173_the_address_claims_nothing(person, member, entity):
    factories.plan()
    page = shown(person, checkout="success")
    assert "No checkout is under way" in page
    assert "confirmed." not in page.replace("has confirmed it.", "")
    factories.session(entity, provider_checkout_session_id="cs_9")
    raw = person.get(f"{HOME}?checkout=success").content.decode()
    assert "Confirming…" in raw
    assert 'hx-trigger="every 2s"' in raw
    assert 'hx-trigger="load, every 11s"' in raw  # the refresh
    assert "Subscription confirmed" not in raw
    seen = member.get(f"{HOME}?checkout=success").content.decode()
    assert ("Confirming…" in seen, "/refresh" in seen) == (True, False)
    assert "You left the checkout" in shown(person, checkout="cancelled")


def test_t173_the_page_asks_until_the_snapshot_confirms(person, entity):
    factories.session(entity, provider_checkout_session_id="cs_9")
    href = confirm_href(person.get(f"{HOME}?checkout=success").content.decode())
    assert person.get(href, headers=HTMX).status_code == 204
    subscribed(entity)
    answer = person.get(href, headers=HTMX)
    assert answer.headers["HX-Redirect"] == HOME
    assert "Subscription confirmed. The plan Pro is active." in shown(person)


def test_t173_it_stops_asking_after_a_minute(person, entity):
    factories.session(entity, provider_checkout_session_id="cs_9")
    href = confirm_href(person.get(f"{HOME}?checkout=success").content.decode())
    with clock.freeze(NOW + dt.timedelta(seconds=60)):
        answer = person.get(href, headers=HTMX)
    assert "Not confirmed yet" in answer.content.decode()
    assert "hx-get" not in answer.content.decode()
    for until in ("9" * 11, "x", "", "-5"):  # an address cannot prolong it
        assert person.get(f"{HOME}/confirm?until={until}", headers=HTMX).status_code in (200, 204)


def test_t173_an_unpaid_first_invoice_is_no_confirmation(person, entity):
    subscribed(entity, status="incomplete")
    assert "Confirming…" in shown(person, checkout="success")


def test_t173_asking_the_provider_takes_over_what_it_says(person, entity, provider):
    factories.plan()
    send(person, "checkout", plan="pro")
    provider.change("cs_1", status="expired")
    with clock.freeze(NOW + dt.timedelta(seconds=20)):
        answer = person.post(f"{HOME}/refresh", {"confirming": "yes"})
        assert (answer.status_code, answer["location"]) == (303, HOME)
        assert provider.retrieved == ["cs_1"]
        assert 'id="blocked"' not in person.get(HOME).content.decode()
        assert person.post(f"{HOME}/refresh", headers=HTMX).status_code == 204


def test_t173_asking_a_provider_that_has_no_news_comes_back_to_the_waiting_page(person, entity, provider):
    factories.plan()
    send(person, "checkout", plan="pro")
    waiting = person.post(f"{HOME}/refresh", {"confirming": "yes"})
    assert waiting["location"] == f"{HOME}?checkout=success"
    plain = person.post(f"{HOME}/refresh")
    assert plain["location"] == HOME
    assert "The provider has nothing new about this checkout." in shown(person)


def test_t173_the_page_costs_the_same_however_much_there_is(person, entity):
    factories.plan()
    few = queries_of(person, HOME)
    for number in range(5):
        factories.plan(f"plan{number}", price_id=f"price_{number}")
    factories.session(entity, flow="one_off", status="expired")
    assert queries_of(person, HOME) == few
