"""/console/billing/* (section 14; T-173, T-162): who may, what is shown, the explorer and the reports."""

import csv
import dataclasses
import datetime as dt
import io

import pytest

from billing.models import Invoice, SubscriptionItem
from tests.billing import factories, payloads
from tests.billing.conftest import billing_on
from tests.billing.workers import owe_expiry
from tests.ops_console.billing_desk import (
    HOME,
    HTMX,
    NOW,
    admin,
    audited,
    entity,
    inbox,
    operator,
    provider,
    shown,
)
from tests.ops_console.test_pages import INLINE
from tests.ops_console.world import login, make_person, queries_of

__all__ = ["admin", "billing_on", "entity", "operator", "provider"]
RIGHTS = {
    "/events": "console.billing.events.read_all",
    "/events.csv": "console.billing.events.read_all",
    "/plans": "console.billing.catalog.manage",
    "/plans/new": "console.billing.catalog.manage",
    "/items/new": "console.billing.catalog.manage",
    "/operations": "console.billing.operations.manage",
    "/operations/runs/checkout_open/run": "console.billing.operations.manage",
    "/reports": "console.billing.operations.manage",
    "/reports.csv": "console.billing.operations.manage",
}
PAGES = ("/events", "/plans", "/operations", "/operations?queue=runs", "/reports")
KEY = "e" * 64


# --- Who may --------------------------------------------------------------------------------------------
def test_t162_a_page_opens_to_who_has_its_right_and_to_nobody_else(admin, operator, provider):
    """T-162, the pages' side: rights are of platform roles; what is sold is for admins."""
    owner = login(make_person("olivia", {"tenant_a": "owner"}))

    for path, right in RIGHTS.items():
        assert admin.get(HOME + path).status_code == 200, path
        assert operator.get(HOME + path).status_code == (403 if "catalog" in right else 200), path
        refused = owner.get(HOME + path)
        assert (refused.status_code, right.encode() in refused.content) == (403, True), path
        assert b"CONSOLE_PERMISSION_REQUIRED" in refused.content


def test_t162_an_act_is_refused_before_anything_is_read(entity, operator):
    """T-162: without the right nothing is even looked for."""
    owner = login(make_person("olivia", {"tenant_a": "owner"}))

    for path in (
        "/operations/jobs/1/retry",
        "/operations/remediations/1/retry",
        "/operations/webhooks/1/replay",
    ):
        assert owner.post(HOME + path, {"reason": "x"}).status_code == 403
    for path in (
        "/plans/1/price",
        "/plans/1/deactivate",
        "/items/1/rename",
        "/items/1/activate",
        "/plans/new",
    ):
        assert operator.post(HOME + path, {}).status_code == 403
    assert audited("BILLING_PLAN_DEACTIVATE") == []


def test_staff_with_a_second_factor_gives_it_first(entity, admin, settings):
    settings.STAFF_SECOND_FACTOR = True
    answer = admin.get(f"{HOME}/events")

    assert answer.status_code == 303
    assert answer["location"].startswith("/login/second-factor?next=%2Fconsole%2Fbilling%2Fevents")


def test_with_billing_off_there_are_no_such_pages(admin, settings):
    settings.BILLING = dataclasses.replace(settings.BILLING, enabled=False)

    assert {admin.get(HOME + path).status_code for path in RIGHTS} == {404}
    assert HOME.encode() not in admin.get("/console").content


def test_a_stranger_is_sent_to_the_login_and_back(db, client):
    answer = client.get(f"{HOME}/events?operationKey=abc")

    assert (answer.status_code, answer["location"]) == (
        303,
        "/login?next=%2Fconsole%2Fbilling%2Fevents%3FoperationKey%3Dabc",
    )


def test_the_sidebar_names_the_pages_that_are_open(admin, operator):
    of_admin, of_operator = (who.get("/console").content.decode() for who in (admin, operator))

    assert [f'href="{HOME}/{name}"' in of_admin for name in ("events", "plans", "operations", "reports")] == [
        True
    ] * 4
    assert f'href="{HOME}/plans"' not in of_operator
    assert f'href="{HOME}/operations"' in of_operator


# --- Every page -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("page", [*PAGES, "/plans/new", "/items/new"])
def test_t173_an_empty_page_says_what_will_be_there_and_is_clean(admin, provider, page):
    """T-173: empty states are texts; no inline script or style; nothing is kept."""
    answer = admin.get(HOME + page)

    assert answer.status_code == 200
    assert b"<h1>" in answer.content
    assert not INLINE.search(answer.content)
    assert "no-store" in answer["cache-control"]


