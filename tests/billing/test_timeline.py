"""What happened to an entity, and to all: spec 7.6, T-156, T-160, T-161."""

import base64

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import BillingOutboxJob
from billing.queries.activity_sources import BRANCHES, SOURCES
from tests.billing import factories as make
from tests.billing import history, people
from tests.billing.factories import NOW
from tests.support.api import body, refusal

pytestmark = pytest.mark.django_db
NEWEST_FIRST = sorted(set(SOURCES) - {"reconciliation_run"}, key=history.SECONDS.get, reverse=True)


@pytest.fixture
def entity():
    made = make.workspace_entity()
    history.of(made)
    history.run()
    return made


@pytest.fixture
def member():
    return people.person("ann", tenant_a="viewer")


@pytest.fixture
def console(api):
    """An operator of the whole deployment."""
    return people.person("op", platform_role="operator")


def kinds(answer):
    assert answer.status_code == 200, answer.content
    return [entry.get("kind") or entry["source"] for entry in body(answer)["entries"]]


# --- The timeline ---------------------------------------------------------------------------------
def test_t156_a_timeline_tells_every_source_newest_first(entity, member):
    answer = body(member.get("billing/timeline"))

    assert [entry["kind"] for entry in answer["entries"]] == NEWEST_FIRST
    assert {name: answer[name] for name in ("page", "pageSize", "hasMore", "nextCursor")} == {
        "page": 1, "pageSize": 20, "hasMore": False, "nextCursor": None,
    }  # fmt: skip
    assert answer["billableEntity"]["id"] == entity.pk
    shown = {entry["kind"]: entry for entry in answer["entries"]}
    session_id = shown["checkout_session"]["sourceId"]
    assert shown["checkout_session"] == {
        "id": f"checkout_session:{session_id}",
        "occurredAt": "2026-03-10T12:00:02.000Z",
        "kind": "checkout_session",
        "status": "open",
        "title": "Checkout Open",
        "description": "The subscription checkout session is open.",
        "provider": "stripe",
        "operationKey": history.KEY,
        "providerEventId": "evt_1",
        "sourceId": session_id,
    }


@pytest.mark.parametrize(
    ("source", "title", "description"),
    [
        ("idempotency", "Request Pending", "The checkout request is pending."),
        ("subscription", "Subscription Active", "The subscription is active."),
        ("invoice", "Invoice Paid", "The invoice is paid."),
        ("payment", "Payment Paid", "The payment by card is paid."),
        (
            "payment_method_sync",
            "Payment Methods Succeeded",
            "Payment methods were updated (payment method attached): succeeded.",
        ),
        ("webhook", "Webhook Failed", "no such customer"),
        ("outbox_job", "Automation Pending", "the provider is away"),
        ("remediation", "Recovery Pending", "The task to cancel duplicate subscription is pending."),
    ],
)
def test_t156_an_entry_is_in_words(entity, member, source, title, description):
    (entry,) = body(member.get(f"billing/timeline?source={source}"))["entries"]
    assert (entry["title"], entry["description"]) == (title, description)


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("pending", "received"),
        ("leased", "processing"),
        ("done", "processed"),
        ("failed", "failed"),
        ("dead", "failed"),
    ],
)
def test_t156_an_event_stands_as_its_consumer_left_it(member, stored, shown):
    ends = {"done": {"outcome": "applied", "finished_at": NOW}, "leased": {"lease_expires_at": NOW}}
    history.webhook(entity=make.workspace_entity(), when=NOW, status=stored, error="", **ends.get(stored, {}))

    (entry,) = body(member.get("billing/timeline"))["entries"]
    assert (entry["status"], entry["title"]) == (shown, f"Webhook {shown.title()}")
    assert entry["description"] == f"The provider's event checkout.session.completed is {shown}."


def test_t161_each_source_filters_alone_and_an_unknown_one_has_nothing(entity, member):
    for source in NEWEST_FIRST:
        assert kinds(member.get(f"billing/timeline?source={source}")) == [source]
    for source in ("reconciliation_run", "nonsense", "WEBHOOK"):
        assert kinds(member.get(f"billing/timeline?source={source}")) == []


