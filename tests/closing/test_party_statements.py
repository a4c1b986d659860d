"""PUT and GET /ops/party-statements: spec/money-rails.md 1, ruling 5."""

import pytest

from settld.artifacts.models import Artifact
from settld.core import tenancy
from settld.core.hashing import canonical_hash
from tests.support.api import body, refusal

BODY = {
    "type": "PartyStatementBody.v1",
    "v": 1,
    "currency": "USD",
    "tenantId": "tenant_a",
    "partyId": "pty_1",
    "partyRole": "operator",
    "period": "2026-01",
    "basis": "settledAt",
    "payoutCents": 12_345,
    "payableAfter": None,
    "references": [],
}


def instructions(tenant_id="tenant_a"):
    with tenancy.tenant_scope(tenant_id):
        return list(
            Artifact.objects.filter(tenant_id=tenant_id, artifact_type="PayoutInstruction.v1").order_by(
                "payout_key"
            )
        )


class TestContent:
    def test_statement_hash_artifact_hash_and_the_hash_of_the_body_are_one_number_ruling_5(self, books):
        answer = body(books.put())
        statement, artifact = answer["statement"], answer["artifact"]
        expected = canonical_hash(BODY)
        assert statement["statementHash"] == statement["artifactHash"] == artifact["artifactHash"] == expected
        assert {key: value for key, value in artifact.items() if key != "artifactHash"} == BODY
        assert statement["payoutKey"] == f"tenant_a:party:pty_1:period:2026-01:statement:{expected}"

    def test_what_was_put_is_what_get_gives(self, books):
        put = body(
            books.put(
                payableAfter="2026-02-10T02:00:00+02:00", references=[{"type": "receipt", "id": "r1", "x": 1}]
            )
        )
        got = body(books.api.get("/ops/party-statements/pty_1/2026-01"))
        assert got == put
        assert got["artifact"]["payableAfter"] == "2026-02-10T00:00:00.000Z"
        assert got["artifact"]["references"] == [{"type": "receipt", "id": "r1"}]

    @pytest.mark.parametrize(
        ("role", "cents", "payable"),
        [
            ("operator", 1, 1),
            ("subcontractor", 5, 5),
            ("operator", 0, 0),
            ("operator", -5, 0),
            ("customer", 5, 0),
        ],
    )
    def test_payable_is_positive_pay_of_a_paid_role(self, books, role, cents, payable):
        assert body(books.put(partyRole=role, payoutCents=cents))["statement"]["payableCents"] == payable

    @pytest.mark.parametrize(
        "fault",
        [
            {"payoutCents": None}, {"payoutCents": 1.5}, {"payoutCents": True}, {"payoutCents": 2**53},
            {"payoutCents": "x"}, {"partyRole": ""}, {"partyRole": 7}, {"partyRole": "Operator"},
            {"currency": "usd"}, {"currency": "DOLLAR"}, {"basis": "bookedAt"}, {"payableAfter": "tomorrow"},
            {"payableAfter": "2026-01-01"}, {"references": {}}, {"references": ["x"]},
            {"references": [{"type": "invoice", "id": "1"}]}, {"references": [{"type": "receipt"}]},
        ],
    )  # fmt: skip
    def test_a_faulty_body_is_400_and_stores_nothing(self, books, fault):
        assert refusal(books.put(**fault)) == (400, "SCHEMA_INVALID")
        assert refusal(books.api.get("/ops/party-statements/pty_1/2026-01")) == (404, "NOT_FOUND")

    @pytest.mark.parametrize("period", ["2026-13", "2026-1", "jan", "2026-00"])
    def test_a_malformed_period_is_400(self, books, period):
        assert refusal(books.put(period=period)) == (400, "SCHEMA_INVALID")
        assert refusal(books.api.get(f"/ops/party-statements/p/{period}")) == (400, "SCHEMA_INVALID")

    def test_digits_in_a_text_are_an_integer_P1(self, books):
        assert body(books.put(payoutCents="77"))["statement"]["payoutCents"] == 77

    def test_an_encoded_colon_in_the_party_is_decoded_once_P1(self, books):
        books.put("pty_operator%3Aagent-1")
        assert books.statement("pty_operator:agent-1")["partyId"] == "pty_operator:agent-1"

    def test_finance_write_is_needed_to_write_and_finance_read_to_read(self, books):
        books.put()
        reader = books.api.with_token("tok_read")
        assert reader.get("/ops/party-statements/pty_1/2026-01").status_code == 200
        assert refusal(reader.put("/ops/party-statements/pty_1/2026-01", {})) == (403, "FORBIDDEN")


