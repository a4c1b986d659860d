"""Statements that the close derives from the general book: spec/settld-billing-and-finance.md 5.2, 5.3."""

import hashlib
import json

import pytest

from settld.artifacts.models import Artifact
from settld.artifacts.queries import verify
from settld.closing import comparison, payouts_made
from settld.closing.models import MonthDocument, PartyStatement
from settld.closing.services import close, derivation, gl_batches
from settld.core import clock, tenancy
from settld.core.hashing import canonical_hash
from tests.closing.general_book import TENANT, fund, instant, post, settle
from tests.support.api import body, refusal

JAN, FEB, MAR = "2026-01", "2026-02", "2026-03"


def documents(artifact_type, month=JAN):
    """Give the documents of a type, without statements made by hand, which are their bare body."""
    with tenancy.tenant_scope(TENANT):
        rows = Artifact.objects.filter(tenant_id=TENANT, artifact_type=artifact_type, period=month)
        found = [row.document for row in rows.order_by("created_at", "artifact_id")]
    return [document for document in found if "artifactType" in document]


def detail(books, party_id, month=JAN, query=""):
    return body(books.api.get(f"/ops/party-statements/{party_id}/{month}{query}"))


def statement_of(books, party_id, month=JAN):
    return detail(books, party_id, month)["artifact"]["statement"]


@pytest.fixture
def paid(monkeypatch):
    """What the rails have paid out, by (party, currency, period)."""
    payouts: dict[tuple[str, str, str], int] = {}
    monkeypatch.setattr(
        payouts_made,
        "_registered",
        lambda *, tenant_id, period: {
            (party_id, currency): cents
            for (party_id, currency, month), cents in payouts.items()
            if month == period
        },
    )
    return payouts


