"""Whose billing a request is about: section 3, T-001 to T-016."""

import dataclasses
import datetime as dt

import pytest

from billing.models import BillableEntity
from settld.core import tenancy
from settld.tenants.models import Tenant
from tests.billing import factories as make
from tests.billing import people
from tests.support.api import body, refusal

pytestmark = pytest.mark.django_db
LIMITATIONS = "billing/limitations"  # a read that shows the entity and needs nothing else
SYNC = "billing/payment-methods/sync"  # a write that does nothing without a customer
KEY = {"Idempotency_Key": "key-1"}
WRITES = {
    "billing/checkout": {"planCode": "pro", "successPath": "/a", "cancelPath": "/b"},
    "billing/checkout/refresh": {},
    "billing/portal": {"returnPath": "/a"},
    "billing/payment-links": {"successPath": "/a", "oneOff": {"name": "x", "amountMinor": 1}},
    "billing/payment-links/1/deactivate": {},
    SYNC: {},
}


def shown(answer):
    """The entity that a read was about: its type and what names it."""
    assert answer.status_code == 200, answer.content
    entity = body(answer)["billableEntity"]
    return entity["entityType"], entity["workspaceId"] or entity["entityRef"]


def entities() -> int:
    with tenancy.platform_scope(reason="tests"):
        return BillableEntity.objects.count()


# --- Workspaces -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "surface", ["x-surface-id", "x-workspace-id", "x-last-workspace", "x-provider-customer-id"]
)
def test_t001_a_forged_surface_changes_nothing(surface):
    mine = people.person("ann", tenant_a="owner")
    make.workspace_entity("tenant_b")

    assert shown(mine.get(LIMITATIONS, **{surface: "tenant_b"})) == ("workspace", "tenant_a")


def test_t002_a_workspace_is_named_by_header_before_query():
    both = people.person("ann", tenant_a="owner", tenant_b="viewer")

    assert shown(both.get(LIMITATIONS, x_workspace_slug="tenant_a")) == ("workspace", "tenant_a")
    assert shown(both.get(f"{LIMITATIONS}?workspaceSlug=tenant_b")) == ("workspace", "tenant_b")
    by_both = both.get(f"{LIMITATIONS}?workspaceSlug=tenant_b", x_workspace_slug="tenant_a")
    assert shown(by_both) == ("workspace", "tenant_a")
    blank = both.get(f"{LIMITATIONS}?workspaceSlug=tenant_b", x_workspace_slug="  ")
    assert shown(blank) == ("workspace", "tenant_b")


def test_t002_a_path_parameter_comes_between_header_and_query():
    from django.test import RequestFactory

    from billing.api.base import BillingView

    view = BillingView()
    view.kwargs = {"workspace_slug": "by_path", "billable_entity_id": 7}
    request = RequestFactory().get("/?workspaceSlug=by_query&billableEntityId=9")
    chosen = view._selectors(request)
    assert (chosen.workspace_slug, chosen.billable_entity_id) == ("by_path", "7")
    request = RequestFactory().get("/", headers={"x-workspace-slug": "by_header"})
    assert view._selectors(request).workspace_slug == "by_header"


@pytest.mark.parametrize("name", ["tenant_b", "nowhere", "TENANT_A", "../tenant_a", "ü", "a" * 5_000])
def test_t002_a_workspace_that_is_not_theirs_looks_like_one_that_does_not_exist(name):
    mine = people.person("ann", tenant_a="owner")
    make.tenant("tenant_b")

    answer = mine.get(LIMITATIONS, x_workspace_slug=name)
    assert refusal(answer) == (403, "BILLING_WORKSPACE_FORBIDDEN")
    assert body(answer) == {
        "error": "You do not have access to this workspace.",
        "code": "BILLING_WORKSPACE_FORBIDDEN",
        "details": {"code": "BILLING_WORKSPACE_FORBIDDEN"},
    }


def test_t003_the_only_workspace_needs_no_name():
    assert shown(people.person("ann", tenant_a="viewer").get(LIMITATIONS)) == ("workspace", "tenant_a")


def test_t004_several_workspaces_need_a_name():
    both = people.person("ann", tenant_a="owner", tenant_b="owner")

    answer = both.get(LIMITATIONS)
    assert refusal(answer) == (409, "BILLING_WORKSPACE_SELECTION_REQUIRED")
    assert body(answer)["error"] == "Workspace selection required."
    assert entities() == 0


