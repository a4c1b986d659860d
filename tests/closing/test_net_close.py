"""/ops/finance/net-close: spec/settld-billing-and-finance.md 5.5."""

import datetime as dt

import pytest

from settld.artifacts.models import Artifact
from settld.closing.models import MonthDocument
from settld.closing.queries import rollforward
from settld.core import clock, tenancy
from settld.core.canonical_json import dumps
from settld.core.hashing import sha256_hex
from settld.ledger.models import Balance
from settld.ledger.services import accounts, journal
from settld.ledger.services.journal import EntryDraft, Line
from settld.ledger.states import Book
from tests.closing.general_book import TENANT
from tests.kernel.work import NOW, Runs, parties
from tests.support.api import body, refusal

MONTH = "2026-03"
LOOK = f"/ops/finance/net-close?period={MONTH}"
EXECUTE = "/ops/finance/net-close/execute"


@pytest.fixture
def runs(books):
    """Of four runs of March two are settled, one is refunded, and one is still locked; all in US dollars."""
    with clock.freeze(NOW):
        parties()
        runs = Runs(books.api)
        for number, cents in enumerate((1000, 500, 300, 200)):
            assert runs.open(f"run_{number}", cents=cents).status_code == 201
        for number in (0, 1):
            answer = runs.append("RUN_COMPLETED", {}, run_id=f"run_{number}")
            assert answer.status_code == 201, answer.content
        answer = runs.append("RUN_FAILED", {"code": "TIMEOUT"}, run_id="run_2")
        assert answer.status_code == 201, answer.content
    return runs


def close(books):
    with clock.freeze(NOW + dt.timedelta(days=30)):
        return books.close(MONTH)


def escrow(entry_id, cents, *, currency="USD", memo="adjusted", account="wallet:tenant_a:w:escrow_locked"):
    with tenancy.tenant_scope(TENANT):
        other = "external:tenant_a:funding"
        accounts.ensure(
            tenant_id=TENANT, accounts=[(account, Book.ESCROW, True), (other, Book.ESCROW, False)], now=NOW
        )
        draft = EntryDraft(
            entry_id=entry_id, book=Book.ESCROW, at=NOW, memo=memo, source_type="test", source_id=entry_id,
            lines=(Line(account, cents, currency), Line(other, -cents, currency)),
        )  # fmt: skip
        journal.post(tenant_id=TENANT, entries=[draft], now=NOW)


def codes(books):
    return body(books.api.get(LOOK))["mismatchCodes"]


class TestLook:
    def test_what_runs_say_and_what_the_journal_says_is_the_same(self, books, runs):
        close(books)
        answer = body(books.api.get(LOOK))
        assert (answer["ok"], answer["status"], answer["mismatchCodes"]) == (True, "pass", [])
        snapshot = answer["snapshot"]
        held = {
            "openingHeldCents": 0, "newLocksCents": 2000, "releasesCents": 1500, "forfeitsCents": 300,
            "endingHeldCents": 200,
        }  # fmt: skip
        assert snapshot == {
            "schemaVersion": "EscrowNetCloseSnapshot.v1",
            "period": MONTH,
            "basis": "settledAt",
            "window": {"startAt": "2026-03-01T00:00:00.000Z", "endAt": "2026-04-01T00:00:00.000Z"},
            "ledgerEscrow": held | {
                "unknownPositiveAdjustmentsCents": 0, "unknownNegativeAdjustmentsCents": 0,
                "escrowPostingCount": 7,
            },
            "heldRollforward": held,
            "invariants": {
                "ledgerConserved": True, "heldRollforwardConserved": True,
                "heldRollforwardMatchesLedger": True, "computedEndingHeldCents": 200,
                "actualEndingHeldCents": 200,
            },
            "mismatchCodes": [],
        }  # fmt: skip
        month = books.month(MONTH)
        assert answer["evidence"]["monthCloseEventId"] == month["lastEventId"]
        assert answer["evidence"]["monthCloseChainHash"] == month["lastChainHash"]
        assert answer["artifact"] is None

    def test_the_statement_of_a_settled_run_names_its_receipt(self, books, runs):
        close(books)
        found = body(books.api.get(f"/ops/party-statements/pty_operator:agt_payee/{MONTH}"))
        statement = found["artifact"]["statement"]
        assert statement["periodPayoutCents"] == 1500
        assert sum(one["amountCents"] for one in statement["references"]) == 1500
        assert {one["type"] for one in statement["references"]} == {"receipt"}

    def test_it_wants_a_closed_month(self, books):
        assert refusal(books.api.get(LOOK)) == (409, "MONTH_CLOSE_NOT_FOUND")
        books.api.post("/ops/month-close", {"month": MONTH})
        assert refusal(books.api.get(LOOK)) == (409, "MONTH_NOT_CLOSED")
        assert body(books.api.get("/ops/finance/net-close"))["error"] == "period is required"

    def test_persist_keeps_the_snapshot_and_wants_the_right_to_write(self, books, runs):
        close(books)
        first = body(books.api.get(f"{LOOK}&persist=true"))["artifact"]
        assert body(books.api.get(f"{LOOK}&persist=1"))["artifact"] == first
        assert refusal(books.api.with_token("tok_read").get(f"{LOOK}&persist=true")) == (403, "FORBIDDEN")

    def test_currencies_stand_beside_each_other_and_are_never_added(self, books, runs):
        """The peer adds currencies."""
        escrow("a", 50, currency="EUR", memo="escrow:hold:a")
        escrow("b", -50, currency="EUR", memo="escrow:release:a")
        close(books)
        snapshot = body(books.api.get(LOOK))["snapshot"]
        assert snapshot["ledgerEscrow"]["newLocksCents"] == 2000
        euros = snapshot["byCurrency"]["EUR"]
        assert (euros["ledgerEscrow"]["newLocksCents"], euros["ledgerEscrow"]["releasesCents"]) == (50, 50)
        # the journal moved euros of which no run or hold knows: not even that is hidden by the dollars
        assert snapshot["mismatchCodes"] == ["HELD_ROLLFORWARD_LEDGER_MISMATCH"]


