"""Stories of the general book: accounts, entries by hand, a month's documents, what compares and watches."""

from typing import Any

from django.db import transaction

from reconciliation.services import monitor
from settld.artifacts.models import Artifact
from settld.closing.services import close, finance_pack_jobs, worker
from settld.core import clock, tenancy
from settld.outbox import services as outbox
from tests.crash.desk import PAST_EVERY_LEASE
from tests.crash.office import MONTH, OfficeStory
from tests.kernel.work import TENANT
from tests.support.servers import admin_connection, process_database

ACCOUNTS = (
    "acct_cash", "acct_customer_escrow", "acct_operator_payable", "acct_payout_clearing",
    "acct_platform_revenue", "acct_chargeback_recovery",
)  # fmt: skip
MAP = {"schemaVersion": "FinanceAccountMap.v1", "accounts": {name: f"9{len(name)}" for name in ACCOUNTS}}


# --- The journal ----------------------------------------------------------------------------------------
class OpenAccount(OfficeStory):
    def act(self) -> Any:
        return self.desk.does("POST", "/ops/ledger/accounts", {"accountId": "acct_mine"}, key="a1")

    def effects(self) -> int:
        return self.same("ledger_account", "account_id = 'acct_mine'", audited="LEDGER_ACCOUNT_OPENED")


class EnterByHand(OfficeStory):
    def act(self) -> Any:
        postings = [
            {"accountId": "acct_platform_revenue", "amountCents": 250},
            {"accountId": "acct_operator_payable", "amountCents": -250},
        ]
        sent = {"memo": "given back", "reason": "exception 12", "postings": postings}
        return self.desk.does("POST", "/ops/ledger/entries", sent, key="m1")

    def effects(self) -> int:
        entered = self.same("ledger_entry", "source_type = 'manual'", audited="LEDGER_ENTRY_POSTED")
        revenue = self.desk.count(
            "ledger_balance", "account_id = 'acct_platform_revenue' AND bucket = '' AND amount_cents = 250"
        )
        assert revenue == entered
        return entered


# --- Settings of the close ------------------------------------------------------------------------------
class MapAccounts(OfficeStory):
    def act(self) -> Any:
        return self.desk.does("PUT", "/ops/finance/account-map", MAP, key="am1")

    def effects(self) -> int:
        return self.same("finance_account_map", "true", audited="FINANCE_ACCOUNT_MAP_UPSERT")


class DecideHoldPolicy(OfficeStory):
    def act(self) -> Any:
        sent = {"monthCloseHoldPolicy": "BLOCK_ANY_OPEN_HOLDS"}
        return self.desk.does("POST", "/ops/finance/month-close-policy", sent, key="hp1")

    def effects(self) -> int:
        return self.same("governance_event", "true", audited="TENANT_POLICY_UPDATED")


# --- A month that the books derive ----------------------------------------------------------------------
class CloseBooks(OfficeStory):
    """Statements, rollforward, batch and CSV are all there or none, and say what they say undisturbed."""

    def begin(self) -> None:
        super().begin()
        self.desk.does("PUT", "/ops/finance/account-map", MAP)
        self.runs.settled("run_1", window_days=0)
        self.runs.settled("run_2", window_days=3, rate=50, cents=501)
        self.ask()
        self.undisturbed = self.as_it_would_be()

    def ask(self) -> None:
        self.desk.does("POST", "/ops/month-close", {"month": MONTH}, key="close")

    def as_it_would_be(self) -> dict[str, str]:
        """Close, read what was written, and undo it all."""
        with tenancy.tenant_scope(TENANT), transaction.atomic():
            closed = close.close_month(tenant_id=TENANT, month=MONTH, basis="settledAt", now=clock.now())
            assert closed.is_new
            written = self.documents()
            transaction.set_rollback(True)
        return written

    def documents(self) -> dict[str, str]:
        with tenancy.tenant_scope(TENANT):
            return dict(Artifact.objects.values_list("artifact_id", "artifact_hash"))

    def act(self) -> Any:
        return worker.close_requested(now=clock.now())

    def effects(self) -> int:
        closed = self.desk.count("month_event", "type = 'MONTH_CLOSED'")
        assert self.desk.count("party_statement", "status = 'CLOSED' AND source = 'derived'") == 3 * closed
        assert self.desk.count("month_document") == 4 * closed
        assert self.desk.count("artifact", "artifact_type = 'PayoutInstruction.v1'") == closed
        assert self.desk.count("outbox_job", "kind = 'closing.finance_pack'") == closed
        return closed

    def is_whole(self) -> None:
        assert self.documents() == self.undisturbed
        assert self.desk.count("outbox_job", "kind = 'closing.close_month' AND status <> 'succeeded'") == 0