def test_t161_an_operation_key_finds_what_it_led_to(entity, member):
    found = kinds(member.get(f"billing/timeline?operationKey={history.KEY}"))
    assert found == [source for source in NEWEST_FIRST if source != "payment_method_sync"]
    assert kinds(member.get("billing/timeline?operationKey=unknown")) == []


def test_t161_a_provider_event_finds_what_it_changed_and_no_request(entity, member):
    found = kinds(member.get("billing/timeline?providerEventId=evt_1"))
    assert found == [source for source in NEWEST_FIRST if source != "idempotency"]
    both = member.get(f"billing/timeline?providerEventId=evt_1&operationKey={history.KEY}&source=invoice")
    assert kinds(both) == ["invoice"]


def test_a_timeline_shows_nothing_of_another_entity(entity, member):
    other = make.workspace_entity("tenant_b")
    history.of(other, number=2, plan=make.plan("team", price_id="price_team"))
    outside = people.external_entity("tenant_a")  # of the same tenant, and yet another entity
    history.webhook("evt_3", entity=outside, when=NOW)

    assert len(kinds(member.get("billing/timeline"))) == len(NEWEST_FIRST)
    for event in ("evt_2", "evt_3"):
        assert kinds(member.get(f"billing/timeline?providerEventId={event}")) == []


# --- Paging ---------------------------------------------------------------------------------------
def pages_by_number(caller, size):
    page, seen = 1, []
    while True:
        answer = body(caller.get(f"billing/timeline?page={page}&pageSize={size}"))
        seen += [entry["id"] for entry in answer["entries"]]
        if not answer["hasMore"]:
            return seen
        page += 1


def pages_by_cursor(caller, size):
    cursor, seen = "", []
    while True:
        answer = body(caller.get(f"billing/timeline?pageSize={size}&cursor={cursor}"))
        seen += [entry["id"] for entry in answer["entries"]]
        assert answer["hasMore"] == (answer["nextCursor"] is not None)
        if not answer["hasMore"]:
            return seen
        cursor = answer["nextCursor"]


def test_t160_pages_and_cursors_walk_the_same_order_without_gaps(entity, member):
    with make.locked(entity):
        for number in range(4):  # the same instant in several sources, and several rows of one
            BillingOutboxJob.objects.create(
                tenant_id=entity.tenant_id, billable_entity=entity, job_type="t", dedupe_key=f"d{number}",
                available_at=NOW, created_at=NOW, updated_at=history.at("payment"),
            )  # fmt: skip
    history.more_invoices(entity, 3)
    whole = [entry["id"] for entry in body(member.get("billing/timeline?pageSize=100"))["entries"]]

    assert len(whole) == len(set(whole)) == 16
    for size in (1, 2, 3, 7, 16):
        assert pages_by_number(member, size) == whole
        assert pages_by_cursor(member, size) == whole
    tied = [name for name in whole if name.startswith(("outbox_job:", "payment:"))][1:]
    assert [name.partition(":")[0] for name in tied] == ["outbox_job"] * 4 + ["payment"]  # source ascending
    ids = [int(name.partition(":")[2]) for name in tied[:4]]
    assert ids == sorted(ids, reverse=True)


