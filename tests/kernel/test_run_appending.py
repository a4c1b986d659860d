"""POST /agents/{agentId}/runs/{runId}/events: kernel spec 5, and what the last event does to money: 6.3."""

import pytest

from settld.core import tenancy
from settld.kernel.models import Run
from settld.kernel.queries import runs as queries
from settld.ledger.models import MonthClose
from settld.metering import limit
from settld.metering.limit import HardLimit
from tests.kernel.work import (
    ARBITER,
    HEAD,
    NOW,
    PAYEE,
    TENANT,
    counts,
    wallet,
)
from tests.support.api import body, refusal

REPLY = {"event", "run", "settlement", "decisionRecord", "settlementReceipt", "kernelVerification"}


class TestTheOrderOfChecks:
    """type, header, replay, run, head, payload, fold, settlement, allowance."""

    def test_the_type_comes_before_the_missing_header(self, runs):
        for kind in ["RUN_CREATED", "RUN_PAUSED", "", None, 5, ["RUN_STARTED"]]:
            answer = runs.api.post(f"/agents/{PAYEE}/runs/nope/events", {"type": kind})
            assert (refusal(answer), body(answer)["error"]) == (
                (400, "SCHEMA_INVALID"), "unsupported run event type",
            )  # fmt: skip

    def test_the_header_comes_before_the_run_and_before_any_replay(self, runs):
        runs.open()
        assert runs.append("RUN_STARTED", key="k").status_code == 201
        for path in ("nope", "run_1"):
            answer = runs.api.post(f"/agents/{PAYEE}/runs/{path}/events", {"type": "RUN_STARTED"}, key="k")
            assert (refusal(answer), body(answer)["error"]) == (
                (428, "MISSING_PRECONDITION"), "missing precondition",
            )  # fmt: skip

    def test_the_replay_comes_before_the_stale_head(self, runs):
        runs.open()
        first_head = runs.heads["run_1"]
        first = runs.append("RUN_STARTED", key="k")
        again = runs.append("RUN_STARTED", key="k", head=first_head)
        assert (again.content, again["x-idempotent-replay"]) == (first.content, "true")

    def test_the_key_covers_the_head_that_was_named_2_7(self, runs):
        runs.open()
        runs.append("RUN_STARTED", key="k")
        assert refusal(runs.append("RUN_STARTED", key="k")) == (409, "IDEMPOTENCY_CONFLICT")

    @pytest.mark.parametrize(("agent", "run", "error"), [
        (PAYEE, "nope", "run not found"),
        (ARBITER, "run_1", "run not found"),
        ("agt_nobody", "run_1", "agent identity not found"),
    ])  # fmt: skip
    def test_the_run_comes_before_the_head(self, runs, agent, run, error):
        runs.open()
        answer = runs.append("RUN_STARTED", run_id=run, agent_id=agent, head="stale")
        assert (refusal(answer), body(answer)["error"]) == ((404, "NOT_FOUND"), error)

    @pytest.mark.parametrize("stale", ["", "null", "0" * 64])
    def test_the_head_comes_before_the_payload(self, runs, stale):
        runs.open()
        before = counts()
        answer = runs.append("EVIDENCE_ADDED", {"evidenceRef": 5}, head=stale)
        assert (answer.status_code, body(answer)["error"]) == (409, "event append conflict")
        assert body(answer)["details"] == {
            "expectedPrevChainHash": runs.heads["run_1"],
            "gotExpectedPrevChainHash": None if stale in ("", "null") else stale,
        }
        assert counts() == before

    def test_the_payload_comes_before_the_fold(self, runs):
        runs.open(cents=0)
        runs.complete()
        assert body(runs.append("EVIDENCE_ADDED", {}))["error"] == "invalid run event payload"

    def test_a_run_that_has_ended_takes_nothing_more(self, runs):
        runs.settled()
        for kind in ["RUN_STARTED", "RUN_HEARTBEAT", "RUN_COMPLETED", "RUN_FAILED"]:
            before = counts(), wallet(PAYEE)
            answer = runs.append(kind)
            assert (refusal(answer), body(answer)["error"]) == (
                (400, "SCHEMA_INVALID"),
                "run update rejected",
            )
            assert (counts(), wallet(PAYEE)) == before

    def test_the_books_come_before_the_allowance(self, runs, monkeypatch):
        monkeypatch.setattr(limit, "_registered", lambda **_: HardLimit("free", 1))
        runs.settled("run_0")
        runs.open()
        with tenancy.tenant_scope(TENANT):
            MonthClose.objects.filter(month="2026-03").update(status="CLOSED", closed_at=NOW)
        assert body(runs.complete())["error"] == "event rejected"


