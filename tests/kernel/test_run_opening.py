"""POST /agents/{agentId}/runs: kernel spec 5, 6.4."""

import datetime as dt

import pytest

from settld.core import tenancy
from settld.kernel.models import Agent, DecisionRecord, Settlement, SettlementReceipt
from settld.kernel.queries import runs as queries
from tests.kernel.work import ARBITER, NOW, PAYEE, PAYER, TENANT, an_agent, counts, entry_ids, money, wallet
from tests.support.api import body, refusal


def test_a_run_without_settlement_locks_nothing(runs):
    answer = runs.open(cents=0)
    made = body(answer)
    assert answer.status_code == 201
    assert set(made) == {"run", "event", "settlement"}
    assert made["settlement"] is None
    assert (made["run"]["status"], made["run"]["revision"]) == ("created", 0)
    assert made["event"]["type"] == "RUN_CREATED"
    assert made["event"]["prevChainHash"] is None
    assert made["event"]["actor"] == {"type": "agent", "id": PAYEE}
    assert made["run"]["lastChainHash"] == made["event"]["chainHash"]
    assert entry_ids() == []


def test_a_settlement_locks_the_money_and_has_its_pair_of_documents_from_then_on_6_4(runs):
    made = body(runs.open(cents=1000, disputeWindowDays=7))["settlement"]
    assert {key: made[key] for key in (
        "settlementId", "agentId", "payerAgentId", "amountCents", "currency", "status", "releasedAmountCents",
        "refundedAmountCents", "releaseRatePct", "resolvedAt", "disputeWindowDays", "disputeWindowEndsAt",
        "disputeStatus", "decisionStatus", "decisionMode", "decisionPolicyHash", "revision",
    )} == {
        "settlementId": "setl_run_1", "agentId": PAYEE, "payerAgentId": PAYER, "amountCents": 1000,
        "currency": "USD", "status": "locked", "releasedAmountCents": 0, "refundedAmountCents": 0,
        "releaseRatePct": None, "resolvedAt": None, "disputeWindowDays": 7, "disputeWindowEndsAt": None,
        "disputeStatus": "none", "decisionStatus": "pending", "decisionMode": "automatic",
        "decisionPolicyHash": None, "revision": 0,
    }  # fmt: skip
    assert made["decisionTrace"]["phase"] == "run.created"
    assert wallet(PAYER) == (99_000, 1000)
    assert entry_ids() == ["escrow_hold_run_1"]
    with tenancy.tenant_scope(TENANT):
        assert DecisionRecord.objects.get().phase == "run.created"
        assert SettlementReceipt.objects.get().finality_state == "pending"


def test_a_locked_direct_settlement_is_no_kernel_error_15(runs):
    runs.open()
    found = runs.settlement()
    assert found["kernelVerification"] == {"valid": True, "errors": []}
    assert found["decisionRecord"]["policyHashUsed"].startswith("006f47946e597e56")
    assert found["decisionRecord"]["policyRef"] == {"policyHash": None, "verificationMethodHash": None}
    assert found["settlementReceipt"]["finalityState"] == "pending"
    assert found["settlementReceipt"]["settledAt"] is None


def test_an_id_is_made_where_none_is_given(runs):
    made = body(runs.api.post(f"/agents/{PAYEE}/runs", {}))
    assert made["run"]["runId"].startswith("run_")
    assert made["event"]["streamId"] == made["run"]["runId"]


def test_a_stored_run_is_what_its_event_says(runs):
    runs.api.post(f"/agents/{PAYEE}/runs", {"runId": "r", "taskType": " t ", "inputRef": "ref://in"})
    with tenancy.tenant_scope(TENANT):
        assert queries.check(tenant_id=TENANT, run_id="r").ok
    run = body(runs.api.get(f"/agents/{PAYEE}/runs/r"))["run"]
    assert (run["taskType"], run["inputRef"]) == ("t", "ref://in")