def test_t005_without_a_workspace_it_is_the_persons_own_entity_in_a_tenant_of_its_own():
    alone = people.person("ann")

    assert shown(alone.get(LIMITATIONS)) == ("user", f"user:{alone.user.pk}")
    assert alone.post(SYNC).status_code == 200
    tenant = Tenant.objects.get(tenant_id=f"user_{alone.user.pk}")
    assert tenant.source == "personal"
    assert entities() == 1


def test_t005_a_tenant_that_somebody_made_under_the_personal_name_is_left_alone():
    alone = people.person("ann")
    make.tenant(f"user_{alone.user.pk}")

    assert refusal(alone.get(LIMITATIONS)) == (409, "BILLING_HOME_TENANT_TAKEN")


def test_t006_no_request_remembers_the_workspace_of_the_one_before():
    both = people.person("ann", tenant_a="owner", tenant_b="owner")

    assert both.get(LIMITATIONS, x_workspace_slug="tenant_a").status_code == 200
    session = both.client.session
    session["tenant_id"] = "tenant_a"  # what the console keeps
    session.save()
    assert refusal(both.get(LIMITATIONS)) == (409, "BILLING_WORKSPACE_SELECTION_REQUIRED")


@pytest.mark.parametrize("role", ["viewer", "approver", "auditor", "operator"])
def test_t007_a_member_without_the_permission_may_read_and_not_write(role):
    member = people.person("ann", tenant_a=role)

    assert member.get(LIMITATIONS).status_code == 200
    for path, sent in WRITES.items():
        assert refusal(member.post(path, sent, **KEY)) == (403, "BILLING_PERMISSION_REQUIRED"), path


@pytest.mark.parametrize("role", ["owner", "admin", "finance"])
def test_t007_owner_admin_and_finance_hold_the_permission(role):
    assert people.person("ann", tenant_a=role).post(SYNC).status_code == 200


def test_t007_a_removed_member_is_none():
    from settld.tenants.models import Membership

    gone = people.person("ann", tenant_a="owner")
    make.workspace_entity()
    with tenancy.tenant_scope("tenant_a"):
        Membership.objects.update(status="removed")

    assert refusal(gone.get(LIMITATIONS, x_workspace_slug="tenant_a"))[0] == 403
    assert shown(gone.get(LIMITATIONS))[0] == "user"


# --- Entity selectors -----------------------------------------------------------------------------
def test_t008_an_entity_selector_goes_before_every_default():
    both = people.person("ann", tenant_a="owner", tenant_b="owner")
    b = make.workspace_entity("tenant_b")

    assert shown(both.get(LIMITATIONS, x_billable_entity_id=str(b.pk))) == ("workspace", "tenant_b")
    assert shown(both.get(f"{LIMITATIONS}?billableEntityId={b.pk}")) == ("workspace", "tenant_b")
    a = make.workspace_entity("tenant_a")
    named_twice = both.get(f"{LIMITATIONS}?billableEntityId={b.pk}", x_billable_entity_id=str(a.pk))
    assert shown(named_twice) == ("workspace", "tenant_a")
    assert shown(both.get(LIMITATIONS, x_billable_entity_id=f" 00{a.pk} ")) == ("workspace", "tenant_a")


@pytest.mark.parametrize(
    "sent", ["0", "-1", "+1", "1.0", "1e3", "abc", "0x1", "\u0661", "\u00b2", "1 2", "1" * 101, "null"]
)
def test_t009_an_entity_selector_that_is_no_positive_integer_is_400(sent):
    answer = people.person("ann", tenant_a="owner").get(
        f"{LIMITATIONS}?billableEntityId={sent.replace('+', '%2B')}"
    )

    assert refusal(answer) == (400, "VALIDATION_ERROR")
    fault = {"billableEntityId": "billableEntityId must be a positive integer."}
    assert body(answer)["fieldErrors"] == body(answer)["details"]["fieldErrors"] == fault


@pytest.mark.parametrize("sent", ["999999", str(2**63 - 1), str(2**63), "9" * 100])
def test_t009_an_unknown_entity_looks_like_somebody_elses(sent):
    mine = people.person("ann", tenant_a="owner")
    other = make.workspace_entity("tenant_b")

    for entity_id in (sent, str(other.pk)):
        answer = mine.get(LIMITATIONS, x_billable_entity_id=entity_id)
        assert refusal(answer) == (403, "BILLING_ENTITY_FORBIDDEN")
    assert refusal(mine.post(SYNC, x_billable_entity_id=sent)) == (403, "BILLING_ENTITY_FORBIDDEN")


