"""Bringing everything to rest, and then asking whether everything is explained.

The weather clears, the post arrives, people do what is theirs to do. After that every payout is over or
confirmed, or waits for a named person, and every difference that reconciliation shows has a cause that we
know from elsewhere.
"""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from moneyrails.services import checks as own_checks
from moneyrails.services import doubt
from reconciliation.services import provider_report, scheduler
from settld.closing.services import worker
from settld.core import clock, tenancy
from settld.stripe_gateway.services import consumption
from tests.simulation import people
from tests.simulation.checks import Broken

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

MOST_ROUNDS = 60
OPEN_RULES = {
    "realMoneyEnabled": True,
    "payoutKillSwitch": False,
    "maxPayoutAmountCents": None,
    "dailyPayoutLimitCents": None,
    "allowedProviderIds": None,
    "chargebacks": {"enabled": True, "negativeBalanceMode": "net", "maxOutstandingCents": None},
}
_INSTRUCTED = """
SELECT a.payout_key, a.amount_cents, o.operation_id, o.provider_id, o.state,
  EXISTS (SELECT 1 FROM payout_outcome p WHERE p.tenant_id = a.tenant_id AND p.payout_key = a.payout_key
    AND p.kind = 'offset') AS is_consumed,
  EXISTS (SELECT 1 FROM party_statement s WHERE s.tenant_id = a.tenant_id AND s.superseded_at IS NULL
    AND a.payout_key = s.tenant_id || ':party:' || s.party_id || ':period:' || s.period
      || ':statement:' || s.statement_hash) AS is_current
FROM artifact a LEFT JOIN money_rail_operation o ON o.tenant_id = a.tenant_id AND o.payout_key = a.payout_key
WHERE a.artifact_type = 'PayoutInstruction.v1' AND a.tenant_id = %s AND a.period = %s AND a.amount_cents > 0
"""


def come_to_rest(sim: "Simulation") -> None:
    """Settle everything that can be settled; raises Broken where something cannot be or is unexplained."""
    sim.is_troubled = False
    sim.do(_clear_up)
    for _ in range(MOST_ROUNDS):
        sim.do(_work_off)
        if not _unsettled(sim):
            break
        sim.timeline.pass_by(1_900)
    else:
        raise Broken(f"it does not come to rest: {_unsettled(sim)[:3]}")
    sim.do(_finish_payouts)
    sim.do(_work_off)
    _everything_is_over(sim)
    _everything_is_explained(sim)
    _the_statement_is_explained(sim)
    sim.checks_of_the_day()


def _clear_up(sim: "Simulation") -> None:
    sim.provider.control("DELETE", "/_sim/faults")
    sim.provider.control("POST", "/_sim/balance", currency="usd", available=10**12)
    for party in sim.parties:
        sim.provider.control("POST", f"/_sim/accounts/{sim.account_of(party)}", preset="verified")
    for tenant in sim.tenants:
        reply = sim.call("PUT", people.PLAN, {"moneyRails": OPEN_RULES}, tenant=tenant, who="ann", key=None)
        if reply.status == 202:
            path = f"/ops/approvals/{reply.json['approval']['approvalId']}/approve"
            sim.call("POST", path, {"reason": "all is well again"}, tenant=tenant, who="bob", key=None)
    for party in sim.parties:
        path = f"{people.ACCOUNTS}/{sim.account_of(party)}"
        sim.call("PUT", path, {"status": "active"}, tenant=sim.tenants[1], who="ann", key=None)
    body = {"providerId": "stripe_sim"}
    sim.call("POST", f"{people.ACCOUNTS}/sync", body, tenant=sim.tenants[1], who="ann", key=None)


def _work_off(sim: "Simulation") -> None:
    """Every loop and the post, until nothing is due."""
    for _ in range(10):
        done = worker.close_requested(now=clock.now(), limit=1_000)
        for letter in sim.provider.letters():
            sim.provider.note_delivery(letter, status=sim.deliver(letter))
            done += 1
        done += consumption.consume_due(owner="simulation", limit=1_000, budget_seconds=600)
        ends = doubt.recover_due(now=clock.now(), limit=1_000)
        if ends.get("error"):
            raise Broken(f"a recovery failed: {list(sim.errors)[-1:]}")
        if not done + sum(ends.values()):
            return


def _unsettled(sim: "Simulation") -> list[str]:
    """What our own loops still have to do."""
    attempts = [
        row["operation_id"] for row in sim.books.operations() if row["attempt"] in ("dispatching", "in_doubt")
    ]
    waits = "WHERE status IN ('pending', 'leased', 'failed')"
    jobs = sim.books.rows(f"SELECT dedupe_key FROM outbox_job {waits}")
    events = sim.books.rows(f"SELECT detail FROM billing_webhook_event_consumptions {waits}")
    return [*attempts, *(row["dedupe_key"] for row in jobs), *(row["detail"] for row in events)]


