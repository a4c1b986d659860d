"""POST …/stripe-connect/accounts/sync (2.5): what is asked, what is written, what a rival edit leaves."""

import dataclasses

import pytest

from tests.moneyrails import connect
from tests.moneyrails.connect import BASE, STRIPE, audits, put, shown, stripe, sync
from tests.support.api import body, refusal

__all__ = ["stripe"]


def row(account_id="acct_a", tenant_id="tenant_a"):
    from moneyrails.models import ConnectAccount
    from settld.core import tenancy

    with tenancy.tenant_scope(tenant_id):
        return ConnectAccount.objects.filter(tenant_id=tenant_id, account_id=account_id).first()


# --- Results --------------------------------------------------------------------------------------
def test_a_sync_tells_each_result_and_writes_it(stripe, api):
    put(api, "acct_a")
    put(api, "acct_b")
    stripe.answers["acct_b"] = connect.asking(
        "acct_b", currently_due=["b", "a", "b"], pending_verification=["c"]
    )

    told = sync(api)

    assert (told["tenantId"], told["providerId"], told["dryRun"]) == ("tenant_a", STRIPE, False)
    assert told["summary"] == {"requestedCount": 2, "syncedCount": 2, "failedCount": 0}
    assert told["results"] == [
        {
            "accountId": "acct_a", "ok": True, "payoutsEnabled": True, "transfersEnabled": True,
            "kybStatus": "verified", "kybCurrentlyDueCount": 0, "kybPendingVerificationCount": 0,
            "kybDisabledReason": None,
        },
        {
            "accountId": "acct_b", "ok": True, "payoutsEnabled": True, "transfersEnabled": True,
            "kybStatus": "pending", "kybCurrentlyDueCount": 2, "kybPendingVerificationCount": 1,
            "kybDisabledReason": None,
        },
    ]  # fmt: skip
    assert told["connect"] == body(api.get(BASE))["connect"]
    assert shown(api, "acct_b")["kybCurrentlyDue"] == ["a", "b"]
    assert shown(api, "acct_b")["kybPendingVerification"] == ["c"]
    assert shown(api)["kybLastSyncAt"] is not None
    assert audits("STRIPE_CONNECT_ACCOUNTS_SYNC") == [
        (
            STRIPE,
            {"providerId": STRIPE, "dryRun": False, "requestedCount": 2, "syncedCount": 2, "failedCount": 0},
        )
    ]


def test_one_target_s_failure_is_its_own_result(stripe, api):
    put(api, "acct_a")
    put(api, "acct_b")
    stripe.answers["acct_a"] = connect.failure()

    told = sync(api, "acct_a", "acct_nobody", "acct_b", "acct_a")

    assert stripe.asked.count("acct_nobody") == 0
    assert told["summary"] == {"requestedCount": 3, "syncedCount": 1, "failedCount": 2}
    first, second, third = told["results"]
    assert (first["accountId"], first["ok"], first["code"]) == ("acct_a", False, "STRIPE_CONNECT_SYNC_FAILED")
    assert first["error"]["category"] == "network_error"
    assert second == {
        "accountId": "acct_nobody", "ok": False, "code": "STRIPE_CONNECT_ACCOUNT_NOT_CONFIGURED",
        "error": "stripe connect account is not configured",
    }  # fmt: skip
    assert (third["accountId"], third["ok"]) == ("acct_b", True)


@pytest.mark.parametrize(
    ("answer", "status", "payouts", "transfers"),
    [
        (connect.account(), "verified", True, True),
        (connect.account(capabilities={}, transfers_enabled=True), "verified", True, True),
        (connect.account(capabilities={"transfers": "pending"}), "pending", True, False),
        (connect.account(payouts_enabled=1), "pending", False, True),
        (connect.account(disabled_reason="rejected.fraud"), "rejected", True, True),
        (connect.rejected(), "rejected", False, True),
        (connect.asking(currently_due=["a"]), "pending", True, True),
        (connect.asking(pending_verification=["a"]), "pending", True, True),
        (connect.asking(eventually_due=["a"]), "verified", True, True),
        (connect.account(details_submitted=False), "restricted", True, True),
        (connect.asking(currently_due=["a"]) | {"details_submitted": False}, "pending", True, True),
        (connect.account(payouts_enabled=False), "pending", False, True),
        ({"id": "acct_a", "object": "account"}, "restricted", False, False),
    ],
)  # fmt: skip
def test_the_snapshot_is_judged_by_the_first_rule_that_matches(
    stripe, api, answer, status, payouts, transfers
):
    put(api)
    stripe.answers["acct_a"] = answer

    (told,) = sync(api)["results"]

    assert (told["kybStatus"], told["payoutsEnabled"], told["transfersEnabled"]) == (
        status,
        payouts,
        transfers,
    )
    assert shown(api)["kybStatus"] == status