NONSENSE = (
    "events?page=0&pageSize=7&source=none&billableEntityId=x&userId=nobody",
    "events?page=99999999999999999999&billableEntityId=99999999999999999999",
    "events?operationKey=%00&providerEventId=%00&workspaceId=%00&userId=%00",
    "operations?queue=none&state=none&at=after-x",
    "operations?queue=jobs&at=before-999999999999999999",
    "operations?queue=runs&scope=none",
    "plans?q=%00%25&at=1&items=x",
    "reports?months=9999",
)


def test_an_address_that_makes_no_sense_shows_the_page(admin):
    assert {query: admin.get(f"{HOME}/{query}").status_code for query in NONSENSE} == dict.fromkeys(
        NONSENSE, 200
    )


NOWHERE = (
    "/operations/webhooks/9999999999999999999999",
    "/operations/webhooks/4711/replay",
    "/operations/jobs/9999999999999999999999/retry",
    "/operations/remediations/4711/retry",
    "/operations/runs/everything/run",
    "/operations/runs/checkout_open/erase",
    "/plans/9999999999999999999999/price",
    "/plans/4711/deactivate",
    "/items/4711/rename",
    "/nothing",
)


def test_what_is_not_there_is_not_found(admin, provider):
    assert {path: admin.get(HOME + path).status_code for path in NOWHERE} == dict.fromkeys(NOWHERE, 404)


def fill(entity, count: int) -> None:
    """So many rows of each kind."""
    for number in range(count):
        tenant = factories.workspace_entity(f"tenant_{number}_{count}")
        request = factories.request(tenant)
        factories.session(tenant, operation_key=request.operation_key, idempotency_row=request)
        body = payloads.event("invoice.paid", payloads.invoice(f"in_{count}_{number}"))
        inbox(body, billable_entity_id=tenant.pk, tenant_id=tenant.tenant_id)
        owe_expiry(tenant, f"cs_{count}_{number}")
        plan = factories.plan(f"plan-{count}-{number}", price_id=f"price_{count}_{number}")
        factories.entitlement(plan, "sso", "entitlement.boolean.v1", {"enabled": True})


def test_the_number_of_queries_does_not_follow_the_rows(entity, admin):
    queues = [f"/operations?queue={name}" for name in ("sessions", "requests", "webhooks", "jobs")]
    pages = ["/events?pageSize=100", "/plans", *queues]
    fill(entity, 2)
    few = {page: queries_of(admin, HOME + page) for page in pages}
    fill(entity, 6)

    assert {page: queries_of(admin, HOME + page) for page in pages} == few


# --- The explorer ---------------------------------------------------------------------------------------
@pytest.fixture
def followed(entity):
    """A request, its session and an event of one operation, and one of another."""
    request = factories.request(entity, operation_key=KEY, client_idempotency_key="<b>key")
    factories.session(entity, operation_key=KEY, idempotency_row=request, provider_checkout_session_id="cs_1")
    body = payloads.event("checkout.session.completed", payloads.session(), event_id="evt_1")
    inbox(body, billable_entity_id=entity.pk, operation_key=KEY)
    factories.session(factories.workspace_entity("tenant_b"), operation_key="f" * 64)
    return request


def test_t173_the_explorer_lists_everything_newest_first_with_where_it_leads(followed, admin):
    """T-173: every tenant's rows; a key and an event id lead to their stories."""
    answer = admin.get(f"{HOME}/events")
    page = answer.content.decode()

    assert page.count("<summary>Show</summary>") == 4
    assert f'href="{HOME}/events?operationKey={KEY}"' in page
    assert f'href="{HOME}/events?providerEventId=evt_1"' in page
    assert "tenant_b" in page
    assert "<b>key" not in page
    assert audited("PLATFORM_READ")[-1].target_id == f"{HOME}/events"


def test_a_key_is_followed_through_all_sources_in_the_order_of_time(followed, admin):
    text = shown(admin, f"/events?operationKey={KEY}")

    assert "One operation through all sources" in text
    assert "3 entries" in text
    at = [
        text.index(f"{word} Whose") if f"{word} Whose" in text else text.index(word)
        for word in ("Request", "Webhook")
    ]
    assert at == sorted(at)
    assert "tenant_b" not in text.split("One operation")[1]


def test_an_event_leads_to_its_operation(followed, admin):
    page = admin.get(f"{HOME}/events?providerEventId=evt_1").content.decode()

    assert "One event through all sources" in page
    assert f'<a href="{HOME}/events?operationKey={KEY}">' in page


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("workspaceId=tenant_b", 1),
        ("workspaceId=nobody", 0),
        ("source=idempotency", 1),
        ("source=checkout_session", 2),
        ("pageSize=50", 4),
    ],
)
def test_filters_narrow_the_list_and_stay_in_the_address(followed, admin, query, count):
    page = admin.get(f"{HOME}/events?{query}").content.decode()

    assert page.count("<summary>Show</summary>") == count
    if count == 0:
        assert "Nothing matches" in page


