"""Agents: /agents and /agents/{agentId}"""

from typing import Any

from django.http import HttpResponse

from settld.api import openapi
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import failpoints
from settld.core.errors import Invalid
from settld.idempotency.http import idempotent
from settld.kernel import identifiers, wire
from settld.kernel.api import access, paging, shapes
from settld.kernel.queries import agents as queries
from settld.kernel.services import agents, wallet_policy
from settld.kernel.services.agents import NewAgent
from settld.kernel.states import AgentStatus, OwnerType

BAD_AGENT = agents.InvalidAgentIdentity.message
MOST_CAPABILITIES = 200
OWNER = openapi.obj(
    {"ownerType": openapi.one_of(*OwnerType.values), "ownerId": openapi.TEXT},
    optional=("ownerType", "ownerId"),
)
REGISTRATION = openapi.obj(
    {
        "publicKeyPem": openapi.TEXT,
        "agentId": openapi.TEXT,
        "displayName": openapi.maybe(openapi.TEXT),
        "description": openapi.maybe(openapi.TEXT),
        "owner": openapi.maybe(OWNER),
        "ownerType": openapi.one_of(*OwnerType.values),
        "ownerId": openapi.TEXT,
        "capabilities": openapi.many(openapi.TEXT),
        "walletPolicy": openapi.maybe(shapes.WALLET_POLICY),
        "metadata": openapi.maybe(openapi.OBJECT),
    },
    optional=(
        "agentId", "displayName", "description", "owner", "ownerType", "ownerId", "capabilities",
        "walletPolicy", "metadata",
    ),
)  # fmt: skip


class RegisterAgent(OpsView):
    """POST /agents/register"""

    scopes = {"POST": access.WRITE}

    @openapi.describe(
        "Register an agent with its key",
        description=(
            "The key is an Ed25519 public key in SPKI PEM; its id follows from the text as given. Without"
            " an owner it is the tenant's own service, without a name it is called by its id."
        ),
        body=REGISTRATION,
        answers={201: openapi.obj({"agentIdentity": shapes.AGENT, "keyId": openapi.TEXT})},
        refusals=(409,),
        idempotent=True,
    )
    def post(self, request: OpsRequest) -> HttpResponse:
        new = _read(request.body_json)
        response: HttpResponse = self._post(request, new=new)
        failpoints.hit("kernel.register_agent.after_commit")
        return response

    @idempotent
    def _post(self, request: OpsRequest, *, new: NewAgent) -> HttpResponse:
        agent = agents.register(
            tenant_id=request.tenant_id, new=new, actor=request.actor, now=request.received_at
        )
        return Json({"agentIdentity": wire.agent_json(agent), "keyId": agent.key_id}, status=201)


class Agents(OpsView):
    """GET /agents"""

    scopes = {"GET": access.READ}

    @openapi.describe(
        "List agents by id",
        answers={
            200: openapi.obj(
                {"agents": openapi.many(shapes.AGENT), "limit": openapi.INT, "offset": openapi.INT}
            )
        },
        parameters=[
            openapi.query("status", shapes.AGENT_STATUS),
            openapi.query("capability", description="one capability, whole"),
            *paging.parameters(default=200),
        ],
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        page = paging.read(request, default=200)
        given = Body(request.GET.dict())
        found = queries.listing(
            tenant_id=request.tenant_id,
            status=given.choice("status", tuple(AgentStatus.values)),
            capability=given.text("capability"),
        )
        return Json(
            {
                "agents": [wire.agent_json(agent) for agent in found[page.window]],
                "limit": page.limit,
                "offset": page.offset,
            }
        )


class AgentDetail(OpsView):
    """GET /agents/{agentId}"""

    scopes = {"GET": access.READ}

    @openapi.describe("Read an agent", answers={200: openapi.obj({"agentIdentity": shapes.AGENT})})
    def get(self, request: OpsRequest, agent_id: str) -> HttpResponse:
        agent = queries.get(tenant_id=request.tenant_id, agent_id=agent_id)
        return Json({"agentIdentity": wire.agent_json(agent)})


def _read(values: dict[str, Any]) -> NewAgent:
    """Read a registration; the key's text is kept as it came, for its id is made from it."""
    body = Body(values, message=BAD_AGENT)
    pem = values.get("publicKeyPem")
    if pem is None or pem == "" or (isinstance(pem, str) and not pem.strip()):
        raise Invalid("publicKeyPem is required")
    if not isinstance(pem, str):
        raise body.fault("publicKeyPem must be a string")
    agents.require_key(pem)
    agent_id = values.get("agentId")
    if agent_id is not None:
        agent_id = identifiers.agent_id_of(agent_id)
    owner = Body(body.object("owner") or values, message=BAD_AGENT)
    policy = body.object("walletPolicy")
    return NewAgent(
        public_key_pem=pem,
        agent_id=agent_id,
        display_name=body.text("displayName", most=200),
        description=body.text("description", most=4000),
        owner_type=OwnerType(owner.choice("ownerType", tuple(OwnerType.values)) or OwnerType.SERVICE),
        owner_id=owner.text("ownerId", most=300),
        capabilities=_capabilities(body),
        wallet_policy=None if policy is None else wallet_policy.normalized(policy),
        metadata=body.object("metadata"),
    )


def _capabilities(body: Body) -> list[str]:
    given = body.texts("capabilities", most=MOST_CAPABILITIES) or []
    if any(len(capability) > 128 for capability in given):
        raise body.fault("capabilities must have at most 128 characters each")
    return given
