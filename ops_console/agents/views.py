"""GET /console/agents, /console/agents/{agentId}"""

from django.http import HttpRequest, HttpResponse

from ops_console import shell
from ops_console.access import Visit, workspace
from ops_console.addresses import Address
from ops_console.agents import pages


@workspace("finance_read", "ops_read")
def agents(request: HttpRequest, visit: Visit) -> HttpResponse:
    """List agents by id, with what they have."""
    address = Address(request.GET.dict())
    listing = pages.build(tenant_id=visit.tenant_id, q=address.text("q"), after=address.text("after"))
    return shell.page(request, visit, "ops_console/agents/page.html", {"listing": listing}, key="agents")


@workspace("finance_read", "ops_read")
def agent(request: HttpRequest, visit: Visit, agent_id: str) -> HttpResponse:
    """Show one agent: its wallet over time, where its money came from and went, and its runs."""
    shown = pages.detail(tenant_id=visit.tenant_id, agent_id=agent_id, now=visit.now)
    return shell.page(request, visit, "ops_console/agents/detail.html", {"agent": shown}, key="agents")