class TestContent:
    def test_a_small_month_has_exactly_these_bytes(self, books):
        fund("c1", 1000, at=instant(JAN, 2), entry_id="jnl_fund_1")
        settle("a1", 700, at=instant(JAN, 3), entry_id="jnl_release_1")
        event = body(books.close())["event"]
        # written out by hand: one line, one statement
        line = (
            '{"accountId":"acct_operator_payable","amountCents":-700,"currency":"USD",'
            '"entryId":"jnl_release_1","partyId":"pty_operator:a1","partyRole":"operator","postingId":"p1"}'
        )
        digest = hashlib.sha256(f"[{line}]".encode()).hexdigest()
        name = f"pstmt_tenant_a_pty_operator:a1_2026-01_{event['id']}"
        key_id = event["signature"]["keyId"]
        unhashed = (
            f'"artifactId":"{name}","artifactType":"PartyStatement.v1","atChainHash":"{event["chainHash"]}",'
            f'"basis":"settledAt","currency":"USD","eventProof":{{"eventCount":1,"lastChainHash":'
            f'"{event["chainHash"]}","signatures":{{"signedEventCount":1,"signerKeyIds":["{key_id}"]}}}},'
            f'"generatedAt":"{event["at"]}","partyId":"pty_operator:a1","partyRole":"operator",'
            f'"period":"2026-01","schemaVersion":"PartyStatement.v1","sourceEventId":"{event["id"]}",'
            f'"statement":{{"allocationCount":1,"allocationDigest":"{digest}","balanceDeltaCents":-700,'
            '"basis":"settledAt","creditsCents":0,"currency":"USD","feesCents":0,'
            '"includedEntryIds":["jnl_release_1"],"netCents":700,"partyId":"pty_operator:a1",'
            '"partyRole":"operator","payableAfter":null,"payableCarryInCents":0,"payableCarryOutCents":0,'
            '"payoutCents":700,"period":"2026-01","periodPayoutCents":700,"references":[],'
            '"tenantId":"tenant_a","totalsByAccountId":{"acct_operator_payable":-700},'
            '"type":"PartyStatementBody.v1","v":1},"tenantId":"tenant_a"}'
        )
        expected = hashlib.sha256(("{" + unhashed).encode()).hexdigest()
        with tenancy.tenant_scope(TENANT):
            stored = Artifact.objects.get(artifact_id=name)
        assert stored.body == f'{{"artifactHash":"{expected}",{unhashed}'
        assert verify(stored).is_verified
        row = detail(books, "pty_operator:a1")["statement"]
        assert (row["statementHash"], row["source"], row["payableCents"]) == (expected, "derived", 700)

    def test_the_gl_batch_of_a_small_month_has_exactly_these_lines(self, books):
        fund("c1", 1000, at=instant(JAN, 2), entry_id="jnl_b")
        settle("a1", 700, at=instant(JAN, 3, 7), entry_id="jnl_a")
        event = body(books.close())["event"]
        batch = body(books.api.get("/ops/finance/gl-batch?period=2026-01"))["artifact"]
        assert batch["artifactId"] == f"gl_tenant_a_2026-01_{event['id']}"

        def line(entry, no, account, cents, party, role, at, memo, job):
            return {
                "lineId": f"{entry}:p{no}:{party}", "entryId": entry, "postingId": f"p{no}", "at": at,
                "memo": memo, "jobId": job, "accountId": account, "partyId": party, "partyRole": role,
                "currency": "USD", "amountCents": cents,
            }  # fmt: skip

        settled = ("2026-01-03T07:00:00.000Z", "job:run_a1 SETTLED", "run_a1")
        funded = ("2026-01-02T00:00:00.000Z", "job:- FUNDED", None)
        statement = body(books.api.get("/ops/month-close?month=2026-01"))["statementArtifact"]
        assert batch["batch"] == {
            "type": "GLBatchBody.v1",
            "tenantId": "tenant_a",
            "period": "2026-01",
            "basis": "settledAt",
            "generatedAt": event["at"],
            "monthClose": {
                "month": "2026-01", "basis": "settledAt", "monthCloseEventId": event["id"],
                "monthlyStatementArtifactHash": statement["artifactHash"],
            },
            "totals": {
                "totalCents": 0,
                "totalsByAccountId": {
                    "acct_cash": 1000, "acct_customer_escrow": -300, "acct_operator_payable": -700,
                },
                "totalsByPartyId": {"pty_customer:c1": -300, "pty_operator:a1": -700, "pty_platform": 1000},
            },
            "lines": [
                line("jnl_a", 0, "acct_customer_escrow", 700, "pty_customer:c1", "customer", *settled),
                line("jnl_a", 1, "acct_operator_payable", -700, "pty_operator:a1", "operator", *settled),
                line("jnl_b", 0, "acct_cash", 1000, "pty_platform", "platform", *funded),
                line("jnl_b", 1, "acct_customer_escrow", -1000, "pty_customer:c1", "customer", *funded),
            ],
        }  # fmt: skip
        assert batch["artifactHash"] == canonical_hash(
            {key: value for key, value in batch.items() if key != "artifactHash"}
        )

    def test_texts_of_any_kind_are_hashed_as_canonical_json_would_have_them(self, books):
        nasty = 'q"\\/\b\f\n\r\t\x01\x1f\x7f é \u2028 \ue000 \uffff 😀'
        parties = [f"pty_operator:{tail}" for tail in ("😀", "\uffff", nasty, "z")]
        for place, party_id in enumerate(parties):
            post(
                f"e{place}{party_id}",
                [
                    ("acct_customer_escrow", 5, "pty_customer", "customer"),
                    ("acct_operator_payable", -5, party_id, "operator"),
                ],
                at=instant(JAN), memo=f"job:{nasty.replace(' ', '')} {nasty}",
            )  # fmt: skip
        books.close()
        with tenancy.tenant_scope(TENANT):
            stored = list(Artifact.objects.filter(period=JAN))
            assert len(stored) > 6
            for artifact in stored:
                document = artifact.document
                unhashed = {key: value for key, value in document.items() if key != "artifactHash"}
                assert canonical_hash(unhashed) == artifact.artifact_hash == document["artifactHash"]
        (batch,) = documents("GLBatch.v1")
        lines = batch["batch"]["lines"]
        wanted = sorted(
            lines, key=lambda line: [line[key].encode("utf-16-be") for key in ("entryId", "postingId")]
        )
        assert lines == wanted
        assert comparison.reconcile(batch, documents("PartyStatement.v1"))["ok"]

    def test_figures_follow_their_accounts(self, books):
        post(
            "fees",
            [
                ("acct_cash", 100, "pty_platform", "platform"),
                ("acct_platform_revenue", -30, "pty_operator:a1", "operator"),
                ("acct_owner_payable", -50, "pty_operator:a1", "operator"),
                ("acct_customer_credits_payable", -20, "pty_operator:a1", "operator"),
            ],
            at=instant(JAN),
        )
        books.close()
        body_ = statement_of(books, "pty_operator:a1")
        assert (body_["feesCents"], body_["periodPayoutCents"], body_["creditsCents"]) == (30, 50, 20)
        assert (body_["netCents"], body_["balanceDeltaCents"], body_["allocationCount"]) == (100, -100, 3)

    def test_every_general_entry_of_the_period_is_in_batch_and_statements_5_2(self, books):
        """The peer takes only entries of jobs settled in that month."""
        settle("a1", 70, at=instant(JAN), entry_id="settled")
        post(
            "refunded_later",
            [
                ("acct_operator_payable", 20, "pty_operator:a1", "operator"),
                ("acct_customer_escrow", -20, "pty_customer:c1", "customer"),
            ],
            at=instant(FEB), memo="manual",
        )  # fmt: skip
        books.close()
        books.close(FEB)
        assert statement_of(books, "pty_operator:a1", FEB)["includedEntryIds"] == ["refunded_later"]
        (batch,) = documents("GLBatch.v1", FEB)
        assert {line["entryId"] for line in batch["batch"]["lines"]} == {"refunded_later"}


