"""POST /ops/money-rails/simulate: every gate answers, as enqueue would, and nothing is written."""

import datetime as dt

import pytest
from django.db import connection

from tests.support.api import body, refusal

PATH = "/ops/money-rails/simulate"


def simulate(world, party="party1", cents=10_000, **more):
    from moneyrails.services import simulation

    asked = simulation.Asked(world.TENANT, party, cents, **more)
    return simulation.as_json(asked, simulation.simulate(asked, now=world.NOW))


def verdicts(answer):
    return {gate["gate"]: gate["verdict"] for gate in answer["gates"]}


ALL_PASS = dict.fromkeys((5, *range(8, 17)), "passed")


def test_a_payout_that_nothing_holds_passes_every_gate(world):
    answer = simulate(world)
    assert (answer["outcome"], answer["code"], verdicts(answer)) == ("enqueued", None, ALL_PASS)
    assert answer["headroom"]["largestPayoutNowCents"] is None
    assert answer["destination"]["counterpartyRef"] == "party:party1"
    assert answer["statement"]["status"] == "not_named"


def test_it_does_not_stop_at_the_first_refusal(world):
    world.set_controls(
        payoutKillSwitch=True, allowedProviderIds=["stub_other"], maxPayoutAmountCents=9_999,
        dailyPayoutLimitCents=9_998, connect={"enabled": True},
    )  # fmt: skip
    world.closed(payable_after=world.NOW + dt.timedelta(days=1))
    answer = simulate(world, provider_id="stripe_sim", period="2026-01", counterparty_ref="bank:1")

    assert [gate["gate"] for gate in answer["gates"] if gate["verdict"] == "refused"] == [
        8,
        9,
        10,
        11,
        13,
        14,
        15,
    ]
    assert (answer["outcome"], answer["code"]) == ("refused", "REAL_MONEY_DISABLED")
    assert answer["statement"]["status"] == "payable"


def test_headroom_is_what_the_caps_leave(world):
    world.enqueued("other", payout_cents=4_000)
    world.set_controls(dailyPayoutLimitCents=10_000, maxPayoutAmountCents=7_000)
    room = simulate(world, cents=6_001)["headroom"]
    assert room == {
        "onePayout": {"capCents": 7_000, "headroomCents": 7_000},
        "today": {
            "dayKey": "2026-03-10", "limitCents": 10_000, "exposureCents": 4_000, "headroomCents": 6_000,
        },
        "largestPayoutNowCents": 6_000,
    }  # fmt: skip
    assert simulate(world, cents=6_001)["code"] == "PAYOUT_DAILY_LIMIT_EXCEEDED"
    assert simulate(world, cents=6_000)["outcome"] == "enqueued"
    world.set_controls(dailyPayoutLimitCents=3_000)
    assert simulate(world)["headroom"]["today"]["headroomCents"] == 0


def test_an_exposure_beyond_what_json_readers_keep_is_told_in_digits(world):
    most = 2**53 - 1
    for party in ("p1", "p2"):
        world.enqueued(party, payout_cents=most)
    world.set_controls(dailyPayoutLimitCents=most)
    answer = simulate(world, cents=1)
    assert answer["headroom"]["today"]["exposureCents"] == str(2 * most)
    refused = next(gate for gate in answer["gates"] if gate["gate"] == 14)
    assert refused["details"]["currentExposureCents"] == str(2 * most)
    assert refused["details"]["projectedExposureCents"] == str(2 * most + 1)


def owing(world, party, cents):
    world.walked(world.enqueued(party, "2025-12", cents), "submitted", "confirmed", "reversed")


@pytest.mark.parametrize(
    ("mode", "owed", "outcome", "code", "net", "recovery"),
    [
        ("hold", 3_000, "refused", "NEGATIVE_BALANCE_PAYOUT_HOLD", 10_000, 0),
        ("net", 3_000, "enqueued", None, 7_000, 3_000),
        ("net", 10_000, "offset", None, 0, 10_000),
        ("net", 60_000, "refused", "CHARGEBACK_OUTSTANDING_LIMIT_EXCEEDED", 0, 10_000),
    ],
)
def test_the_chargeback_policy_shows_its_effect(world, mode, owed, outcome, code, net, recovery):
    owing(world, "party1", owed)
    world.set_controls(
        chargebacks={"enabled": True, "negativeBalanceMode": mode, "maxOutstandingCents": 50_000}
    )
    answer = simulate(world)
    effect = answer["chargeback"]
    assert (answer["outcome"], answer["code"]) == (outcome, code)
    assert (effect["payoutAmountNetCents"], effect["recoveryAppliedCents"]) == (net, recovery)
    assert effect["outstandingBeforeCents"] == owed
    if outcome == "offset":
        assert {verdicts(answer)[number] for number in range(13, 17)} == {"not_asked"}


@pytest.mark.parametrize("mode", ["hold", "net"])
@pytest.mark.parametrize("limit", [None, 9_000])
@pytest.mark.parametrize("cap", [None, 6_500])
def test_it_answers_what_enqueue_then_does(world, mode, limit, cap):
    """The same gates of the same facts: what it says beforehand is what happens."""
    from moneyrails.services import enqueue
    from settld.core.errors import Refusal

    owing(world, "party1", 3_000)
    world.enqueued("other", payout_cents=2_500)
    world.set_controls(
        dailyPayoutLimitCents=limit, maxPayoutAmountCents=cap,
        chargebacks={"enabled": True, "negativeBalanceMode": mode},
    )  # fmt: skip
    world.closed()
    said = simulate(world, period="2026-01")
    try:
        done = enqueue.enqueue(
            tenant_id=world.TENANT, party_id="party1", period="2026-01", provider_id="", counterparty_ref="",
            actor=world.ACTOR, now=world.NOW,
        )  # fmt: skip
        happened = ("offset" if done.is_offset else "enqueued", None)
    except Refusal as refused:
        happened = ("refused", refused.code)
    assert (said["outcome"], said["code"]) == happened


