"""Agents that work for a tenant, over the API as an integration does it."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from settld.core.signatures import public_pem
from tests.support.api import Api, body

PEM = public_pem(Ed25519PrivateKey.from_private_bytes(b"\x01" * 32).public_key())


def register(api: Api, agent_id: str) -> None:
    """Register an agent."""
    sent = {"agentId": agent_id, "displayName": agent_id.title(), "ownerType": "service", "ownerId": "svc_1"}
    assert api.post("/agents/register", sent | {"publicKeyPem": PEM}).status_code == 201


def fund(api: Api, agent_id: str, cents: int) -> dict[str, Any]:
    """Credit an agent's wallet; gives the funding receipt."""
    answer = api.post(f"/agents/{agent_id}/wallet/credit", {"amountCents": cents})
    assert answer.status_code == 201, answer.content
    receipt: dict[str, Any] = body(answer)["fundingReceipt"]
    return receipt


def hold(api: Api, *, payer: str, payee: str, cents: int, bps: int = 2_000) -> dict[str, Any]:
    """Set a share of a tool call's pay aside for an hour; gives the hold."""
    sent = {
        "agreementHash": "a" * 64,
        "receiptHash": "b" * 64,
        "payerAgentId": payer,
        "payeeAgentId": payee,
        "amountCents": cents,
        "holdbackBps": bps,
        "challengeWindowMs": 3_600_000,
    }
    answer = api.post("/ops/tool-calls/holds/lock", sent)
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = body(answer)["hold"]
    return made


def open_run(api: Api, run_id: str, *, agent: str, payer: str, cents: int, days: int = 0) -> dict[str, Any]:
    """Open a run with its pay set aside; gives the answer."""
    settlement = {"payerAgentId": payer, "amountCents": cents, "disputeWindowDays": days}
    answer = api.post(f"/agents/{agent}/runs", {"runId": run_id, "settlement": settlement})
    assert answer.status_code == 201, answer.content
    opened: dict[str, Any] = body(answer)
    return opened


def append(api: Api, run_id: str, *, agent: str, head: str, event: str, **payload: Any) -> dict[str, Any]:
    """Append an event to a run; gives the answer."""
    answer = api.post(
        f"/agents/{agent}/runs/{run_id}/events",
        {"type": event, "payload": payload},
        headers={"x-proxy-expected-prev-chain-hash": head},
    )
    assert answer.status_code == 201, answer.content
    appended: dict[str, Any] = body(answer)
    return appended


def complete(api: Api, run_id: str, *, agent: str, payer: str, cents: int, days: int = 0) -> dict[str, Any]:
    """Open a run and bring it to its end; gives the last answer."""
    opened = open_run(api, run_id, agent=agent, payer=payer, cents=cents, days=days)
    head = opened["run"]["lastChainHash"]
    return append(api, run_id, agent=agent, head=head, event="RUN_COMPLETED", outputRef="obj://out/1")