def test_what_the_database_cannot_hold_is_taken_out_of_stripe_s_texts(stripe, api):
    put(api)
    stripe.answers["acct_a"] = connect.asking(
        currently_due=["a\x00b", 7, None, "x" * 9_000, *[f"n{number:04d}" for number in range(3_000)]],
        disabled_reason="bad\x00reason\ud800",
    )

    (told,) = sync(api)["results"]

    assert (told["kybDisabledReason"], told["kybCurrentlyDueCount"]) == ("badreason", 500)
    assert shown(api)["kybCurrentlyDue"][0] == "ab"


def test_an_answer_about_another_account_is_a_failure(stripe, api):
    put(api)
    stripe.answers["acct_a"] = connect.rejected("acct_other")

    (told,) = sync(api)["results"]

    assert (told["ok"], told["error"]["message"]) == (False, "Stripe answered with another account")
    assert shown(api)["status"] == "active"


# --- Status ---------------------------------------------------------------------------------------
def test_rejected_disables_and_the_provider_s_own_disabling_ends_with_it(stripe, api):
    put(api, partyId="p1")
    stripe.answers["acct_a"] = connect.rejected()
    sync(api)
    assert (shown(api)["status"], row().disabled_by) == ("disabled", "provider")

    stripe.answers["acct_a"] = connect.account()
    sync(api)

    assert (shown(api)["status"], shown(api)["kybStatus"]) == ("active", "verified")
    changed = [details["changes"]["status"] for _, details in audits("STRIPE_CONNECT_ACCOUNT_CHANGED")]
    assert changed == [
        {"before": "active", "after": "disabled"},
        {"before": "disabled", "after": "active"},
    ]


@pytest.mark.parametrize("answer", [connect.account(), connect.rejected()])
def test_what_an_operator_disabled_stays_disabled(stripe, api, answer):
    put(api, status="disabled")
    stripe.answers["acct_a"] = answer

    sync(api)
    stripe.answers["acct_a"] = connect.account()
    sync(api)

    assert (shown(api)["status"], row().disabled_by) == ("disabled", "operator")


def test_an_operator_may_take_a_provider_s_disabling_over(stripe, api):
    put(api)
    stripe.answers["acct_a"] = connect.rejected()
    sync(api)
    put(api, status="disabled")
    stripe.answers["acct_a"] = connect.account()

    sync(api)

    assert shown(api)["status"] == "disabled"


# --- Dry run, idempotency, bounds -----------------------------------------------------------------
def test_a_dry_run_writes_nothing_but_the_audit(stripe, api):
    put(api)
    before = shown(api)
    stripe.answers["acct_a"] = connect.rejected()

    told = sync(api, dryRun=True)

    assert (told["dryRun"], told["results"][0]["kybStatus"]) == (True, "rejected")
    assert shown(api) == before
    assert [details["dryRun"] for _, details in audits("STRIPE_CONNECT_ACCOUNTS_SYNC")] == [True]
    assert audits("STRIPE_CONNECT_ACCOUNT_CHANGED") == []


def test_a_repeat_under_one_key_replays_and_asks_nobody(stripe, api):
    put(api)
    first = api.post(f"{BASE}/sync", {"providerId": STRIPE}, key="k")
    put(api, "acct_b")
    again = api.post(f"{BASE}/sync", {"providerId": STRIPE}, key="k")

    assert (again.content, again["x-idempotent-replay"]) == (first.content, "true")
    assert stripe.asked == ["acct_a"]
    assert len(audits("STRIPE_CONNECT_ACCOUNTS_SYNC")) == 1


def test_the_effective_provider_is_part_of_the_request(stripe, api, settings):
    put(api)
    assert api.post(f"{BASE}/sync?providerId={STRIPE}", {}, key="k").status_code == 200
    same = api.post(f"{BASE}/sync?providerId={STRIPE}", {}, key="k")
    assert same["x-idempotent-replay"] == "true"
    other = api.post(f"{BASE}/sync", {}, key="k")
    assert refusal(other) == (409, "IDEMPOTENCY_CONFLICT")
    assert body(other)["details"] == "request differs from initial use of this key"


