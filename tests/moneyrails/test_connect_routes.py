"""GET, PUT, DELETE /ops/finance/money-rails/stripe-connect/accounts (2.5)."""

import pytest

from tests.moneyrails.connect import BASE, audits, put, shown
from tests.support.api import body, refusal

NEW = {
    "schemaVersion": "MoneyRailConnectAccount.v1", "accountId": "acct_a", "partyId": None, "partyRole": None,
    "payoutsEnabled": True, "transfersEnabled": True, "status": "active", "kybStatus": None,
    "kybCurrentlyDue": [], "kybPendingVerification": [], "kybDisabledReason": None, "kybLastSyncAt": None,
    "kybLastSyncError": None,
}  # fmt: skip


def test_nothing_configured_is_an_empty_configuration(db, api):
    answer = api.get(BASE)

    assert body(answer) == {
        "tenantId": "tenant_a",
        "connect": {
            "schemaVersion": "MoneyRailConnectConfig.v1", "enabled": False, "defaultAccountId": None,
            "accounts": [], "updatedAt": None,
        },
        "summary": {
            "totalAccounts": 0, "activeCount": 0, "payoutsEnabledCount": 0, "verifiedCount": 0,
            "pendingCount": 0, "rejectedCount": 0, "defaultAccountId": None,
        },
    }  # fmt: skip


def test_a_new_account_has_the_defaults(db, api):
    made = put(api)

    updated = made["account"].pop("updatedAt")
    assert made["account"] == NEW
    assert made["connect"]["updatedAt"] == updated
    assert (made["tenantId"], made["connect"]["enabled"]) == ("tenant_a", False)
    assert audits("STRIPE_CONNECT_ACCOUNT_UPSERT") == [
        (
            "acct_a",
            {
                "accountId": "acct_a", "partyId": None, "status": "active", "payoutsEnabled": True,
                "isDefault": False,
            },
        )
    ]  # fmt: skip


def test_absent_members_keep_and_the_provider_s_facts_stay(db, api):
    from moneyrails.models import ConnectAccount
    from settld.core import tenancy

    put(api, partyId="p1", partyRole="operator", payoutsEnabled=False, setDefault=True, enableConnect=True)
    with tenancy.tenant_scope("tenant_a"):
        ConnectAccount.objects.update(kyb_status="pending", kyb_currently_due=["x"])

    again = put(api, transfersEnabled=False)

    row = again["account"]
    assert (row["partyId"], row["partyRole"], row["payoutsEnabled"]) == ("p1", "operator", False)
    assert (row["transfersEnabled"], row["kybStatus"], row["kybCurrentlyDue"]) == (False, "pending", ["x"])
    assert (again["connect"]["enabled"], again["connect"]["defaultAccountId"]) == (True, "acct_a")
    assert put(api, partyId=None, partyRole=" ")["account"]["partyId"] is None
    assert shown(api)["partyRole"] is None


def test_the_default_moves_and_is_cleared_only_by_its_own_account(db, api):
    put(api, "acct_a", setDefault=True)
    assert put(api, "acct_b", setDefault=False)["connect"]["defaultAccountId"] == "acct_a"
    assert put(api, "acct_b", setDefault=True)["connect"]["defaultAccountId"] == "acct_b"
    assert put(api, "acct_b", setDefault=False)["connect"]["defaultAccountId"] is None


def test_enable_connect_enables_and_its_absence_leaves(db, api):
    assert put(api, enableConnect=True)["connect"]["enabled"] is True
    assert put(api, enableConnect=False)["connect"]["enabled"] is True
    assert put(api)["connect"]["enabled"] is True


def test_the_summary_counts(db, api):
    from moneyrails.models import ConnectAccount
    from settld.core import tenancy

    put(api, "acct_b", payoutsEnabled=False)
    put(api, "acct_c", status="disabled")
    put(api, "acct_a", setDefault=True)
    put(api, "acct_d")
    with tenancy.tenant_scope("tenant_a"):
        for account_id, kyb in (("acct_a", "verified"), ("acct_b", "pending"), ("acct_c", "rejected")):
            ConnectAccount.objects.filter(account_id=account_id).update(kyb_status=kyb)

    answer = body(api.get(BASE))

    assert [row["accountId"] for row in answer["connect"]["accounts"]] == [f"acct_{x}" for x in "abcd"]
    assert answer["summary"] == {
        "totalAccounts": 4, "activeCount": 3, "payoutsEnabledCount": 2, "verifiedCount": 1,
        "pendingCount": 1, "rejectedCount": 1, "defaultAccountId": "acct_a",
    }  # fmt: skip


def test_a_party_maps_to_one_account(db, api):
    put(api, "acct_a", partyId="p1")

    answer = api.put(f"{BASE}/acct_b", {"partyId": "p1"})

    assert refusal(answer) == (409, "STRIPE_CONNECT_PARTY_CONFLICT")
    assert body(answer)["details"] == {"partyId": "p1", "conflictingAccountId": "acct_a"}
    assert shown(api, "acct_b") is None
    assert len(audits("STRIPE_CONNECT_ACCOUNT_UPSERT")) == 1
    assert put(api, "acct_a", partyId="p1")["account"]["partyId"] == "p1"
    assert put(api.as_tenant("tenant_b"), "acct_b", partyId="p1")["account"]["partyId"] == "p1"


