"""Four eyes over HTTP: 202 for what loosens, 200 for what tightens, replays, decisions, permissions."""

import pytest

from tests.support.api import body, refusal

PLAN, APPROVALS = "/ops/finance/billing/plan", "/ops/approvals"
pytestmark = pytest.mark.django_db


@pytest.fixture
def person(api):
    """Log somebody in to the API who has a role in tenant_a."""
    from tests.ops_console.world import login, make_person
    from tests.support.api import Api

    def make(name, role="finance"):
        return Api(token="", client=login(make_person(name, {"tenant_a": role})))

    return make


@pytest.fixture
def guarded(api):
    """Four eyes on, caps of 500 and 5,000, payouts stopped."""
    sent = {
        "fourEyes": True, "maxPayoutAmountCents": 500, "dailyPayoutLimitCents": 5_000,
        "payoutKillSwitch": True, "allowedProviderIds": ["stub_default"],
        "chargebacks": {"enabled": True, "negativeBalanceMode": "hold", "maxOutstandingCents": 100},
        "connect": {"enabled": True},
    }  # fmt: skip
    assert api.put(PLAN, {"moneyRails": sent}).status_code == 200
    return sent


def rails(api):
    return body(api.get(PLAN))["billing"]["moneyRails"]


LOOSENING = [
    ({"realMoneyEnabled": True}, ["realMoneyEnabled"]),
    ({"payoutKillSwitch": False}, ["payoutKillSwitch"]),
    ({"maxPayoutAmountCents": 501}, ["maxPayoutAmountCents"]),
    ({"maxPayoutAmountCents": 0}, ["maxPayoutAmountCents"]),
    ({"maxPayoutAmountCents": None}, ["maxPayoutAmountCents"]),
    ({"dailyPayoutLimitCents": 5_001}, ["dailyPayoutLimitCents"]),
    ({"dailyPayoutLimitCents": None}, ["dailyPayoutLimitCents"]),
    ({"allowedProviderIds": ["stub_default", "stub_other"]}, ["allowedProviderIds"]),
    ({"allowedProviderIds": []}, ["allowedProviderIds"]),
    ({"allowedProviderIds": None}, ["allowedProviderIds"]),
    ({"chargebacks": None}, ["chargebacks.enabled"]),
    ({"chargebacks": {"enabled": False}}, ["chargebacks.enabled"]),
    (
        {"chargebacks": {"enabled": True, "negativeBalanceMode": "net"}},
        ["chargebacks.negativeBalanceMode", "chargebacks.maxOutstandingCents"],
    ),
    ({"connect": {"enabled": False}}, ["connect.enabled"]),
    ({"connect": None}, ["connect.enabled"]),
    ({"fourEyes": False}, ["fourEyes"]),
    ({"fourEyes": None}, ["fourEyes"]),  # this deployment's default is off
    ({"maxPayoutAmountCents": 400, "realMoneyEnabled": True}, ["realMoneyEnabled"]),
]  # fmt: skip


@pytest.mark.parametrize(("change", "fields"), LOOSENING)
def test_a_body_that_loosens_answers_202_and_nothing_of_it_is_done(api, guarded, change, fields):
    before = body(api.get(PLAN))

    answer = api.put(PLAN, {"plan": "growth", "moneyRails": guarded | change, "reason": "because"})

    assert answer.status_code == 202
    told = body(answer)
    assert (told["ok"], told["approval"]["status"], told["approval"]["requestReason"]) == (
        True, "pending", "because",
    )  # fmt: skip
    assert [entry["field"] for entry in told["approval"]["changes"]] == fields
    assert body(api.get(PLAN)) == before


def test_null_for_all_the_controls_loosens_everything(api, guarded):
    told = body(api.put(PLAN, {"moneyRails": None}))["approval"]
    assert [entry["field"] for entry in told["changes"]] == [
        "payoutKillSwitch", "maxPayoutAmountCents", "dailyPayoutLimitCents", "allowedProviderIds",
        "connect.enabled", "chargebacks.enabled", "fourEyes",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {}, {"maxPayoutAmountCents": 499}, {"dailyPayoutLimitCents": 1}, {"realMoneyEnabled": False},
        {"payoutKillSwitchReason": "an audit"}, {"dailyMismatchAlertThreshold": 5},
        {"chargebacks": {"enabled": True, "maxOutstandingCents": 99}},
        {"payoutKillSwitchExpiresAt": "2031-01-01T00:00:00Z"}, {"connect": {"enabled": True, "accounts": []}},
    ],
)  # fmt: skip
def test_a_body_that_only_tightens_applies_at_once(api, guarded, change):
    assert api.put(PLAN, {"moneyRails": guarded | change}).status_code == 200
    assert body(api.get(APPROVALS))["total"] == 0


