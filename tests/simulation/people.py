"""What operators and clients do through the API, sensibly for the most part."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

Row = dict[str, Any]
CAPS = (None, None, None, 0, 12_000, 40_000)
LIMITS = (None, None, None, 0, 60_000, 150_000)
LEGAL = {
    "initiated": ("submitted", "failed", "cancelled"),
    "submitted": ("confirmed", "confirmed", "confirmed", "failed", "cancelled"),
    "confirmed": ("reversed",),
}
EVENTS = ("submitted", "confirmed", "failed", "cancelled", "reversed")
PROVIDERS = ("stripe_sim", "stripe_sim", "stripe_sim", "stub_default", "stub_default", "bank_wire")
PLAN = "/ops/finance/billing/plan"
PAYABLE = """
SELECT s.tenant_id, s.party_id, s.period, (SELECT min(b.provider_mode) FROM party_balance b
    WHERE b.tenant_id = s.tenant_id AND b.party_id = s.party_id AND b.outstanding_cents > 0) AS owed_in
FROM party_statement s
WHERE s.status = 'CLOSED' AND s.superseded_at IS NULL AND s.payout_cents > 0
  AND NOT EXISTS (SELECT 1 FROM payout_outcome p WHERE p.tenant_id = s.tenant_id
    AND p.party_id = s.party_id AND p.period = s.period)
ORDER BY 1, 2, 3
"""


def path_of(operation: Row) -> str:
    """Spell an operation's route."""
    return (
        f"/ops/money-rails/{operation['provider_id']}/operations/{quote(operation['operation_id'], safe='')}"
    )


# --- Statements and months ------------------------------------------------------------------------------
def put_statement(sim: "Simulation") -> None:
    tenant, party, period = sim.any_subject()
    body: Row = {
        "partyRole": sim.draw.choice(("operator", "operator", "operator", "subcontractor", "customer")),
        "payoutCents": sim.draw.choice((sim.draw.randint(1, 20_000), sim.draw.randint(1, 20_000), 0, -500)),
    }
    if sim.draw.random() < 0.05:
        body["payableAfter"] = sim.iso_in(days=sim.draw.randint(-2, 3))
    sim.call("PUT", f"/ops/party-statements/{party}/{period}", body, tenant=tenant)


def state_a_month(sim: "Simulation") -> None:
    """A client posts the statements of several parties and asks for the close."""
    tenant, period = sim.any_tenant(), sim.any_period()
    for party in sim.draw.sample(sim.parties, sim.draw.randint(2, 5)):
        body = {"partyRole": "operator", "payoutCents": sim.draw.randint(100, 20_000)}
        sim.call("PUT", f"/ops/party-statements/{party}/{period}", body, tenant=tenant)
    sim.call("POST", "/ops/month-close", {"month": period}, tenant=tenant)


def close_month(sim: "Simulation") -> None:
    sim.call("POST", "/ops/month-close", {"month": sim.any_period()}, tenant=sim.any_tenant())


def reopen_month(sim: "Simulation") -> None:
    body = {"month": sim.any_period(), "reason": "found another receipt"}
    sim.call("POST", "/ops/month-close/reopen", body, tenant=sim.any_tenant(), may=(404,))


# --- Payouts --------------------------------------------------------------------------------------------
def enqueue(sim: "Simulation") -> None:
    payable = sim.books.rows(PAYABLE)
    provider = sim.draw.choice(PROVIDERS)
    if payable and sim.draw.random() < 0.9:
        owing = [row for row in payable if row["owed_in"]]
        subject = sim.draw.choice(payable)
        if owing and sim.draw.random() < 0.5:
            subject = sim.draw.choice(owing)
            provider = "stub_default" if subject["owed_in"] == "sandbox" else "stripe_sim"
        tenant, party, period = subject["tenant_id"], subject["party_id"], subject["period"]
    else:
        tenant, party, period = sim.any_subject()
    body: Row = {"moneyRailProviderId": provider}
    if provider == "stripe_sim":
        body["counterpartyRef"] = f"stripe_connect:{sim.account_of(party)}"
    if sim.draw.random() < 0.03:
        body["counterpartyRef"] = "bank:somewhere else"
    sim.call("POST", f"/ops/payouts/{party}/{period}/enqueue", body, tenant=tenant, may=(404,))


def enqueue_again(sim: "Simulation") -> None:
    """A client that lost the answer: the payout key never gets a second operation."""
    found = sim.pick()
    if found is None:
        return
    body = {"moneyRailProviderId": found["provider_id"], "counterpartyRef": found["counterparty_ref"]}
    path = f"/ops/payouts/{found['party_id']}/{found['period']}/enqueue"
    sim.call("POST", path, body, tenant=found["tenant_id"])


