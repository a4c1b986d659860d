"""POST /runs/{runId}/dispute/{open,evidence,escalate,close} and GET /runs/{runId}/disputes: kernel spec 8."""

import datetime as dt

import pytest

from settld.core import clock, tenancy
from settld.kernel.models import Dispute, Settlement
from tests.kernel.work import (
    NOW,
    PAYEE,
    PAYER,
    TENANT,
    counts,
    entry_ids,
    wallet,
)
from tests.support.api import body, refusal

REPLY = {
    "settlement", "disputeEvidence", "disputeEscalation", "verdict", "verdictArtifact", "arbitrationVerdict",
    "arbitrationCaseArtifact", "arbitrationVerdictArtifact",
}  # fmt: skip
END = NOW + dt.timedelta(days=7)
REJECTED = "dispute transition rejected"


@pytest.fixture
def disputed(runs):
    """A settled run with a dispute open on it."""
    runs.settled()
    assert runs.dispute("open", {"openedByAgentId": PAYER, "reason": "it is empty"}).status_code == 200
    return runs


def settlement_of(answer):
    return body(answer)["settlement"]


def error_of(answer):
    return answer.status_code, body(answer)["error"]


def untouched():
    return counts(), wallet(PAYER), wallet(PAYEE), entry_ids()


class TestOpening:
    def test_defaults(self, runs):
        runs.settled()
        before = wallet(PAYER), wallet(PAYEE), entry_ids()
        answer = runs.dispute("open")
        found = settlement_of(answer)
        assert answer.status_code == 200
        assert set(body(answer)) == REPLY
        assert (found["disputeStatus"], found["disputeId"]) == ("open", "dsp_run_1")
        assert found["disputeOpenedAt"] == clock.iso(NOW)
        assert found["disputeContext"] == {
            "type": "other", "priority": "normal", "channel": "counterparty",
            "escalationLevel": "l1_counterparty", "openedByAgentId": None, "reason": None, "evidenceRefs": [],
        }  # fmt: skip
        assert (wallet(PAYER), wallet(PAYEE), entry_ids()) == before
        assert runs.settlement()["settlement"] == found

    def test_what_is_given_is_kept_and_the_long_names_win(self, runs):
        runs.settled()
        given = {
            "disputeId": "d:1", "disputeType": "fraud", "type": "other", "priority": "critical",
            "disputeChannel": "arbiter", "escalationLevel": "l2_arbiter", "openedByAgentId": PAYER,
            "reason": " it is empty ", "evidenceRefs": ["ev://b", "ev://a", "ev://b"],
        }  # fmt: skip
        found = settlement_of(runs.dispute("open", given))
        assert found["disputeId"] == "d:1"
        assert found["disputeContext"] == {
            "type": "fraud", "priority": "critical", "channel": "arbiter", "escalationLevel": "l2_arbiter",
            "openedByAgentId": PAYER, "reason": "it is empty", "evidenceRefs": ["ev://b", "ev://a"],
        }  # fmt: skip
        listed = body(runs.api.get("/runs/run_1/disputes"))["disputes"]
        assert [piece["evidenceRef"] for piece in listed[0]["evidence"]] == ["ev://b", "ev://a"]

    @pytest.mark.parametrize(("moment", "status"), [(END, 200), (END + dt.timedelta(milliseconds=1), 409)])
    def test_the_window_includes_its_end_13_2(self, runs, moment, status):
        runs.settled()
        runs.at(moment)
        answer = runs.dispute("open")
        assert answer.status_code == status
        if status == 409:
            assert body(answer)["error"] == "dispute window has closed"

    def test_without_a_window_nothing_can_be_disputed(self, runs):
        runs.settled(window_days=0)
        assert error_of(runs.dispute("open")) == (409, "dispute window has closed")

    @pytest.mark.parametrize("verb", ["open", "evidence", "escalate", "close"])
    def test_locked_money_cannot_be_disputed(self, runs, verb):
        runs.open(disputeWindowDays=7)
        given = {"evidenceRef": "ev://a", "escalationLevel": "l2_arbiter"} if verb != "open" else {}
        assert error_of(runs.dispute(verb, given)) == (409, "cannot dispute settlement before resolution")

    def test_one_at_a_time(self, disputed):
        for given in [
            {},
            {"disputeId": "another"},
        ]:
            before = untouched()
            assert error_of(disputed.dispute("open", given)) == (409, REJECTED)
            assert untouched() == before

    def test_a_word_that_is_not_known_is_rejected(self, runs):
        runs.settled()
        for given in [
            {"type": "mood"},
            {"disputePriority": "urgent"},
            {"channel": "phone"},
            {"escalationLevel": "l4"},
            {"type": ["fraud"]},
            {"priority": 5},
        ]:
            before = untouched()
            assert error_of(runs.dispute("open", given)) == (409, REJECTED)
            assert untouched() == before

    def test_malformed_members_are_400(self, runs):
        runs.settled()
        for given in [
            {"disputeId": "a b"},
            {"disputeId": 5},
            {"openedByAgentId": "a b"},
            {"reason": "x" * 4001},
            {"reason": 5},
            {"evidenceRefs": "ev"},
            {"evidenceRefs": [""]},
            {"evidenceRefs": [5]},
            {"evidenceRefs": ["x" * 513]},
            {"evidenceRefs": ["x"] * 1001},
        ]:
            assert refusal(runs.dispute("open", given)) == (400, "SCHEMA_INVALID")

    def test_an_id_is_used_once_in_the_tenant(self, runs):
        runs.settled()
        runs.settled("run_2")
        runs.dispute("open", {"disputeId": "d1"})
        before = untouched()
        assert error_of(runs.dispute("open", {"disputeId": "d1"}, run_id="run_2")) == (409, REJECTED)
        runs.dispute("close")
        assert error_of(runs.dispute("open", {"disputeId": "d1"})) == (409, REJECTED)
        assert untouched()[1:] == before[1:]

    def test_the_nth_dispute_keeps_the_ones_before_it_15(self, disputed):
        disputed.dispute("close", {"resolutionOutcome": "withdrawn", "resolutionSummary": "sorry"})
        again = settlement_of(disputed.dispute("open", {"reason": "after all"}))
        assert (again["disputeId"], again["disputeStatus"]) == ("dsp_run_1_2", "open")
        assert (again["disputeClosedAt"], again["disputeResolution"]) == (None, None)
        first, second = body(disputed.api.get("/runs/run_1/disputes"))["disputes"]
        assert first["resolution"]["outcome"] == "withdrawn"
        assert first["context"]["reason"] == "it is empty"
        assert (second["status"], second["context"]["reason"]) == ("open", "after all")

    def test_a_name_that_another_run_took_is_passed_over(self, runs):
        runs.settled()
        runs.settled("run_2")
        runs.dispute("open", {"disputeId": "dsp_run_2"})
        assert settlement_of(runs.dispute("open", run_id="run_2"))["disputeId"] == "dsp_run_2_2"

    def test_invalid_bindings_cannot_be_disputed_6_5(self, runs):
        runs.settled()
        with tenancy.tenant_scope(TENANT):
            Settlement.objects.update(decision_id=None)
        assert refusal(runs.dispute("open")) == (409, "SETTLEMENT_KERNEL_BINDING_INVALID")

    def test_it_takes_a_run_with_a_settlement(self, runs):
        assert error_of(runs.dispute("open")) == (404, "run not found")
        runs.open(cents=0)
        assert error_of(runs.dispute("open")) == (404, "run settlement not found")


