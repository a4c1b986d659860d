"""What a run's last event does to its money: kernel spec 6.3, finance spec 2.2, 5.1."""

import datetime as dt

import pytest

from settld.core import failpoints, tenancy
from settld.kernel import agreements
from settld.kernel.models import DecisionRecord, SettlementReceipt
from settld.ledger.models import Allocation, JournalEntry, MonthClose
from settld.metering import limit
from settld.metering.limit import HardLimit
from settld.metering.models import UsageEvent
from tests.kernel.work import (
    NOW,
    PAYEE,
    PAYER,
    TENANT,
    counts,
    entry_ids,
    under_agreement,
    wallet,
)
from tests.support.api import body, refusal

REPLY = {"event", "run", "settlement", "decisionRecord", "settlementReceipt", "kernelVerification"}


class TestTheEnd:
    @pytest.mark.parametrize(("rate", "released", "light", "reasons"), [
        (None, 1001, "green", []),
        (100, 1001, "green", []),
        (50, 500, "amber", ["RUN_COMPLETED_PARTIAL_SETTLEMENT"]),
        (33, 330, "amber", ["RUN_COMPLETED_PARTIAL_SETTLEMENT"]),
        (1, 10, "amber", ["RUN_COMPLETED_PARTIAL_SETTLEMENT"]),
        (0, 0, "red", ["RUN_COMPLETED_ZERO_SETTLEMENT"]),
    ])  # fmt: skip
    def test_a_direct_run_is_resolved_at_the_rate_of_its_own_outcome(
        self, runs, rate, released, light, reasons
    ):
        done = runs.settled(cents=1001, rate=rate)
        settlement, receipt, record = (
            done[key] for key in ("settlement", "settlementReceipt", "decisionRecord")
        )
        assert (settlement["status"], settlement["decisionStatus"], settlement["decisionMode"]) == (
            "released" if released else "refunded", "auto_resolved", "automatic",
        )  # fmt: skip
        assert (settlement["releasedAmountCents"], settlement["refundedAmountCents"]) == (
            released,
            1001 - released,
        )
        assert settlement["releaseRatePct"] == (100 if rate is None else rate)
        assert (
            settlement["resolutionEventId"] == done["event"]["id"] == record["workRef"]["resolutionEventId"]
        )
        assert settlement["runStatus"] == "completed"
        assert settlement["disputeWindowEndsAt"] == "2026-03-17T12:00:00.000Z"
        assert settlement["decisionTrace"]["phase"] == "run.terminal.auto_resolved"
        assert settlement["decisionTrace"]["policyDecision"] is None
        assert settlement["decisionTrace"]["verifierExecution"]["reasonCodes"] == reasons
        assert record["verificationStatus"] == light
        assert (receipt["finalityState"], receipt["settledAt"]) == ("final", "2026-03-10T12:00:00.000Z")
        assert done["kernelVerification"] == {"valid": True, "errors": []}
        assert (wallet(PAYER), wallet(PAYEE)[0]) == ((100_000 - released, 0), released)

    def test_a_failed_run_gets_everything_back(self, runs):
        runs.open(disputeWindowDays=0)
        done = body(runs.append("RUN_FAILED", {"code": "OOM"}))
        assert (done["settlement"]["status"], done["settlement"]["releaseRatePct"]) == ("refunded", 0)
        assert done["settlement"]["disputeWindowEndsAt"] is None
        assert entry_ids() == ["escrow_forfeit_run_1_" + done["event"]["id"], "escrow_hold_run_1"]
        assert wallet(PAYER) == (100_000, 0)

    def test_both_books_say_what_moved_4_5_1(self, runs):
        done = runs.settled(rate=40)
        name = f"run_1_{done['event']['id']}"
        assert entry_ids() == sorted(
            [
                "escrow_hold_run_1",
                f"escrow_release_{name}",
                f"escrow_forfeit_{name}",
                f"jnl_escrow_release_{name}",
            ]
        )
        with tenancy.tenant_scope(TENANT):
            twin = JournalEntry.objects.get(entry_id=f"jnl_escrow_release_{name}")
            assert twin.memo == "job:run_1 SETTLED"
            shares = Allocation.objects.filter(entry_id=twin.entry_id).values_list("party_id", "amount_cents")
            assert sorted(shares) == [(f"pty_customer:{PAYER}", 400), (f"pty_operator:{PAYEE}", -400)]

    def test_the_reply_is_what_is_read_afterwards(self, runs):
        done = runs.settled()
        assert runs.settlement() == {key: done[key] for key in (
            "settlement", "decisionRecord", "settlementReceipt", "kernelVerification",
        )}  # fmt: skip

    def test_each_phase_adds_a_pair_and_one_receipt_is_final_6_4(self, runs):
        runs.settled()
        with tenancy.tenant_scope(TENANT):
            phases = DecisionRecord.objects.order_by("id").values_list("phase", flat=True)
            assert list(phases) == ["run.created", "run.terminal.auto_resolved"]
            states = SettlementReceipt.objects.order_by("id").values_list("finality_state", flat=True)
            assert list(states) == ["pending", "final"]

    def test_what_is_billed_is_billed_with_it_2_8(self, runs):
        done = runs.settled(rate=40)
        event_id = done["event"]["id"]
        with tenancy.tenant_scope(TENANT):
            billed = {event.event_key: event for event in UsageEvent.objects.all()}
        assert set(billed) == {f"verified_run:run_1:{event_id}", f"settled_volume:setl_run_1:{event_id}"}
        assert billed[f"settled_volume:setl_run_1:{event_id}"].amount_cents == 400

    @pytest.mark.parametrize("kind", ["RUN_COMPLETED", "RUN_FAILED"])
    def test_a_run_without_settlement_is_a_verified_run_all_the_same(self, runs, kind):
        runs.open(cents=0)
        event = body(runs.append(kind))["event"]
        with tenancy.tenant_scope(TENANT):
            assert [row.event_key for row in UsageEvent.objects.all()] == [
                f"verified_run:run_1:{event['id']}"
            ]

    def test_a_plan_that_is_used_up_writes_nothing_2_2(self, runs, monkeypatch):
        runs.settled("run_0")
        runs.open()
        monkeypatch.setattr(limit, "_registered", lambda **_: HardLimit("free", 1))
        before = (
            counts(),
            wallet(PAYER),
            runs.settlement(),
            runs.api.get(f"/agents/{PAYEE}/runs/run_1").content,
        )
        answer = runs.complete()
        assert refusal(answer) == (402, "BILLING_PLAN_LIMIT_EXCEEDED")
        assert body(answer)["details"]["usedVerifiedRuns"] == 1
        assert before == (
            counts(), wallet(PAYER), runs.settlement(), runs.api.get(f"/agents/{PAYEE}/runs/run_1").content,
        )  # fmt: skip
        assert runs.append("RUN_HEARTBEAT").status_code == 201

    def test_a_replayed_completion_is_neither_charged_nor_refused_2_2(self, runs, monkeypatch):
        runs.open()
        head = runs.heads["run_1"]
        first = runs.complete(key="k")
        monkeypatch.setattr(limit, "_registered", lambda **_: HardLimit("free", 1))
        assert runs.complete(key="k", head=head).content == first.content

    @pytest.mark.parametrize("kind", ["RUN_COMPLETED", "RUN_FAILED"])
    def test_a_closed_month_settles_nothing_5_1(self, runs, kind):
        runs.open()
        with tenancy.tenant_scope(TENANT):
            MonthClose.objects.filter(month="2026-03").update(status="CLOSED", closed_at=NOW)
        before = counts(), wallet(PAYER)
        answer = runs.append(kind)
        assert (refusal(answer), body(answer)["error"]) == ((400, "SCHEMA_INVALID"), "event rejected")
        assert body(answer)["details"]["message"] == "cannot settle: month is closed"
        assert (counts(), wallet(PAYER)) == before
        assert runs.append("RUN_HEARTBEAT").status_code == 201
        runs.at(NOW + dt.timedelta(days=30))
        assert runs.append(kind).status_code == 201

    @pytest.mark.parametrize("point", ["kernel.settle.before_documents", "kernel.append_event.before_commit"])
    def test_an_end_that_does_not_commit_has_not_happened(self, runs, point):
        runs.open()
        before = counts(), wallet(PAYER), runs.settlement()

        def stop(name):
            if name == point:
                raise RuntimeError("the process ends here")

        with failpoints.watched(stop):
            assert runs.complete().status_code == 500
        assert (counts(), wallet(PAYER), runs.settlement()) == before
        assert runs.complete().status_code == 201

    def test_documents_that_were_tampered_with_stop_the_money_6_5(self, runs):
        runs.open()
        with tenancy.tenant_scope(TENANT):
            from django.db import connection

            with connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO decision_record SELECT gen_random_uuid(), tenant_id, 'dec_forged', run_id,"
                    " settlement_id, phase, decision_status, decided_at, decision_hash,"
                    ' body || \'{"decisionStatus": "manual_resolved"}\'::jsonb FROM decision_record'
                )
                cursor.execute("UPDATE agent_run_settlement SET decision_id = 'dec_forged'")
        answer = runs.complete()
        assert refusal(answer) == (409, "SETTLEMENT_KERNEL_BINDING_INVALID")
        assert body(answer)["details"] == {
            "message": "invalid settlement kernel artifacts",
            "code": "SETTLEMENT_KERNEL_BINDING_INVALID",
            "errors": ["decision_record_hash_mismatch"],
        }
        assert wallet(PAYER) == (99_000, 1000)

    def test_documents_that_are_missing_are_tolerated_at_the_end_6_3(self, runs):
        runs.open()
        with tenancy.tenant_scope(TENANT):
            from settld.kernel.models import Settlement

            Settlement.objects.update(decision_id=None, receipt_id=None)
        assert body(runs.complete())["kernelVerification"]["valid"] is True