def test_t010_selectors_that_name_different_entities_conflict():
    both = people.person("ann", tenant_a="owner", tenant_b="viewer")
    a = make.workspace_entity("tenant_a")
    outside = people.external_entity("tenant_a")
    people.grant(outside, str(both.user.pk))

    def named(entity, workspace):
        return both.get(LIMITATIONS, x_billable_entity_id=str(entity.pk), x_workspace_slug=workspace)

    assert named(a, "tenant_a").status_code == 200
    assert refusal(named(a, "tenant_b")) == (409, "BILLING_SELECTOR_CONFLICT")
    assert refusal(named(outside, "tenant_a")) == (409, "BILLING_SELECTOR_CONFLICT")
    assert refusal(named(a, "tenant_c")) == (403, "BILLING_WORKSPACE_FORBIDDEN")


def test_t011_a_persons_entity_is_theirs_alone():
    ann, bob = people.person("ann"), people.person("bob", tenant_a="owner", platform_role="admin")
    entity_id = str(body(ann.get(LIMITATIONS))["billableEntity"]["id"])

    assert ann.post(SYNC, x_billable_entity_id=entity_id).status_code == 200
    for stranger in (bob, people.api_key("finance_write")):
        answer = stranger.get(LIMITATIONS, x_billable_entity_id=entity_id)
        assert refusal(answer) == (403, "BILLING_ENTITY_FORBIDDEN")


@pytest.mark.parametrize(
    ("role", "status", "read", "write"),
    [
        ("owner", "active", 200, 200),
        ("billing_admin", "active", 200, 200),
        ("member", "active", 200, "BILLING_PERMISSION_REQUIRED"),
        ("owner", "removed", "BILLING_ENTITY_FORBIDDEN", "BILLING_ENTITY_FORBIDDEN"),
        (None, None, "BILLING_ENTITY_FORBIDDEN", "BILLING_ENTITY_FORBIDDEN"),
    ],
)
def test_t012_what_an_organization_role_opens(role, status, read, write):
    from billing.models import OrganizationMembership

    ann = people.person("ann")
    guild = people.organization(*([(ann.user, role)] if role else []))
    OrganizationMembership.objects.update(status=status or "active")
    named = {"x_billable_entity_id": str(people.organization_entity(guild).pk)}

    for answer, expected in ((ann.get(LIMITATIONS, **named), read), (ann.post(SYNC, **named), write)):
        if expected == 200:
            assert answer.status_code == 200
        else:
            assert refusal(answer) == (403, expected)


PAST, FUTURE = dt.timedelta(seconds=-1), dt.timedelta(hours=1)


@pytest.mark.parametrize(
    ("terms", "read", "write"),
    [
        ({}, 200, "BILLING_PERMISSION_REQUIRED"),
        ({"can_manage": True}, 200, 200),
        ({"can_manage": True, "expires_at": FUTURE}, 200, 200),
        ({"can_manage": True, "expires_at": PAST}, *["BILLING_ENTITY_FORBIDDEN"] * 2),
        ({"can_manage": True, "revoked_at": PAST}, *["BILLING_ENTITY_FORBIDDEN"] * 2),
        ({"can_manage": True, "can_read": False}, *["BILLING_ENTITY_FORBIDDEN"] * 2),
        (None, *["BILLING_ENTITY_FORBIDDEN"] * 2),
    ],
)
@pytest.mark.parametrize("who", ["person", "key"])
def test_t013_only_a_live_grant_leads_to_an_external_entity(who, terms, read, write):
    from settld.core import clock

    if who == "person":
        caller = people.person("ann", tenant_a="owner")
        holder = {"principal_type": "user", "principal_id": str(caller.user.pk)}
    else:
        caller = people.api_key("finance_write", key_id="k1")
        holder = {"principal_type": "api_client", "principal_id": "tenant_a:auth:k1"}
    # Neither who registered it nor who owns it has a way in by that.
    outside = people.external_entity("tenant_a", owner_user=caller.user)
    if terms is not None:
        moved = {
            name: clock.now() + value if name.endswith("_at") else value for name, value in terms.items()
        }
        people.grant(outside, **holder | moved)
    named = {"x_billable_entity_id": str(outside.pk)}

    for answer, expected in ((caller.get(LIMITATIONS, **named), read), (caller.post(SYNC, **named), write)):
        assert (answer.status_code if expected == 200 else refusal(answer)[1]) == expected


