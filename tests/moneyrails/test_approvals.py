"""What waits for a second person: each end of the wait, who may decide, and what the database refuses."""

import datetime as dt

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from settld.core.principals import Actor

ANNA, BEN = Actor("person:1", request_id="req_anna"), Actor("person:2", request_id="req_ben")
TOKEN = Actor("ops_token:abcdef123456")


@pytest.fixture
def asked(world, settings):
    """A tenant with four eyes and a cap of 500, where Anna asks for 900."""
    from billing.plans.services import plan
    from billing.plans.services.plan_request import read_change

    world.set_controls(fourEyes=True, maxPayoutAmountCents=500)

    def ask(actor=ANNA, **rails):
        change = read_change(
            {"moneyRails": {"maxPayoutAmountCents": 900, **rails}, "reason": "a large party joins"}
        )
        done = plan.replace(tenant_id=world.TENANT, change=change, actor=actor, now=world.NOW)
        return done.approval

    return ask


def decide(world, verb, approval, actor=BEN, *, now=None, reason="seen the contract"):
    from moneyrails.services import approvals

    return getattr(approvals, verb)(
        tenant_id=world.TENANT, approval_id=str(approval.pk), reason=reason, actor=actor,
        now=now or world.NOW,
    )  # fmt: skip


def cap(world):
    from moneyrails.services import controls

    return controls.get(tenant_id=world.TENANT).max_payout_amount_cents


def audits(action):
    from settld.audit.models import OpsAudit

    return list(OpsAudit.objects.filter(action=action).order_by("id"))


# --- Asking ---------------------------------------------------------------------------------------
def test_asking_changes_nothing_and_keeps_body_base_and_reason(world, asked):
    approval = asked()

    assert cap(world) == 500
    assert (approval.status, approval.requested_by, approval.requested_by_user_id) == (
        "pending", "person:1", "1",
    )  # fmt: skip
    assert approval.body == {"moneyRails": {"maxPayoutAmountCents": 900}}
    assert approval.base["controls"]["maxPayoutAmountCents"] == 500
    assert approval.changes == [
        {
            "field": "maxPayoutAmountCents", "before": 500, "after": 900,
            "why": "the cap of one payout is raised",
        }
    ]  # fmt: skip
    assert approval.request_reason == "a large party joins"
    assert approval.expires_at == world.NOW + dt.timedelta(hours=72)
    [row] = audits("APPROVAL_REQUESTED")
    assert (row.target_id, row.actor_principal_id) == (str(approval.pk), "person:1")
    assert not audits("BILLING_PLAN_UPSERT")


def test_asking_the_same_again_gives_the_same_approval_and_other_things_another(world, asked):
    first = asked()

    assert asked().pk == first.pk
    assert asked(actor=BEN).pk != first.pk
    assert asked(dailyPayoutLimitCents=5).pk != first.pk
    assert len(audits("APPROVAL_REQUESTED")) == 3


def test_so_many_may_wait_and_no_more(world, asked, monkeypatch):
    from moneyrails.services import approvals
    from moneyrails.services.approval_refusals import TooManyPending

    monkeypatch.setattr(approvals, "MOST_PENDING", 1)
    asked()
    with pytest.raises(TooManyPending):
        asked(dailyPayoutLimitCents=5)


# --- Deciding -------------------------------------------------------------------------------------
def test_a_second_person_approves_and_the_whole_body_is_applied(world, asked):
    approval = decide(world, "approve", asked())

    assert cap(world) == 900
    assert (approval.status, approval.decided_by, approval.decision_reason) == (
        "approved", "person:2", "seen the contract",
    )  # fmt: skip
    [change] = audits("BILLING_PLAN_UPSERT")
    assert change.details["approvalId"] == str(approval.pk)
    assert (change.actor_principal_id, change.details["requestedBy"]) == ("person:2", "person:1")
    assert change.details["before"]["controls"]["maxPayoutAmountCents"] == 500
    assert len(audits("APPROVAL_APPROVED")) == 1


@pytest.mark.parametrize(
    ("verb", "actor", "status"),
    [("reject", BEN, "rejected"), ("reject", ANNA, "rejected"), ("withdraw", ANNA, "withdrawn")],
)
def test_it_ends_otherwise_and_nothing_is_applied(world, asked, verb, actor, status):
    approval = decide(world, verb, asked(), actor)

    assert (approval.status, cap(world)) == (status, 500)
    [row] = audits(f"APPROVAL_{status.upper()}")
    assert row.details["reason"] == "seen the contract"