class TestOpenMonth:
    def test_a_statement_is_open_and_replaceable(self, books):
        first = body(books.put())["statement"]
        second = body(books.put(payoutCents=99))["statement"]
        assert (first["status"], second["status"]) == ("OPEN", "OPEN")
        assert second["payoutCents"] == books.statement()["payoutCents"] == 99
        assert second["statementHash"] != first["statementHash"]
        assert second["closedAt"] is None
        assert instructions() == []

    def test_equal_content_again_changes_nothing_and_is_not_audited(self, books):
        first, second = books.put(), books.put()
        assert first.content == second.content
        assert [row["details"]["payoutCents"] for row in books.audits("PARTY_STATEMENT_UPSERT")] == [12_345]

    def test_two_roles_are_two_statements_and_a_read_must_say_which_finance_5_3(self, books):
        books.put(partyRole="operator")
        books.put(partyRole="customer")
        answer = books.api.get("/ops/party-statements/pty_1/2026-01")
        assert refusal(answer) == (409, "PARTY_STATEMENT_AMBIGUOUS")
        chosen = body(books.api.get("/ops/party-statements/pty_1/2026-01?partyRole=customer"))
        assert chosen["statement"]["partyRole"] == "customer"


class TestClosedMonth:
    def test_a_new_statement_is_stored_closed_with_its_instruction(self, books):
        books.close()
        statement = body(books.put())["statement"]
        assert (statement["status"], statement["closedAt"] is not None) == ("CLOSED", True)
        (instruction,) = instructions()
        assert (instruction.payout_key, instruction.amount_cents) == (statement["payoutKey"], 12_345)

    def test_nothing_payable_means_no_instruction(self, books):
        books.close()
        books.put(payoutCents=0)
        assert instructions() == []

    def test_equal_content_is_200_unchanged(self, books):
        books.put()
        books.close()
        before = books.statement()
        again = books.put()
        assert (again.status_code, body(again)["statement"]) == (200, before)
        assert len(instructions()) == 1

    def test_other_content_is_409_and_moves_nothing(self, books):
        books.put()
        books.close()
        before = books.statement()
        assert refusal(books.put(payoutCents=1)) == (409, "PARTY_STATEMENT_CLOSED")
        assert books.statement() == before
        assert [row.amount_cents for row in instructions()] == [12_345]


class TestLists:
    def test_a_list_needs_a_period_and_filters_by_party_and_status(self, books):
        for party_id in ("b", "a", "B"):
            books.put(party_id)
        books.close()
        books.put("z", period="2026-02")
        missing = books.api.get("/ops/party-statements")
        assert (refusal(missing), body(missing)["error"]) == ((400, "SCHEMA_INVALID"), "period is required")

        def listed(query):
            answer = body(books.api.get(f"/ops/party-statements?{query}"))
            return [row["partyId"] for row in answer["statements"]]

        assert listed("period=2026-01") == ["B", "a", "b"]  # by code point, not by locale: P6
        assert listed("period=2026-01&limit=1&offset=1") == ["a"]
        assert listed("period=2026-01&partyId=b") == ["b"]
        assert listed("period=2026-01&status=OPEN") == []
        assert listed("period=2026-02&status=OPEN") == ["z"]
        assert refusal(books.api.get("/ops/party-statements?period=2026-01&status=x")) == (
            400,
            "SCHEMA_INVALID",
        )

    def test_another_tenants_statements_are_not_there(self, books):
        books.put()
        stranger = books.api.as_tenant("tenant_b")
        assert refusal(stranger.get("/ops/party-statements/pty_1/2026-01")) == (404, "NOT_FOUND")
        assert body(stranger.get("/ops/party-statements?period=2026-01")) == {"statements": []}


def test_a_party_id_is_opaque_text_a_slash_in_it_too_2_4(books):
    made = body(books.put("a%2Fb"))["statement"]
    assert made["partyId"] == "a/b"
    assert body(books.api.get("/ops/party-statements/a%2Fb/2026-01"))["statement"] == made
    assert refusal(books.api.get("/ops/party-statements/a%252Fb/2026-01"))[0] == 404
