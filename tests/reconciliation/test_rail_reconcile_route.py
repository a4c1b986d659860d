"""money-rails 2.6: GET /ops/finance/money-rails/reconcile."""

import pytest

from reconciliation.models import Mismatch
from settld.core import tenancy
from tests.reconciliation.books import PERIOD, TENANT, Books
from tests.support.api import OPS_TOKEN, SCOPES, Api, body, refusal

PATH = "/ops/finance/money-rails/reconcile"


@pytest.fixture
def api(db, settings):
    settings.OPS_TOKENS = {
        OPS_TOKEN: SCOPES,
        "tok_reader": frozenset({"finance_read"}),
        "tok_ops": frozenset({"ops_write"}),
    }
    with tenancy.tenant_scope(TENANT):
        Books().instruct(Books().statement("p1"))
    return Api(TENANT)


def test_it_answers_the_comparison_without_writing(api):
    answer = api.get(f"{PATH}?period={PERIOD}")

    report = body(answer)
    assert answer.status_code == 200
    assert (report["ok"], report["tenantId"], report["period"]) == (True, TENANT, PERIOD)
    assert (report["providerId"], report["status"], report["artifact"]) == ("stub_default", "fail", None)
    assert list(report["mismatches"]) == [
        "missingOperations",
        "amountMismatches",
        "currencyMismatches",
        "terminalFailures",
        "unexpectedOperations",
        "duplicateExpected",
        "indeterminateOperations",
        "unreferencedMovements",
    ]
    assert [row["mismatchType"] for row in report["triageQueue"]] == ["missing_operation"]
    assert report["triageSummary"]["unresolved"] == 1
    with tenancy.tenant_scope(TENANT):
        assert not Mismatch.objects.exists()


@pytest.mark.parametrize("word", ["1", "true", "yes", "TRUE"])
def test_persist_stores_the_report_with_read_scope(api, word):
    first = body(api.with_token("tok_reader").get(f"{PATH}?month={PERIOD}&persist={word}"))
    second = body(api.get(f"{PATH}?period={PERIOD}&persist=1"))

    assert first["artifact"]["deliveriesCreated"] == 0
    assert first["artifact"] == second["artifact"]
    stored = body(api.get(f"/artifacts/{first['artifact']['artifactId']}"))["artifact"]
    assert stored["artifactHash"] == first["artifact"]["artifactHash"]
    assert stored["report"]["mismatches"] == first["mismatches"]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "period is required"),
        ("period=%20", "period is required"),
        ("period=2026-13", "invalid money rail reconciliation query"),
        ("period=2026-2", "invalid money rail reconciliation query"),
        ("period=2026-02&month=2026-03", "invalid money rail reconciliation query"),
        ("period=2026-02&persist=maybe", "invalid money rail reconciliation query"),
        (f"period=2026-02&providerId={'x' * 201}", "invalid money rail reconciliation query"),
    ],
)
def test_a_bad_query_is_refused(api, query, text):
    answer = api.get(f"{PATH}?{query}")

    assert refusal(answer) == (400, "SCHEMA_INVALID")
    assert body(answer)["error"] == text


def test_an_unknown_provider_is_not_found(api):
    answer = api.get(f"{PATH}?period={PERIOD}&providerId=nobody&persist=1")

    assert refusal(answer) == (404, "NOT_FOUND")
    assert body(answer)["error"] == "money rail provider not found"


def test_it_needs_a_finance_scope(api):
    assert refusal(api.with_token("tok_ops").get(f"{PATH}?period={PERIOD}")) == (403, "FORBIDDEN")
    assert refusal(api.with_token("").get(f"{PATH}?period={PERIOD}")) == (403, "FORBIDDEN")


def test_another_tenant_sees_nothing_of_it(api):
    report = body(api.as_tenant("tenant_else").get(f"{PATH}?period={PERIOD}"))

    assert (report["status"], report["summary"]["expectedPayoutCount"]) == ("pass", 0)
