"""/ops/month-close: spec/money-rails.md 1, spec/settld-billing-and-finance.md 5.2."""

import datetime as dt
import json

import pytest

from settld.artifacts.models import Artifact
from settld.artifacts.queries import verify
from settld.closing import queries
from settld.closing.models import PartyStatement
from settld.closing.services import close, months, worker
from settld.core import clock, tenancy
from settld.core.principals import Actor
from settld.ledger.models import MonthClose, MonthEvent
from settld.ledger.queries import verify_chain
from settld.outbox.models import OutboxJob
from tests.support.api import body, refusal

NOW = dt.datetime(2026, 2, 1, 8, 30, tzinfo=dt.UTC)


def instructions():
    with tenancy.tenant_scope("tenant_a"):
        return list(
            Artifact.objects.filter(tenant_id="tenant_a", artifact_type="PayoutInstruction.v1").order_by(
                "artifact_id"
            )
        )


class TestRequest:
    def test_the_first_request_is_202_with_its_event(self, books):
        answer = books.api.post("/ops/month-close", {"month": "2026-01"})
        event = body(answer)["event"]
        assert answer.status_code == 202
        assert (event["type"], event["streamId"]) == (
            "MONTH_CLOSE_REQUESTED",
            "month_close_2026-01_settledAt",
        )
        assert event["payload"] == {
            "tenantId": "tenant_a", "month": "2026-01", "basis": "settledAt", "requestedAt": event["at"],
        }  # fmt: skip
        month = books.month()
        assert (month["status"], month["requestedAt"], month["closedAt"]) == ("OPEN", event["at"], None)
        assert (month["lastEventId"], month["lastChainHash"]) == (event["id"], event["chainHash"])
        assert len(books.audits("MONTH_CLOSE_REQUESTED")) == 1

    def test_a_request_while_one_is_pending_gives_the_same_event(self, books):
        first = books.api.post("/ops/month-close", {"month": "2026-01"})
        second = books.api.post("/ops/month-close", {"month": "2026-01", "basis": "settledAt"})
        assert (second.status_code, second.content) == (202, first.content)
        assert len(books.audits("MONTH_CLOSE_REQUESTED")) == 1

    def test_a_request_while_one_is_pending_brings_its_dead_job_back(self, books):
        books.api.post("/ops/month-close", {"month": "2026-01"})
        with tenancy.tenant_scope("tenant_a"):
            OutboxJob.objects.update(status="dead_letter", attempt_count=12)
        assert worker.close_requested(tenant_id="tenant_a") == 0
        books.close()
        assert books.month()["status"] == "CLOSED"

    def test_a_request_for_a_closed_month_is_200_with_the_month(self, books):
        books.close()
        again = books.api.post("/ops/month-close", {"month": "2026-01"})
        assert (again.status_code, body(again)["monthClose"]) == (200, books.month())

    @pytest.mark.parametrize(
        "sent", [{}, {"month": "2026-13"}, {"month": 202601}, {"month": "2026-01", "basis": "x"}]
    )
    def test_a_faulty_body_is_400(self, books, sent):
        assert refusal(books.api.post("/ops/month-close", sent)) == (400, "SCHEMA_INVALID")

    def test_a_running_month_may_be_closed_unless_the_deployment_says_otherwise(self, books, settings):
        running = clock.period_of(clock.now())
        settings.MONTH_CLOSE_REQUIRE_ENDED_PERIOD = True
        answer = books.api.post("/ops/month-close", {"month": running})
        assert refusal(answer) == (409, "MONTH_CLOSE_PERIOD_NOT_ENDED")
        settings.MONTH_CLOSE_REQUIRE_ENDED_PERIOD = False
        assert books.api.post("/ops/month-close", {"month": running}).status_code == 202

    def test_a_month_that_nobody_asked_to_close_is_404(self, books):
        books.put()  # makes the month's row, which is not a close
        answer = books.api.get("/ops/month-close?month=2026-01")
        assert (refusal(answer), body(answer)["error"]) == ((404, "NOT_FOUND"), "month close not found")