class TestFolding:
    def test_a_run_goes_its_way(self, runs):
        runs.open(cents=0)
        started = body(runs.append("RUN_STARTED", {"startedBy": "w"}))
        assert set(started) == REPLY
        assert {key: started[key] for key in REPLY - {"event", "run"}} == dict.fromkeys(
            REPLY - {"event", "run"}
        )
        runs.append("RUN_HEARTBEAT", {"progressPct": 50, "stage": "half"})
        runs.append("EVIDENCE_ADDED", {"evidenceRef": "ev://b"})
        runs.append("EVIDENCE_ADDED", {"evidenceRef": "ev://a"}, actor={"type": "service", "id": "w"})
        done = body(runs.append("RUN_FAILED", {"code": "TIMEOUT", "message": "too slow"}))
        assert (done["run"]["status"], done["run"]["revision"]) == ("failed", 5)
        assert done["run"]["evidenceRefs"] == ["ev://a", "ev://b"]
        assert done["run"]["failure"] == {"code": "TIMEOUT", "message": "too slow"}
        with tenancy.tenant_scope(TENANT):
            assert queries.check(tenant_id=TENANT, run_id="run_1").ok
        events = body(runs.api.get(f"/agents/{PAYEE}/runs/run_1/events"))["events"]
        assert [event["actor"]["id"] for event in events] == [PAYEE] * 4 + ["w", PAYEE]

    def test_clients_do_not_say_when_nor_which_event_it_is_2_7(self, runs):
        runs.open(cents=0)
        event = body(runs.append("RUN_STARTED", at="2020-01-01T00:00:00Z", eventId="mine", id="mine"))[
            "event"
        ]
        assert event["at"] == "2026-03-10T12:00:00.000Z"
        assert event["id"] != "mine"

    def test_a_malformed_actor_is_400(self, runs):
        for actor in [
            "me",
            [],
            {},
            {"type": "x"},
            {"type": "x", "id": 5},
            {"type": "", "id": "y"},
            {"type": "x", "id": "y" * 3000},
        ]:
            runs.open(cents=0)
            answer = runs.append("RUN_STARTED", actor=actor)
            assert body(answer)["error"] == "invalid run event payload"


def test_the_database_itself_keeps_one_event_per_head(runs):
    from django.db import IntegrityError, transaction

    from settld.kernel import wire
    from settld.kernel.models import RunEvent
    from tests.kernel import made

    runs.open(cents=0)
    runs.append("RUN_STARTED")
    with tenancy.tenant_scope(TENANT):
        stored = Run.objects.get()
        rival = wire.event_columns(
            made.stream(("RUN_STARTED", {}))[1], tenant_id=TENANT, seq=stored.revision + 1
        )
        first = RunEvent.objects.get(seq=0)
        with pytest.raises(IntegrityError, match="run_event_chain"), transaction.atomic():
            RunEvent.objects.create(**rival | {"prev_chain_hash": first.chain_hash})


def test_the_header_name_is_the_specs():
    from settld.kernel.api.run_writes import EXPECTED_HEAD

    assert EXPECTED_HEAD == HEAD