def test_without_four_eyes_every_change_applies_at_once_as_it_always_did(api):
    assert rails(api)["fourEyesInForce"] is False
    api.put(PLAN, {"moneyRails": {"maxPayoutAmountCents": 5, "payoutKillSwitch": True}})
    answer = api.put(PLAN, {"moneyRails": {"realMoneyEnabled": True}})
    assert answer.status_code == 200
    assert rails(api)["realMoneyEnabled"] is True


def test_the_deployments_default_holds_where_the_tenant_says_nothing_and_absent_keeps(api, settings):
    settings.FOUR_EYES = True
    assert (rails(api)["fourEyes"], rails(api)["fourEyesInForce"]) == (None, True)
    assert api.put(PLAN, {"moneyRails": {"realMoneyEnabled": True}}).status_code == 202
    settings.FOUR_EYES = False
    api.put(PLAN, {"moneyRails": {"fourEyes": True}})
    api.put(PLAN, {"moneyRails": {}})
    assert (rails(api)["fourEyes"], rails(api)["fourEyesInForce"]) == (True, True)


@pytest.mark.parametrize(
    ("given", "is_production", "expected"),
    [(None, True, True), (None, False, False), ("0", True, False), ("1", False, True)],
)
def test_the_default_is_on_in_production_and_off_in_development(monkeypatch, given, is_production, expected):
    import environ

    from settld.settings_parsing import four_eyes

    monkeypatch.delenv("SETTLD_FOUR_EYES", raising=False)
    if given is not None:
        monkeypatch.setenv("SETTLD_FOUR_EYES", given)
    assert four_eyes(environ.Env(), is_production=is_production) is expected


def test_a_202_is_replayed_byte_for_byte_also_after_the_decision(api, guarded, person):
    sent = {"moneyRails": guarded | {"maxPayoutAmountCents": 900}}
    first = api.put(PLAN, sent, key="raise-1")
    again = api.put(PLAN, sent, key="raise-1")
    assert (again.status_code, again.content) == (202, first.content)
    assert again["x-idempotent-replay"] == "true"

    approval_id = body(first)["approval"]["approvalId"]
    path = f"{APPROVALS}/{approval_id}/approve"
    ben = person("ben")
    done = ben.post(path, {"reason": "agreed"}, key="ok-1")
    assert (done.status_code, body(done)["approval"]["status"]) == (200, "approved")
    assert ben.post(path, {"reason": "agreed"}, key="ok-1").content == done.content
    assert refusal(ben.post(path, {"reason": "agreed"}, key="ok-2")) == (409, "APPROVAL_NOT_PENDING")
    assert api.put(PLAN, sent, key="raise-1").content == first.content
    assert rails(api)["maxPayoutAmountCents"] == 900
    assert refusal(api.put(PLAN, {"moneyRails": {}}, key="raise-1")) == (409, "IDEMPOTENCY_CONFLICT")


def test_the_list_is_paged_filtered_and_shows_one(api, guarded):
    for cap in (600, 700, 800):
        api.put(PLAN, {"moneyRails": guarded | {"maxPayoutAmountCents": cap}})
    answer = body(api.get(f"{APPROVALS}?status=pending&limit=2&offset=1"))
    assert (answer["total"], answer["limit"], answer["offset"], len(answer["approvals"])) == (3, 2, 1, 2)
    one = answer["approvals"][0]
    assert body(api.get(f"{APPROVALS}/{one['approvalId']}"))["approval"] == one
    assert body(api.get(f"{APPROVALS}?status=approved"))["total"] == 0
    assert refusal(api.get(f"{APPROVALS}?status=maybe")) == (400, "SCHEMA_INVALID")
    assert refusal(api.get(f"{APPROVALS}?limit=0")) == (400, "SCHEMA_INVALID")
    assert refusal(api.get(f"{APPROVALS}/nope")) == (404, "NOT_FOUND")
    assert refusal(api.as_tenant("tenant_b").get(f"{APPROVALS}/{one['approvalId']}")) == (404, "NOT_FOUND")


@pytest.mark.parametrize("reason", [None, "", "  ", 7, ["x"], "x" * 1001])
@pytest.mark.parametrize("verb", ["approve", "reject", "withdraw"])
def test_a_decision_needs_a_reason(api, guarded, verb, reason):
    approval_id = body(api.put(PLAN, {"moneyRails": guarded | {"fourEyes": False}}))["approval"]["approvalId"]
    assert refusal(api.post(f"{APPROVALS}/{approval_id}/{verb}", {"reason": reason})) == (
        400,
        "SCHEMA_INVALID",
    )