@pytest.mark.parametrize("key", ["second", None])
def test_a_fresh_key_never_overwrites_a_run_nor_locks_twice_15(runs, key):
    runs.open(key="first")
    before = counts(), wallet(PAYER), runs.settlement()
    answer = runs.open(cents=5000, key=key)
    assert (refusal(answer), body(answer)["error"]) == ((409, "RUN_ALREADY_EXISTS"), "run already exists")
    assert (counts(), wallet(PAYER), runs.settlement()) == before


def test_the_same_key_is_replayed_byte_for_byte(runs):
    first, again = runs.open(key="k"), runs.open(key="k")
    assert again["x-idempotent-replay"] == "true"
    assert again.content == first.content
    assert wallet(PAYER) == (99_000, 1000)


def test_payer_and_payee_are_two_15(runs):
    money(PAYEE, 5000)
    before = counts()
    answer = runs.open(payerAgentId=PAYEE)
    assert refusal(answer) == (409, "SETTLEMENT_SELF_PAYMENT")
    assert (counts(), wallet(PAYEE)) == (before, (5000, 0))


@pytest.mark.parametrize("status", ["suspended", "revoked"])
def test_a_payer_that_is_not_active_takes_on_nothing_new_3(runs, status):
    with tenancy.tenant_scope(TENANT):
        Agent.objects.filter(agent_id=PAYER).update(status=status)
    before = counts()
    assert refusal(runs.open()) == (409, "AGENT_NOT_ACTIVE")
    assert counts() == before


@pytest.mark.parametrize(("path", "payer", "error"), [
    ("agt_nobody", PAYER, "agent identity not found"),
    (PAYEE, "agt_nobody", "payer agent identity not found"),
])  # fmt: skip
def test_both_agents_exist(runs, path, payer, error):
    before = counts()
    answer = runs.open(agent_id=path, payerAgentId=payer)
    assert (refusal(answer), body(answer)["error"]) == ((404, "NOT_FOUND"), error)
    assert counts() == before


def test_another_tenants_agents_do_not_exist_here(runs):
    an_agent("agt_elsewhere", tenant_id="tenant_b")
    assert refusal(runs.open(payerAgentId="agt_elsewhere")) == (404, "NOT_FOUND")


def test_money_that_is_not_there_opens_no_run(runs):
    before = counts()
    answer = runs.open(cents=100_001)
    assert refusal(answer) == (409, "INSUFFICIENT_WALLET_BALANCE")
    assert body(answer)["error"] == "unable to lock settlement escrow"
    assert body(answer)["details"]["code"] == "INSUFFICIENT_WALLET_BALANCE"
    assert (counts(), wallet(PAYER)) == (before, (100_000, 0))


def test_a_payer_that_never_had_a_wallet_is_short_too(runs):
    assert refusal(runs.open(payerAgentId=ARBITER)) == (409, "INSUFFICIENT_WALLET_BALANCE")


def test_another_currency_than_the_wallets_is_refused(runs):
    assert refusal(runs.open(currency="eur")) == (409, "WALLET_CURRENCY_MISMATCH")


def test_a_payee_whose_wallet_has_another_currency_could_never_be_paid_and_gets_no_run(runs):
    money(PAYEE, 100, currency="EUR")
    before = counts()

    assert refusal(runs.open(cents=1000)) == (409, "WALLET_CURRENCY_MISMATCH")
    assert counts() == before


@pytest.mark.parametrize(("policy", "cents", "code"), [
    ({"maxPerTransactionCents": 500}, 501, "WALLET_POLICY_MAX_PER_TX"),
    ({"requireApprovalAboveCents": 500}, 501, "WALLET_POLICY_APPROVAL_REQUIRED"),
    ({"maxDailyCents": 900}, 401, "WALLET_POLICY_MAX_DAILY"),
])  # fmt: skip
def test_the_payers_own_policy_bounds_every_lock_4(runs, policy, cents, code):
    with tenancy.tenant_scope(TENANT):
        Agent.objects.filter(agent_id=PAYER).update(wallet_policy=policy)
    assert runs.open("run_0", cents=500).status_code == 201
    before = counts()
    answer = runs.open(cents=cents)
    assert (refusal(answer), body(answer)["error"]) == ((409, code), "wallet policy blocked settlement")
    assert (counts(), wallet(PAYER)) == (before, (99_500, 500))