class TestMismatches:
    def test_an_adjustment_that_nobody_classified(self, books, runs):
        escrow("odd", 10)
        close(books)
        found = ["HELD_ROLLFORWARD_LEDGER_MISMATCH", "LEDGER_UNCLASSIFIED_ESCROW_ADJUSTMENT"]
        assert codes(books) == found
        answer = books.api.post(EXECUTE, {"period": MONTH})
        assert refusal(answer) == (409, "NET_CLOSE_PRECONDITIONS_FAILED")
        assert body(answer)["error"] == "escrow net-close preconditions failed"
        assert body(answer)["details"]["mismatchCodes"] == found
        with tenancy.tenant_scope(TENANT):
            assert not Artifact.objects.filter(artifact_type="EscrowNetClose.v1").exists()

    def test_an_account_below_zero(self, books, runs):
        escrow("low", -10, memo="escrow:release:x")
        close(books)
        assert "LEDGER_ESCROW_NEGATIVE_BALANCE" in codes(books)

    def test_kept_balances_that_do_not_follow_from_the_postings(self, books, runs):
        close(books)
        with tenancy.tenant_scope(TENANT):
            row = Balance.objects.filter(account_id__endswith=":escrow_locked", bucket__gt="").first()
            Balance.objects.filter(pk=row.pk).update(amount_cents=row.amount_cents + 5)
        assert codes(books) == ["HELD_ROLLFORWARD_LEDGER_MISMATCH", "LEDGER_ESCROW_ROLLFORWARD_INVALID"]

    def test_a_rollforward_that_does_not_add_up(self, books, runs, monkeypatch):
        true = rollforward.buckets

        def short(**given):
            found = true(**given)
            found["USD"]["forfeited"] -= 1
            return found

        monkeypatch.setattr(rollforward, "buckets", short)
        close(books)
        assert codes(books) == ["HELD_ROLLFORWARD_INVALID", "HELD_ROLLFORWARD_LEDGER_MISMATCH"]

    def test_a_rollforward_of_an_earlier_generation_is_none(self, books, runs):
        close(books)
        with tenancy.tenant_scope(TENANT):
            MonthDocument.objects.filter(kind="held_rollforward").update(superseded_at=NOW)
        assert codes(books) == ["HELD_ROLLFORWARD_MISSING"]
        assert body(books.api.get(LOOK))["snapshot"]["heldRollforward"] is None


class TestExecute:
    def test_it_writes_one_document_whatever_how_often(self, books, runs):
        close(books)
        snapshot = body(books.api.get(LOOK))["snapshot"]
        first = body(books.api.post(EXECUTE, {"month": MONTH}))
        second = body(books.api.post(EXECUTE, {"period": MONTH, "dryRun": False}))
        assert (first["executed"], first["dryRun"], second) == (True, False, first)
        digest = sha256_hex(dumps(snapshot) + b"\n")
        name = f"escrow_net_close_{MONTH}_{digest[:24]}"
        assert first["artifact"]["artifactId"] == name
        stored = body(books.api.get(f"/artifacts/{name}"))["artifact"]
        assert stored["generatedAt"] == books.month(MONTH)["closedAt"]
        assert stored["snapshot"] == snapshot
        assert len(books.audits("FINANCE_NET_CLOSE_EXECUTE")) == 2

    def test_a_dry_run_writes_nothing(self, books, runs):
        close(books)
        answer = body(books.api.post(EXECUTE, {"period": MONTH, "dryRun": True}))
        assert (answer["executed"], answer["dryRun"], answer["artifact"]) == (False, True, None)
        assert books.audits("FINANCE_NET_CLOSE_EXECUTE") == []

    def test_a_reopen_makes_it_stale_and_the_next_generation_has_its_own(self, books, runs):
        close(books)
        first = body(books.api.post(EXECUTE, {"period": MONTH}))["artifact"]
        books.reopen(MONTH)
        assert refusal(books.api.get(LOOK)) == (409, "MONTH_NOT_CLOSED")
        with tenancy.tenant_scope(TENANT):
            assert not MonthDocument.objects.filter(kind="net_close", superseded_at__isnull=True).exists()
        close(books)
        second = body(books.api.post(EXECUTE, {"period": MONTH}))["artifact"]
        assert second["artifactId"] == first["artifactId"] + "_g2"