def test_a_person_is_found_by_login_and_by_id(followed, admin):
    from billing.models import BillableEntity

    user = make_person("uma", {"tenant_b": "owner"})
    with factories.locked(factories.workspace_entity("tenant_b")):
        BillableEntity.objects.filter(tenant_id="tenant_b").update(owner_user_id=user.pk)

    for text in ("uma", str(user.pk)):
        page = admin.get(f"{HOME}/events?userId={text}").content.decode()
        assert page.count("<summary>Show</summary>") == 1
    assert "Nobody has the login “nemo”" in admin.get(f"{HOME}/events?userId=nemo").content.decode()


def test_pages_of_the_explorer_hang_together(entity, admin):
    fill(entity, 10)
    first = admin.get(f"{HOME}/events").content.decode()
    second = admin.get(f"{HOME}/events?page=2").content.decode()

    assert (first.count("<summary>Show"), second.count("<summary>Show")) == (25, 15)
    assert 'rel="next"' in first
    assert 'rel="next"' not in second
    assert f'rel="prev" href="{HOME}/events?"' in second


def test_a_filter_answers_htmx_with_the_list_alone(followed, admin):
    answer = admin.get(f"{HOME}/events", headers=HTMX | {"HX-Target": "list"})

    assert b"<h1>" not in answer.content
    assert b'id="list"' in answer.content


def test_the_file_has_the_entries_of_the_filters_and_runs_nothing(followed, admin):
    answer = admin.get(f"{HOME}/events.csv?operationKey={KEY}")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))

    assert {row["source"] for row in rows} == {"idempotency", "checkout_session", "webhook"}
    assert {row["operationKey"] for row in rows} == {KEY}
    assert answer["x-settld-rows-limit"] == "10000"
    assert "client_secret" not in str(rows) or "[REDACTED]" in str(rows)


def test_the_file_goes_on_beyond_its_batches(entity, admin, monkeypatch):
    from ops_console.billing_console import explorer_rows

    monkeypatch.setattr(explorer_rows, "BATCH", 4)
    fill(entity, 5)
    answer = admin.get(f"{HOME}/events.csv")
    ids = [row["id"] for row in csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode()))]

    assert len(ids) == len(set(ids)) == 20


def test_a_client_secret_is_shown_nowhere(entity, admin):
    body = payloads.event("invoice.paid", payloads.invoice() | {"client_secret": "pi_x_secret_y"})
    row = inbox(body)

    for path in ("/events", f"/operations/webhooks/{row.event_id}"):
        assert b"pi_x_secret_y" not in admin.get(HOME + path).content


# --- Reports --------------------------------------------------------------------------------------------
@pytest.fixture
def sold(entity):
    """A subscription of 49 dollars a month, and a paid invoice."""
    plan, payer = factories.plan(), factories.customer(entity)
    row = factories.subscription(entity, plan, payer)
    with factories.locked(entity):
        SubscriptionItem.objects.create(
            tenant_id=entity.tenant_id,
            subscription=row,
            provider_subscription_item_id="si_1",
            billing_plan_price=plan.prices.get(),
            quantity=1,
        )
        Invoice.objects.create(
            tenant_id=entity.tenant_id,
            billable_entity=entity,
            billing_customer=payer,
            subscription=row,
            provider_invoice_id="in_1",
            status="paid",
            amount_due_minor=4_900,
            amount_paid_minor=4_900,
            amount_remaining_minor=0,
            currency="JPY",
            issued_at=NOW,
            paid_at=NOW - dt.timedelta(days=40),
        )
    return row


def test_t173_the_report_shows_revenue_invoices_and_what_is_stuck(sold, entity, admin):
    """T-173: money by its currency's exponent, a chart with its table, tiles that lead on."""
    inbox(payloads.event("invoice.paid", payloads.invoice()), status="dead")
    factories.session(entity, status="recovery_verification_pending")
    page = admin.get(f"{HOME}/reports").content.decode()

    assert "49.00 USD" in page
    assert "4,900 JPY" in page
    assert "<title>2026-01: paid 4,900 JPY, failed 0 JPY, open 0 JPY</title>" in page
    assert f'class="counter counter--bad" href="{HOME}/operations?queue=webhooks"' in page
    assert f'class="counter counter--warn" href="{HOME}/operations?queue=holds"' in page
    assert admin.get(f"{HOME}/reports?months=6").content.decode().count("<title>20") == 12


def test_the_report_as_a_file(sold, admin):
    answer = admin.get(f"{HOME}/reports.csv")
    rows = {
        (r["measure"], r["currency"], r["month"]): r["value"]
        for r in csv.DictReader(io.StringIO(answer.content.decode()))
    }

    assert rows["mrrMinor", "USD", ""] == "4900"
    assert rows["invoices.paidMinor", "JPY", "2026-01"] == "4900"
    assert rows["subscriptions.active", "", ""] == "1"
    assert rows["deadLetters.outbox", "", ""] == "0"