def test_the_body_names_the_provider_before_the_query(stripe, api):
    put(api)
    told = api.post(f"{BASE}/sync?providerId=stripe_nowhere", {"providerId": STRIPE})
    assert body(told)["providerId"] == STRIPE


def test_a_twin_that_ends_first_is_replayed(stripe, api):
    """Both ask Stripe, which is harmless; one writes, the other answers with its reply."""
    put(api)
    answers = []
    stripe.meanwhile = lambda: answers.append(api.post(f"{BASE}/sync", {"providerId": STRIPE}, key="k"))

    late = api.post(f"{BASE}/sync", {"providerId": STRIPE}, key="k")

    assert (late.content, late["x-idempotent-replay"]) == (answers[0].content, "true")
    assert len(audits("STRIPE_CONNECT_ACCOUNTS_SYNC")) == 1


def test_the_provider_must_be_stripe_known_and_reachable(stripe, api, settings):
    put(api)
    wrong = api.post(f"{BASE}/sync", {"providerId": "stub_default"})
    assert refusal(wrong) == (400, "SCHEMA_INVALID")
    assert body(wrong)["error"] == "stripe connect sync requires a stripe provider"
    assert body(wrong)["details"] == {"providerId": "stub_default"}
    assert refusal(api.post(f"{BASE}/sync", {}))[0] == 400  # the default provider of this deployment
    assert refusal(api.post(f"{BASE}/sync", {"providerId": "stripe_nowhere"})) == (404, "NOT_FOUND")
    settings.STRIPE = dataclasses.replace(settings.STRIPE, secret_key="")
    answer = api.post(f"{BASE}/sync", {"providerId": STRIPE})
    assert refusal(answer) == (409, "STRIPE_SECRET_KEY_REQUIRED")
    assert (stripe.asked, audits("STRIPE_CONNECT_ACCOUNTS_SYNC")) == ([], [])


@pytest.mark.parametrize(
    "sent",
    [
        {"accountIds": "acct_a"}, {"accountIds": {"a": 1}}, {"accountIds": [1]}, {"accountIds": [None]},
        {"accountIds": [["acct_a"]]}, {"accountIds": ["nope"]}, {"accountIds": [""]},
        {"accountIds": ["acct_a\u0000"]}, {"accountIds": ["acct_é"]}, {"dryRun": "true"}, {"dryRun": 1},
        {"accountIds": [f"acct_{number}" for number in range(201)]}, {"accountIds": ["acct_" + "a" * 500]},
        {"accountIds": ["acct_a"] * 20_001}, {"providerId": 7},
    ],
)  # fmt: skip
def test_a_body_of_the_wrong_shape_asks_nobody(stripe, api, sent):
    put(api)

    answer = api.post(f"{BASE}/sync", {"providerId": STRIPE} | sent)

    assert refusal(answer) == (400, "SCHEMA_INVALID")
    assert body(answer)["error"] in ("invalid stripe connect sync payload", "invalid JSON body")
    assert stripe.asked == []


def test_repeats_count_once_and_two_hundred_pass(stripe, api):
    wanted = [f"acct_{number:03d}" for number in range(200)]
    told = sync(api, *wanted, *wanted)
    assert told["summary"] == {"requestedCount": 200, "syncedCount": 0, "failedCount": 200}


def test_more_than_two_hundred_configured_cannot_be_meant_at_once(stripe, api):
    accounts = [{"accountId": f"acct_{number:03d}"} for number in range(201)]
    plan = {"moneyRails": {"connect": {"enabled": True, "accounts": accounts}}}
    assert api.put("/ops/finance/billing/plan", plan).status_code == 200

    answer = api.post(f"{BASE}/sync", {"providerId": STRIPE})

    assert refusal(answer) == (400, "SCHEMA_INVALID")
    assert body(answer)["error"] == "invalid stripe connect sync payload"
    assert sync(api, "acct_200")["summary"]["syncedCount"] == 1


def test_who_is_not_reached_in_time_is_told_and_stays_as_it_was(stripe, api, monkeypatch):
    from moneyrails.services import connect_sync

    put(api)
    monkeypatch.setattr(connect_sync, "BUDGET_SECONDS", -1.0)

    (told,) = sync(api)["results"]

    assert (told["code"], told["error"]["retryable"]) == ("STRIPE_CONNECT_SYNC_FAILED", True)
    assert (stripe.asked, shown(api)["kybLastSyncAt"]) == ([], None)
