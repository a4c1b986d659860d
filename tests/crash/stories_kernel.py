"""Stories of the kernel: agents, money in, runs and their pay, holds, disputes, what a payout takes."""

import datetime as dt
from typing import Any

from settld.core import clock, tenancy
from settld.kernel.services import decisions, funding
from settld.kernel.services import runs as opening
from tests.crash.desk import path_of
from tests.crash.office import MONTH, OfficeStory
from tests.kernel import work
from tests.kernel.work import PAYEE, PAYER, TENANT

HOLD = {
    "agreementHash": "a" * 64, "receiptHash": "b" * 64, "payerAgentId": PAYER, "payeeAgentId": PAYEE,
    "amountCents": 10_000, "holdbackBps": 1_000, "challengeWindowMs": 60_000,
}  # fmt: skip
PARTY = f"pty_operator:{PAYEE}"


# --- Agents and money -----------------------------------------------------------------------------------
class RegisterAgent(OfficeStory):
    def act(self) -> Any:
        sent = {"agentId": "agt_new", "publicKeyPem": work.PEM}
        return self.desk.does("POST", "/agents/register", sent, key="r1")

    def effects(self) -> int:
        return self.same("agent", "agent_id = 'agt_new'", audited="AGENT_REGISTER' AND target_id = 'agt_new")


class Fund(OfficeStory):
    def act(self) -> Any:
        sent = {"amountCents": 700, "externalRef": "ch_1", "sourceType": "money_rail"}
        return self.desk.does("POST", f"/agents/{PAYEE}/wallet/credit", sent, key="f1")

    def effects(self) -> int:
        credited = self.desk.count("funding_receipt", "external_ref = 'ch_1'")
        self.holds(PAYEE, available=700 * credited)
        assert self.desk.count("ledger_entry", "entry_id LIKE 'jnl_fund_%'") == 1 + credited
        return credited


class ReverseFunding(Fund):
    """A provider takes money back; nobody calls a route for it, the same event comes again."""

    def begin(self) -> None:
        super().begin()
        self.receipt = Fund.act(self)["fundingReceipt"]

    def act(self) -> Any:
        with tenancy.tenant_scope(TENANT):
            return funding.reverse(
                tenant_id=TENANT, receipt_id=self.receipt["receiptId"], provider_event_id="evt_1",
                actor=work.ACTOR, now=clock.now(), amount_cents=300,
            )  # fmt: skip

    def effects(self) -> int:
        taken = self.same("settlement_adjustment", "kind = 'funding_reversal'", audited="FUNDING_REVERSAL")
        self.holds(PAYEE, available=700 - 300 * taken)
        return taken


# --- Runs -----------------------------------------------------------------------------------------------
class OpenRun(OfficeStory):
    def act(self) -> Any:
        sent = {"runId": "run_1", "settlement": {"payerAgentId": PAYER, "amountCents": 1_000}}
        return self.desk.does("POST", f"/agents/{PAYEE}/runs", sent, key="o1")

    def effects(self) -> int:
        opened = self.desk.count("agent_run")
        for table in ("agent_run_event", "agent_run_settlement", "decision_record", "settlement_receipt"):
            assert self.desk.count(table) == opened
        self.holds(PAYER, available=100_000 - 1_000 * opened, locked=1_000 * opened)
        return opened


class CompleteRun(OfficeStory):
    """The run's last event, its pay, its documents and what is billed for it are one effect."""

    def begin(self) -> None:
        super().begin()
        self.runs.open("run_1", cents=1_001)
        self.head = self.runs.heads["run_1"]

    def act(self) -> Any:
        sent = {"type": "RUN_COMPLETED", "payload": {"metrics": {"settlementReleaseRatePct": 50}}}
        path = f"/agents/{PAYEE}/runs/run_1/events"
        answer = self.desk.api.post(path, sent, key="c1", headers={work.HEAD: self.head})
        assert answer.status_code == 201, answer.content
        return answer

    def effects(self) -> int:
        settled = self.desk.count("agent_run_settlement", "status = 'released'")
        assert self.desk.count("agent_run_event") == 1 + settled
        assert self.desk.count("settlement_receipt", "finality_state = 'final'") == settled
        assert self.desk.count("billing_usage_event") == 2 * settled
        self.holds(PAYEE, available=500 * settled)
        self.holds(PAYER, available=100_000 - 1_001 + 501 * settled, locked=1_001 * (1 - settled))
        return settled


class ResolveRun(OfficeStory):
    """A person decides about a failed run, whose agreement leaves it to one."""

    def begin(self) -> None:
        super().begin()
        work.under_agreement(self.desk.patch)
        with tenancy.tenant_scope(TENANT):
            opened = opening.open_run(
                tenant_id=TENANT, agent_id=PAYEE, run_id="run_1", phase=decisions.AGREEMENT_ACCEPTED,
                now=clock.now(),
                terms=opening.SettlementTerms(payer_agent_id=PAYER, amount_cents=1_001, agreement_id="agr_1"),
            )  # fmt: skip
        self.runs.heads["run_1"] = opened.event["chainHash"]
        assert self.runs.append("RUN_FAILED").status_code == 201

    def act(self) -> Any:
        sent = {"status": "released", "releasedAmountCents": 400}
        return self.desk.does("POST", "/runs/run_1/settlement/resolve", sent, key="s1")

    def effects(self) -> int:
        resolved = self.same(
            "agent_run_settlement", "decision_status = 'manual_resolved'", audited="RUN_SETTLEMENT_RESOLVED"
        )
        assert self.desk.count("settlement_receipt", "finality_state = 'final'") == resolved
        self.holds(PAYEE, available=400 * resolved)
        self.holds(PAYER, available=100_000 - 1_001 + 601 * resolved, locked=1_001 * (1 - resolved))
        return resolved