def spelled(place: str) -> str:
    """Spell a place as a cursor does, that of a hostile client included."""
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("query", "faulty"),
    [
        ("page=0", "page"), ("page=x", "page"), ("page=1.5", "page"), ("page=-1", "page"),
        ("pageSize=0", "pageSize"), ("pageSize=101", "pageSize"), ("page=101&pageSize=100", "page"),
        ("page=10001&pageSize=1", "page"), ("page=" + "9" * 30, "page"), ("cursor=nonsense", "cursor"),
        ("cursor=MjAyNnx4fDE", "cursor"), ("operationKey=" + "k" * 192, "operationKey"),
        (f"cursor={spelled('2026-11-21T19:28:55+23:59|webhook|1')}", "cursor"),
        (f"cursor={spelled('2026-11-21T19:28:55+00:00:01.000001|webhook|1')}", "cursor"),
        (f"cursor={spelled('2026-11-21T19:28:55|webhook|1')}", "cursor"),
    ],
)  # fmt: skip
def test_t160_a_page_that_is_none_is_400(member, query, faulty):
    answer = member.get(f"billing/timeline?{query}")
    assert refusal(answer) == (400, "VALIDATION_ERROR")
    assert list(body(answer)["fieldErrors"]) == [faulty]


def test_t160_the_deepest_page_by_number_and_a_page_beyond_the_end(entity, member):
    for query in ("page=100&pageSize=100", "page=10000&pageSize=1", "page=2"):
        answer = body(member.get(f"billing/timeline?{query}"))
        assert (answer["entries"], answer["hasMore"]) == ([], False)


def test_t160_the_number_of_queries_does_not_grow_with_rows(
    entity, member, console, django_assert_num_queries
):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def cost(caller, path):
        caller.get(path)
        with CaptureQueriesContext(connection) as counted:
            assert caller.get(path).status_code == 200
        return len(counted)

    paths = [(member, f"billing/{name}") for name in ("timeline", "subscription", "plans", "limitations")]
    paths += [(console, "console/billing/events?pageSize=100")]
    before = [cost(*path) for path in paths]
    history.more_invoices(entity, 30)
    history.of(make.workspace_entity("tenant_b"), number=2, plan=make.plan("team", price_id="price_team"))
    assert [cost(*path) for path in paths] == before


# --- The explorer ---------------------------------------------------------------------------------
@pytest.fixture
def two(entity):
    """Two workspaces with a history each."""
    owner = people.user("owner", tenant_b="owner")
    other = make.workspace_entity("tenant_b", owner_user=owner)
    history.of(other, number=2, plan=make.plan("team", price_id="price_team"))
    return entity, other, owner


def test_t156_the_explorer_tells_whose_each_entry_is_and_shows_the_row(two, console):
    answer = body(console.get("console/billing/events?source=invoice"))

    assert {name: answer[name] for name in ("page", "pageSize", "hasMore")} == {
        "page": 1, "pageSize": 25, "hasMore": False,
    }  # fmt: skip
    second, first = answer["entries"]  # one instant and one source: the greater id comes first
    assert int(second["sourceId"]) > int(first["sourceId"])
    details = second.pop("detailsJson")
    assert second == {
        "id": f"invoice:{second['sourceId']}",
        "source": "invoice",
        "sourceId": second["sourceId"],
        "billableEntityId": two[1].pk,
        "workspaceId": "tenant_b",
        "workspaceSlug": "tenant_b",
        "workspaceName": "tenant_b",
        "ownerUserId": two[2].pk,
        "provider": "stripe",
        "operationKey": f"{2:064d}",
        "providerEventId": "evt_2",
        "eventType": "invoice",
        "status": "paid",
        "message": None,
        "occurredAt": "2026-03-10T12:00:04.000Z",
    }
    assert details["providerInvoiceId"] == "in_2"
    assert details["amountPaidMinor"] == 4_900
    assert details["metadataJson"] == {"operation_key": f"{2:064d}", "client_secret": "[REDACTED]"}


def test_t156_no_client_secret_and_no_provider_key_is_shown(two, console):
    answer = console.get("console/billing/events?pageSize=100")

    assert b"secret_x" not in answer.content
    assert b'"cs_secret"' not in answer.content
    assert b"IdempotencyKey" not in answer.content.replace(b"clientIdempotencyKey", b"")
    (event,) = [e for e in body(answer)["entries"] if e["source"] == "webhook"][:1]
    assert event["detailsJson"]["payload"]["data"]["object"]["client_secret"] == "[REDACTED]"