class TestRoles:
    def test_a_party_with_two_roles_or_currencies_has_a_row_each_5_3(self, books):
        """The peer overwrites one."""
        for currency, role in (("USD", "operator"), ("USD", "subcontractor"), ("EUR", "operator")):
            post(
                f"e_{currency}_{role}",
                [
                    ("acct_cash", 9, "pty_platform", "platform"),
                    ("acct_operator_payable", -9, "pty_x", role),
                ],
                at=instant(JAN), currency=currency,
            )  # fmt: skip
        event = body(books.close())["event"]
        answer = books.api.get("/ops/party-statements/pty_x/2026-01")
        assert refusal(answer) == (409, "PARTY_STATEMENT_AMBIGUOUS")
        for query, ending in (
            ("?partyRole=operator&currency=USD", "_operator"),
            ("?partyRole=subcontractor", "_subcontractor"),
            ("?currency=EUR", "_operator_EUR"),
        ):
            row = detail(books, "pty_x", JAN, query)["statement"]
            assert row["artifactId"] == f"pstmt_tenant_a_pty_x_2026-01_{event['id']}{ending}"
            assert (row["payoutCents"], row["generation"]) == (9, 1)
        (batch,) = documents("GLBatch.v1")
        assert set(batch["batch"]["totals"]["byCurrency"]) == {"EUR"}

    def test_a_currency_of_many_characters_is_kept(self, books):
        settle("a1", 5, at=instant(JAN), currency="CREDIT_UNITS")
        books.close()
        assert detail(books, "pty_operator:a1")["statement"]["currency"] == "CREDIT_UNITS"


class TestManual:
    def test_one_made_by_hand_gives_way_to_the_derived_one_and_the_audit_says_so(self, books):
        settle("a1", 50, at=instant(JAN))
        books.put("pty_operator:a1", payoutCents=999)
        books.put("pty_hand", payoutCents=7)
        books.close()
        row = detail(books, "pty_operator:a1")["statement"]
        assert (row["source"], row["payoutCents"], row["status"]) == ("derived", 50, "CLOSED")
        (audit,) = books.audits("MONTH_CLOSED")
        assert [one["partyId"] for one in audit["details"]["droppedManualStatements"]] == ["pty_operator:a1"]
        assert sorted(one["payout"]["amountCents"] for one in documents("PayoutInstruction.v1")) == [7, 50]
        (batch,) = documents("GLBatch.v1")
        report = comparison.reconcile(batch, documents("PartyStatement.v1"))
        assert report["ok"]
        by_hand = detail(books, "pty_hand")["artifact"]
        report = comparison.reconcile(batch, [*documents("PartyStatement.v1"), by_hand])
        assert (report["error"], report["mismatchCodes"]) == (
            "unbacked party statement", ["PARTY_STATEMENT_UNBACKED"],
        )  # fmt: skip

    def test_one_frozen_by_an_earlier_close_stays_as_history(self, books):
        books.put("pty_operator:a1", payoutCents=999)
        books.close()
        books.reopen()
        settle("a1", 50, at=instant(JAN))
        books.close()
        assert detail(books, "pty_operator:a1")["statement"]["payoutCents"] == 50
        with tenancy.tenant_scope(TENANT):
            old = PartyStatement.objects.get(superseded_at__isnull=False)
        assert (old.payout_cents, old.source) == (999, "manual")


