"""Stories of the books and the rules around payouts: months, debts, controls, comparisons, accounts."""

import datetime as dt
from typing import Any
from uuid import UUID

from reconciliation.models import Mismatch
from reconciliation.queries.case_queue import CaseFilter
from reconciliation.services import batch_freeze, batch_run
from reconciliation.services.acts import Said
from settld.closing import statement_file
from settld.closing.services import imports, worker
from settld.core import clock, tenancy
from settld.core.principals import Actor
from settld.stripe_gateway.services import consumption
from tests.closing import files
from tests.crash.desk import PERIOD, PLAN, path_of
from tests.crash.stories_payouts import Story

ACTOR = Actor.system("crash_test")
ACCOUNTS = "/ops/finance/money-rails/stripe-connect/accounts"
GUARDED = {"fourEyes": True, "realMoneyEnabled": True, "maxPayoutAmountCents": 500}
LAG = dt.timedelta(minutes=20)  # a statement is believed only after a while
LOOSE = GUARDED | {"maxPayoutAmountCents": 900}


# --- Months ---------------------------------------------------------------------------------------------
class AskForClose(Story):
    def begin(self) -> None:
        for party in ("p1", "p2"):
            statement = {"partyRole": "operator", "payoutCents": 10_000}
            self.desk.does("PUT", f"/ops/party-statements/{party}/{PERIOD}", statement)

    def act(self) -> Any:
        return self.desk.does("POST", "/ops/month-close", {"month": PERIOD}, key="m1")

    def effects(self) -> int:
        requests = self.desk.count("month_event", "type = 'MONTH_CLOSE_REQUESTED'")
        assert self.desk.count("outbox_job") == requests
        return requests


class Close(AskForClose):
    def begin(self) -> None:
        super().begin()
        AskForClose.act(self)

    def act(self) -> Any:
        return worker.close_requested(now=clock.now())

    def effects(self) -> int:
        closed = self.desk.count("month_event", "type = 'MONTH_CLOSED'")
        instructions = self.desk.count("artifact", "artifact_type = 'PayoutInstruction.v1'")
        assert (instructions, self.desk.count("party_statement", "status = 'CLOSED'")) == (
            2 * closed,
            2 * closed,
        )
        return closed

    def is_whole(self) -> None:
        assert self.desk.count("outbox_job", "status <> 'succeeded'") == 0


class Import(Story):
    def begin(self) -> None:
        self.file = statement_file.read(files.many(3, period=PERIOD))

    def act(self) -> Any:
        with tenancy.tenant_scope(self.desk.tenant_id):
            return imports.carry_out(
                tenant_id=self.desk.tenant_id, file=self.file, file_name="may.csv", actor=ACTOR,
                now=self.desk.now,
            )  # fmt: skip

    def effects(self) -> int:
        imported = self.desk.count("statement_import")
        assert self.desk.count("party_statement") == 3 * imported
        return imported


# --- Debts and rules ------------------------------------------------------------------------------------
class Adjust(Story):
    def begin(self) -> None:
        self.operation = self.desk.payout(provider="stub_default")
        self.desk.tell(self.operation, "submitted", "confirmed", "reversed")

    def act(self) -> Any:
        body = {"partyId": "p1", "operationId": self.operation["operationId"], "amountCents": 4_000}
        path = "/ops/finance/money-rails/chargebacks/adjustments"
        return self.desk.does("POST", path, body | {"reasonCode": "dispute_won"}, key="d1")

    def effects(self) -> int:
        adjusted = self.desk.count("chargeback_entry", "kind = 'adjustment'")
        assert self.desk.count("ops_audit", "action = 'MONEY_RAIL_CHARGEBACK_ADJUSTED'") == adjusted
        return adjusted

    def is_whole(self) -> None:
        assert self.desk.count("party_balance", "outstanding_cents = 6000") == 1


