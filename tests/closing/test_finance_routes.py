"""GL batch, CSV, account map, finance pack, hold policy: spec/settld-billing-and-finance.md 5.2, 5.4."""

import csv
import datetime as dt
import io
import json
import zipfile

import pytest

from settld.closing.services import finance_packs, journal_csv
from settld.core import tenancy
from settld.core.hashing import canonical_hash, sha256_hex
from settld.kernel.models import Agent, FundingHold
from settld.outbox import services as outbox
from tests.closing.general_book import TENANT, instant, post, settle
from tests.support.api import body, refusal

JAN = "2026-01"
MAP = {
    "schemaVersion": "FinanceAccountMap.v1",
    "accounts": {"acct_customer_escrow": '2100, "held"', "acct_operator_payable": "2200"},
}
CSV = "/ops/finance/gl-batch.csv?period=2026-01"


def put_map(books, **changes):
    return books.api.put("/ops/finance/account-map", MAP | changes)


def blocked(reason):
    return journal_csv.BLOCKED.labels(reason=reason)._value.get()


class TestAccountMap:
    def test_it_is_kept_bare_or_under_mapping_and_hashed(self, books):
        assert body(books.api.get("/ops/finance/account-map")) == {"mapping": None}
        answer = books.api.put("/ops/finance/account-map", {"mapping": MAP})
        assert body(answer) == {"ok": True, "mappingHash": canonical_hash(MAP)}
        assert body(put_map(books)) == body(answer)
        assert body(books.api.get("/ops/finance/account-map")) == {"mapping": MAP}
        assert len(books.audits("FINANCE_ACCOUNT_MAP_UPSERT")) == 2

    @pytest.mark.parametrize(
        "fault",
        [
            {"schemaVersion": "v2"}, {"accounts": None}, {"accounts": {"a": ""}}, {"accounts": {"a": 7}},
            {"exportPolicy": "strict"}, {"exportPolicy": {"gateMode": "stop"}},
            {"dimensions": []}, {"dimensions": {"n": 2**60}},
        ],
    )  # fmt: skip
    def test_a_faulty_one_is_refused_and_nothing_is_kept(self, books, fault):
        assert refusal(put_map(books, **fault)) == (400, "INVALID_FINANCE_ACCOUNT_MAP")
        assert body(books.api.get("/ops/finance/account-map")) == {"mapping": None}


class TestCsv:
    def test_it_has_exactly_these_bytes(self, books):
        post(
            "e,1",
            [
                ("acct_customer_escrow", 5, "=cmd|c1", "customer"),
                ("acct_operator_payable", -5, "pty_operator:a1", "operator"),
            ],
            at=instant(JAN), memo='+say "hi"\nthere',
        )  # fmt: skip
        put_map(books)
        books.close()
        batch = body(books.api.get("/ops/finance/gl-batch?period=2026-01"))["artifact"]
        answer = books.api.get(CSV)
        assert answer["content-type"] == "text/csv; charset=utf-8"
        start = f'JournalCsv.v1,tenant_a,2026-01,settledAt,{batch["artifactHash"]},"e,1"'
        at, memo = "2026-01-05T00:00:00.000Z", '"\'+say ""hi""\nthere"'
        assert answer.content.decode() == (
            "schemaVersion,tenantId,period,basis,glBatchArtifactHash,entryId,postingId,at,partyId,partyRole,"
            "accountId,externalAccount,debitCents,creditCents,currency,jobId,memo\n"
            f'{start},p0,{at},\'=cmd|c1,customer,acct_customer_escrow,"2100, ""held""",5,0,USD,,{memo}\n'
            f"{start},p1,{at},pty_operator:a1,operator,acct_operator_payable,2200,0,5,USD,,{memo}\n"
        )
        rows = list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
        assert sum(int(row["debitCents"]) - int(row["creditCents"]) for row in rows) == 0

    def test_its_refusals_name_what_is_missing_and_send_nothing_else(self, books):
        assert refusal(books.api.get("/ops/finance/gl-batch.csv")) == (400, "SCHEMA_INVALID")
        assert body(books.api.get("/ops/finance/gl-batch.csv"))["error"] == "period is required"
        assert body(books.api.get(CSV))["error"] == "GL batch not found"
        settle("a1", 5, at=instant(JAN))
        books.close()
        assert refusal(books.api.get(CSV)) == (409, "FINANCE_ACCOUNT_MAP_REQUIRED")
        put_map(books, accounts={"acct_customer_escrow": "2100"})
        answer = books.api.get(CSV)
        assert refusal(answer) == (409, "FINANCE_ACCOUNT_MAP_MISSING")
        assert "acct_operator_payable" in body(answer)["details"]["message"]

    @pytest.mark.parametrize("query", ["?period=2026-13", "?month=x", "?period=2026-01&month=2026-02"])
    def test_a_faulty_period_is_400(self, books, query):
        """The peer takes month 13, then fails with 500."""
        assert refusal(books.api.get(f"/ops/finance/gl-batch{query}")) == (400, "SCHEMA_INVALID")

    @pytest.mark.parametrize("month", ["0000-01", "9999-12"])
    def test_a_month_that_the_calendar_does_not_have_whole_is_400(self, books, month):
        for path in ("month-close-policy", "gl-batch", "net-close"):
            answer = books.api.get(f"/ops/finance/{path}?period={month}")
            assert refusal(answer) == (400, "SCHEMA_INVALID")
        assert refusal(books.api.post("/ops/month-close", {"month": month})) == (400, "SCHEMA_INVALID")


