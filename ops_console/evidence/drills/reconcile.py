"""Evidence that a month's payouts reconcile, or that they do not (spec 7)."""

from typing import Any, Final

from ops_console.evidence.drills import sealing
from ops_console.evidence.drills.command import Outcome
from ops_console.evidence.drills.errors import DrillStopped
from ops_console.evidence.drills.flags import Setting

TYPE: Final = "MoneyRailReconcileEvidence.v1"
PATH: Final = "/ops/finance/money-rails/reconcile"


def perform(setting: Setting, *, period: str, persist: bool, expect_status: str | None) -> Outcome:
    """Make the one call and seal its answer. DrillStopped unless the server answered a report."""
    caller = setting.caller
    query = {
        "period": period,
        "providerId": setting.provider_id,
        "persist": "true" if persist else "false",
    }
    answer = caller.get(PATH, query)
    status = answer.member("status")
    if not answer.is_ok:
        code = answer.member("code")
        raise DrillStopped(f"the server answered {answer.status_code}{f' {code}' if code else ''}")
    if status not in ("pass", "fail"):
        raise DrillStopped("the server's answer is no reconcile report")
    document: dict[str, Any] = {
        "type": TYPE,
        "v": 1,
        "capturedAt": setting.captured_at,
        "baseUrl": caller.base_url,
        "tenantId": caller.tenant_id,
        "period": period,
        "providerId": setting.provider_id,
        "persist": persist,
        "reconcile": answer.body,
    }
    failures = []
    if expect_status is not None and status != expect_status:
        failures.append(f"reconcile status is {status}, expected {expect_status}")
    return Outcome(sealing.seal(document, setting.signer), failures, setting.out)