class TestClose:
    def test_statements_are_frozen_and_each_payable_one_has_its_instruction(self, books):
        for number, (role, cents) in enumerate(
            [("operator", 500), ("subcontractor", 7), ("operator", -3), ("customer", 9)]
        ):
            books.put(f"p{number}", partyRole=role, payoutCents=cents)
        books.close()
        assert {books.statement(f"p{number}")["status"] for number in range(4)} == {"CLOSED"}
        assert sorted((row.amount_cents, row.currency) for row in instructions()) == [
            (7, "USD"),
            (500, "USD"),
        ]
        assert books.month()["status"] == "CLOSED"
        assert len(books.audits("MONTH_CLOSED")) == 1

    def test_the_instruction_has_exactly_the_documented_members(self, books):
        statement = body(books.put())["statement"]
        event = body(books.close())["event"]
        (stored,) = instructions()
        key = statement["payoutKey"]
        artifact_id = f"payout_tenant_a_pty_1_2026-01_{statement['statementHash']}"
        assert stored.document == {
            "schemaVersion": "PayoutInstruction.v1",
            "artifactType": "PayoutInstruction.v1",
            "artifactId": artifact_id,
            "generatedAt": event["at"],
            "tenantId": "tenant_a",
            "partyId": "pty_1",
            "partyRole": "operator",
            "period": "2026-01",
            "statementHash": statement["statementHash"],
            "payoutKey": key,
            "payout": {"currency": "USD", "amountCents": 12_345, "destinationRef": None},
            "eventProof": {
                "lastChainHash": event["chainHash"],
                "eventCount": 1,
                "signatures": {"signedEventCount": 1, "signerKeyIds": [event["signature"]["keyId"]]},
            },
            "sourceEventId": event["id"],
            "atChainHash": event["chainHash"],
            "artifactHash": stored.artifact_hash,
        }
        assert verify(stored).is_verified
        assert (stored.artifact_id, stored.payout_key, stored.period) == (artifact_id, key, "2026-01")

    def test_the_months_own_statement_adds_up(self, books):
        books.put("a", payoutCents=500)
        books.put("b", payoutCents=-20)
        books.put("c", payoutCents=9, partyRole="customer", currency="EUR")
        books.close()
        answer = body(books.api.get("/ops/month-close?month=2026-01"))
        artifact = answer["statementArtifact"]
        assert artifact["artifactHash"] == answer["monthClose"]["statementArtifactHash"]
        assert artifact["artifactId"] == answer["monthClose"]["statementArtifactId"]
        assert artifact["statementCount"] == 3
        assert artifact["totals"] == [
            {
                "currency": "EUR",
                "partyRole": "customer",
                "statementCount": 1,
                "payoutCents": 9,
                "payableCents": 0,
            },
            {
                "currency": "USD",
                "partyRole": "operator",
                "statementCount": 2,
                "payoutCents": 480,
                "payableCents": 500,
            },
        ]

    def test_totals_beyond_what_json_numbers_keep_do_not_stop_the_close(self, books):
        for party_id in ("a", "b"):
            books.put(party_id, payoutCents=2**53 - 1)
        books.close()
        artifact = body(books.api.get("/ops/month-close?month=2026-01"))["statementArtifact"]
        assert artifact["totals"][0]["payoutCents"] == str(2 * (2**53 - 1))

    def test_an_empty_month_closes(self, books):
        books.close()
        assert (
            body(books.api.get("/ops/month-close?month=2026-01"))["statementArtifact"]["statementCount"] == 0
        )

    def test_the_stream_is_chained_and_signed(self, books):
        books.close()
        books.reopen()
        books.close()
        with tenancy.tenant_scope("tenant_a"):
            verdict = verify_chain(tenant_id="tenant_a", stream_id="month_close_2026-01_settledAt")
            types = list(MonthEvent.objects.order_by("seq").values_list("type", flat=True))
        assert (verdict.ok, verdict.event_count) == (True, 5)
        assert types == [
            "MONTH_CLOSE_REQUESTED", "MONTH_CLOSED", "MONTH_CLOSE_REOPENED",
            "MONTH_CLOSE_REQUESTED", "MONTH_CLOSED",
        ]  # fmt: skip

    def test_nothing_is_left_behind_by_a_close_that_breaks_and_the_month_says_why(self, books, monkeypatch):
        books.put()

        def broken(*_, **__):
            raise RuntimeError("disk full")

        with monkeypatch.context() as patched:
            patched.setattr(close, "_freeze", broken)
            books.close()
        assert (books.month()["status"], books.month()["lastAttempt"]["reason"]) == ("OPEN", "RuntimeError")
        assert books.statement()["status"] == "OPEN"
        assert instructions() == []

    @pytest.mark.parametrize("step", ["_totals", "_store", "_freeze"])
    def test_a_crash_anywhere_then_a_rerun_leaves_the_same_bytes(self, books, monkeypatch, step):
        books.put()
        with clock.freeze(NOW):
            books.api.post("/ops/month-close", {"month": "2026-01"})

        def run(at):
            with tenancy.tenant_scope("tenant_a"):
                return close.close_month(tenant_id="tenant_a", month="2026-01", basis="settledAt", now=at)

        def crash(*_, **__):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(close, step, crash)
            run(NOW)
        assert run(NOW + dt.timedelta(hours=3)).instruction_count == 1
        assert run(NOW + dt.timedelta(hours=4)).is_new is False
        (instruction,) = instructions()
        assert json.loads(instruction.body)["generatedAt"] == "2026-02-01T08:30:00.000Z"

    def test_other_tenants_months_stay_open(self, books):
        other = type(books)(books.api.as_tenant("tenant_b"))
        other.put()
        books.put()
        books.close()
        assert other.statement()["status"] == "OPEN"
        assert refusal(other.api.get("/ops/month-close?month=2026-01")) == (404, "NOT_FOUND")


