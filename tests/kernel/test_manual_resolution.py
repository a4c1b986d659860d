"""POST /runs/{runId}/settlement/resolve: kernel spec 6.6."""

import hypothesis
import pytest
from hypothesis import strategies as st

from settld.audit.models import OpsAudit
from settld.core import tenancy
from settld.core.errors import Invalid
from settld.kernel.models import DecisionRecord, Settlement, SettlementReceipt
from settld.kernel.services import decisions, resolution
from settld.kernel.services import runs as opening
from settld.kernel.services.resolution import Asked
from settld.ledger.models import MonthClose
from settld.metering.models import UsageEvent
from tests.kernel.work import NOW, PAYEE, PAYER, TENANT, counts, entry_ids, under_agreement, wallet
from tests.support.api import body, refusal

AMOUNT = 1001


@pytest.fixture
def waiting(runs, monkeypatch):
    """A failed run of 1001 cents under an agreement whose policy leaves it to a person."""
    under_agreement(monkeypatch)
    with tenancy.tenant_scope(TENANT):
        opened = opening.open_run(
            tenant_id=TENANT, agent_id=PAYEE, run_id="run_1", phase=decisions.AGREEMENT_ACCEPTED, now=NOW,
            terms=opening.SettlementTerms(
                payer_agent_id=PAYER, amount_cents=AMOUNT, agreement_id="agr_1", dispute_window_days=3
            ),
        )  # fmt: skip
    runs.heads["run_1"] = opened.event["chainHash"]
    assert runs.append("RUN_FAILED").status_code == 201
    return runs


@pytest.mark.parametrize(("given", "released", "rate"), [
    ({"status": "released"}, 1001, 100),
    ({"status": "released", "releaseRatePct": 50}, 500, 50),
    ({"status": "released", "releaseRatePct": 0}, 0, 0),
    ({"status": "released", "releasedAmountCents": 336}, 336, 34),  # 33.57
    ({"status": "released", "releasedAmountCents": 0}, 0, 0),
    ({"status": "released", "refundedAmountCents": 1}, 1000, 100),  # 99.9
    ({"status": "released", "releasedAmountCents": 1000, "refundedAmountCents": 1}, 1000, 100),
    ({"status": "released", "releasedAmountCents": 500, "releaseRatePct": 50}, 500, 50),
    ({"status": "released", "releasedAmountCents": 336, "releaseRatePct": 34}, 336, 34),
    ({"status": "refunded"}, 0, 0),
    ({"status": "refunded", "releaseRatePct": 50, "releasedAmountCents": "all of it"}, 0, 0),
])  # fmt: skip
def test_the_money_is_parted_as_asked(waiting, given, released, rate):
    answer = waiting.resolve(given)
    settlement = body(answer)["settlement"]
    assert answer.status_code == 200
    assert set(body(answer)) == {"settlement"}
    assert (settlement["releasedAmountCents"], settlement["refundedAmountCents"]) == (
        released,
        AMOUNT - released,
    )
    assert (settlement["status"], settlement["releaseRatePct"]) == (
        "released" if released else "refunded",
        rate,
    )
    assert (settlement["decisionStatus"], settlement["decisionMode"]) == ("manual_resolved", "manual-review")
    assert settlement["disputeWindowEndsAt"] == "2026-03-13T12:00:00.000Z"
    assert (wallet(PAYER), wallet(PAYEE)[0]) == ((100_000 - released, 0), released)


def test_defaults_and_trace(waiting):
    before = waiting.settlement()["settlement"]["decisionTrace"]
    settlement = body(waiting.resolve({"status": "released"}))["settlement"]
    assert settlement["decisionReason"] == "manual settlement resolution"
    assert settlement["resolutionEventId"].startswith("manual_setl_")
    trace = settlement["decisionTrace"]
    assert trace["phase"] == "run.settlement.manual_resolve"
    assert trace["resolvedByAgentId"] is None
    assert trace["input"]["status"] == "released"
    assert trace["policyDecision"] == before["policyDecision"]
    assert trace["policyDecision"]["reasonCodes"] == ["auto_release_disabled_for_red"]
    found = waiting.settlement()
    assert found["kernelVerification"] == {"valid": True, "errors": []}
    assert found["settlementReceipt"]["finalityState"] == "final"
    assert found["decisionRecord"]["policyHashUsed"] == settlement["decisionPolicyHash"]
    with tenancy.tenant_scope(TENANT):
        assert DecisionRecord.objects.count() == SettlementReceipt.objects.count() == 3
        assert OpsAudit.objects.filter(action="RUN_SETTLEMENT_RESOLVED").count() == 1


def test_what_is_given_is_kept(waiting):
    given = {
        "status": "released",
        "reason": "we agreed",
        "resolvedByAgentId": "agt_boss",
        "resolutionEventId": "ev:7",
    }
    settlement = body(waiting.resolve(given))["settlement"]
    assert settlement["decisionReason"] == "we agreed"
    assert settlement["resolutionEventId"] == "ev:7"
    assert settlement["decisionTrace"]["resolvedByAgentId"] == "agt_boss"
    assert "escrow_release_run_1_ev:7" in entry_ids()
    with tenancy.tenant_scope(TENANT):
        billed = UsageEvent.objects.get(event_type="settled_volume")
        assert (billed.event_key, billed.source_type, billed.amount_cents) == (
            "settled_volume:setl_run_1:ev:7", "manual_settlement_resolution", AMOUNT,
        )  # fmt: skip