@pytest.mark.parametrize("verb", ["approve", "reject", "withdraw"])
@pytest.mark.parametrize("ended", ["approve", "reject", "withdraw"])
def test_what_has_ended_stays_ended(world, asked, refused, ended, verb):
    approval = asked()
    decide(world, ended, approval, ANNA if ended == "withdraw" else BEN)

    with refused("APPROVAL_NOT_PENDING") as caught:
        decide(world, verb, approval, ANNA if verb == "withdraw" else BEN)
    assert caught.value.details["approvalId"] == str(approval.pk)


def test_nobody_else_withdraws(world, asked, refused):
    approval = asked()
    with refused("APPROVAL_NOT_YOURS"):
        decide(world, "withdraw", approval, BEN)


@pytest.mark.parametrize("wrong", ["", "nope", "0", "\x00", "01890000-0000-7000-8000-000000000000"])
def test_one_that_is_not_there_is_not_found(world, wrong):
    from moneyrails.services import approvals
    from settld.core.errors import NotFound

    with pytest.raises(NotFound):
        approvals.approve(
            tenant_id=world.TENANT, approval_id=wrong, reason="x", actor=BEN, now=world.NOW
        )  # fmt: skip


# --- Who ------------------------------------------------------------------------------------------
def make_key(world, key_id, actor):
    from settld.tenants.services import keys

    keys.create(
        tenant_id=world.TENANT, scopes=["finance_write"], key_id=key_id, expires_at=None, description="",
        actor=actor, now=world.NOW,
    )  # fmt: skip
    return Actor(f"auth:{key_id}", key_id=key_id)


def test_nobody_approves_what_they_asked(world, asked, refused):
    approval = asked()
    with refused("APPROVAL_SELF_FORBIDDEN"):
        decide(world, "approve", approval, ANNA)
    assert cap(world) == 500


def test_a_person_does_not_approve_what_their_own_key_asked_nor_the_key_what_they_asked(
    world, asked, refused
):
    key = make_key(world, "annas", ANNA)
    by_key, by_anna = asked(actor=key), asked()
    assert by_key.requested_by_user_id == "1"

    for approval, actor in ((by_key, ANNA), (by_anna, key)):
        with refused("APPROVAL_SELF_FORBIDDEN"):
            decide(world, "approve", approval, actor)
    assert decide(world, "approve", by_key, BEN).status == "approved"


def test_keys_that_keys_made_and_rotated_ones_lead_back_to_their_people(world, asked, refused):
    from settld.core.principals import Principal
    from settld.tenants.services import hands, keys

    first = make_key(world, "first", ANNA)
    second = make_key(world, "second", first)
    turned = keys.rotate(
        tenant_id=world.TENANT, key_id="second", grace_seconds=0, expires_at=None, has_expiry=False,
        grantor=Principal("person", "person:3", world.TENANT, frozenset({"finance_write"})),
        actor=Actor("person:3"), now=world.NOW,
    ).key  # fmt: skip
    third = Actor(f"auth:{turned.key_id}", key_id=turned.key_id)

    assert hands.of(tenant_id=world.TENANT, actor=third).names == {
        third.principal_id, second.principal_id, first.principal_id, "person:1", "person:3",
    }  # fmt: skip
    approval = asked(actor=third)
    assert approval.requested_by_user_id == ""  # it was one of two
    for actor in (ANNA, Actor("person:3"), first):
        with refused("APPROVAL_SELF_FORBIDDEN"):
            decide(world, "approve", approval, actor)


def test_a_chain_of_keys_too_long_to_be_followed_may_be_anybodys(world, asked, refused, monkeypatch):
    from settld.tenants.services import hands

    monkeypatch.setattr(hands, "MOST_KEYS", 3)
    keys_of_anna = [ANNA]
    for place in range(4):
        keys_of_anna.append(make_key(world, f"link{place}", keys_of_anna[-1]))
    followed, lost = asked(actor=keys_of_anna[2], dailyPayoutLimitCents=7), asked(actor=keys_of_anna[4])
    assert hands.ANYBODY in lost.requested_hands
    assert hands.ANYBODY not in followed.requested_hands
    for actor in (ANNA, BEN):
        with refused("APPROVAL_SELF_FORBIDDEN"):
            decide(world, "approve", lost, actor)
    with refused("APPROVAL_SELF_FORBIDDEN"):
        decide(world, "approve", followed, keys_of_anna[4])
    assert decide(world, "approve", followed, BEN).status == "approved"


def test_a_machine_that_no_person_is_known_behind_does_not_approve(world, asked, refused):
    approval, key = asked(), make_key(world, "bare", TOKEN)
    for actor in (TOKEN, key, Actor("auth:unknown", key_id="unknown")):
        with refused("APPROVAL_PERSON_REQUIRED"):
            decide(world, "approve", approval, actor)
    assert decide(world, "approve", asked(actor=TOKEN, dailyPayoutLimitCents=7), BEN).status == "approved"


