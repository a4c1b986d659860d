"""Registering agents, and moving them out of use."""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from settld.audit import services as audit
from settld.core import failpoints, rows, signatures, transactions
from settld.core.errors import Conflict, Invalid
from settld.core.principals import Actor
from settld.kernel.models import Agent
from settld.kernel.queries.agents import AgentNotFound, get
from settld.kernel.services import row_writing
from settld.kernel.states import AgentStatus, OwnerType

__all__ = [
    "AgentIdentityExists",
    "AgentNotActive",
    "AgentNotFound",
    "AgentStatusFinal",
    "InvalidAgentIdentity",
    "NewAgent",
    "change_status",
    "get",
    "register",
    "require_active",
]

MOST_PEM: Final = 1000
# The points of small order, with the sign bit off: under such a key anybody can make a signature that fits.
WEAK_KEYS: Final = frozenset(
    bytes.fromhex(text)
    for text in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)


class InvalidAgentIdentity(Invalid):
    """What was given describes no agent; details.message says why."""

    message = "invalid agent identity"


class AgentIdentityExists(Conflict):
    """The agent's id is taken; an identity is never overwritten."""

    code = "AGENT_IDENTITY_EXISTS"
    message = "agent identity already exists"


class AgentNotActive(Conflict):
    """A suspended or revoked agent takes on nothing new."""

    code = "AGENT_NOT_ACTIVE"
    message = "agent is not active"


class AgentStatusFinal(Conflict):
    """A revoked agent stays revoked."""

    code = "AGENT_REVOKED"
    message = "agent is revoked"


@dataclass(frozen=True, slots=True)
class NewAgent:
    """What a caller says about an agent to be registered; `agent_id` None has one made.

    `owner_id` None is the tenant itself, `display_name` None the agent's id. `wallet_policy` is as
    `wallet_policy.normalized` gives it.
    """

    public_key_pem: str
    agent_id: str | None = None
    display_name: str | None = None
    description: str | None = None
    owner_type: OwnerType = OwnerType.SERVICE
    owner_id: str | None = None
    capabilities: Sequence[str] = ()
    wallet_policy: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None


def register(*, tenant_id: str, new: NewAgent, actor: Actor, now: dt.datetime) -> Agent:
    """Register an agent with its key, active at once (kernel spec 3).

    Raises InvalidAgentIdentity for a key that is not Ed25519, AgentIdentityExists for an id that is taken.
    """
    require_key(new.public_key_pem)
    agent_id = new.agent_id or f"agt_{uuid.uuid4().hex}"
    agent = Agent(
        tenant_id=tenant_id,
        agent_id=agent_id,
        display_name=new.display_name or agent_id,
        description=new.description,
        status=AgentStatus.ACTIVE,
        owner_type=new.owner_type,
        owner_id=new.owner_id or f"tenant:{tenant_id}",
        key_id=signatures.key_id(new.public_key_pem),
        public_key_pem=new.public_key_pem,
        capabilities=sorted(set(new.capabilities)),
        wallet_policy=None if new.wallet_policy is None else dict(new.wallet_policy),
        metadata=None if new.metadata is None else dict(new.metadata),
        created_at=now,
        updated_at=now,
    )
    with transactions.joined():
        if not row_writing.insert_once(agent, target="tenant_id, agent_id"):
            raise AgentIdentityExists(details={"agentId": agent_id})
        audit.append(
            tenant_id=tenant_id,
            actor=actor,
            action="AGENT_REGISTER",
            target_type="agent",
            target_id=agent_id,
            details={"keyId": agent.key_id, "ownerType": agent.owner_type, "ownerId": agent.owner_id},
            at=now,
        )
        failpoints.hit("kernel.register_agent.before_commit")
    return agent


def require_active(agent: Agent) -> None:
    """Refuse an agent that may not be a new payer, bidder, proposer or arbiter. Raises AgentNotActive."""
    if agent.status != AgentStatus.ACTIVE:
        raise AgentNotActive(details={"agentId": agent.agent_id, "status": agent.status})


def change_status(
    *, tenant_id: str, agent_id: str, status: AgentStatus, actor: Actor, now: dt.datetime
) -> Agent:
    """Suspend, reinstate or revoke an agent; what it has running goes on. Staying in place changes nothing.

    Raises AgentNotFound, and AgentStatusFinal for a revoked agent.
    """
    with transactions.joined():
        agent = rows.first(Agent, "tenant_id = %s AND agent_id = %s FOR UPDATE", [tenant_id, agent_id])
        if agent is None:
            raise AgentNotFound()
        if agent.status == status:
            return agent
        if agent.status == AgentStatus.REVOKED:
            raise AgentStatusFinal(details={"agentId": agent_id})
        before, agent.status, agent.updated_at = agent.status, status, now
        agent.save(update_fields=["status", "updated_at"])
        audit.append(
            tenant_id=tenant_id,
            actor=actor,
            action="AGENT_STATUS_CHANGE",
            target_type="agent",
            target_id=agent_id,
            details={"from": before, "to": str(status)},
            at=now,
        )
    return agent


def require_key(pem: str) -> None:
    """Require the PEM text of one Ed25519 public key (SPKI). Raises InvalidAgentIdentity."""
    try:
        key = serialization.load_pem_public_key(pem.encode()) if len(pem) <= MOST_PEM else None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey) or signatures.public_pem(key).split() != pem.split():
        raise InvalidAgentIdentity(
            details={"message": "publicKeyPem is not an Ed25519 public key in SPKI PEM"}
        )
    raw = key.public_bytes_raw()
    if raw[:31] + bytes([raw[31] & 0x7F]) in WEAK_KEYS:
        raise InvalidAgentIdentity(details={"message": "publicKeyPem is a weak key"})
