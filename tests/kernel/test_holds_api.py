"""Locking holds and reading them (kernel spec 7), and what a payer's policy refuses (4)."""

import datetime as dt

import pytest

from settld.core import clock, tenancy
from settld.core.hashing import canonical_hash
from settld.kernel.models import FundingHold
from settld.kernel.queries import checks
from settld.kernel.services import agents
from settld.kernel.states import AgentStatus
from tests.kernel.work import ACTOR, NOW, PAYEE, PAYER, TENANT, Runs, an_agent, entry_ids, money, wallet
from tests.support.api import body, refusal

AGREEMENT, RECEIPT = "a" * 64, "b" * 64


def terms(**more):
    return {
        "agreementHash": AGREEMENT, "receiptHash": RECEIPT, "payerAgentId": PAYER, "payeeAgentId": PAYEE,
        "amountCents": 999, "holdbackBps": 1000, "challengeWindowMs": 60_000,
    } | more  # fmt: skip


@pytest.fixture
def world(db):
    an_agent(PAYER)
    an_agent(PAYEE)
    money(PAYER, 1000)


def lock(api, *, key=None, **more):
    with clock.freeze(NOW):
        return api.post("/ops/tool-calls/holds/lock", terms(**more), key=key)


def holds():
    with tenancy.tenant_scope(TENANT):
        return FundingHold.objects.count()


def test_only_the_held_share_is_locked_rounded_down(api, world):
    answer = lock(api)

    hold = body(answer)["hold"]
    assert (answer.status_code, hold["heldAmountCents"], hold["status"]) == (201, 99, "held")
    assert wallet(PAYER) == (901, 99)
    assert entry_ids() == [f"escrow_hold_tc_{AGREEMENT}"]
    hashed = (
        "schemaVersion", "tenantId", "agreementHash", "receiptHash", "payerAgentId", "payeeAgentId",
        "amountCents", "heldAmountCents", "currency", "holdbackBps", "challengeWindowMs", "createdAt",
    )  # fmt: skip
    assert hold["holdHash"] == canonical_hash({name: hold[name] for name in hashed})
    with tenancy.tenant_scope(TENANT):
        assert checks.escrow_unlike_holdings(tenant_id=TENANT) == []
    audit = body(api.get("/ops/audit?action=TOOL_CALL_HOLD_LOCK"))["audit"]
    assert [row["targetId"] for row in audit] == [hold["holdHash"]]


def test_a_share_of_nothing_locks_nothing(api, world):
    assert body(lock(api, holdbackBps=0))["hold"]["heldAmountCents"] == 0
    assert (wallet(PAYER), entry_ids()) == ((1000, 0), [])


def test_an_agreement_has_one_hold(api, world):
    assert lock(api, key="k1").status_code == 201

    assert refusal(lock(api, key="k2", receiptHash="c" * 64)) == (409, "HOLD_ALREADY_EXISTS")
    assert (wallet(PAYER), holds()) == ((901, 99), 1)


@pytest.mark.parametrize(
    "given",
    [
        {"agreementHash": "A" * 64}, {"receiptHash": None}, {"payerAgentId": "x"}, {"amountCents": 0},
        {"amountCents": "5"}, {"holdbackBps": 10_001}, {"holdbackBps": -1}, {"holdbackBps": True},
        {"holdbackBps": None}, {"challengeWindowMs": 31_536_000_001}, {"challengeWindowMs": 1.5},
        {"currency": "$"}, {"createdAt": "yesterday"}, {"createdAt": "2026-03-10T12:05:00.001Z"},
        {"createdAt": "2026-03-10T11:54:59.999Z"},
    ],
)  # fmt: skip
def test_bad_terms_are_refused(api, world, given):
    assert refusal(lock(api, **given)) == (400, "SCHEMA_INVALID")
    assert (wallet(PAYER), holds()) == ((1000, 0), 0)


def test_the_callers_instant_counts_within_five_minutes(api, world):
    at = "2026-03-10T11:55:00.000Z"

    assert body(lock(api, createdAt=at))["hold"]["createdAt"] == at
    with tenancy.tenant_scope(TENANT):
        assert FundingHold.objects.get().window_ends_at == NOW - dt.timedelta(minutes=4)


@pytest.mark.parametrize("who", ["payerAgentId", "payeeAgentId"])
def test_an_unknown_agent_is_not_found(api, world, who):
    answer = lock(api, **{who: "agt_nobody"})

    assert (answer.status_code, body(answer)["error"]) == (404, "agent identity not found")


def test_nobody_pays_itself(api, world):
    assert refusal(lock(api, payeeAgentId=PAYER)) == (409, "SETTLEMENT_SELF_PAYMENT")