def test_a_key_that_a_second_person_made_approves_for_them(world, asked):
    done = decide(world, "approve", asked(), make_key(world, "bens", BEN))
    assert (done.decided_by, done.decided_by_user_id, done.decided_by_key_id) == ("auth:bens", "2", "bens")


def test_two_keys_of_one_ops_token_are_one_hand(world, asked, refused):
    approval, other = asked(actor=make_key(world, "one", TOKEN)), make_key(world, "two", TOKEN)
    with refused("APPROVAL_SELF_FORBIDDEN"):
        decide(world, "approve", approval, other)


# --- What it was asked against --------------------------------------------------------------------
def test_a_change_of_the_controls_supersedes_what_was_asked_against_the_old_ones(world, asked, refused):
    from billing.plans.services import plan
    from billing.plans.services.plan_request import read_change

    approval = asked()
    tighter = read_change({"moneyRails": {"maxPayoutAmountCents": 400}})
    plan.replace(tenant_id=world.TENANT, change=tighter, actor=BEN, now=world.NOW)

    with refused("APPROVAL_NOT_PENDING") as caught:
        decide(world, "approve", approval)
    assert caught.value.details["status"] == "superseded"
    assert cap(world) == 400


def test_a_change_from_elsewhere_is_found_at_the_approval_with_both_versions(world, asked, refused):
    from moneyrails.models import MoneyRailControls

    approval = asked()
    MoneyRailControls.objects.update(connect_enabled=True)

    with refused("APPROVAL_BASE_CHANGED") as caught:
        decide(world, "approve", approval)
    assert caught.value.details["base"]["controls"]["connect"]["enabled"] is False
    assert caught.value.details["current"]["controls"]["connect"]["enabled"] is True
    assert cap(world) == 500


def test_what_the_provider_says_of_an_account_does_not_end_the_wait(world, asked):
    from moneyrails.models import ConnectAccount

    world.set_controls(
        fourEyes=True, maxPayoutAmountCents=500,
        connect={"enabled": False, "accounts": [{"accountId": "acct_a"}]},
    )  # fmt: skip
    approval = asked()
    ConnectAccount.objects.update(kyb_status="verified")
    assert decide(world, "approve", approval).status == "approved"


def test_approving_one_ends_the_others_that_it_contradicts(world, asked):
    from moneyrails.models import Approval

    one, other = asked(), asked(dailyPayoutLimitCents=7)
    decide(world, "approve", one)
    assert Approval.objects.get(pk=other.pk).status == "superseded"
    assert len(audits("APPROVAL_SUPERSEDED")) == 1


# --- Time -----------------------------------------------------------------------------------------
def test_what_ran_out_is_not_approved_and_the_loop_ends_it_once(world, asked, refused):
    from moneyrails.models import Approval
    from moneyrails.queries import approvals as queries
    from moneyrails.services import approvals

    approval = asked()
    end = approval.expires_at
    with refused("APPROVAL_EXPIRED"):
        decide(world, "approve", approval, now=end)
    assert queries.status_of(approval, now=end) == "expired"
    assert approvals.expire_due(now=end - dt.timedelta(milliseconds=1)) == 0
    assert approvals.expire_due(now=end) == 1
    assert approvals.expire_due(now=end) == 0
    assert Approval.objects.get(pk=approval.pk).status == "expired"
    assert [row.actor_principal_id for row in audits("APPROVAL_EXPIRED")] == ["approvals"]


def test_asking_again_after_it_ran_out_asks_anew(world, asked):
    from moneyrails.models import Approval

    old = asked()
    from billing.plans.services import plan
    from billing.plans.services.plan_request import read_change

    change = read_change({"moneyRails": {"maxPayoutAmountCents": 900}, "reason": "again"})
    new = plan.replace(
        tenant_id=world.TENANT, change=change, actor=ANNA, now=old.expires_at
    ).approval  # fmt: skip
    assert new.pk != old.pk
    assert Approval.objects.get(pk=old.pk).status == "expired"


# --- What the database refuses, whoever writes ----------------------------------------------------
def execute(query, *parameters):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(query, parameters)


APPROVED = (
    "UPDATE approval SET status = 'approved', decided_by = %s, decided_by_user_id = %s, decided_hands = %s,"
    " decided_at = %s WHERE id = %s"
)


