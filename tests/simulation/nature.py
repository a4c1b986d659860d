"""What happens without us: the provider's whims, other people at its dashboard, the weather on the line."""

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

KINDS = (
    "timeout_before", "timeout_after", "reset_before", "reset_after", "status_429", "status_500_before",
    "status_500_after", "malformed_2xx",
)  # fmt: skip
OTHER = {
    "id": "tr_someone_elses", "object": "transfer", "amount": 1, "currency": "usd", "metadata": {},
    "created": 1_770_000_000, "destination": "acct_other", "amount_reversed": 0, "reversed": False,
    "transfer_group": None,
}  # fmt: skip


def wait(sim: "Simulation") -> None:
    seconds = sim.draw.choice((1, 20, 60, 125, 300, 900, 3_700, 20_000, 88_000))
    sim.timeline.pass_by(seconds)
    sim.note(f"{seconds} s pass")


def bad_line(sim: "Simulation") -> None:
    """The next calls meet a fault, or a random share of all calls does."""
    if sim.draw.random() < 0.7:
        rule = {"kind": sim.draw.choice(KINDS), "times": sim.draw.randint(1, 4), "path": "/v1/transfers"}
        if sim.draw.random() < 0.7:
            rule["method"] = "POST"
        if rule["kind"] == "malformed_2xx" and sim.draw.random() < 0.5:
            rule["body"] = json.dumps(OTHER)
        if rule["kind"].startswith("status_500") and sim.draw.random() < 0.5:
            rule["saved"] = False
        sim.provider.control("POST", "/_sim/faults", rules=[rule])
        sim.note(f"{rule['kind']} x{rule['times']}")
    else:
        rates = dict.fromkeys(KINDS, 0.04)
        seed = sim.draw.randint(1, 10_000)
        sim.provider.control("POST", "/_sim/faults", seed=seed, rates=rates, method="*")
        sim.note("a storm")


def good_line(sim: "Simulation") -> None:
    sim.provider.control("DELETE", "/_sim/faults")


def take_back(sim: "Simulation") -> None:
    """The provider reverses a transfer, in whole or in part."""
    transfers = [row for row in sim.provider.transfers() if row["reversed"] < row["amount"]]
    if not transfers:
        return
    transfer = sim.draw.choice(transfers)
    left = transfer["amount"] - transfer["reversed"]
    amount = {} if sim.draw.random() < 0.7 or left < 2 else {"amount": sim.draw.randint(1, left - 1)}
    sim.provider.control("POST", f"/_sim/transfers/{transfer['id']}/reverse", **amount)
    sim.note(f"{transfer['id']} reversed {amount or 'whole'}")


def meddle(sim: "Simulation") -> None:
    """Somebody makes a transfer at the provider: unrelated, unknown to us, or naming a payout of ours."""
    found = sim.pick(provider_id="stripe_sim")
    kind = sim.draw.choice(("unrelated", "unknown", "wrong amount", "wrong amount", "exact"))
    wanted = {"amount": sim.draw.randint(1, 9_000), "currency": "usd", "destination": sim.account_of("p0")}
    if found is not None and kind != "unrelated":
        wanted["metadata"] = {
            "settld_tenant_id": found["tenant_id"],
            "settld_provider_id": found["provider_id"],
            "settld_operation_id": found["operation_id"] + ("_unknown" if kind == "unknown" else ""),
            "settld_payout_key": found["payout_key"],
        }
        wanted["transfer_group"] = found["payout_key"]
        if kind == "exact" and found["counterparty_ref"].startswith("stripe_connect:"):
            wanted["amount"] = found["amount_cents"]
            wanted["destination"] = found["counterparty_ref"].removeprefix("stripe_connect:")
    made = sim.provider.control("POST", "/_sim/transfers", **wanted)
    if "id" in made:
        sim.provider.foreign.add(made["id"])
    sim.note(f"somebody made {made.get('id', made)} ({kind})")


def change_account(sim: "Simulation") -> None:
    preset = sim.draw.choice(("verified", "verified", "restricted", "pending"))
    account = sim.account_of(sim.draw.choice(sim.parties))
    sim.provider.control("POST", f"/_sim/accounts/{account}", preset=preset)
    sim.note(f"{account} {preset}")


def run_dry(sim: "Simulation") -> None:
    """The platform's balance, nothing or plenty."""
    amount = sim.draw.choice((0, 10**12, 10**12))
    sim.provider.control("POST", "/_sim/balance", currency="usd", available=amount)
    sim.note(f"balance {amount}")


STEPS = (
    (9, wait),
    (4, bad_line),
    (2, good_line),
    (3, take_back),
    (1, meddle),
    (1, change_account),
    (1, run_dry),
)