def _finish_payouts(sim: "Simulation") -> None:
    """People settle what only they can, send what waits, and report what became of it."""
    for row in sim.books.operations():
        if row["attempt"] == "indeterminate":
            sim.settle(row)
    for row in sim.books.operations():
        if row["state"] == "initiated" and row["attempt"] != "indeterminate":
            body = (
                {"providerRef": f"wire_{row['operation_id'][-16:]}"}
                if row["provider_id"] == "bank_wire"
                else {}
            )
            verb = "submit"
            if row["provider_id"] == "stripe_sim" and not row["counterparty_ref"].startswith(
                "stripe_connect:"
            ):
                verb = "cancel"  # nobody can be paid there
            reply = sim.call(
                "POST", f"{people.path_of(row)}/{verb}", body, tenant=row["tenant_id"], who="ann"
            )
            if reply.status != 200:
                raise Broken(f"no way forward for {row['operation_id']}: {reply.raw[:400]!r}")
    for row in sim.books.operations():
        if row["state"] == "submitted":
            body = {"operationId": row["operation_id"], "eventId": "evt_rest", "eventType": "confirmed"}
            path = f"/ops/money-rails/{row['provider_id']}/events/ingest"
            sim.call("POST", path, body, tenant=row["tenant_id"], who="ann")


def _everything_is_over(sim: "Simulation") -> None:
    for row in sim.books.operations():
        waits_for_a_person = row["attempt"] == "indeterminate" and not sim.can_settle
        if row["state"] in ("initiated", "submitted") and not waits_for_a_person:
            raise Broken(f"{row['operation_id']} is {row['state']}, attempt {row['attempt']}")
    for tenant in sim.tenants:
        if problems := own_checks.check_tenant(tenant):
            raise Broken(f"the product's own checks: {problems}")


def _everything_is_explained(sim: "Simulation") -> None:
    """Compare each month at each provider, twice, with what we know happened."""
    for tenant in sim.tenants:
        for period in sim.periods:
            rows = sim.books.rows(_INSTRUCTED, tenant, period)
            if not rows:
                continue
            for provider in sim.providers:
                path = f"/ops/finance/money-rails/reconcile?period={period}&providerId={provider}"
                first = sim.call("GET", f"{path}&persist=true", tenant=tenant, who="ops").json
                again = sim.call("GET", path, tenant=tenant, who="ops").json
                if first["reportHash"] != again["reportHash"]:
                    raise Broken(f"two comparisons of {tenant} {period} {provider} differ")
                _explain(first, rows, provider, waiting=_waiting(sim, tenant, period, provider))


def _explain(report: dict[str, Any], rows: list[dict[str, Any]], provider: str, *, waiting: set[str]) -> None:
    here = [row for row in rows if (row["provider_id"] or "stub_default") == provider]
    expected: dict[str, set[str]] = {group: set() for group in report["mismatches"]}
    expected |= {
        "missingOperations": {
            f"mop_{row['payout_key']}"
            for row in here
            if row["operation_id"] is None and row["is_current"] and not row["is_consumed"]
        },
        "terminalFailures": {row["operation_id"] for row in here if row["state"] in ("failed", "reversed")},
        "indeterminateOperations": waiting,
    }
    for group, found in report["mismatches"].items():
        named = {row["operationId"] for row in found}
        if named != expected[group]:
            raise Broken(f"{report['period']} {provider} {group}: found {named}, explained {expected[group]}")
    confirmed = sum(row["state"] == "confirmed" for row in here)
    if report["summary"]["settledCount"] != confirmed:
        raise Broken(f"{report['period']} {provider}: {report['summary']} but {confirmed} confirmed")


def _the_statement_is_explained(sim: "Simulation") -> None:
    """Compare with the provider's own statement: it names every odd transfer, and no sound one."""
    sim.timeline.pass_by(3_600)  # a statement is believed only after a while
    periods = sorted({row["period"] for row in sim.books.operations() if row["provider_id"] == "stripe_sim"})
    for period in periods:
        order = scheduler.Order.scheduled(force=True)
        sim.do(partial(_run, replace(order, period=period, provider_id="stripe_sim")))
    operations = {row["operation_id"]: row for row in sim.books.operations()}
    for tenant in sim.tenants:
        named: set[str] = set()
        for period in periods:
            with tenancy.tenant_scope(tenant):
                report = provider_report.reconcile(
                    tenant_id=tenant, period=period, provider_id="stripe_sim", persist=False, now=clock.now()
                )
            for rows in (report.core or {}).get("mismatches", {}).values():
                named |= {row.get("transferId") or row["providerRef"] for row in rows}
        of_tenant = [row for row in sim.provider.transfers() if row["tenant"] == tenant]
        verdicts = {row["id"]: _is_odd(row, operations.get(row["operation"])) for row in of_tenant}
        odd = {name for name, verdict in verdicts.items() if verdict}
        sound = {name for name, verdict in verdicts.items() if verdict is False}
        if odd - named or sound & named or named - set(verdicts):
            raise Broken(
                f"{tenant}: the statement's comparison missed {odd - named}, and accused {named - odd}"
            )


def _is_odd(transfer: dict[str, Any], operation: dict[str, Any] | None) -> bool | None:
    """Tell whether somebody must look at a transfer; None: it was undone, so either will do."""
    is_undone = transfer["reversed"] >= transfer["amount"]
    if operation is None or operation["provider_ref"] != transfer["id"]:
        return None if is_undone else True
    return transfer["reversed"] > 0 if operation["state"] == "confirmed" else False


def _run(order: scheduler.Order, sim: "Simulation") -> None:
    result = scheduler.run(order)
    if result["summary"]["errored"] or result["providerSide"]["statement"]["status"] != "ok":
        raise Broken(f"the run over {order.period} did not come through: {result}")


def _waiting(sim: "Simulation", tenant: str, period: str, provider: str) -> set[str]:
    return {
        row["operation_id"]
        for row in sim.books.operations()
        if (row["tenant_id"], row["period"], row["provider_id"]) == (tenant, period, provider)
        and row["attempt"] == "indeterminate"
    }