@pytest.mark.parametrize(
    ("decided_by", "user_id", "hands", "why"),
    [
        ("person:1", "", ["person:1"], "approval_by_a_second_person"),
        ("auth:annas", "", ["auth:annas", "person:1"], "approval_by_a_second_person"),
        ("person:2", "1", ["person:2"], "approval_by_a_second_person"),
        ("person:2", "2", [], "only a known person approves"),
        ("person:2", "2", ["person:3"], "only a known person approves"),
        ("auth:bare", "", ["auth:bare"], "only a known person approves"),
        ("", "", [], "only a known person|approval_decided_by_somebody"),
    ],
)
def test_raw_sql_approves_nothing_of_its_own(world, asked, decided_by, user_id, hands, why):
    approval = asked()
    with pytest.raises(DatabaseError, match=why):
        execute(APPROVED, decided_by, user_id, hands, world.NOW, approval.pk)
    assert cap(world) == 500


def test_raw_sql_approves_nothing_too_late(world, asked):
    approval = asked()
    with pytest.raises(IntegrityError, match="approval_in_time"):
        execute(APPROVED, "person:2", "2", ["person:2"], approval.expires_at, approval.pk)


@pytest.mark.parametrize(
    "change",
    ["body = '{}'", "base = '{}'", "requested_by = 'person:9'", "requested_hands = '{}'",
     "tenant_id = tenant_id || ''", "expires_at = expires_at + interval '1 day'", "kind = 'other'"],
)  # fmt: skip
def test_what_was_asked_cannot_be_rewritten(world, asked, change):
    approval = asked()
    query = f"UPDATE approval SET {change} WHERE id = %s"
    if "tenant_id" in change:
        execute(query, approval.pk)  # the same value is no change
        return
    with pytest.raises(DatabaseError, match="stays as it was asked"):
        execute(query, approval.pk)


@pytest.mark.parametrize("end", ["approve", "reject"])
def test_a_decision_cannot_be_rewritten_or_removed(world, asked, end):
    approval = asked()
    decide(world, end, approval)
    for query in ("UPDATE approval SET status = 'pending' WHERE id = %s",
                  "UPDATE approval SET decision_reason = 'other' WHERE id = %s"):  # fmt: skip
        with pytest.raises(DatabaseError, match="a decision stands"):
            execute(query, approval.pk)
    for query in ("DELETE FROM approval WHERE id = %s", "TRUNCATE approval"):
        with pytest.raises(DatabaseError):
            execute(query, *([approval.pk] if "%s" in query else []))


def test_an_approval_is_never_born_decided(world, asked):
    from django.forms.models import model_to_dict

    from moneyrails.models import Approval

    values = model_to_dict(asked()) | {
        "status": "approved", "decided_by": "person:2", "decided_hands": ["person:2"],
        "decided_at": world.NOW, "body_hash": "x",
    }  # fmt: skip
    with transaction.atomic(), pytest.raises(DatabaseError, match="begins as pending"), transaction.atomic():
        Approval.objects.create(**values)


def test_another_tenant_sees_none(world, asked):
    from moneyrails.models import Approval
    from settld.core import tenancy

    approval = asked()
    with tenancy.tenant_scope("tenant_b"):
        assert not Approval.objects.filter(pk=approval.pk).exists()


def test_beat_ends_what_ran_out(world, asked):
    from django.conf import settings

    from moneyrails import tasks
    from moneyrails.models import Approval
    from settld.core import clock

    approval = asked()
    assert settings.CELERY_BEAT_SCHEDULE["approval-expiry"]["task"] == tasks.expire_approvals.name
    with clock.freeze(approval.expires_at):
        tasks.expire_approvals()
    assert Approval.objects.get(pk=approval.pk).status == "expired"


def test_another_verb_joins_by_registering_a_kind(world, refused):
    """A kind brings its lock, its base and its effect; asking, identity, expiry and history come with it."""
    from moneyrails.services import approvals

    done, state = [], {"case": "open"}

    class Settling:
        name, title, unsettles = "tests.settling", "Settle a case", ()

        def lock(self, *, tenant_id, now):
            done.append("locked")

        def base(self, approval):
            return dict(state)

        def apply(self, approval, *, actor, now):
            done.append((approval.body, actor.principal_id))
            return {"settled": True}

    asked = approvals.Asked("tests.settling", "case 7", {"as": "sent"}, dict(state), [], "the bank says so")
    waiting = approvals.ask(asked, tenant_id=world.TENANT, actor=ANNA, now=world.NOW)
    with refused("APPROVAL_KIND_UNKNOWN"):
        decide(world, "approve", waiting)
    approvals.register(Settling())
    try:
        state["case"] = "moved"
        with refused("APPROVAL_BASE_CHANGED"):
            decide(world, "approve", waiting)
        state["case"] = "open"
        assert decide(world, "approve", waiting).result == {"settled": True}
    finally:
        approvals._registry.kinds.pop("tests.settling")
    assert done[-2:] == ["locked", ({"as": "sent"}, "person:2")]