class AskForApproval(Story):
    def begin(self) -> None:
        self.desk.rules(**GUARDED)

    def act(self) -> Any:
        self.asked = self.desk.does("PUT", PLAN, {"moneyRails": LOOSE}, key="p1")
        return self.asked

    def effects(self) -> int:
        assert self.desk.count("money_rail_controls", "max_payout_amount_cents = 500") == 1
        return self.desk.count("approval", "status = 'pending'")


class Approve(AskForApproval):
    def begin(self) -> None:
        super().begin()
        AskForApproval.act(self)
        self.second = self.desk.person("second")

    def act(self) -> Any:
        path = f"/ops/approvals/{self.asked['approval']['approvalId']}/approve"
        return self.desk.does("POST", path, {"reason": "agreed"}, key="y1", by=self.second)

    def effects(self) -> int:
        approved = self.desk.count("approval", "status = 'approved'")
        assert self.desk.count("money_rail_controls", "max_payout_amount_cents = 900") == approved
        return approved


class Stop(Story):
    def begin(self) -> None:
        self.operation = self.desk.payout()

    def act(self) -> Any:
        return self.desk.does("POST", "/ops/money-rails/kill-switch", {"reason": "fire"}, key="k1")

    def effects(self) -> int:
        stopped = self.desk.count("money_rail_controls", "payout_kill_switch")
        assert self.desk.count("ops_audit", "action = 'PAYOUT_KILL_SWITCH_ENGAGED'") == stopped
        return stopped

    def is_whole(self) -> None:
        refused = self.desk.api.post(f"{path_of(self.operation)}/submit")
        assert b"PAYOUT_KILL_SWITCH_ACTIVE" in refused.content
        assert self.desk.transfers() == 0


class Lift(Stop):
    def begin(self) -> None:
        super().begin()
        Stop.act(self)

    def act(self) -> Any:
        return self.desk.does("POST", "/ops/money-rails/kill-switch/lift", {"reason": "all clear"}, key="l1")

    def effects(self) -> int:
        return self.desk.count("money_rail_controls", "NOT payout_kill_switch")

    def is_whole(self) -> None:
        self.desk.does("POST", f"{path_of(self.operation)}/submit")
        self.desk.is_paid_once(self.operation)


# --- Comparing ------------------------------------------------------------------------------------------
class Reconcile(Story):
    """An instruction that nobody enqueued is one case, however often the comparison dies."""

    def begin(self) -> None:
        self.desk.closed("p1")

    def act(self) -> Any:
        path = f"/ops/finance/money-rails/reconcile?period={PERIOD}&persist=true"
        return self.desk.does("GET", path)

    def effects(self) -> int:
        reports = self.desk.count("reconcile_report")
        assert self.desk.count("mismatch", "mismatch_type = 'missing_operation'") == reports
        return reports


class ReadStatement(Story):
    """A transfer at the provider that nobody here knows of is read once and becomes one case."""

    table = "provider_transfer"

    def begin(self) -> None:
        operation = self.desk.payout()
        self.desk.does("POST", f"{path_of(operation)}/submit")
        self.desk.tell(operation, "confirmed")
        self.desk.stripe.control("/_sim/transfers", {
            "amount": 77, "currency": "usd", "destination": "acct_party1",
            "metadata": {
                "settld_tenant_id": self.desk.tenant_id, "settld_provider_id": "stripe_sim",
                "settld_operation_id": operation["operationId"],
                "settld_payout_key": operation["idempotencyKey"],
            },
        })  # fmt: skip
        self.desk.waits(LAG)

    def act(self) -> Any:
        body = {"period": PERIOD, "providerId": "stripe_sim", "providerSide": True}
        return self.desk.does("POST", "/ops/maintenance/money-rails-reconcile/run", body)

    def effects(self) -> int:
        return int(self.desk.count("provider_transfer") == 2)

    def is_whole(self) -> None:
        assert self.desk.count("provider_transfer") == 2
        assert self.desk.count("mismatch", "provider_id = 'stripe_sim' AND cleared_at IS NULL") == 1