def test_malformed_terms_are_400_and_open_nothing(runs):
    for terms in [
        "money",
        [],
        0,
        False,
        {},
        {"payerAgentId": PAYER},
        {"amountCents": 5},
        *(
            {"payerAgentId": PAYER, "amountCents": cents}
            for cents in (0, -1, 1.5, True, "5", 2**53, None, 10**30)
        ),
        *(
            {"payerAgentId": PAYER, "amountCents": 5, "disputeWindowDays": days}
            for days in (-1, 366, True, "7", 1.5)
        ),
        {"payerAgentId": PAYER, "amountCents": 5, "currency": "U$"},
        {"payerAgentId": PAYER, "amountCents": 5, "currency": 5},
        {"payerAgentId": "no spaces", "amountCents": 5},
        {"payerAgentId": ["x"], "amountCents": 5},
    ]:
        before = counts()
        answer = runs.api.post(f"/agents/{PAYEE}/runs", {"runId": "r", "settlement": terms})
        assert (refusal(answer), body(answer)["error"]) == (
            (400, "SCHEMA_INVALID"),
            "invalid run settlement payload",
        )
        assert counts() == before


def test_malformed_members_are_400(runs):
    for given in [
        {"runId": "a b"},
        {"runId": "x" * 129},
        {"runId": 5},
        {"taskType": 5},
        {"inputRef": "x" * 2001},
        {"taskType": "\x00"},
    ]:
        assert refusal(runs.api.post(f"/agents/{PAYEE}/runs", given)) == (400, "SCHEMA_INVALID")


def test_writing_needs_a_write_scope(runs):
    answer = runs.api.with_token("tok_read").post(f"/agents/{PAYEE}/runs", {})
    assert refusal(answer) == (403, "FORBIDDEN")


def test_all_of_it_or_nothing_is_opened(runs, monkeypatch):
    from settld.core import failpoints

    before = counts()

    def stop(name):
        if name == "kernel.open_run.before_commit":
            raise RuntimeError("the process ends here")

    with failpoints.watched(stop):
        assert runs.open().status_code == 500
    assert (counts(), wallet(PAYER)) == (before, (100_000, 0))
    assert runs.open().status_code == 201
    with tenancy.tenant_scope(TENANT):
        assert Settlement.objects.count() == 1


def test_the_runs_of_all_agents_are_listed_newest_first(runs):
    an_agent("agt_second")
    runs.open("run_1", cents=0)
    runs.at(NOW + dt.timedelta(seconds=1))
    runs.open("run_2", cents=0, agent_id="agt_second")
    runs.append("RUN_STARTED", run_id="run_2", agent_id="agt_second")

    def listed(query=""):
        found = body(runs.api.get(f"/runs{query}"))
        return [run["runId"] for run in found["runs"]], found["total"], found["limit"], found["offset"]

    assert listed() == (["run_2", "run_1"], 2, 50, 0)
    assert listed("?limit=1&offset=1") == (["run_1"], 2, 1, 1)
    assert listed("?agentId=agt_second") == (["run_2"], 1, 50, 0)
    assert listed("?status=created") == (["run_1"], 1, 50, 0)
    assert listed("?agentId=nobody&limit=x") == ([], 0, 50, 0)
    assert refusal(runs.api.get("/runs?status=lost")) == (400, "SCHEMA_INVALID")
    assert body(runs.api.as_tenant("tenant_b").get("/runs"))["total"] == 0