class TestUnderAnAgreement:
    def open(self, runs, monkeypatch, **more):
        from settld.kernel.services import decisions
        from settld.kernel.services import runs as opening

        under_agreement(monkeypatch, **more)
        with tenancy.tenant_scope(TENANT):
            opened = opening.open_run(
                tenant_id=TENANT, agent_id=PAYEE, run_id="run_1", phase=decisions.AGREEMENT_ACCEPTED, now=NOW,
                terms=opening.SettlementTerms(
                    payer_agent_id=PAYER, amount_cents=1001, agreement_id="agr_1", dispute_window_hours=36
                ),
            )  # fmt: skip
        runs.heads["run_1"] = opened.event["chainHash"]
        return opened

    def test_green_is_released_as_the_pinned_policy_says(self, runs, monkeypatch):
        self.open(runs, monkeypatch, policy={"rules": {"greenReleaseRatePct": 90}})
        done = body(runs.complete())
        assert done["settlement"]["releasedAmountCents"] == 900
        assert done["settlement"]["disputeWindowEndsAt"] == "2026-03-12T00:00:00.000Z"
        pinned = agreements.of_run(tenant_id=TENANT, run_id="run_1")
        assert done["settlement"]["decisionPolicyHash"] == pinned.policy_hash
        assert done["decisionRecord"]["policyHashUsed"] == pinned.policy_hash
        assert done["settlement"]["decisionTrace"]["policyDecision"]["releaseAmountCents"] == 900
        assert done["decisionRecord"]["agreementId"] == "agr_1"

    def test_a_failed_run_waits_for_a_person_under_the_default_policy(self, runs, monkeypatch):
        self.open(runs, monkeypatch)
        done = body(runs.append("RUN_FAILED"))
        settlement = done["settlement"]
        assert (settlement["status"], settlement["decisionStatus"], settlement["decisionMode"]) == (
            "locked", "manual_review_required", "manual-review",
        )  # fmt: skip
        assert settlement["decisionReason"] == "auto_release_disabled_for_red"
        assert settlement["decisionTrace"]["phase"] == "run.terminal.awaiting_manual_resolution"
        assert done["settlementReceipt"]["finalityState"] == "pending"
        assert done["kernelVerification"]["valid"] is True
        assert wallet(PAYER) == (98_999, 1001)
        with tenancy.tenant_scope(TENANT):
            assert [row.event_type for row in UsageEvent.objects.all()] == ["verified_run"]

    @pytest.mark.parametrize("finds", [False, True])
    def test_a_policy_that_cannot_be_applied_fails_closed(self, runs, monkeypatch, finds):
        self.open(runs, monkeypatch)
        broken = under_agreement(monkeypatch, finds=finds)
        broken.policy.pop("rules")
        settlement = body(runs.complete())["settlement"]
        assert (settlement["status"], settlement["decisionStatus"], settlement["decisionReason"]) == (
            "locked", "manual_review_required", "policy_evaluation_failed",
        )  # fmt: skip
        assert wallet(PAYER) == (98_999, 1001)