def submit(sim: "Simulation") -> None:
    found = sim.pick(state="initiated") if sim.draw.random() < 0.9 else sim.pick()
    if found is None:
        return
    body = {}
    if found["provider_id"] == "bank_wire" and sim.draw.random() < 0.9:
        body["providerRef"] = f"wire_{found['operation_id'][-16:]}"
    sim.call("POST", f"{path_of(found)}/submit", body, tenant=found["tenant_id"])


def cancel(sim: "Simulation") -> None:
    found = sim.pick(state="initiated") if sim.draw.random() < 0.5 else sim.pick()
    if found is not None:
        sim.call("POST", f"{path_of(found)}/cancel", {}, tenant=found["tenant_id"])


def tell(sim: "Simulation") -> None:
    """Report what a provider did, sometimes out of order, sometimes twice; over Stripe only what is true."""
    found = sim.pick()
    if found is None:
        return
    body: Row = {"operationId": found["operation_id"], "eventId": f"evt_{sim.draw.randint(1, 400)}"}
    if found["provider_id"] == "stripe_sim":
        truth = true_event(sim, found)
        if truth is None:
            return
        body |= truth
    elif sim.draw.random() < 0.8:
        body["eventType"] = sim.draw.choice(LEGAL.get(found["state"], EVENTS))
    else:
        body["eventType"] = sim.draw.choice(EVENTS)
    if body["eventType"] == "reversed" and sim.draw.random() < 0.4:
        return  # most payouts stay where they are
    sim.call(
        "POST", f"/ops/money-rails/{found['provider_id']}/events/ingest", body, tenant=found["tenant_id"]
    )


def true_event(sim: "Simulation", operation: Row) -> Row | None:
    """Say what somebody who looks at Stripe's dashboard may report of an operation; None: nothing new."""
    named = [row for row in sim.provider.transfers() if row["operation"] == operation["operation_id"]]
    ours = [row for row in named if row["id"] == operation["provider_ref"] or not operation["provider_ref"]]
    fitting = [
        row
        for row in ours
        if row["amount"] == operation["amount_cents"] and row["id"] not in sim.provider.foreign
    ]
    if not fitting:
        return None
    transfer = fitting[0]
    event_type = {"initiated": "submitted", "submitted": "confirmed"}.get(operation["state"], "")
    if operation["state"] == "confirmed" and transfer["reversed"] == transfer["amount"]:
        event_type = "reversed"
    return {"eventType": event_type, "providerRef": transfer["id"]} if event_type else None


# --- Rules ----------------------------------------------------------------------------------------------
def set_controls(sim: "Simulation") -> None:
    draw = sim.draw
    wanted: Row = {
        "realMoneyEnabled": draw.random() < 0.94,
        "payoutKillSwitch": draw.random() < 0.06,
        "maxPayoutAmountCents": draw.choice(CAPS),
        "dailyPayoutLimitCents": draw.choice(LIMITS),
        "allowedProviderIds": ["stripe_sim", "stub_default"] if draw.random() < 0.1 else None,
        "chargebacks": {
            "enabled": draw.random() < 0.8,
            "negativeBalanceMode": draw.choice(("net", "net", "hold")),
            "maxOutstandingCents": draw.choice((None, None, 30_000)),
        },
    }
    sim.call("PUT", PLAN, {"moneyRails": wanted}, tenant=sim.any_tenant())


def stop_and_lift(sim: "Simulation") -> None:
    """Pull the kill switch, or put it back."""
    tenant = sim.any_tenant()
    shown = sim.call("GET", PLAN, tenant=tenant).json["billing"]["moneyRails"]
    changed = {name: shown[name] for name in shown if name not in ("schemaVersion", "updatedAt", "connect")}
    changed["payoutKillSwitch"] = not shown["payoutKillSwitch"] and sim.draw.random() < 0.3
    changed["realMoneyEnabled"] = True
    sim.call("PUT", PLAN, {"moneyRails": changed}, tenant=tenant)


def decide(sim: "Simulation") -> None:
    """Somebody answers what waits for a second person; often it is not theirs to answer, or too late."""
    tenant = sim.tenants[2]
    pending = sim.call("GET", "/ops/approvals?status=pending", tenant=tenant, who="ops").json["approvals"]
    if not pending:
        return
    approval = sim.draw.choice(pending)
    verb = sim.draw.choice(("approve", "approve", "approve", "reject", "withdraw"))
    path = f"/ops/approvals/{approval['approvalId']}/{verb}"
    sim.call("POST", path, {"reason": "looked at it"}, tenant=tenant, may=(403,))