class TestExportAtClose:
    def test_with_a_whole_map_the_journal_csv_is_kept_with_its_hash(self, books):
        settle("a1", 5, at=instant(JAN))
        put_map(books)
        event = body(books.close())["event"]
        stored = body(books.api.get(f"/artifacts/journalcsv_tenant_a_2026-01_{event['id']}"))["artifact"]
        assert stored["csv"] == books.api.get(CSV).content.decode()
        assert stored["csvSha256"] == canonical_hash({"csv": stored["csv"]})

    def test_without_a_map_or_with_a_gap_it_closes_and_counts(self, books):
        settle("a1", 5, at=instant(JAN))
        before = blocked("FINANCE_ACCOUNT_MAP_REQUIRED"), blocked("FINANCE_ACCOUNT_MAP_MISSING")
        books.close()
        books.reopen()
        put_map(books, accounts={}, exportPolicy={"gateMode": "warn"})
        books.close()
        after = blocked("FINANCE_ACCOUNT_MAP_REQUIRED"), blocked("FINANCE_ACCOUNT_MAP_MISSING")
        assert (books.month()["status"], after) == ("CLOSED", (before[0] + 1, before[1] + 1))

    def test_a_gap_under_strict_fails_the_close_until_it_is_mended(self, books):
        settle("a1", 5, at=instant(JAN))
        put_map(books, accounts={}, exportPolicy={"gateMode": "strict"})
        books.close()
        attempt = books.month()["lastAttempt"]
        assert (attempt["status"], attempt["reason"]) == ("failed", "FINANCE_EXPORT_BLOCKED")
        assert books.month()["status"] == "OPEN"
        put_map(books, exportPolicy={"gateMode": "strict"})
        books.close()
        assert books.month()["status"] == "CLOSED"


