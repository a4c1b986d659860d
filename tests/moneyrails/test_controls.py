"""The tenant's rail controls: defaults, what PUT replaces and what it keeps, strict types (spec 2.9)."""

import pytest

DEFAULT_CONNECT = {
    "schemaVersion": "MoneyRailConnectConfig.v1", "enabled": False, "defaultAccountId": None, "accounts": [],
    "updatedAt": None,
}  # fmt: skip
DEFAULT_POLICY = {
    "schemaVersion": "MoneyRailChargebackPolicy.v1", "enabled": False, "negativeBalanceMode": "hold",
    "maxOutstandingCents": None, "updatedAt": None,
}  # fmt: skip
DEFAULTS = {
    "schemaVersion": "MoneyRailControls.v1", "realMoneyEnabled": False, "payoutKillSwitch": False,
    "maxPayoutAmountCents": None, "dailyPayoutLimitCents": None, "allowedProviderIds": None,
    "connect": DEFAULT_CONNECT, "chargebacks": DEFAULT_POLICY, "dailyMismatchAlertThreshold": None,
    "updatedAt": None, "payoutKillSwitchReason": None, "payoutKillSwitchExpiresAt": None,
    "payoutKillSwitchSetBy": None, "payoutKillSwitchSetAt": None, "fourEyes": None, "fourEyesInForce": False,
}  # fmt: skip


def put(world, payload, **more):
    from moneyrails.services import controls

    return controls.replace(tenant_id=world.TENANT, payload=payload, now=world.NOW, **more).after


def shown(world):
    from moneyrails.services import controls

    return controls.as_json(controls.get(tenant_id=world.TENANT))


def test_a_tenant_that_never_set_any_has_the_defaults_in_full(world):
    from moneyrails.models import MoneyRailControls

    assert shown(world) == DEFAULTS
    assert not MoneyRailControls.objects.exists()


def test_a_missing_payload_changes_nothing(world):
    from moneyrails.services import controls

    put(world, {"payoutKillSwitch": True})
    change = controls.replace(tenant_id=world.TENANT, now=world.NOW)
    assert change.before == change.after == shown(world)
    assert change.after["payoutKillSwitch"] is True


def test_an_object_replaces_and_what_it_lacks_returns_to_its_default(world):
    put(world, {"realMoneyEnabled": True, "maxPayoutAmountCents": "500", "chargebacks": {"enabled": True}})
    after = put(world, {"dailyPayoutLimitCents": 9, "allowedProviderIds": [" a ", "b", "a"]})

    assert after == DEFAULTS | {
        "dailyPayoutLimitCents": 9,
        "allowedProviderIds": ["a", "b"],
        "chargebacks": None,
        "updatedAt": "2026-03-10T12:00:00.000Z",
    }
    assert shown(world) == after


def test_null_is_all_defaults(world):
    connect = {"enabled": True, "accounts": [{"accountId": "acct_a"}], "defaultAccountId": "acct_a"}
    put(world, {"realMoneyEnabled": True, "chargebacks": {"enabled": True}, "connect": connect})
    assert put(world, None) == DEFAULTS
    assert shown(world) == DEFAULTS


def test_it_says_what_was_there_before(world):
    from moneyrails.services import controls

    change = controls.replace(tenant_id=world.TENANT, payload={"payoutKillSwitch": True}, now=world.NOW)
    assert (change.before, change.after["payoutKillSwitch"]) == (DEFAULTS, True)


def test_saving_a_control_keeps_the_connect_accounts(world):
    accounts = [{"accountId": "acct_b", "partyId": "p"}, {"accountId": "acct_a"}]
    put(world, {"connect": {"enabled": True, "accounts": accounts, "defaultAccountId": "acct_a"}})
    after = put(world, {"payoutKillSwitch": True})

    assert [row["accountId"] for row in after["connect"]["accounts"]] == ["acct_a", "acct_b"]
    assert (after["connect"]["enabled"], after["connect"]["defaultAccountId"]) == (True, "acct_a")
    kept = put(world, {"connect": {"enabled": False}})["connect"]
    assert (kept["enabled"], kept["defaultAccountId"], len(kept["accounts"])) == (False, "acct_a", 2)


@pytest.mark.parametrize(
    ("connect", "left"), [(None, None), ({"accounts": []}, []), ({"accounts": None}, [])]
)
def test_null_and_empty_clear_the_accounts(world, connect, left):
    put(world, {"connect": {"enabled": True, "accounts": [{"accountId": "acct_a"}]}})
    after = put(world, {"connect": connect})["connect"]
    assert (after and after["accounts"]) == left


def test_parties_may_change_places_between_accounts_and_kyb_is_kept(world):
    from moneyrails.models import ConnectAccount

    put(
        world,
        {
            "connect": {
                "accounts": [{"accountId": "acct_a", "partyId": "p"}, {"accountId": "acct_b", "partyId": "q"}]
            }
        },
    )
    ConnectAccount.objects.filter(account_id="acct_a").update(kyb_status="verified")
    put(
        world,
        {
            "connect": {
                "accounts": [{"accountId": "acct_a", "partyId": "q"}, {"accountId": "acct_b", "partyId": "p"}]
            }
        },
    )
    rows = ConnectAccount.objects.order_by("account_id").values_list("account_id", "party_id", "kyb_status")
    assert list(rows) == [("acct_a", "q", "verified"), ("acct_b", "p", "")]


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ([], "moneyRails must be an object or null"),
        ({"payoutKillSwitch": "true"}, "payoutKillSwitch must be a boolean"),
        ({"realMoneyEnabled": 1}, "realMoneyEnabled must be a boolean"),
        ({"realMoneyEnabled": None}, "realMoneyEnabled must be a boolean"),
        ({"maxPayoutAmountCents": -1}, "maxPayoutAmountCents must be from 0 to 9007199254740991"),
        ({"dailyPayoutLimitCents": True}, "dailyPayoutLimitCents must be an integer"),
        ({"dailyPayoutLimitCents": 1.5}, "dailyPayoutLimitCents must be an integer"),
        ({"allowedProviderIds": "a"}, "allowedProviderIds must be an array of at most 1000 strings"),
        ({"allowedProviderIds": [" "]}, "allowedProviderIds must hold non-empty strings"),
        ({"dailyMismatchAlertThreshold": 0}, "dailyMismatchAlertThreshold must be from 1 to 2147483647"),
        ({"chargebacks": {"negativeBalanceMode": "both"}}, "negativeBalanceMode must be one of hold, net"),
        ({"chargebacks": {"enabled": "yes"}}, "enabled must be a boolean"),
        ({"connect": {"accounts": [{"accountId": "nope"}]}}, "accountId must look like acct_..."),
        ({"connect": {"defaultAccountId": "acct_x"}}, "connect.defaultAccountId must name an account"),
        (
            {"connect": {"accounts": [{"accountId": f"acct_{x}", "partyId": "p"} for x in "ab"]}},
            "connect.accounts maps a party to two accounts",
        ),
    ],
)  # fmt: skip
def test_a_fault_is_named_and_changes_nothing(world, refused, payload, problem):
    put(world, {"maxPayoutAmountCents": 7})
    with refused("SCHEMA_INVALID") as caught:
        put(world, payload)
    assert (caught.value.status, caught.value.message) == (400, "invalid billing plan payload")
    assert caught.value.details == {"message": problem}
    assert shown(world)["maxPayoutAmountCents"] == 7