@pytest.mark.parametrize(
    "account_id",
    ["acct_", "ACCT_1", "acct_a%20", "acct_%C3%A9", "a/b", "acct_a%2Fb", "acct_" + "a" * 200],
)
def test_a_bad_account_id_is_a_clear_400(db, api, account_id):
    for answer in (api.put(f"{BASE}/{account_id}", {}), api.call("DELETE", f"{BASE}/{account_id}")):
        assert refusal(answer) == (400, "SCHEMA_INVALID")
        assert body(answer)["error"] == "invalid stripe connect account payload"


@pytest.mark.parametrize(
    "wish",
    [
        {"partyId": 1}, {"partyId": ["p"]}, {"partyId": "p" * 201}, {"partyRole": {}},
        {"partyRole": "r" * 41},
        {"status": "gone"}, {"status": None}, {"status": True}, {"payoutsEnabled": "true"},
        {"payoutsEnabled": 1}, {"payoutsEnabled": None}, {"transfersEnabled": []}, {"setDefault": "yes"},
        {"enableConnect": 0}, {"partyId": "p\x00"},
    ],
)  # fmt: skip
def test_a_wish_of_the_wrong_shape_changes_nothing(db, api, wish):
    answer = api.put(f"{BASE}/acct_a", wish)

    assert refusal(answer) == (400, "SCHEMA_INVALID")
    assert shown(api) is None


def test_delete_forgets_the_account_and_its_default_and_says_so(db, api):
    put(api, partyId="p1", setDefault=True, enableConnect=True)

    answer = api.call("DELETE", f"{BASE}/acct_a")

    told = body(answer)
    assert (answer.status_code, told["tenantId"], told["deleted"]) == (200, "tenant_a", True)
    assert (told["accountId"], told["connect"]["accounts"]) == ("acct_a", [])
    assert (told["connect"]["defaultAccountId"], told["connect"]["enabled"]) == (None, True)
    assert audits("STRIPE_CONNECT_ACCOUNT_DELETE") == [("acct_a", {"accountId": "acct_a", "partyId": "p1"})]
    again = api.call("DELETE", f"{BASE}/acct_a")
    assert refusal(again) == (404, "NOT_FOUND")
    assert body(again)["error"] == "stripe connect account not found"


def test_another_tenant_s_account_is_not_found(db, api):
    put(api.as_tenant("tenant_b"))
    assert refusal(api.call("DELETE", f"{BASE}/acct_a"))[0] == 404
    assert shown(api) is None


def test_reading_and_writing_need_their_scopes(db, api):
    reader = api.with_token("tok_read")
    assert reader.get(BASE).status_code == 200
    for answer in (
        reader.put(f"{BASE}/acct_a", {}),
        reader.call("DELETE", f"{BASE}/acct_a"),
        reader.post(f"{BASE}/sync", {}),
        api.with_token("").get(BASE),
    ):
        assert refusal(answer) == (403, "FORBIDDEN")


def test_the_plan_shows_the_same_configuration_and_keeps_it(db, api):
    put(api, partyId="p1", enableConnect=True)
    plan = "/ops/finance/billing/plan"

    assert api.put(plan, {"moneyRails": {"payoutKillSwitch": False}}).status_code == 200

    assert body(api.get(plan))["billing"]["moneyRails"]["connect"] == body(api.get(BASE))["connect"]


def test_reading_costs_the_same_whatever_is_configured(db, api, django_assert_max_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def cost():
        with CaptureQueriesContext(connection) as captured:
            assert api.get(BASE).status_code == 200
        return len(captured)

    put(api, "acct_0")
    few = cost()
    for number in range(1, 12):
        put(api, f"acct_{number}")
    assert cost() == few


# --- Repeats (P4) -----------------------------------------------------------------------------------
def test_a_late_repeat_of_an_old_put_does_not_undo_what_was_decided_since(db, api):
    first = api.put(f"{BASE}/acct_a", {"status": "active"}, key="k1")
    api.put(f"{BASE}/acct_a", {"status": "disabled"}, key="k2")

    again = api.put(f"{BASE}/acct_a", {"status": "active"}, key="k1")

    assert (again.content, again["x-idempotent-replay"]) == (first.content, "true")
    [row] = body(api.get(BASE))["connect"]["accounts"]
    assert row["status"] == "disabled"


def test_a_repeated_delete_is_answered_as_the_first(db, api):
    api.put(f"{BASE}/acct_a", {})
    first = api.call("DELETE", f"{BASE}/acct_a", key="k1")
    again = api.call("DELETE", f"{BASE}/acct_a", key="k1")
    assert (first.status_code, again.content) == (200, first.content)