class ReconcileStatement(ReadStatement):
    def effects(self) -> int:
        return self.desk.count("mismatch", "provider_id = 'stripe_sim' AND cleared_at IS NULL")


class Triage(Reconcile):
    def begin(self) -> None:
        super().begin()
        self.queue = Reconcile.act(self)["triageQueue"]

    def act(self) -> Any:
        body = {"triageKey": self.queue[0]["triageKey"], "status": "acknowledged", "notes": "looking"}
        named = ("sourceType", "period", "providerId", "mismatchType", "mismatchKey")
        body |= {name: self.queue[0][name] for name in named}
        return self.desk.does("POST", "/ops/finance/reconciliation/triage", body, key="t1")

    def effects(self) -> int:
        return self.desk.count("reconciliation_triage_action")


class StartBatch(Triage):
    said = Said("resolve", reason="checked")

    def begin(self) -> None:
        super().begin()
        with tenancy.tenant_scope(self.desk.tenant_id):
            batch = batch_freeze.freeze_matching(
                tenant_id=self.desk.tenant_id, act="resolve", principal_id=ACTOR.principal_id,
                now=self.desk.now, wanted=CaseFilter(), filters={},
            )  # fmt: skip
        self.batch_id: UUID = batch.pk

    def act(self) -> Any:
        with tenancy.tenant_scope(self.desk.tenant_id):
            return batch_run.start(
                tenant_id=self.desk.tenant_id, batch_id=self.batch_id, said=self.said, actor=ACTOR,
                now=self.desk.now,
            )  # fmt: skip

    def effects(self) -> int:
        running = self.desk.count("reconciliation_triage_batch", "status = 'running'")
        assert self.desk.count("outbox_job", "kind = 'reconciliation.triage_batch'") == running
        return running


class WorkBatch(StartBatch):
    def begin(self) -> None:
        super().begin()
        StartBatch.act(self)

    def act(self) -> Any:
        with tenancy.tenant_scope(self.desk.tenant_id):
            return batch_run.work(
                tenant_id=self.desk.tenant_id, batch_id=self.batch_id, most_rows=100, now=clock.now()
            )

    def effects(self) -> int:
        return self.desk.count("reconciliation_triage_action")

    def is_whole(self) -> None:
        with tenancy.tenant_scope(self.desk.tenant_id):
            assert [case.triage_status for case in Mismatch.objects.all()] == ["resolved"]


# --- Connected accounts ---------------------------------------------------------------------------------
class PutAccount(Story):
    def begin(self) -> None:
        pass

    def act(self) -> Any:
        return self.desk.does("PUT", f"{ACCOUNTS}/acct_party1", {"partyId": "p1"})

    def effects(self) -> int:
        return self.desk.count("stripe_connect_account")


class DeleteAccount(PutAccount):
    def begin(self) -> None:
        PutAccount.act(self)

    def act(self) -> Any:
        return self.desk.api.call("DELETE", f"{ACCOUNTS}/acct_party1")

    def effects(self) -> int:
        deleted = self.desk.count("ops_audit", "action = 'STRIPE_CONNECT_ACCOUNT_DELETE'")
        assert self.desk.count("stripe_connect_account") == 1 - deleted
        return deleted


class SyncAccounts(PutAccount):
    def begin(self) -> None:
        PutAccount.act(self)
        self.desk.stripe.account("acct_party1", preset="restricted")

    def act(self) -> Any:
        return self.desk.does("POST", f"{ACCOUNTS}/sync", {"providerId": "stripe_sim"}, key="y1")

    def effects(self) -> int:
        return self.desk.count("stripe_connect_account", "NOT payouts_enabled OR NOT transfers_enabled")


class AccountNews(SyncAccounts):
    def begin(self) -> None:
        super().begin()
        self.desk.hears(self.desk.event("account.updated"))

    def act(self) -> Any:
        return consumption.consume_due(owner="crash", limit=10, budget_seconds=60)

    def is_whole(self) -> None:
        assert self.desk.count("billing_webhook_event_consumptions", "status <> 'done'") == 0