def test_what_contradicts_itself_is_400_and_moves_nothing(waiting):
    for given, error in [
        ({}, "status must be released or refunded"),
        ({"status": "locked"}, "status must be released or refunded"),
        ({"status": ["released"]}, "status must be released or refunded"),
        *(({"status": "released", "releaseRatePct": rate}, None) for rate in (-1, 101, 50.5, True, "50")),
        *(
            ({"status": "released", "releasedAmountCents": cents}, None)
            for cents in (-1, 1002, 1.5, False, "1", 2**53)
        ),
        ({"status": "released", "refundedAmountCents": 1002}, None),
        ({"status": "released", "releasedAmountCents": 500, "refundedAmountCents": 500}, None),
        (
            {"status": "released", "releasedAmountCents": 500, "releaseRatePct": 60},
            "releaseRatePct and amounts disagree",
        ),
        ({"status": "released", "resolvedByAgentId": "a b"}, None),
        ({"status": "released", "resolutionEventId": "a b"}, None),
        ({"status": "released", "reason": 5}, None),
    ]:
        before = counts(), wallet(PAYER), waiting.settlement()
        answer = waiting.resolve(given)
        assert refusal(answer) == (400, "SCHEMA_INVALID")
        assert error in (None, body(answer)["error"])
        assert (counts(), wallet(PAYER), waiting.settlement()) == before


def test_nothing_is_resolved_twice(waiting):
    waiting.resolve({"status": "refunded"})
    before = counts(), wallet(PAYEE)
    answer = waiting.resolve({"status": "released"})
    assert (answer.status_code, body(answer)["error"]) == (409, "run settlement is already resolved")
    assert (counts(), wallet(PAYEE)) == before


def test_a_direct_run_that_resolved_itself_cannot_be_resolved_again(runs):
    runs.settled()
    assert body(runs.resolve({"status": "refunded"}))["error"] == "run settlement is already resolved"


def test_a_run_that_goes_on_is_not_resolved(runs):
    runs.open()
    answer = runs.resolve({"status": "released"})
    assert (answer.status_code, body(answer)["error"]) == (409, "run is not in a terminal state")


def test_it_takes_a_run_with_a_settlement(runs):
    assert body(runs.resolve({"status": "released"}))["error"] == "run not found"
    runs.open(cents=0)
    assert body(runs.resolve({"status": "released"}))["error"] == "run settlement not found"


def test_the_same_key_resolves_once(waiting):
    first = waiting.resolve({"status": "released"}, key="k")
    again = waiting.resolve({"status": "released"}, key="k")
    assert (again.content, again["x-idempotent-replay"]) == (first.content, "true")
    assert wallet(PAYEE) == (AMOUNT, 0)


def test_a_closed_month_resolves_nothing(waiting):
    with tenancy.tenant_scope(TENANT):
        MonthClose.objects.filter(month="2026-03").update(status="CLOSED", closed_at=NOW)
    before = counts(), wallet(PAYER)
    answer = waiting.resolve({"status": "released"})
    assert body(answer)["details"]["message"] == "cannot settle: month is closed"
    assert (counts(), wallet(PAYER)) == before


def test_invalid_bindings_resolve_nothing_6_5(waiting):
    with tenancy.tenant_scope(TENANT):
        Settlement.objects.update(receipt_id=None)
    answer = waiting.resolve({"status": "released"})
    assert refusal(answer) == (409, "SETTLEMENT_KERNEL_BINDING_INVALID")
    assert body(answer)["details"]["errors"] == ["settlement_receipt_missing"]
    assert wallet(PAYER) == (100_000 - AMOUNT, AMOUNT)


amounts = st.integers(1, 2**53 - 1)
parts = st.none() | st.integers(0, 2**53 - 1)


@hypothesis.given(amount=amounts, rate=st.none() | st.integers(0, 100), released=parts, refunded=parts)
def test_parts_always_add_up_and_agree_with_what_was_asked(amount, rate, released, refunded):
    asked = Asked("released", rate, released, refunded)
    try:
        found = resolution.split(asked, amount_cents=amount)
    except Invalid:
        assert released is not None or refunded is not None  # a rate alone always goes
        return
    assert found.released_cents + found.refunded_cents == amount
    assert min(found.released_cents, found.refunded_cents) >= 0
    assert released in (None, found.released_cents)
    assert refunded in (None, found.refunded_cents)
    assert rate in (None, found.release_rate_pct)
    assert abs(found.release_rate_pct * amount - 100 * found.released_cents) < max(100, amount)


@hypothesis.given(amount=amounts, data=st.data())
def test_a_rate_is_rounded_half_up(amount, data):
    from decimal import ROUND_HALF_UP, Decimal, localcontext

    released = data.draw(st.integers(0, amount))
    with localcontext() as context:
        context.prec = 60
        exact = Decimal(100 * released) / Decimal(amount)
        wanted = int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))
    assert resolution.rounded_rate(released_cents=released, amount_cents=amount) == wanted
