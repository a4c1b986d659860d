"""How this room's answers look, for the published description."""

from reconciliation.queries.comparison import GROUPS
from reconciliation.queries.provider_comparison import PROVIDER_GROUPS
from reconciliation.states import (
    OPERATION_STATES,
    PROVIDER_REPORT_SCHEMA,
    ReportStatus,
    Severity,
    SourceType,
    TriageStatus,
)
from settld.api.openapi import BOOL, CENTS, INSTANT, INT, OBJECT, TEXT, Schema, many, maybe, obj, one_of

PERIOD: Schema = {"type": "string", "pattern": r"^\d{4}-(0[1-9]|1[0-2])$"}
_PAYOUT = {"operationId": TEXT, "payoutKey": TEXT}
_ROWS: dict[str, Schema] = {
    "missingOperations": obj(
        {**_PAYOUT, "amountCents": CENTS, "currency": TEXT, "partyId": maybe(TEXT), "artifactId": TEXT}
    ),
    "amountMismatches": obj({**_PAYOUT, "expectedAmountCents": CENTS, "actualAmountCents": CENTS}),
    "currencyMismatches": obj({**_PAYOUT, "expectedCurrency": TEXT, "actualCurrency": TEXT}),
    "terminalFailures": obj({**_PAYOUT, "state": TEXT, "reasonCode": maybe(TEXT)}),
    "unexpectedOperations": obj(
        {**_PAYOUT, "amountCents": CENTS, "currency": TEXT, "state": TEXT, "reasonCode": maybe(TEXT)}
    ),
    "duplicateExpected": obj({**_PAYOUT, "primaryArtifactId": TEXT, "duplicateArtifactId": TEXT}),
    "indeterminateOperations": obj({**_PAYOUT, "attempt": INT, "since": INSTANT}),
    "unreferencedMovements": obj({"operationId": TEXT, "providerRef": maybe(TEXT), "amountCents": CENTS}),
}
_COUNTS = (
    "expectedPayoutCount",
    "operationCount",
    "matchedCount",
    "settledCount",
    "inFlightCount",
    "cancelledCount",
    "offsetSettledCount",
    "criticalMismatchCount",
)
SUMMARY = obj(
    dict.fromkeys(_COUNTS, INT)
    | {
        "expectedPayoutAmountCents": {"anyOf": [CENTS, {"type": "string", "pattern": "^[0-9]+$"}]},
        "operationStateCounts": obj(dict.fromkeys(OPERATION_STATES, INT)),
    }
)
STATUS = one_of(*TriageStatus.values)
OVERLAY = obj(
    {
        "status": STATUS,
        "ownerPrincipalId": maybe(TEXT),
        "severity": maybe(one_of(*Severity.values)),
        "notes": maybe(TEXT),
        "revision": INT,
        "updatedAt": INSTANT,
        "drifted": BOOL,
    }
)
QUEUE_ROW = obj(
    {
        "sourceType": TEXT,
        "period": maybe(PERIOD),
        "providerId": maybe(TEXT),
        "mismatchType": TEXT,
        "mismatchKey": TEXT,
        "mismatchCode": TEXT,
        "severity": one_of(*Severity.values),
        "title": TEXT,
        "details": OBJECT,
        "mismatchHash": TEXT,
        "triageKey": TEXT,
        "triage": maybe(OVERLAY),
    }
)
_COUNTED = maybe({"type": "object", "additionalProperties": INT})
_QUEUED: dict[str, Schema] = {
    "triageQueue": many(QUEUE_ROW),
    "triageSummary": obj(
        {
            "total": INT,
            "byStatus": obj(dict.fromkeys(TriageStatus.values, INT)),
            "unresolved": INT,
            "resolved": INT,
        }
    ),
    "truncated": _COUNTED,
}
_ARTIFACT = maybe(obj({"artifactId": TEXT, "artifactHash": TEXT, "deliveriesCreated": INT}))
PROVIDER_SIDE = obj(
    {
        "schemaVersion": one_of(PROVIDER_REPORT_SCHEMA),
        "status": one_of(*ReportStatus.values, "not_read", "unsupported"),
        "reportHash": maybe(TEXT),
        "coverage": obj(
            {
                "from": maybe(INSTANT),
                "to": maybe(INSTANT),
                "readAt": maybe(INSTANT),
                "errorCode": maybe(TEXT),
                "errorAt": maybe(INSTANT),
                "inFlightCount": INT,
                "uncheckedCount": INT,
            }
        ),
        "summary": maybe(
            obj(
                {
                    "transferCount": INT,
                    "transferAmountCents": CENTS,
                    "reversedAmountCents": CENTS,
                    "sentOperationCount": INT,
                    "sentAmountCents": CENTS,
                    "matchedCount": INT,
                    "mismatchCount": INT,
                }
            )
        ),
        "mismatches": maybe(obj({group: many(OBJECT) for group in PROVIDER_GROUPS})),
        "artifact": _ARTIFACT,
        **_QUEUED,
    },
    optional=("truncated",),
)
RUN_SUMMARY = obj(
    dict.fromkeys(
        (
            "tenantCount", "attempted", "reconciled", "passCount", "failCount", "skippedNoInputs", "errored",
            "artifactsPersisted", "deliveriesCreated",
        ),
        INT,
    )
)  # fmt: skip
RAIL_RUN = obj(
    {
        "ok": BOOL,
        "period": maybe(TEXT),
        "providerId": maybe(TEXT),
        "runtimeMs": INT,
        "summary": RUN_SUMMARY,
        "results": many(OBJECT),
        "skipped": BOOL,
        "reason": one_of("disabled", "interval_not_elapsed"),
        "nextEligibleAt": INSTANT,
        "providerSide": obj({"statement": maybe(OBJECT), "results": many(OBJECT)}),
    },
    optional=("skipped", "reason", "nextEligibleAt", "providerSide"),
)
RAIL_RECONCILE = obj(
    {
        "ok": {"type": "boolean", "enum": [True]},
        "tenantId": TEXT,
        "period": PERIOD,
        "providerId": TEXT,
        "status": one_of(*ReportStatus.values),
        "reportHash": TEXT,
        "summary": SUMMARY,
        "mismatches": obj({group: many(_ROWS[group]) for group in GROUPS}),
        "artifact": _ARTIFACT,
        **_QUEUED,
        "providerSide": PROVIDER_SIDE,
    },
    optional=("truncated", "providerSide"),
)
_HASHES = many(maybe(TEXT))
_PASSED = {"ok": BOOL, "period": maybe(TEXT), "basis": maybe(TEXT), "totalsKeys": INT, "entryCount": INT}
_FAILED: dict[str, Schema] = {
    "ok": BOOL,
    "error": TEXT,
    "mismatchCodes": many(TEXT),
    "mismatches": many(
        obj(
            {
                "mismatchType": TEXT,
                "mismatchKey": TEXT,
                "mismatchCode": TEXT,
                "severity": one_of(*Severity.values),
                "details": OBJECT,
            }
        )
    ),
}
FINANCE_RECONCILE = obj(
    {
        "ok": {"type": "boolean", "enum": [True]},
        "tenantId": TEXT,
        "period": PERIOD,
        "reportHash": TEXT,
        "reconcile": {"anyOf": [obj(_PASSED), obj(_FAILED) | {"additionalProperties": True}]},
        "inputs": obj(
            {
                "glBatchArtifactId": TEXT,
                "glBatchArtifactHash": maybe(TEXT),
                "partyStatementArtifactIds": many(TEXT),
                "partyStatementArtifactHashes": _HASHES,
            }
        ),
        "artifact": _ARTIFACT,
        **{name: _QUEUED[name] for name in ("triageQueue", "triageSummary")},
    }
)
FINANCE_RUN = obj(
    {
        "ok": BOOL,
        "period": maybe(TEXT),
        "runtimeMs": INT,
        "summary": obj(
            dict.fromkeys(
                (
                    "tenantCount", "attemptedPeriods", "reconciledPeriods", "passCount", "failCount",
                    "skippedNoInputs", "erroredPeriods", "artifactsPersisted", "deliveriesCreated",
                ),
                INT,
            )
        ),
        "results": many(
            obj(
                {
                    "tenantId": TEXT,
                    "period": maybe(TEXT),
                    "status": one_of("pass", "fail", "skipped", "error"),
                    **dict.fromkeys(("reportHash", "artifactId", "reason", "code", "error"), maybe(TEXT)),
                }
            )
        ),
        "skipped": BOOL,
        "reason": one_of("disabled", "interval_not_elapsed"),
        "nextEligibleAt": INSTANT,
    },
    optional=("skipped", "reason", "nextEligibleAt"),
)  # fmt: skip
INVARIANTS = obj(
    {
        "tenantId": TEXT,
        "status": one_of("pass", "fail", "error", "not_checked"),
        "lastRunAt": maybe(INSTANT),
        "invariants": many(
            obj(
                {
                    "name": TEXT,
                    "severity": one_of(*Severity.values),
                    "means": TEXT,
                    "stopsPayouts": BOOL,
                    "status": one_of("pass", "fail", "error", "not_checked"),
                    "rowCount": INT,
                    "triageKey": maybe(TEXT),
                    "brokenSince": maybe(INSTANT),
                    "checkedAt": maybe(INSTANT),
                    "sweptAt": maybe(INSTANT),
                    "runtimeMs": maybe(INT),
                    "code": maybe(TEXT),
                }
            )
        ),
    }
)
ACTION = obj(
    {
        "actionId": TEXT,
        "action": TEXT,
        "at": INSTANT,
        "actorPrincipalId": TEXT,
        "prevStatus": maybe(STATUS),
        "nextStatus": STATUS,
        "ownerPrincipalId": maybe(TEXT),
        "notes": maybe(TEXT),
    }
)
TRIAGE = obj(
    {
        "schemaVersion": one_of("FinanceReconciliationTriage.v1"),
        "tenantId": TEXT,
        "triageKey": TEXT,
        "sourceType": one_of(*SourceType.values),
        "period": maybe(TEXT),
        "providerId": maybe(TEXT),
        "mismatchType": TEXT,
        "mismatchKey": TEXT,
        "mismatchCode": maybe(TEXT),
        "severity": maybe(one_of(*Severity.values)),
        "status": STATUS,
        "ownerPrincipalId": maybe(TEXT),
        "notes": maybe(TEXT),
        "sourceReportHash": maybe(TEXT),
        "mismatchHash": maybe(TEXT),
        "drifted": BOOL,
        "metadata": maybe(OBJECT),
        "actionLog": many(ACTION),
        "revision": INT,
        "createdAt": INSTANT,
        "updatedAt": INSTANT,
        "resolvedAt": maybe(INSTANT),
        "resolvedByPrincipalId": maybe(TEXT),
    }
)
TRIAGE_LIST = obj(
    {
        "tenantId": TEXT,
        "filters": obj(dict.fromkeys(("period", "status", "sourceType", "providerId"), maybe(TEXT))),
        "limit": INT,
        "offset": INT,
        "count": INT,
        "total": INT,
        "statusCounts": obj(dict.fromkeys(TriageStatus.values, INT)),
        "triages": many(TRIAGE),
    }
)
TRIAGE_DECIDED = obj(
    {"ok": {"type": "boolean", "enum": [True]}, "tenantId": TEXT, "changed": BOOL, "triage": TRIAGE}
)
TRIAGE_MEMBERS = (
    "triageKey", "sourceType", "period", "month", "providerId", "mismatchType", "mismatchKey",
    "mismatchCode", "status", "severity", "ownerPrincipalId", "notes", "sourceReportHash", "mismatchHash",
    "metadata", "action", "expectedRevision",
)  # fmt: skip
TRIAGE_IN = obj(
    {
        "triageKey": TEXT,
        "sourceType": one_of(*SourceType.values),
        "period": PERIOD,
        "month": PERIOD,
        "providerId": maybe(TEXT),
        "mismatchType": TEXT,
        "mismatchKey": TEXT,
        "mismatchCode": maybe(TEXT),
        "status": STATUS,
        "severity": maybe(one_of(*Severity.values)),
        "ownerPrincipalId": maybe(TEXT),
        "notes": maybe(TEXT),
        "sourceReportHash": maybe(TEXT),
        "mismatchHash": maybe(TEXT),
        "metadata": maybe(OBJECT),
        "action": TEXT,
        "expectedRevision": INT,
    },
    optional=TRIAGE_MEMBERS,
)
