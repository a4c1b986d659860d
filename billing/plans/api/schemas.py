"""What the plan routes take and answer, for the published description."""

from settld.api import openapi

RATE: openapi.Schema = {"type": "number", "description": "cents, at most three decimals"}
_LIMITS = {
    "subscriptionCents": openapi.CENTS,
    "includedVerifiedRunsPerMonth": openapi.INT,
    "verifiedRunOverageCents": RATE,
    "verifiedRunOverageMilliCents": openapi.INT,
    "settledVolumeFeeBps": openapi.INT,
    "arbitrationCaseFeeCents": openapi.CENTS,
    "hardLimitVerifiedRunsPerMonth": openapi.INT,
}
PLAN = openapi.obj({"planId": openapi.TEXT, "displayName": openapi.TEXT} | _LIMITS)
OVERRIDES = openapi.maybe(openapi.obj(_LIMITS, optional=tuple(_LIMITS)))
CATALOG = openapi.obj({"schemaVersion": openapi.TEXT, "plans": openapi.mapping(PLAN)})
_POLICY = openapi.obj(
    {
        "schemaVersion": openapi.TEXT,
        "enabled": openapi.BOOL,
        "negativeBalanceMode": openapi.one_of("hold", "net"),
        "maxOutstandingCents": openapi.maybe(openapi.CENTS),
        "updatedAt": openapi.maybe(openapi.INSTANT),
    },
    optional=("schemaVersion", "enabled", "negativeBalanceMode", "maxOutstandingCents", "updatedAt"),
)
_CONTROLS = {
    "schemaVersion": openapi.TEXT,
    "realMoneyEnabled": openapi.BOOL,
    "payoutKillSwitch": openapi.BOOL,
    "payoutKillSwitchReason": openapi.maybe(openapi.TEXT),
    "payoutKillSwitchExpiresAt": openapi.maybe(openapi.INSTANT),
    "payoutKillSwitchSetBy": openapi.maybe(openapi.TEXT),
    "payoutKillSwitchSetAt": openapi.maybe(openapi.INSTANT),
    "maxPayoutAmountCents": openapi.maybe(openapi.CENTS),
    "dailyPayoutLimitCents": openapi.maybe(openapi.CENTS),
    "allowedProviderIds": openapi.maybe(openapi.many(openapi.TEXT)),
    "connect": openapi.maybe(openapi.OBJECT),
    "chargebacks": openapi.maybe(_POLICY),
    "dailyMismatchAlertThreshold": openapi.maybe(openapi.INT),
    "fourEyes": openapi.maybe(openapi.BOOL),
    "fourEyesInForce": openapi.BOOL,
    "updatedAt": openapi.maybe(openapi.INSTANT),
}
CONTROLS = openapi.obj(_CONTROLS)
ANSWER = openapi.obj(
    {
        "tenantId": openapi.TEXT,
        "billing": openapi.obj(
            {
                "plan": openapi.TEXT,
                "planOverrides": OVERRIDES,
                "hardLimitEnforced": openapi.BOOL,
                "moneyRails": CONTROLS,
            }
        ),
        "resolvedPlan": openapi.obj(PLAN["properties"] | {"hardLimitEnforced": openapi.BOOL}),
    }
)
BODY = openapi.obj(
    {
        "plan": openapi.maybe(openapi.TEXT),
        "planOverrides": OVERRIDES,
        "hardLimitEnforced": openapi.maybe(openapi.BOOL),
        "moneyRails": openapi.maybe(openapi.obj(_CONTROLS, optional=tuple(_CONTROLS))),
        "reason": openapi.maybe(openapi.TEXT),
    },
    optional=("plan", "planOverrides", "hardLimitEnforced", "moneyRails", "reason"),
)