# --- Holds ----------------------------------------------------------------------------------------------
class LockHold(OfficeStory):
    def act(self) -> Any:
        return self.desk.does("POST", "/ops/tool-calls/holds/lock", HOLD, key="h1")

    def effects(self) -> int:
        held = self.same("funding_hold", "status = 'held'", audited="TOOL_CALL_HOLD_LOCK")
        self.holds(PAYER, available=100_000 - 1_000 * held, locked=1_000 * held)
        return held


class ReleaseHold(LockHold):
    def begin(self) -> None:
        super().begin()
        LockHold.act(self)
        self.desk.waits(dt.timedelta(minutes=2))

    def act(self) -> Any:
        return self.desk.does("POST", "/ops/maintenance/tool-call-holdback/run", {})

    def effects(self) -> int:
        released = self.same("funding_hold", "status = 'released'", audited="TOOL_CALL_HOLD_AUTO_RELEASE")
        assert self.desk.count("settlement_adjustment", "kind = 'holdback_release'") == released
        self.holds(PAYEE, available=1_000 * released)
        return released


# --- Disputes -------------------------------------------------------------------------------------------
class OpenDispute(OfficeStory):
    def begin(self) -> None:
        super().begin()
        self.runs.settled("run_1")

    def act(self) -> Any:
        sent = {"type": "quality", "reason": "half of it", "openedByAgentId": PAYER}
        return self.dispute("open", sent)

    def dispute(self, verb: str, sent: dict[str, Any]) -> Any:
        return self.desk.does("POST", f"/runs/run_1/dispute/{verb}", sent, key=f"d_{verb}")

    def effects(self) -> int:
        opened = self.desk.count("run_dispute")
        assert self.desk.count("agent_run_settlement", "dispute_status = 'open'") == opened
        return opened


class SubmitEvidence(OpenDispute):
    def begin(self) -> None:
        super().begin()
        OpenDispute.act(self)

    def act(self) -> Any:
        return self.dispute("evidence", {"evidenceRef": "obj://photo"})

    def effects(self) -> int:
        return self.desk.count("dispute_evidence")


class Escalate(SubmitEvidence):
    def act(self) -> Any:
        return self.dispute("escalate", {"escalationLevel": "l2_arbiter"})

    def effects(self) -> int:
        return int("l2_arbiter" in str(self.runs.settlement()["settlement"]["disputeContext"]))


class CloseDispute(SubmitEvidence):
    def act(self) -> Any:
        sent = {
            "resolutionOutcome": "rejected",
            "closedByAgentId": PAYER,
            "resolutionSummary": "it was there",
        }
        return self.dispute("close", sent)

    def effects(self) -> int:
        closed = self.desk.count("run_dispute", "closed_at IS NOT NULL")
        assert self.desk.count("agent_run_settlement", "dispute_status = 'closed'") == closed
        return closed


# --- What a payout takes --------------------------------------------------------------------------------
class ReservePayout(OfficeStory):
    """A payout over what the books derived: operation, references and the wallet's money are one effect."""

    def begin(self) -> None:
        super().begin()
        self.runs.settled("run_1", window_days=0)
        self.desk.closes()

    def act(self) -> Any:
        sent = {"moneyRailProviderId": "stub_default"}
        answer = self.desk.does("POST", f"/ops/payouts/{PARTY}/{MONTH}/enqueue", sent, key="e1")
        self.operation = answer["moneyRailOperation"]
        return answer

    def effects(self) -> int:
        taken = self.same("payout_reservation", "state = 'reserved'", audited="PAYOUT_ENQUEUED")
        assert self.desk.count("money_rail_operation") == taken
        assert self.desk.count("payout_allocation", "released_at IS NULL") == taken
        self.holds(PAYEE, available=1_000 * (1 - taken))
        return taken


class CommitPayout(ReservePayout):
    told: tuple[str, ...] = ("submitted",)
    tells, table, where = "confirmed", "payout_reservation", "state = 'committed'"
    left = 0

    def begin(self) -> None:
        super().begin()
        ReservePayout.act(self)
        self.desk.tell(self.operation, *self.told)

    def act(self) -> Any:
        return self.desk.tell(self.operation, self.tells)

    def effects(self) -> int:
        done = self.desk.count(self.table, self.where)
        assert self.desk.count("money_rail_operation", f"state = '{self.tells}'") == done
        self.holds(PAYEE, available=self.left * done)
        return done

    def is_whole(self) -> None:
        assert self.desk.count("ledger_entry", "entry_id LIKE 'jnl_payout_mop_%'") == 1


class ReleasePayout(CommitPayout):
    tells, where, left = "cancelled", "state = 'released'", 1_000

    def act(self) -> Any:
        return self.desk.does("POST", f"{path_of(self.operation)}/cancel", {}, key="c1")

    told = ()

    def is_whole(self) -> None:
        assert self.desk.count("payout_allocation", "released_at IS NULL") == 0
        assert self.desk.count("ledger_entry", "entry_id LIKE 'payout_return_%'") == 1


class ReturnPayout(CommitPayout):
    told = ("submitted", "confirmed")
    tells, where, left = "reversed", "state = 'returned'", 1_000

    def is_whole(self) -> None:
        """The money is back, and what it rested on is not free for another payout."""
        assert self.desk.count("payout_allocation", "released_at IS NULL") == 1
        assert self.desk.count("settlement_adjustment", "kind = 'payout_return'") == 1