def test_t161_a_key_is_found_by_an_index_wherever_a_column_holds_it(db):
    """The explorer looks over all tenants, so an index that begins with the tenant does not serve it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'")
        found = cursor.fetchall()
    held = {branch.table for branch in BRANCHES if branch.operation_key == "r.operation_key"}
    assert held - {table for table, text in found if "(operation_key" in text} == set()
    assert len(held) == 5


def test_t160_an_unfiltered_page_reads_the_newest_rows_of_each_source_and_no_others(two, console):
    """Payments and events are looked up row by row: a join would read and sort the whole history first."""
    with CaptureQueriesContext(connection) as captured:
        assert console.get("console/billing/events?pageSize=2").status_code == 200
    (union,) = [query["sql"] for query in captured.captured_queries if "UNION ALL" in query["sql"]]
    assert "JOIN billing_invoices" not in union
    assert "JOIN billing_webhook_events" not in union
    assert union.count("OFFSET 0)") - union.count("OFFSET 0) u") == union.count(" ON true") == 4


def test_t161_runs_appear_only_without_entity_key_and_event(two, console):
    a = two[0]
    assert kinds(console.get("console/billing/events"))[0] == "reconciliation_run"
    assert kinds(console.get("console/billing/events?source=reconciliation_run")) == ["reconciliation_run"]
    for query in (
        f"billableEntityId={a.pk}", "workspaceId=tenant_a", f"userId={two[2].pk}",
        f"operationKey={history.KEY}", "providerEventId=evt_1",
    ):  # fmt: skip
        assert "reconciliation_run" not in kinds(console.get(f"console/billing/events?{query}"))
        with_source = console.get(f"console/billing/events?{query}&source=reconciliation_run")
        assert kinds(with_source) == []


def test_t161_the_explorer_filters_by_workspace_person_and_entity(two, console):
    a, b, owner = two

    def owners(query):
        answer = body(console.get(f"console/billing/events?pageSize=100&{query}"))
        return {entry["billableEntityId"] for entry in answer["entries"]}

    assert owners("workspaceId=tenant_a") == {a.pk}
    assert owners(f"billableEntityId={b.pk}") == {b.pk}
    assert owners(f"userId={owner.pk}") == {b.pk}
    assert owners(f"workspaceId=tenant_b&userId={owner.pk}&billableEntityId={b.pk}") == {b.pk}
    assert owners(f"workspaceId=tenant_a&billableEntityId={b.pk}") == set()
    assert owners("workspaceId=nowhere") == owners("userId=999999") == set()


def test_t161_the_explorer_filters_by_key_and_event_over_all_entities(two, console):
    everything = [source for source in NEWEST_FIRST if source != "payment_method_sync"]
    assert kinds(console.get(f"console/billing/events?operationKey={history.KEY}")) == everything
    found = kinds(console.get("console/billing/events?providerEventId=evt_2"))
    assert found == [source for source in NEWEST_FIRST if source != "idempotency"]
    assert kinds(console.get("console/billing/events?providerEventId=unknown")) == []


def test_t161_an_event_that_fits_no_entity_is_found_too(console):
    history.webhook("evt_lost", entity=None, when=NOW, operation_key="")

    (entry,) = body(console.get("console/billing/events?providerEventId=evt_lost"))["entries"]
    assert (entry["billableEntityId"], entry["workspaceId"], entry["status"]) == (None, None, "failed")
    assert entry["message"] == "no such customer"


def test_t160_the_explorer_pages_to_the_end_of_its_reach(two, console):
    whole = [e["id"] for e in body(console.get("console/billing/events?pageSize=100"))["entries"]]
    paged = []
    for page in range(1, 8):
        answer = body(console.get(f"console/billing/events?pageSize=3&page={page}"))
        paged += [e["id"] for e in answer["entries"]]
        assert answer["hasMore"] == (page < 7)
    assert paged == whole
    refused = console.get("console/billing/events?pageSize=100&page=101")
    assert list(body(refused)["fieldErrors"]) == ["page"]