class TestEvidence:
    def test_it_is_added_and_the_opener_and_reason_stay_15(self, disputed):
        given = {"evidenceRef": "ev://log", "submittedByAgentId": PAYEE, "reason": "look here"}
        answer = disputed.dispute("evidence", given)
        assert body(answer)["disputeEvidence"] == {
            "evidenceRef": "ev://log", "submittedAt": clock.iso(NOW), "submittedByAgentId": PAYEE,
        }  # fmt: skip
        context = settlement_of(answer)["disputeContext"]
        assert (context["openedByAgentId"], context["reason"]) == (PAYER, "it is empty")
        assert context["evidenceRefs"] == ["ev://log"]

    def test_the_same_piece_again_changes_nothing(self, disputed):
        first = disputed.dispute("evidence", {"evidenceRef": "ev://log", "submittedByAgentId": PAYEE})
        disputed.at(NOW + dt.timedelta(hours=1))
        before = untouched()
        again = disputed.dispute("evidence", {"evidenceRef": "ev://log", "submittedByAgentId": PAYER})
        assert again.content == first.content
        assert untouched() == before

    def test_malformed_evidence_is_400(self, disputed):
        for given in [
            {},
            {"evidenceRef": ""},
            {"evidenceRef": 5},
            {"evidenceRef": "x" * 513},
            {"evidenceRef": "x", "submittedByAgentId": "a b"},
            {"evidenceRef": "x", "reason": ["y"]},
        ]:
            assert refusal(disputed.dispute("evidence", given)) == (400, "SCHEMA_INVALID")