class TestGenerations:
    def test_a_second_close_supersedes_statements_and_batch_and_nothing_reads_them_5_2(self, books):
        settle("a1", 50, at=instant(JAN), entry_id="one")
        books.close()
        first = detail(books, "pty_operator:a1")["statement"]
        books.reopen()
        assert refusal(books.api.get("/ops/finance/gl-batch?period=2026-01")) == (404, "NOT_FOUND")
        settle("a1", 20, at=instant(JAN), entry_id="two")
        books.close()
        second = detail(books, "pty_operator:a1")["statement"]
        assert (first["generation"], second["generation"], second["payoutCents"]) == (1, 2, 70)
        batch = body(books.api.get("/ops/finance/gl-batch?month=2026-01"))["artifact"]
        assert {line["entryId"] for line in batch["batch"]["lines"]} == {"one", "two"}
        listed = body(books.api.get("/ops/party-statements?period=2026-01&partyId=pty_operator:a1"))
        assert [row["statementHash"] for row in listed["statements"]] == [second["statementHash"]]
        with tenancy.tenant_scope(TENANT):
            current = MonthDocument.objects.filter(superseded_at__isnull=True)
            assert set(current.values_list("generation", flat=True)) == {2}

    def test_money_paid_already_is_not_instructed_again_but_carried_5_2(self, books, paid):
        """The peer mints a second payout key for money already paid."""
        settle("a1", 100, at=instant(JAN), entry_id="one")
        books.close()
        paid["pty_operator:a1", "USD", JAN] = 100
        books.reopen()
        settle("a1", 30, at=instant(JAN), entry_id="two")
        books.close()
        again = statement_of(books, "pty_operator:a1")
        assert (again["periodPayoutCents"], again["payoutCents"], again["payableCarryOutCents"]) == (
            130,
            0,
            30,
        )
        assert [one["payout"]["amountCents"] for one in documents("PayoutInstruction.v1")] == [100]
        books.close(FEB)  # no line of theirs in February, and still owed
        next_month = statement_of(books, "pty_operator:a1", FEB)
        assert (next_month["payableCarryInCents"], next_month["payoutCents"]) == (30, 30)
        assert next_month["includedEntryIds"] == []

    def test_a_payout_that_failed_is_instructed_anew(self, books, paid):
        settle("a1", 100, at=instant(JAN))
        books.close()
        books.reopen()
        books.close()
        assert statement_of(books, "pty_operator:a1")["payoutCents"] == 100

    def test_a_negative_month_is_made_up_for_later_5_3(self, books):
        """The peer forgets negative months."""
        post(
            "clawback",
            [
                ("acct_operator_payable", 80, "pty_operator:a1", "operator"),
                ("acct_customer_escrow", -80, "pty_customer:c1", "customer"),
            ],
            at=instant(JAN),
        )
        books.close()
        first = statement_of(books, "pty_operator:a1")
        assert (first["payoutCents"], first["payableCarryOutCents"]) == (-80, -80)
        settle("a1", 50, at=instant(FEB))
        books.close(FEB)
        settle("a1", 50, at=instant(MAR))
        books.close(MAR)
        second, third = (statement_of(books, "pty_operator:a1", month) for month in (FEB, MAR))
        assert (second["payableCarryInCents"], second["payoutCents"]) == (-80, -30)
        assert (third["payableCarryInCents"], third["payoutCents"], third["payableCarryOutCents"]) == (
            -30,
            20,
            0,
        )

    def test_a_carry_that_a_later_month_took_is_not_given_twice(self, books, paid):
        settle("a1", 100, at=instant(JAN), entry_id="one")
        books.close()
        paid["pty_operator:a1", "USD", JAN] = 60
        books.reopen()
        books.close()  # owes 40 on
        books.close(MAR)
        assert statement_of(books, "pty_operator:a1", MAR)["payoutCents"] == 40
        settle("a1", 5, at=instant(FEB))
        books.close(FEB)
        assert statement_of(books, "pty_operator:a1", FEB)["payoutCents"] == 5