class TestFinancePack:
    PATH = "/ops/finance/finance-pack?period=2026-01"
    MEMBERS = (
        "finance/GLBatch.v1.json", "finance/JournalCsv.v1.csv", "finance/JournalCsv.v1.json",
        "finance/reconcile.json", "manifest.json", "month/events/events.jsonl", "settld.json",
        "verify/verification_report.json",
    )  # fmt: skip

    def build(self):
        with tenancy.tenant_scope(TENANT):
            return outbox.drain(kinds=("closing.finance_pack",), tenant_id=TENANT)

    def test_a_job_builds_it_after_the_close_and_it_says_what_it_holds(self, books):
        settle("a1", 5, at=instant(JAN))
        put_map(books)
        event = body(books.close())["event"]
        assert refusal(books.api.get(self.PATH)) == (404, "NOT_FOUND")
        assert self.build() == 1
        answer = books.api.get(self.PATH)
        assert answer["content-type"] == "application/zip"
        archive = zipfile.ZipFile(io.BytesIO(answer.content))
        assert archive.namelist() == sorted(self.MEMBERS)
        at = dt.datetime.fromisoformat(event["at"])
        for entry in archive.infolist():
            assert entry.compress_type == zipfile.ZIP_STORED
            assert entry.date_time == (at.year, at.month, at.day, at.hour, at.minute, at.second // 2 * 2)
        bundle_hash = sha256_hex(answer.content)
        pointer = body(books.api.get(f"/artifacts/finance_pack_tenant_a_2026-01_{bundle_hash}"))["artifact"]
        assert pointer["evidenceRef"] == f"obj://finance-pack/2026-01/{bundle_hash}.zip"
        batch = body(books.api.get("/ops/finance/gl-batch?period=2026-01"))["artifact"]
        assert json.loads(archive.read("finance/GLBatch.v1.json")) == batch
        assert json.loads(archive.read("finance/reconcile.json")) == {
            "ok": True, "period": "2026-01", "basis": "settledAt", "totalsKeys": 2, "entryCount": 1,
        }  # fmt: skip
        manifest = json.loads(archive.read("manifest.json"))
        assert {one["path"]: one["sha256"] for one in manifest["files"]} == {
            path: sha256_hex(archive.read(path)) for path in self.MEMBERS if path != "manifest.json"
        }
        types = [json.loads(line)["type"] for line in archive.read("month/events/events.jsonl").splitlines()]
        assert types == ["MONTH_CLOSE_REQUESTED", "MONTH_CLOSED"]

    def test_a_second_run_makes_the_same_bytes_and_a_crash_leaves_nothing(self, books):
        from settld.core import failpoints

        class Died(BaseException):
            """What no code of ours catches."""

        def die(name):
            if name == "finance_pack.before_commit":
                raise Died

        settle("a1", 5, at=instant(JAN))
        put_map(books)
        books.close()
        with tenancy.tenant_scope(TENANT):
            run = {"tenant_id": TENANT, "month": JAN}
            with failpoints.watched(die), pytest.raises(Died):
                finance_packs.build(**run, now=instant("2026-02"))
            assert refusal(books.api.get(self.PATH)) == (404, "NOT_FOUND")
            first = finance_packs.build(**run, now=instant("2026-02"))
            second = finance_packs.build(**run, now=instant("2026-03"))
        assert (first.artifact_id, first.artifact_hash) == (second.artifact_id, second.artifact_hash)

    def test_there_is_none_for_a_month_that_does_not_reconcile_or_is_open_again(self, books):
        settle("a1", 5, at=instant(JAN))
        books.put("pty_hand")
        put_map(books)
        books.close()
        assert self.build() == 1
        assert refusal(books.api.get(self.PATH)) == (404, "NOT_FOUND")


class TestHolds:
    """The peer on PostgreSQL checks no holds."""

    def hold(self, number, created_at, status="held"):
        with tenancy.tenant_scope(TENANT):
            for agent_id in ("agt_p", "agt_q"):
                Agent.objects.get_or_create(
                    tenant_id=TENANT, agent_id=agent_id,
                    defaults={
                        "display_name": agent_id, "owner_type": "service", "owner_id": "o",
                        "key_id": agent_id, "public_key_pem": "x",
                        "created_at": created_at, "updated_at": created_at,
                    },
                )  # fmt: skip
            return FundingHold.objects.create(
                tenant_id=TENANT, hold_hash=f"{number:064x}", agreement_hash=f"{number + 99:064x}",
                receipt_hash="c" * 64, payer_agent_id="agt_p", payee_agent_id="agt_q", amount_cents=100,
                held_cents=30, holdback_bps=3000, challenge_window_ms=1000, window_ends_at=created_at,
                status=status, resolved_at=None if status == "held" else created_at, created_at=created_at,
                updated_at=created_at,
            )  # fmt: skip

    def policy(self, books, name, **more):
        return books.api.post("/ops/finance/month-close-policy", {"monthCloseHoldPolicy": name, **more})

    def test_a_hold_of_the_period_blocks_and_a_later_post_retries(self, books):
        hold = self.hold(1, instant(JAN))
        self.hold(2, instant("2025-12"))
        event = body(books.close())["event"]
        month = books.month()
        assert month["status"] == "OPEN"
        assert month["lastAttempt"] == {
            "at": month["lastAttempt"]["at"], "status": "blocked", "reason": "open_holds",
            "closeHoldPolicy": "BLOCK_HOLDS_ORIGINATED_IN_PERIOD",
            "closeHoldPolicySource": {
                "kind": "config", "eventId": None, "chainHash": None, "effectiveFrom": None,
            },
            "blocking": [
                {
                    "jobId": hold.agreement_hash, "holdId": hold.hold_hash,
                    "heldAt": "2026-01-05T00:00:00.000Z",
                }
            ],
        }  # fmt: skip
        with tenancy.tenant_scope(TENANT):
            FundingHold.objects.filter(pk=hold.pk).update(status="released", resolved_at=instant("2026-02"))
        again = books.close()
        assert (again.status_code, body(again)["event"]["id"]) == (202, event["id"])
        assert books.month()["status"] == "CLOSED"

    def test_the_latest_decision_in_effect_before_the_periods_end_counts(self, books):
        self.hold(2, instant("2025-12"))
        old = self.policy(books, "BLOCK_ANY_OPEN_HOLDS", effectiveFrom="2026-01-31T23:59:59.999Z")
        self.policy(books, "ALLOW_WITH_DISCLOSURE", effectiveFrom="2026-02-01T00:00:00Z")
        event = body(old)["event"]
        books.close()
        attempt = books.month()["lastAttempt"]
        assert (attempt["status"], attempt["closeHoldPolicy"]) == ("blocked", "BLOCK_ANY_OPEN_HOLDS")
        assert attempt["closeHoldPolicySource"] == {
            "kind": "governance_event", "eventId": event["id"], "chainHash": event["chainHash"],
            "effectiveFrom": "2026-01-31T23:59:59.999Z",
        }  # fmt: skip
        assert len(books.audits("TENANT_POLICY_UPDATED")) == 2

    def test_with_disclosure_it_closes_and_the_rollforward_names_the_holds(self, books):
        hold = self.hold(1, instant(JAN))
        self.policy(books, "ALLOW_WITH_DISCLOSURE", effectiveFrom="2026-01-01T00:00:00Z")
        event = body(books.close())["event"]
        assert books.month()["status"] == "CLOSED"
        path = f"/artifacts/held_rollforward_tenant_a_2026-01_{event['id']}"
        document = body(books.api.get(path))["artifact"]
        assert [one["holdId"] for one in document["openHolds"]] == [hold.hold_hash]
        assert document["rollforward"] == {
            "currency": "USD", "byCurrency": {},
            "buckets": {"opening": 0, "newHolds": 30, "released": 0, "forfeited": 0, "ending": 30},
        }  # fmt: skip

    def test_an_unknown_policy_is_400(self, books):
        assert refusal(self.policy(books, "BLOCK_NOTHING")) == (400, "SCHEMA_INVALID")
