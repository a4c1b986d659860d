"""Reading agents."""

from django.db.models import QuerySet

from settld.core import rows
from settld.core.errors import NotFound
from settld.kernel.models import Agent


class AgentNotFound(NotFound):
    """No such agent in the tenant."""

    message = "agent identity not found"


def find(*, tenant_id: str, agent_id: str) -> Agent | None:
    """Give an agent, or None."""
    return rows.first(Agent, "tenant_id = %s AND agent_id = %s", [tenant_id, agent_id])


def get(*, tenant_id: str, agent_id: str) -> Agent:
    """Give an agent. Raises AgentNotFound."""
    agent = find(tenant_id=tenant_id, agent_id=agent_id)
    if agent is None:
        raise AgentNotFound()
    return agent


def public_pem(*, tenant_id: str, agent_id: str) -> str | None:
    """Give the key that an agent registered, as its signatures are checked with; None for no such agent."""
    agent = find(tenant_id=tenant_id, agent_id=agent_id)
    return None if agent is None else agent.public_key_pem


def listing(*, tenant_id: str, status: str | None = None, capability: str | None = None) -> QuerySet[Agent]:
    """List agents by id; `capability` is matched whole."""
    found = Agent.objects.filter(tenant_id=tenant_id)
    if status is not None:
        found = found.filter(status=status)
    if capability is not None:
        found = found.filter(capabilities__contains=[capability])
    return found.order_by("agent_id")