def test_t014_an_inactive_entity_may_be_read_and_not_written_for():
    mine = people.person("ann", tenant_a="owner")
    people.deactivate(make.workspace_entity())

    assert body(mine.get(LIMITATIONS))["billableEntity"]["status"] == "inactive"
    for path, sent in WRITES.items():
        assert refusal(mine.post(path, sent, **KEY)) == (409, "BILLING_ENTITY_INACTIVE"), path


@pytest.mark.parametrize("path", WRITES)
def test_t015_unknown_keys_and_provider_ids_are_rejected(path):
    mine = people.person("ann", tenant_a="owner")

    for unknown in ("customerId", "providerCustomerId", "subscriptionId", "billableEntityId", "x"):
        answer = mine.post(path, WRITES[path] | {unknown: "cus_1"}, **KEY)
        assert refusal(answer) == (400, "VALIDATION_ERROR")
        assert body(answer)["fieldErrors"] == {unknown: "Unknown field."}
    assert entities() == 0


def test_t016_a_deployment_may_make_the_persons_entity_the_default(settings):
    settings.BILLING = dataclasses.replace(settings.BILLING, default_entity="user")
    mine = people.person("ann", tenant_a="owner")

    assert shown(mine.get(LIMITATIONS))[0] == "user"
    assert shown(mine.get(LIMITATIONS, x_workspace_slug="tenant_a")) == ("workspace", "tenant_a")
    # A key has no person behind it, and stays with its tenant.
    assert shown(people.api_key("ops_read").get(LIMITATIONS)) == ("workspace", "tenant_a")


# --- Credentials ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("scope", "write"),
    [
        ("finance_write", 200),
        ("finance_read", 403),
        ("ops_read", 403),
        ("ops_write", 403),
        ("audit_read", 403),
    ],
)
def test_a_key_reads_with_any_scope_and_writes_with_finance_write(scope, write):
    key = people.api_key(scope)

    assert shown(key.get(LIMITATIONS)) == ("workspace", "tenant_a")
    answer = key.post(SYNC)
    assert answer.status_code == write
    if write == 403:
        assert refusal(answer) == (403, "BILLING_PERMISSION_REQUIRED")


def test_inv1_a_workspace_that_a_key_used_first_gets_its_owner_once_it_has_one():
    key = people.api_key("finance_read")
    assert body(key.get(LIMITATIONS))["billableEntity"]["ownerUserId"] is None
    owner = people.user("late", tenant_a="owner")
    for _ in range(2):
        assert body(key.get(LIMITATIONS))["billableEntity"]["ownerUserId"] == owner.pk


def test_a_keys_only_workspace_is_its_tenant():
    key = people.api_key("finance_write")
    b = make.workspace_entity("tenant_b")

    assert shown(key.get(LIMITATIONS, x_workspace_slug="tenant_a")) == ("workspace", "tenant_a")
    assert refusal(key.get(LIMITATIONS, x_workspace_slug="tenant_b")) == (403, "BILLING_WORKSPACE_FORBIDDEN")
    by_id = key.get(LIMITATIONS, x_billable_entity_id=str(b.pk))
    assert refusal(by_id) == (403, "BILLING_ENTITY_FORBIDDEN")


def test_keys_of_two_tenants_with_one_id_are_told_apart_by_their_secrets():
    first = people.api_key("finance_write", tenant_id="tenant_a", key_id="same")
    second = people.api_key("finance_write", tenant_id="tenant_b", key_id="same")

    assert shown(first.get(LIMITATIONS)) == ("workspace", "tenant_a")
    assert shown(second.get(LIMITATIONS)) == ("workspace", "tenant_b")
    assert first.get(LIMITATIONS, x_proxy_tenant_id="tenant_b").status_code == 401


def test_an_ops_token_acts_for_the_tenant_that_it_names(api):
    make.tenant("tenant_a")
    answer = api.get(f"/api/{LIMITATIONS}")
    assert shown(answer) == ("workspace", "tenant_a")
    assert refusal(api.as_tenant("nowhere").get(f"/api/{LIMITATIONS}")) == (
        403,
        "BILLING_WORKSPACE_FORBIDDEN",
    )


def test_the_home_of_a_person_is_no_workspace(api):
    ann = people.person("ann")
    ann.get(LIMITATIONS)

    answer = api.as_tenant(f"user_{ann.user.pk}").get(f"/api/{LIMITATIONS}")
    assert refusal(answer) == (403, "BILLING_WORKSPACE_FORBIDDEN")