class TestFailures:
    class Died(BaseException):
        """What no code of ours catches."""

    @pytest.mark.parametrize(
        "point",
        ["close.after_statements", "close.before_freeze", "close.after_gl_batch", "close.before_commit"],
    )
    def test_a_crash_anywhere_leaves_nothing_and_the_rerun_writes_the_same_bytes(self, books, point):
        from settld.core import failpoints

        settle("a1", 50, at=instant(JAN))
        books.api.put("/ops/finance/account-map", MAP)
        books.api.post("/ops/month-close", {"month": JAN})

        def run(at):
            with tenancy.tenant_scope(TENANT):
                close.close_month(tenant_id=TENANT, month=JAN, basis="settledAt", now=at)

        def die(name):
            seen.append(texts())
            if name == point:
                raise self.Died

        def texts():
            with tenancy.tenant_scope(TENANT):
                return dict(Artifact.objects.values_list("artifact_id", "body"))

        seen = []
        with failpoints.watched(die), pytest.raises(self.Died):
            run(instant(FEB))
        assert (texts(), books.month()["status"]) == ({}, "OPEN")
        run(instant(MAR))
        written = texts()
        assert len(written) == 7
        assert written | seen[-1] == written

    def test_a_digest_too_long_for_one_text_is_read_in_pieces_and_is_the_same(self, books, monkeypatch):
        for day in range(1, 8):
            settle("a1", day, at=instant(JAN, day))
        monkeypatch.setattr(derivation.period_lines, "MOST_DIGESTED_AT_ONCE", 3)
        monkeypatch.setattr(derivation.period_lines, "_PIECE", 2)
        books.close()
        pieces = statement_of(books, "pty_operator:a1")["allocationDigest"]
        monkeypatch.undo()
        books.reopen()
        books.close()
        assert statement_of(books, "pty_operator:a1")["allocationDigest"] == pieces

    def test_a_batch_too_long_for_one_document_is_kept_in_parts_that_add_up(self, books, monkeypatch):
        for day in range(1, 6):
            settle("a1", day, at=instant(JAN, day), entry_id=f"e{day}")
        books.api.put("/ops/finance/account-map", MAP)
        monkeypatch.setattr(gl_batches.write, "__kwdefaults__", {"most_lines": 4, "part_lines": 3})
        monkeypatch.setattr(gl_batches, "MOST_LINES", 4)
        books.close()
        batch = body(books.api.get("/ops/finance/gl-batch?period=2026-01"))["artifact"]
        assert (batch["batch"]["lines"], batch["batch"]["lineCount"]) == ([], 10)
        with tenancy.tenant_scope(TENANT):
            parts = [Artifact.objects.get(artifact_id=one["artifactId"]) for one in batch["batch"]["parts"]]
        assert [part.artifact_hash for part in parts] == [
            one["artifactHash"] for one in batch["batch"]["parts"]
        ]
        assert all(verify(part).is_verified for part in parts)
        lines = [line for part in parts for line in part.document["lines"]]
        assert [line["entryId"] for line in lines] == sorted(f"e{day}" for day in range(1, 6) for _ in "ab")
        assert comparison.reconcile(batch, documents("PartyStatement.v1"), lines=lines)["ok"]
        csv = books.api.get("/ops/finance/gl-batch.csv?period=2026-01")
        assert csv.content.decode().count("\n") == 11


MAP = {
    "schemaVersion": "FinanceAccountMap.v1",
    "accounts": {
        "acct_cash": "1000", "acct_customer_escrow": "2100, \"held\"", "acct_operator_payable": "2200",
    },
}  # fmt: skip


def test_a_manual_reference_stays_as_it_was(books):
    books.put("pty_hand", references=[{"type": "receipt", "id": "r1"}])
    books.close()
    assert json.loads(json.dumps(detail(books, "pty_hand")["artifact"]["references"])) == [
        {"type": "receipt", "id": "r1"}
    ]
    assert clock.is_period(JAN)