def test_the_destination_is_the_partys_account_or_why_not(world):
    world.set_controls(
        realMoneyEnabled=True,
        connect={
            "enabled": True,
            "accounts": [
                {"accountId": "acct_a", "partyId": "party1"},
                {"accountId": "acct_b", "partyId": "p2", "payoutsEnabled": False},
            ],
        },
    )  # fmt: skip
    good = simulate(world, provider_id="stripe_sim")["destination"]
    assert (good["counterpartyRef"], good["obstacles"]) == ("stripe_connect:acct_a", [])
    bad = simulate(world, "p2", provider_id="stripe_sim")
    assert (bad["code"], bad["destination"]["obstacles"]) == (
        "STRIPE_CONNECT_ACCOUNT_REQUIRED",
        ["payouts_off"],
    )
    other = simulate(world, provider_id="stripe_sim", counterparty_ref="bank:1")
    assert other["code"] == "STRIPE_CONNECT_COUNTERPARTY_MISMATCH"


def test_the_provider_that_takes_no_payouts_is_told(world):
    assert simulate(world, provider_id="stub_closed")["code"] == "MONEY_RAIL_DIRECTION_NOT_ALLOWED"


def test_a_statement_that_is_paid_already_is_told(world):
    world.enqueued()
    assert simulate(world, period="2026-01")["statement"]["status"] == "already_paid"
    assert simulate(world, period="2026-02")["statement"]["status"] == "not_found"


def test_a_statement_that_went_into_a_debt_or_was_called_off_is_told(world):
    world.set_controls(chargebacks={"enabled": True, "negativeBalanceMode": "net"})
    owing(world, "party1", 500)
    world.closed(payout_cents=500)
    done = world.enqueue.enqueue(
        tenant_id=world.TENANT, party_id="party1", period="2026-01", provider_id="", counterparty_ref="",
        actor=world.ACTOR, now=world.NOW,
    )  # fmt: skip
    assert done.is_offset
    assert simulate(world, period="2026-01")["statement"]["status"] == "already_paid"

    world.walked(world.enqueued("party2"), "cancelled")  # enqueue would answer with it, for good
    assert simulate(world, "party2", period="2026-01")["statement"]["status"] == "already_paid"


def test_a_statement_in_another_currency_is_refused_as_enqueue_would(world):
    world.closed(currency="EUR")
    answer = simulate(world, period="2026-01")
    assert (answer["outcome"], answer["code"]) == ("refused", "PAYOUT_CURRENCY_UNSUPPORTED")


# --- Nothing is written ---------------------------------------------------------------------------
def written():
    """Rows that this session ever inserted, updated or deleted, by table (the open transaction too)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables ORDER BY relname"
        )
        return dict(cursor.fetchall())


def test_not_one_row_of_any_table_is_written(world):
    """The transaction's own write statistics, over every table, stay as they were."""
    owing(world, "party1", 3_000)
    world.set_controls(
        chargebacks={"enabled": True, "negativeBalanceMode": "net"}, dailyPayoutLimitCents=50_000
    )
    world.closed()
    before = written()
    assert sum(before.values()) > 0
    simulate(world, period="2026-01")
    simulate(world, "party_nobody_knows")
    assert written() == before


def test_a_tenant_that_has_no_controls_gets_no_row(world):
    from moneyrails.models import MoneyRailControls

    simulate(world)
    assert not MoneyRailControls.objects.exists()


def test_the_database_would_refuse_a_write(world, monkeypatch):
    """Should a gate ever write, the transaction is read-only: it fails, and says so."""
    from django.db import InternalError

    from moneyrails.queries import payout_facts
    from moneyrails.services import simulation

    def writes(tenant_id):
        payout_facts.make_controls(tenant_id=tenant_id, now=world.NOW)

    monkeypatch.setattr(simulation.controls, "get", writes)
    with pytest.raises(InternalError, match="read-only"):
        simulate(world)


def test_an_unknown_tenant_stays_unknown(api, db):
    from settld.tenants.models import Tenant

    stranger = api.as_tenant("tenant_never_seen")
    assert stranger.post(PATH, {"partyId": "p", "amountCents": 1}).status_code == 200
    assert not Tenant.objects.filter(tenant_id="tenant_never_seen").exists()


@pytest.mark.parametrize(
    "sent",
    [
        {}, {"partyId": "p"}, {"amountCents": 1}, {"partyId": "", "amountCents": 1},
        {"partyId": 5, "amountCents": 1}, {"partyId": "p", "amountCents": 0},
        {"partyId": "p", "amountCents": -1}, {"partyId": "p", "amountCents": 1.5},
        {"partyId": "p", "amountCents": True}, {"partyId": "p", "amountCents": 2**53},
        {"partyId": "p", "amountCents": 1, "period": "2026-13"}, {"partyId": "x" * 201, "amountCents": 1},
        {"partyId": "p", "amountCents": 1, "counterpartyRef": "x" * 501},
        {"partyId": "p\u0000", "amountCents": 1},
    ],
)  # fmt: skip
def test_a_hostile_body_is_refused_with_a_code(api, db, sent):
    assert refusal(api.post(PATH, sent)) == (400, "SCHEMA_INVALID")


def test_an_unknown_provider_has_its_own_code(api, db):
    answer = api.post(PATH, {"partyId": "p", "amountCents": 1, "providerId": "nope"})
    assert refusal(answer) == (400, "MONEY_RAIL_PROVIDER_UNKNOWN")
    assert body(api.post(PATH, {"partyId": "p", "amountCents": "12"}))["amountCents"] == 12