class TestReopen:
    def test_it_opens_the_months_statements(self, books):
        books.put()
        books.close()
        answer = books.reopen()
        assert (answer.status_code, body(answer)["event"]["payload"]["reason"]) == (201, "late invoice")
        month = books.month()
        assert (month["status"], month["closedAt"], month["generation"]) == ("OPEN", None, 2)
        assert month["reopenedAt"] == body(answer)["event"]["at"]
        assert (books.statement()["status"], books.statement()["closedAt"]) == ("OPEN", None)
        assert len(books.audits("MONTH_CLOSE_REOPENED")) == 1

    def test_a_month_never_requested_is_404_and_one_not_closed_409(self, books):
        assert refusal(books.reopen()) == (404, "NOT_FOUND")
        books.api.post("/ops/month-close", {"month": "2026-01"})
        answer = books.reopen()
        assert (refusal(answer), body(answer)["error"]) == ((409, "MONTH_NOT_CLOSED"), "month is not closed")

    def test_a_reason_is_required(self, books):
        books.close()
        answer = books.api.post("/ops/month-close/reopen", {"month": "2026-01", "reason": " "})
        assert (refusal(answer), body(answer)["error"]) == ((400, "SCHEMA_INVALID"), "reason is required")

    def test_equal_content_closed_again_is_not_instructed_twice(self, books):
        books.put()
        books.close()
        first = instructions()
        books.reopen()
        books.close()
        assert [row.artifact_hash for row in instructions()] == [row.artifact_hash for row in first]
        assert books.statement()["generation"] == 2

    def test_other_content_supersedes_the_statement_and_its_instruction(self, books):
        old = body(books.put())["statement"]
        books.close()
        books.reopen()
        new = body(books.put(payoutCents=77))["statement"]
        books.close()
        assert new["statementHash"] != old["statementHash"]
        assert sorted(row.amount_cents for row in instructions()) == [77, 12_345]
        with tenancy.tenant_scope("tenant_a"):
            superseded = queries.superseded_payout_keys(tenant_id="tenant_a", period="2026-01")
            history = PartyStatement.objects.filter(superseded_at__isnull=False).get()
        assert superseded == {old["payoutKey"]}
        assert (history.statement_hash, history.generation) == (old["statementHash"], 1)
        assert (books.statement()["payoutCents"], books.statement()["generation"]) == (77, 2)

    def test_content_that_comes_back_is_superseded_no_more(self, books):
        books.put()
        books.close()
        books.reopen()
        books.put(payoutCents=77)
        books.put()
        books.close()
        with tenancy.tenant_scope("tenant_a"):
            assert queries.superseded_payout_keys(tenant_id="tenant_a", period="2026-01") == frozenset()
        assert [row.amount_cents for row in instructions()] == [12_345]


class TestPayoutSubject:
    def test_one_query_tells_all_that_a_payout_must_know(self, books, django_assert_num_queries):
        books.put()
        with tenancy.tenant_scope("tenant_a"):
            before = queries.statement_for_payout(tenant_id="tenant_a", party_id="pty_1", period="2026-01")
        assert (before.status, before.month_status, before.instruction_artifact_id) == ("OPEN", None, None)
        books.close()
        with tenancy.tenant_scope("tenant_a"), django_assert_num_queries(1):
            subject = queries.statement_for_payout(tenant_id="tenant_a", party_id="pty_1", period="2026-01")
        assert (subject.status, subject.month_status, subject.payable_cents) == ("CLOSED", "CLOSED", 12_345)
        assert subject.instruction_artifact_hash == instructions()[0].artifact_hash
        assert subject.references == []

    def test_the_only_payable_statement_is_meant_and_two_are_ambiguous(self, books):
        books.put(partyRole="customer")
        books.put(partyRole="operator", payoutCents=5)
        with tenancy.tenant_scope("tenant_a"):
            found = queries.statement_for_payout(tenant_id="tenant_a", party_id="pty_1", period="2026-01")
            assert found.payout_cents == 5
        books.put(currency="EUR", payoutCents=7)  # rails pay dollars: this one cannot be meant
        with tenancy.tenant_scope("tenant_a"):
            found = queries.statement_for_payout(tenant_id="tenant_a", party_id="pty_1", period="2026-01")
            assert found.payout_cents == 5
        books.put(partyRole="subcontractor")
        with tenancy.tenant_scope("tenant_a"), pytest.raises(queries.StatementAmbiguous):
            queries.statement_for_payout(tenant_id="tenant_a", party_id="pty_1", period="2026-01")


def test_a_month_row_in_the_other_tenant_is_invisible_without_its_scope_P2(books):
    books.close()
    assert MonthClose.objects.count() == 0
    with tenancy.tenant_scope("tenant_b"):
        assert MonthClose.objects.count() == 0
        with pytest.raises(months.MonthCloseNotFound):
            months.reopen(
                tenant_id="tenant_a", month="2026-01", basis="settledAt", reason="x",
                actor=Actor.system("test"), now=NOW,
            )  # fmt: skip