def test_who_may_do_what(api, guarded, person):
    """Permission matrix: finance_read looks and simulates, finance_write asks and decides, nobody else."""
    approval_id = body(api.put(PLAN, {"moneyRails": guarded | {"fourEyes": False}}))["approval"]["approvalId"]
    one = f"{APPROVALS}/{approval_id}"
    reader, operator = person("reader", "approver"), person("operator", "operator")
    for path in (APPROVALS, one):
        assert reader.get(path).status_code == 200
        assert operator.get(path).status_code == 403
    for verb in ("approve", "reject", "withdraw"):
        for caller in (reader, operator, api.with_token("tok_read"), api.with_token("wrong")):
            assert refusal(caller.post(f"{one}/{verb}", {"reason": "x"})) == (403, "FORBIDDEN")
    for path in ("/ops/money-rails/kill-switch", "/ops/money-rails/kill-switch/lift"):
        assert refusal(reader.post(path, {"reason": "x"})) == (403, "FORBIDDEN")
    simulated = {"partyId": "p", "amountCents": 1}
    assert reader.post("/ops/money-rails/simulate", simulated).status_code == 200
    assert operator.post("/ops/money-rails/simulate", simulated).status_code == 403


def test_a_token_asks_and_the_same_token_cannot_approve(api, guarded):
    approval_id = body(api.put(PLAN, {"moneyRails": guarded | {"fourEyes": False}}))["approval"]["approvalId"]
    answer = api.post(f"{APPROVALS}/{approval_id}/approve", {"reason": "me again"})
    assert refusal(answer) == (403, "APPROVAL_SELF_FORBIDDEN")
    assert rails(api)["fourEyes"] is True


def test_a_stop_inside_a_body_that_loosens_stops_at_once_and_the_rest_waits(api):
    api.put(PLAN, {"moneyRails": {"fourEyes": True, "maxPayoutAmountCents": 5}})
    sent = {"moneyRails": {"payoutKillSwitch": True}, "reason": "fraud"}  # an absent cap is no cap
    answer = api.put(PLAN, sent)
    assert answer.status_code == 202
    assert body(answer)["notice"].startswith("payouts are stopped")
    now = rails(api)
    assert (now["payoutKillSwitch"], now["payoutKillSwitchReason"]) == (True, "fraud")
    assert now["maxPayoutAmountCents"] == 5
    changes = [change["field"] for change in body(answer)["approval"]["changes"]]
    assert changes == ["maxPayoutAmountCents"]

    again = body(api.put(PLAN, sent))

    assert again["approval"]["approvalId"] == body(answer)["approval"]["approvalId"]
    assert again["notice"].startswith("nothing of this request")


def test_what_we_ignore_is_not_kept_and_what_cannot_be_is_refused_when_asked(api, guarded):
    sent = {
        "moneyRails": guarded
        | {"fourEyes": False, "extra": [2**70, 1e300], "connect": {"enabled": True, "x": 1}}
    }
    assert refusal(api.put(PLAN, sent, key="odd"))[0] == 400  # a key's hash cannot cover such a number
    told = body(api.put(PLAN, sent))["approval"]
    assert "extra" not in told["body"]["moneyRails"]
    assert told["body"]["moneyRails"]["connect"] == {"enabled": True}
    sent = {
        "moneyRails": guarded
        | {"fourEyes": False, "connect": {"enabled": True, "defaultAccountId": "acct_no"}}
    }
    assert refusal(api.put(PLAN, sent)) == (400, "SCHEMA_INVALID")


def test_a_plan_without_controls_needs_nobody(api, guarded):
    answer = api.put(PLAN, {"plan": "enterprise"})
    assert (answer.status_code, body(answer)["billing"]["plan"]) == (200, "enterprise")


@pytest.mark.parametrize(
    "sent",
    [
        {"fourEyes": "yes"}, {"fourEyes": 1}, {"payoutKillSwitchReason": 5},
        {"payoutKillSwitchReason": "x" * 501}, {"payoutKillSwitchExpiresAt": "soon"},
        {"payoutKillSwitchExpiresAt": 5}, {"payoutKillSwitchExpiresAt": "9999-12-31T23:59:59-14:00"},
        {"maxPayoutAmountCents": 2**53},
    ],
)  # fmt: skip
def test_hostile_controls_are_refused_with_a_code(api, sent):
    assert refusal(api.put(PLAN, {"moneyRails": sent})) == (400, "SCHEMA_INVALID")
