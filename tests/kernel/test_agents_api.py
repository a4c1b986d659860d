"""POST /agents/register, GET /agents, GET /agents/{agentId} (kernel spec 3)."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.urls import reverse

from settld.audit.models import OpsAudit
from settld.core import tenancy
from settld.core.signatures import public_pem
from settld.kernel.models import Agent
from settld.kernel.services import agents
from settld.kernel.states import AgentStatus
from settld.tenants.models import User
from tests.kernel.work import ACTOR, NOW, TENANT, an_agent
from tests.support.api import body, refusal

PEM = public_pem(Ed25519PrivateKey.from_private_bytes(b"\x01" * 32).public_key())
OTHER_CURVE = (
    ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


@pytest.fixture
def register(api, db):
    def register(key=None, **given):
        return api.post("/agents/register", {"agentId": "agt_1", "publicKeyPem": PEM} | given, key=key)

    return register


def stored():
    with tenancy.tenant_scope(TENANT):
        return Agent.objects.count()


def test_an_agent_is_registered_with_its_key_and_the_tenant_as_owner(api, register):
    answer = register(capabilities=["b", "a", "b"], walletPolicy={"maxDailyCents": 10})

    assert (answer.status_code, body(answer)["keyId"]) == (201, "key_3d4c030534b1c1c6a5238bf5")  # spec 16.2
    identity = body(answer)["agentIdentity"]
    assert (identity["displayName"], identity["status"]) == ("agt_1", "active")
    assert identity["owner"] == {"ownerType": "service", "ownerId": f"tenant:{TENANT}"}
    assert identity["keys"]["publicKeyPem"] == PEM
    assert identity["capabilities"] == ["a", "b"]
    limits = {"maxPerTransactionCents": None, "maxDailyCents": 10, "requireApprovalAboveCents": None}
    assert identity["walletPolicy"] == limits
    assert body(api.get("/agents/agt_1")) == {"agentIdentity": identity}


@pytest.mark.parametrize("weak", sorted(agents.WEAK_KEYS))
def test_a_key_under_which_anybody_can_sign_is_refused(register, weak):
    for sign in (0, 0x80):
        key = Ed25519PublicKey.from_public_bytes(weak[:31] + bytes([weak[31] | sign]))

        answer = register(publicKeyPem=public_pem(key))

        assert answer.status_code == 400
        assert body(answer)["error"] == "invalid agent identity"
    assert stored() == 0


@pytest.mark.parametrize(
    "given", [{"owner": {"ownerType": "human", "ownerId": "anna"}}, {"ownerType": "human", "ownerId": "anna"}]
)
def test_the_owner_may_be_nested_or_flat(register, given):
    owner = body(register(**given))["agentIdentity"]["owner"]

    assert owner == {"ownerType": "human", "ownerId": "anna"}


def test_an_agent_without_an_id_gets_one(register):
    assert body(register(agentId=None))["agentIdentity"]["agentId"].startswith("agt_")


def test_an_identity_is_never_overwritten_not_even_with_a_fresh_key(register):
    first = register(key="k1")

    assert refusal(register(key="k2", displayName="other")) == (409, "AGENT_IDENTITY_EXISTS")
    assert body(register(key="k2"))["error"] == "agent identity already exists"
    assert register(key="k1").content == first.content
    assert stored() == 1


@pytest.mark.parametrize("pem", [None, "", "  \n"])
def test_a_key_is_required(register, pem):
    answer = register(publicKeyPem=pem)

    assert (answer.status_code, body(answer)["error"]) == (400, "publicKeyPem is required")


@pytest.mark.parametrize(
    "given",
    [
        {"publicKeyPem": "nonsense"}, {"publicKeyPem": 5}, {"publicKeyPem": OTHER_CURVE},
        {"publicKeyPem": PEM + PEM}, {"publicKeyPem": "x" * 100_000}, {"publicKeyPem": "é"},
        {"walletPolicy": {"maxTotal": 1}}, {"walletPolicy": {"maxDailyCents": "1"}},
        {"walletPolicy": {"maxDailyCents": True}}, {"walletPolicy": {"maxDailyCents": 2**53}},
        {"walletPolicy": []}, {"ownerType": "robot"}, {"owner": {"ownerType": 1}}, {"owner": "me"},
        {"capabilities": "a"}, {"capabilities": ["x" * 129]}, {"metadata": []}, {"displayName": "x" * 201},
    ],
)  # fmt: skip
def test_what_describes_no_agent_is_refused(register, given):
    answer = register(**given)

    assert (answer.status_code, body(answer)["error"]) == (400, "invalid agent identity")
    assert stored() == 0


@pytest.mark.parametrize("agent_id", ["ab", "a b c", "x" * 129, 5, "agt/1"])
def test_an_id_must_have_its_form(register, agent_id):
    assert refusal(register(agentId=agent_id)) == (400, "SCHEMA_INVALID")


def test_agents_are_listed_by_id_filtered_and_paged(api, db):
    for agent_id, capabilities in (("agt_b", ["ocr"]), ("agt_a", ["ocr", "pay"]), ("agt_c", [])):
        an_agent(agent_id, capabilities=capabilities)
    an_agent("agt_z", tenant_id="tenant_b")
    with tenancy.tenant_scope(TENANT):
        agents.change_status(
            tenant_id=TENANT, agent_id="agt_c", status=AgentStatus.SUSPENDED, actor=ACTOR, now=NOW
        )

    def ids(query=""):
        return [agent["agentId"] for agent in body(api.get(f"/agents{query}"))["agents"]]

    assert ids() == ["agt_a", "agt_b", "agt_c"]
    assert ids("?capability=pay") == ["agt_a"]
    assert ids("?status=suspended") == ["agt_c"]
    assert ids("?limit=1&offset=1") == ["agt_b"]
    shown = body(api.get("/agents?limit=nonsense&offset=-3"))
    assert (shown["limit"], shown["offset"]) == (200, 0)
    assert body(api.get("/agents?limit=99999"))["limit"] == 1000
    assert refusal(api.get("/agents?status=gone")) == (400, "SCHEMA_INVALID")


def test_an_unknown_agent_is_not_found(api, db):
    answer = api.get("/agents/agt_nobody")

    assert (answer.status_code, body(answer)["error"]) == (404, "agent identity not found")


def test_reading_is_no_right_to_register(api, db):
    answer = api.with_token("tok_read").post("/agents/register", {"publicKeyPem": PEM})

    assert refusal(answer) == (403, "FORBIDDEN")


def test_a_revoked_agent_stays_revoked_and_is_not_active(db):
    an_agent("agt_1")
    with tenancy.tenant_scope(TENANT):
        name = {"tenant_id": TENANT, "agent_id": "agt_1", "actor": ACTOR, "now": NOW}
        agents.change_status(**name, status=AgentStatus.SUSPENDED)
        revoked = agents.change_status(**name, status=AgentStatus.REVOKED)

        with pytest.raises(agents.AgentNotActive):
            agents.require_active(revoked)
        with pytest.raises(agents.AgentStatusFinal):
            agents.change_status(**name, status=AgentStatus.ACTIVE)


def test_platform_admins_suspend_agents_in_the_admin_through_the_same_verb(db, client):
    agent = an_agent("agt_1")
    person = User.objects.create(username="admin", is_staff=True, platform_role="admin", date_joined=NOW)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")

    chosen = {"action": "suspend_selected", "_selected_action": [str(agent.pk)]}
    answer = client.post(reverse("admin:kernel_agent_changelist"), chosen)

    assert answer.status_code == 302
    with tenancy.tenant_scope(TENANT):
        assert Agent.objects.get().status == "suspended"
        assert OpsAudit.objects.filter(action="AGENT_STATUS_CHANGE", target_id="agt_1").count() == 1
