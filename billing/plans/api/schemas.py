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
RESOLVED = openapi.obj(PLAN["properties"] | {"hardLimitEnforced": openapi.BOOL})
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
        "resolvedPlan": RESOLVED,
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

_OPTIONAL = openapi.maybe(openapi.TEXT)
_WHEN = openapi.maybe(openapi.INSTANT)
_SUBSCRIPTION = {
    "provider": _OPTIONAL,
    "customerId": _OPTIONAL,
    "subscriptionId": _OPTIONAL,
    "priceId": _OPTIONAL,
    "status": _OPTIONAL,
    "plan": _OPTIONAL,
    "currentPeriodStart": _WHEN,
    "currentPeriodEnd": _WHEN,
    "cancelAtPeriodEnd": openapi.BOOL,
    "canceledAt": _WHEN,
    "sourceEventCreatedAt": _WHEN,
    "lastEventId": _OPTIONAL,
    "lastEventType": _OPTIONAL,
    "updatedAt": openapi.INSTANT,
    "metadata": openapi.maybe(openapi.OBJECT),
}
SUBSCRIPTION_ANSWER = openapi.obj(
    {
        "tenantId": openapi.TEXT,
        "subscription": openapi.maybe(openapi.obj(_SUBSCRIPTION)),
        "resolvedPlan": RESOLVED,
    }
)
_INSTANT_IN: openapi.Schema = {
    "oneOf": [openapi.INSTANT, openapi.INT],
    "nullable": True,
    "description": "ISO 8601 with an offset, seconds since 1970, or above 10^12 milliseconds",
}
_SUBSCRIPTION_IN = {key: _INSTANT_IN if value is _WHEN else value for key, value in _SUBSCRIPTION.items()} | {
    "updatedAt": _INSTANT_IN,
    "cancelAtPeriodEnd": openapi.maybe(openapi.BOOL),
}
_RECORD_IN = openapi.obj(_SUBSCRIPTION_IN, optional=tuple(_SUBSCRIPTION_IN))
SUBSCRIPTION_BODY = openapi.obj(
    _SUBSCRIPTION_IN | {"subscription": openapi.maybe(_RECORD_IN)},
    optional=(*_SUBSCRIPTION_IN, "subscription"),
)

# A sum that no longer fits into what every JSON reader keeps is written as a text of digits.
SUM: openapi.Schema = {"oneOf": [openapi.INT, openapi.TEXT], "description": "a text of digits beyond 2^53-1"}
USAGE = openapi.obj(
    {
        "eventCount": openapi.INT,
        "eventTypeCounts": openapi.obj(
            {"verified_run": SUM, "settled_volume": SUM, "arbitration_usage": SUM}
        ),
        "verifiedRuns": SUM,
        "settledVolumeCents": SUM,
        "arbitrationCases": SUM,
        "unbilledVolumeByCurrency": openapi.mapping(SUM),
    },
    optional=("unbilledVolumeByCurrency",),
)
ESTIMATE = openapi.obj(
    {
        "subscriptionCents": openapi.CENTS,
        "includedVerifiedRunsPerMonth": openapi.INT,
        "verifiedRunOverageUnits": SUM,
        "verifiedRunOverageCents": SUM,
        "verifiedRunOverageMilliCents": SUM,
        "verifiedRunOverageCentsPerUnit": RATE,
        "verifiedRunOverageMilliCentsPerUnit": openapi.INT,
        "settledVolumeFeeBps": openapi.INT,
        "settledVolumeFeeCents": SUM,
        "arbitrationCaseFeeCents": openapi.CENTS,
        "arbitrationFeeCents": SUM,
        "totalEstimatedCents": SUM,
    }
)
ENFORCEMENT = openapi.obj(
    {
        "hardLimitVerifiedRunsPerMonth": openapi.INT,
        "hardLimitEnforced": openapi.BOOL,
        "hardLimitRemainingVerifiedRuns": openapi.maybe(openapi.INT),
        "wouldBlockNextVerifiedRun": openapi.BOOL,
    }
)
SUMMARY = openapi.obj(
    {
        "tenantId": openapi.TEXT,
        "period": openapi.TEXT,
        "plan": RESOLVED,
        "usage": USAGE,
        "estimate": ESTIMATE,
        "enforcement": ENFORCEMENT,
    }
)

_LINE = openapi.obj(
    {
        "code": openapi.one_of(
            "ARBITRATION_USAGE_FEE", "SETTLED_VOLUME_FEE", "SUBSCRIPTION_BASE", "VERIFIED_RUN_OVERAGE"
        ),
        "description": openapi.TEXT,
        "quantity": SUM,
        "unitAmountCents": RATE,
        "unitAmountBps": openapi.INT,
        "amountCents": SUM,
        "currency": openapi.TEXT,
        "sourceEventCount": openapi.INT,
        "sourceEventDigest": _OPTIONAL,
        "sourceEventKeys": openapi.many(openapi.TEXT),
    },
    optional=("unitAmountCents", "unitAmountBps"),
)
INVOICE = openapi.obj(
    {
        "schemaVersion": openapi.one_of("BillingInvoiceDraft.v1"),
        "period": openapi.TEXT,
        "generatedAt": openapi.INSTANT,
        "currency": openapi.TEXT,
        "eventCount": openapi.INT,
        "eventsDigest": openapi.TEXT,
        "lineItems": openapi.many(_LINE),
        "subtotalCents": SUM,
        "totalEstimatedCents": SUM,
    }
)
CLOSE_BODY = openapi.obj(
    {
        "period": _OPTIONAL,
        "month": _OPTIONAL,
        "cutoffAt": openapi.INSTANT,
        "dryRun": openapi.maybe(openapi.BOOL),
    },
    optional=("period", "month", "cutoffAt", "dryRun"),
)
CLOSE_ANSWER = openapi.obj(
    {
        "ok": {"type": "boolean", "enum": [True]},
        "tenantId": openapi.TEXT,
        "period": openapi.TEXT,
        "dryRun": openapi.BOOL,
        "cutoffAt": openapi.INSTANT,
        "eventsDigest": openapi.TEXT,
        "usage": USAGE,
        "estimate": ESTIMATE,
        "enforcement": ENFORCEMENT,
        "invoice": INVOICE,
        "artifact": openapi.maybe(
            openapi.obj(
                {"artifactId": openapi.TEXT, "artifactHash": openapi.TEXT, "deliveriesCreated": openapi.INT}
            )
        ),
    }
)
CLOSES = openapi.obj(
    {
        "tenantId": openapi.TEXT,
        "period": _OPTIONAL,
        "count": openapi.INT,
        "limit": openapi.INT,
        "offset": openapi.INT,
        "latest": openapi.maybe(openapi.OBJECT),
        "artifacts": openapi.many(openapi.OBJECT),
    }
)