def forgive(sim: "Simulation") -> None:
    """Take something off a debt, now and then more than there is."""
    found = sim.pick(state="reversed")
    if found is None:
        return
    body = {
        "partyId": found["party_id"],
        "operationId": found["operation_id"],
        "amountCents": sim.draw.randint(1, found["amount_cents"] * 11 // 10 + 1),
        "reasonCode": "dispute_won",
    }
    path = "/ops/finance/money-rails/chargebacks/adjustments"
    sim.call("POST", path, body, tenant=found["tenant_id"])


ACCOUNTS = "/ops/finance/money-rails/stripe-connect/accounts"


def connect(sim: "Simulation") -> None:
    """Map every party of a tenant to its account; from then on Connect says where payouts go."""
    for party in sim.parties:
        body = {"partyId": party, "enableConnect": True}
        sim.call("PUT", f"{ACCOUNTS}/{sim.account_of(party)}", body, tenant=sim.tenants[1], who="ops")


def tend_accounts(sim: "Simulation") -> None:
    """Look at the accounts at Stripe, or switch one off or on by hand."""
    if sim.draw.random() < 0.6:
        sim.call("POST", f"{ACCOUNTS}/sync", {"providerId": "stripe_sim"}, tenant=sim.tenants[1])
        return
    account = sim.account_of(sim.draw.choice(sim.parties))
    body = {"status": sim.draw.choice(("active", "active", "disabled"))}
    sim.call("PUT", f"{ACCOUNTS}/{account}", body, tenant=sim.tenants[1])


UNKNOWN = "/ops/money-rails/unknown-outcomes"


def find_out(sim: "Simulation") -> None:
    """Somebody works at the queue of unknown outcomes: asks, replays, or settles by what Stripe shows."""
    tenant = sim.any_tenant()
    queue = sim.call("GET", UNKNOWN, tenant=tenant, who="ops").json["unknownOutcomes"]
    if not queue:
        return
    outcome = sim.draw.choice(queue)
    verb = sim.draw.choice(("ask", "replay", "settle", "settle"))
    body = verdict(sim, outcome["operationId"]) if verb == "settle" else {}
    sim.call("POST", f"{UNKNOWN}/{outcome['attemptId']}/{verb}", body, tenant=tenant, may=(403,))


def verdict(sim: "Simulation", operation_id: str) -> Row:
    """Say what the provider's dashboard shows of a payout."""
    ours = [
        row["id"]
        for row in sim.provider.transfers()
        if row["operation"] == operation_id and row["id"] not in sim.provider.foreign
    ]
    found = {"outcome": "sent", "transferId": ours[0]} if ours else {"outcome": "not_sent"}
    return found | {"reason": "looked at the dashboard", "evidence": "every transfer of that day, by hand"}


# --- Looking --------------------------------------------------------------------------------------------
def reconcile(sim: "Simulation") -> None:
    provider = sim.draw.choice(sim.providers)
    query = f"period={sim.any_period()}&providerId={provider}&persist={sim.draw.choice(('true', 'false'))}"
    sim.call("GET", f"/ops/finance/money-rails/reconcile?{query}", tenant=sim.any_tenant())


def spy(sim: "Simulation") -> None:
    """One tenant's caller asks for another tenant's things, and finds none."""
    found = sim.pick()
    if found is None:
        return
    stranger = sim.draw.choice([name for name in sim.tenants if name != found["tenant_id"]])
    method, path, body = sim.draw.choice(
        (
            ("GET", path_of(found), None),
            ("POST", f"{path_of(found)}/submit", {}),
            ("POST", f"{path_of(found)}/cancel", {}),
            (
                "POST",
                f"/ops/money-rails/{found['provider_id']}/events/ingest",
                {"operationId": found["operation_id"], "eventType": "failed"},
            ),
        )
    )
    reply = sim.call(method, path, body, tenant=stranger, may=(404,))
    if reply.status != 404:
        sim.breaks(f"{stranger} reached {found['operation_id']}: {reply.status}")


def repeat(sim: "Simulation") -> None:
    """A client sends once more what it sent before, under the same key."""
    if not sim.sent:
        return
    earlier = sim.draw.choice(list(sim.sent))
    reply = sim.call(
        earlier.method, earlier.path, earlier.body, tenant=earlier.tenant, who=earlier.who, key=earlier.key,
        may=(403, 404),
    )  # fmt: skip
    if earlier.raw and reply.raw != earlier.raw:
        sim.breaks(f"a repeat was answered with something else: {earlier.method} {earlier.path}")


STEPS = (
    (3, put_statement),
    (7, state_a_month),
    (2, close_month),
    (1, reopen_month),
    (24, enqueue),
    (2, enqueue_again),
    (18, submit),
    (3, cancel),
    (12, tell),
    (2, set_controls),
    (3, stop_and_lift),
    (4, decide),
    (3, find_out),
    (2, forgive),
    (2, tend_accounts),
    (2, reconcile),
    (1, spy),
    (3, repeat),
)