class PackMonth(CloseBooks):
    lease = finance_pack_jobs.LEASE + PAST_EVERY_LEASE

    def begin(self) -> None:
        super().begin()
        CloseBooks.act(self)

    def act(self) -> Any:
        return outbox.drain(kinds=(finance_pack_jobs.KIND,), tenant_id=TENANT, limit=10, now=clock.now())

    def effects(self) -> int:
        packed = self.desk.count("finance_pack")
        assert self.desk.count("artifact", "artifact_type = 'FinancePackBundle.v1'") == packed
        assert self.desk.count("month_document", "kind = 'finance_pack'") == packed
        return packed

    def is_whole(self) -> None:
        assert self.desk.count("outbox_job", "status <> 'succeeded'") == 0


class NetClose(CloseBooks):
    def begin(self) -> None:
        super().begin()
        CloseBooks.act(self)

    def act(self) -> Any:
        return self.desk.does("POST", "/ops/finance/net-close/execute", {"period": MONTH}, key="n1")

    def effects(self) -> int:
        return self.same(
            "artifact", "artifact_type = 'EscrowNetClose.v1'", audited="FINANCE_NET_CLOSE_EXECUTE"
        )

    def is_whole(self) -> None:
        assert self.desk.does("GET", f"/ops/finance/net-close?period={MONTH}")["status"] == "pass"


class CompareBooks(NetClose):
    def act(self) -> Any:
        return self.desk.does("GET", f"/ops/finance/reconcile?period={MONTH}&persist=true")

    def effects(self) -> int:
        return self.desk.count("reconcile_report")

    def is_whole(self) -> None:
        assert self.act()["reconcile"]["ok"] is True


class InvoicePeriod(CloseBooks):
    def act(self) -> Any:
        return self.desk.does("POST", "/ops/finance/billing/period-close", {"period": MONTH}, key="i1")

    def effects(self) -> int:
        return self.desk.count("ops_audit", "action = 'BILLING_PERIOD_CLOSE'")

    def is_whole(self) -> None:
        assert self.desk.count("artifact", "period = '2026-03' AND artifact_type LIKE 'Billing%'") == 1


# --- What watches ---------------------------------------------------------------------------------------
class OpenBreach(OfficeStory):
    """A balance that no posting explains: one case, one stop, one row of checks, however often it dies."""

    is_sound = False

    def begin(self) -> None:
        super().begin()
        with admin_connection(process_database()) as connection:
            connection.execute(
                "UPDATE ledger_balance SET amount_cents = amount_cents + 7"
                " WHERE account_id = 'acct_cash' AND bucket IN ('', '2026-03-10')"
            )

    def act(self) -> Any:
        with tenancy.tenant_scope(TENANT):
            return monitor.look(tenant_id=TENANT, now=clock.now())

    def effects(self) -> int:
        return self.desk.count("mismatch", "source_type = 'invariant' AND cleared_at IS NULL")

    def is_whole(self) -> None:
        assert self.desk.count("money_rail_controls", "payout_kill_switch") == 1
        assert self.desk.count("invariant_stop") == 1
        assert self.desk.count("invariant_check", "status = 'fail' AND triage_key IS NOT NULL") == 1
        assert self.desk.count("invariant_check", "status = 'pass'") > 10


class StopForBreach(OpenBreach):
    def effects(self) -> int:
        stopped = self.desk.count("money_rail_controls", "payout_kill_switch")
        assert self.desk.count("invariant_stop") == stopped
        return stopped


class NoteChecks(OpenBreach):
    def effects(self) -> int:
        return self.desk.count("invariant_check", "status = 'fail'")