def test_a_suspended_agent_cannot_be_a_payer_but_may_be_paid(api, world):
    with tenancy.tenant_scope(TENANT):
        name = {"tenant_id": TENANT, "status": AgentStatus.SUSPENDED, "actor": ACTOR, "now": NOW}
        agents.change_status(agent_id=PAYEE, **name)
        assert lock(api).status_code == 201
        agents.change_status(agent_id=PAYER, **name)
    assert refusal(lock(api, agreementHash="c" * 64)) == (409, "AGENT_NOT_ACTIVE")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"amountCents": 10_010}, "INSUFFICIENT_WALLET_BALANCE"),
        ({"currency": "EUR"}, "WALLET_CURRENCY_MISMATCH"),
    ],
)
def test_a_hold_that_cannot_be_locked_says_why_and_leaves_nothing(api, world, given, code):
    answer = lock(api, **given)

    assert (answer.status_code, body(answer)["error"]) == (409, "escrow hold rejected")
    assert (body(answer)["code"], body(answer)["details"]["code"]) == (code, code)
    assert (wallet(PAYER), holds(), entry_ids()) == ((1000, 0), 0, [])


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        ({"maxPerTransactionCents": 98}, "WALLET_POLICY_MAX_PER_TX"),
        ({"requireApprovalAboveCents": 98}, "WALLET_POLICY_APPROVAL_REQUIRED"),
        ({"maxDailyCents": 98}, "WALLET_POLICY_MAX_DAILY"),
    ],
)
def test_the_payers_own_limits_refuse_a_lock_above_them(api, db, policy, code):
    an_agent(PAYER, wallet_policy=policy)
    an_agent(PAYEE)
    money(PAYER, 1000)

    refused = lock(api)
    assert (refusal(refused), body(refused)["details"]["message"]) == (
        (409, code), "wallet policy blocked settlement",
    )  # fmt: skip
    assert lock(api, amountCents=980).status_code == 201  # 98 held: at the limit


def test_the_daily_limit_counts_a_utc_days_locks_and_starts_anew(api, db):
    an_agent(PAYER, wallet_policy={"maxDailyCents": 150})
    an_agent(PAYEE)
    money(PAYER, 1000)
    assert lock(api).status_code == 201

    assert refusal(lock(api, agreementHash="c" * 64)) == (409, "WALLET_POLICY_MAX_DAILY")
    with clock.freeze(NOW + dt.timedelta(hours=12)):
        later = api.post("/ops/tool-calls/holds/lock", terms(agreementHash="c" * 64))
    assert later.status_code == 201


def test_holds_are_listed_and_read(api, world):
    first = body(lock(api))["hold"]
    second = body(lock(api, agreementHash="c" * 64, amountCents=100))["hold"]

    shown = body(api.get(f"/ops/tool-calls/holds?agreementHash={AGREEMENT}&status=held"))
    assert shown == {
        "ok": True, "tenantId": TENANT, "agreementHash": AGREEMENT, "status": "held", "limit": 200,
        "offset": 0, "holds": [first],
    }  # fmt: skip
    everything = body(api.get("/ops/tool-calls/holds"))["holds"]
    assert {hold["holdHash"] for hold in everything} == {first["holdHash"], second["holdHash"]}
    assert body(api.get("/ops/tool-calls/holds?limit=1&offset=1"))["holds"] == everything[1:]
    path = f"/ops/tool-calls/holds/{first['holdHash']}"
    assert body(api.get(path)) == {"ok": True, "tenantId": TENANT, "hold": first}
    assert refusal(api.as_tenant("tenant_b").get(path)) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=2001", "limit=x", "offset=-1", "status=gone", "agreementHash=xyz"]
)
def test_a_bad_query_is_refused(api, db, query):
    assert refusal(api.get(f"/ops/tool-calls/holds?{query}")) == (400, "SCHEMA_INVALID")


def test_an_unknown_adjustment_is_not_found(api, db):
    answer = api.get("/ops/settlement-adjustments/sadj_nothing")

    assert (answer.status_code, body(answer)["error"]) == (404, "settlement adjustment not found")


def test_what_is_locked_is_what_runs_and_holds_have_locked_until_both_end(api, world):
    runs = Runs(api)
    assert runs.open(cents=300).status_code == 201
    assert lock(api).status_code == 201

    assert wallet(PAYER) == (601, 399)
    with tenancy.tenant_scope(TENANT):
        assert checks.escrow_unlike_holdings(tenant_id=TENANT) == []
        FundingHold.objects.update(status="refunded", resolved_at=NOW)
        (found,) = checks.escrow_unlike_holdings(tenant_id=TENANT)
    assert (found.agent_id, found.locked_cents, found.held_cents) == (PAYER, 399, 300)
    assert runs.complete().status_code == 201
    assert (wallet(PAYER), wallet(PAYEE)) == ((601, 99), (300, 0))