class TestEscalation:
    def test_it_goes_up_and_takes_its_channel_along(self, disputed):
        answer = disputed.dispute("escalate", {"escalationLevel": "l2_arbiter", "escalatedByAgentId": PAYER})
        assert body(answer)["disputeEscalation"] == {
            "previousEscalationLevel": "l1_counterparty",
            "escalationLevel": "l2_arbiter",
            "channel": "arbiter",
            "escalatedAt": clock.iso(NOW),
            "escalatedByAgentId": PAYER,
        }
        context = settlement_of(answer)["disputeContext"]
        assert (context["escalationLevel"], context["channel"]) == ("l2_arbiter", "arbiter")
        again = body(
            disputed.dispute("escalate", {"escalationLevel": "l3_external", "channel": "policy_engine"})
        )
        assert again["disputeEscalation"]["channel"] == "policy_engine"

    def test_it_never_goes_down(self, disputed):
        disputed.dispute("escalate", {"escalationLevel": "l3_external"})
        before = untouched()
        answer = disputed.dispute("escalate", {"escalationLevel": "l2_arbiter"})
        assert error_of(answer) == (409, "escalationLevel cannot downgrade an active dispute")
        assert disputed.dispute("escalate", {"escalationLevel": "l3_external"}).status_code == 200
        assert untouched() == before

    def test_a_level_that_is_not_known_is_400(self, disputed):
        for level in [None, "", "l4", 2, ["l2_arbiter"]]:
            assert refusal(disputed.dispute("escalate", {"escalationLevel": level})) == (
                400,
                "SCHEMA_INVALID",
            )


@pytest.mark.parametrize("verb", ["evidence", "escalate", "close"])
class TestWhichDispute:
    GIVEN = {"evidenceRef": "ev://a", "escalationLevel": "l2_arbiter"}

    def test_the_named_one_must_be_the_open_one(self, disputed, verb):
        answer = disputed.dispute(verb, self.GIVEN | {"disputeId": "another"})
        assert refusal(answer) == (409, "DISPUTE_ID_MISMATCH")
        assert disputed.dispute(verb, self.GIVEN | {"disputeId": "dsp_run_1"}).status_code == 200

    def test_one_must_be_open(self, runs, verb):
        runs.settled()
        assert refusal(runs.dispute(verb, self.GIVEN)) == (409, "DISPUTE_NOT_OPEN")
        runs.dispute("open")
        runs.dispute("close")
        assert refusal(runs.dispute(verb, self.GIVEN)) == (409, "DISPUTE_NOT_OPEN")

    def test_the_same_key_acts_once(self, disputed, verb):
        first = disputed.dispute(verb, self.GIVEN, key="k")
        after = untouched()
        again = disputed.dispute(verb, self.GIVEN, key="k")
        assert (again.content, again["x-idempotent-replay"]) == (first.content, "true")
        assert untouched() == after


def test_the_list_shows_everything_and_nobody_elses(disputed):
    disputed.dispute("evidence", {"evidenceRef": "ev://a"})
    found = body(disputed.api.get("/runs/run_1/disputes"))
    assert found["runId"] == "run_1"
    assert [piece["evidenceRef"] for piece in found["disputes"][0]["evidence"]] == ["ev://a"]
    assert refusal(disputed.api.as_tenant("tenant_b").get("/runs/run_1/disputes")) == (404, "NOT_FOUND")
    assert disputed.api.with_token("tok_read").get("/runs/run_1/disputes").status_code == 200
    assert refusal(disputed.api.with_token("tok_read").post("/runs/run_1/dispute/close")) == (
        403,
        "FORBIDDEN",
    )


def test_the_database_itself_keeps_one_open_dispute(disputed):
    from django.db import IntegrityError, transaction

    with tenancy.tenant_scope(TENANT):
        first = Dispute.objects.get()
        with pytest.raises(IntegrityError, match="dispute_open_once"), transaction.atomic():
            Dispute.objects.create(
                tenant_id=TENANT, dispute_id="rival", run_id="run_1", settlement_id=first.settlement_id,
                status="open", context={}, opened_at=NOW, created_at=NOW, updated_at=NOW,
            )  # fmt: skip