# --- Tenants that may not act ---------------------------------------------------------------------
@pytest.mark.parametrize("named", [{}, {"x_workspace_slug": "tenant_a"}])
def test_a_suspended_workspace_is_refused_and_no_other_takes_its_place(named):
    mine = people.person("ann", tenant_a="owner")
    Tenant.objects.filter(tenant_id="tenant_a").update(status="suspended")

    assert refusal(mine.get(LIMITATIONS, **named)) == (403, "TENANT_SUSPENDED")
    assert entities() == 0


def test_a_workspace_that_asks_for_a_second_factor_gets_it_first():
    mine = people.person("ann", tenant_a="owner", tenant_b="owner")
    Tenant.objects.filter(tenant_id="tenant_a").update(requires_second_factor=True)

    refused = mine.get(LIMITATIONS, x_workspace_slug="tenant_a")
    assert refusal(refused) == (403, "SECOND_FACTOR_REQUIRED")
    assert shown(mine.get(LIMITATIONS, x_workspace_slug="tenant_b")) == ("workspace", "tenant_b")
    listed = body(mine.get("billing/entities"))["entities"]
    assert [entity["workspaceId"] for entity in listed] == ["tenant_b", None]


# --- Listing and making entities ------------------------------------------------------------------
def test_everything_that_a_person_may_select_is_listed_and_selectable(django_assert_max_num_queries):
    ann = people.person("ann", tenant_a="owner", tenant_b="viewer")
    guild = people.organization((ann.user, "member"))
    people.organization_entity(guild)
    outside = people.external_entity("tenant_c")
    people.grant(outside, str(ann.user.pk), can_manage=True)
    people.external_entity("tenant_c", name="crm:43")

    listed = body(ann.get("billing/entities"))["entities"]
    assert [(e["entityType"], e["workspaceId"] or e["entityRef"], e["canManage"]) for e in listed] == [
        ("workspace", "tenant_a", True),
        ("workspace", "tenant_b", False),
        ("user", f"user:{ann.user.pk}", True),
        ("organization", f"organization:{guild.pk}", False),
        ("external", "external:crm:42", True),
    ]
    assert list(listed[0]) == [
        "id", "entityType", "entityRef", "workspaceId", "ownerUserId", "status", "createdAt", "updatedAt",
        "canManage",
    ]  # fmt: skip
    assert listed[0]["ownerUserId"] == ann.user.pk
    assert listed[1]["ownerUserId"] is None  # nobody owns tenant_b
    for entity in listed:
        assert ann.get(LIMITATIONS, x_billable_entity_id=str(entity["id"])).status_code == 200
    with django_assert_max_num_queries(22):
        assert body(ann.get("billing/entities"))["entities"] == listed
    assert [
        e["workspaceId"] for e in body(people.api_key("ops_read").get("billing/entities"))["entities"]
    ] == ["tenant_a"]


def test_an_organizations_entity_is_made_by_its_owner_once():
    ann, bob = people.person("ann"), people.person("bob")
    guild = people.organization((ann.user, "owner"), (bob.user, "billing_admin"))
    wish = {"entityType": "organization", "organizationId": guild.pk}

    for nobody in (bob, people.person("eve"), people.api_key("finance_write")):
        assert refusal(nobody.post("billing/entities", wish)) == (403, "BILLING_ENTITY_FORBIDDEN")
    made = body(ann.post("billing/entities", wish))["billableEntity"]
    assert (made["entityRef"], made["canManage"]) == (f"organization:{guild.pk}", True)
    assert body(ann.post("billing/entities", wish))["billableEntity"] == made
    assert bob.post(SYNC, x_billable_entity_id=str(made["id"])).status_code == 200
    assert Tenant.objects.get(tenant_id=guild.tenant_id).source == "organization"


@pytest.mark.parametrize(
    ("wish", "faulty"),
    [
        ({}, {"entityType", "organizationId"}),
        ({"entityType": "workspace", "organizationId": 1}, {"entityType"}),
        ({"entityType": "organization", "organizationId": "1"}, {"organizationId"}),
        ({"entityType": "organization", "organizationId": True}, {"organizationId"}),
        ({"entityType": "organization", "organizationId": 1.0}, {"organizationId"}),
        ({"entityType": "organization", "organizationId": 2**63}, {"organizationId"}),
        ({"entityType": ["organization"], "organizationId": 1, "x": 1}, {"entityType", "x"}),
    ],
)
def test_a_malformed_wish_for_an_entity_is_400(wish, faulty):
    answer = people.person("ann").post("billing/entities", wish)

    assert refusal(answer) == (400, "VALIDATION_ERROR")
    assert set(body(answer)["fieldErrors"]) == faulty
