"""A plan's limit on payouts, asked by the money rails: spec 7.8, T-170; and T-174's call sites."""

import dataclasses
import datetime as dt

import pytest

from billing import checks
from billing.models import UsageCounter, UsageEvent
from billing.services import limits
from billing.services.limit_refusals import LimitExceeded
from moneyrails import payout_limit
from moneyrails.services import doubt, submission
from settld.core import capabilities, clock, tenancy
from settld.core.errors import Refusal
from settld.stripe_gateway import outcomes
from tests.billing import factories as make
from tests.support import factories as rails
from tests.support.api import body, refusal
from tests.support.factories import ACTOR, NOW, TENANT

CODE = "payouts_submitted_monthly"


@pytest.fixture
def world(db, settings):
    """The money rails of tenant_a, our clock stopped, its plan allowing two payouts a month."""
    settings.MONEY_RAILS = rails.rails()
    settings.STRIPE = dataclasses.replace(settings.STRIPE, secret_key="sk_test_rails")
    entity, plan = make.workspace_entity(), make.plan()
    make.entitlement(
        plan, CODE, "entitlement.quota.v1", {"limit": 2, "interval": "month", "enforcement": "hard"}
    )
    make.subscription(entity, plan, make.customer(entity))
    with tenancy.tenant_scope(TENANT), clock.freeze(NOW):
        yield rails


def submit(operation, **more):
    return submission.submit(**rails.key_of(operation), actor=ACTOR, now=NOW, **more)


def uses():
    """The counter, and the state of each counted operation."""
    counted = sum(UsageCounter.objects.values_list("usage_count", flat=True))
    return counted, sorted(UsageEvent.objects.values_list("state", flat=True))


def failure(kind):
    fields = dict.fromkeys(outcomes.ProviderErrorObject.__annotations__)
    return getattr(outcomes, kind)(fields | {"message": "no", "category": "upstream_rejected"})


def test_t170_payouts_are_counted_and_the_third_is_refused_before_anything_is_done(world, api):
    operations = [world.enqueued(f"party{number}") for number in range(3)]
    for operation in operations[:2]:
        assert submit(operation).applied
    assert uses() == (2, ["counted"] * 2)

    with pytest.raises(LimitExceeded):
        submit(operations[2])
    operations[2].refresh_from_db()
    assert operations[2].state == "initiated"
    path = f"/ops/money-rails/stub_default/operations/{operations[2].operation_id}/submit"
    answer = api.post(path)
    assert refusal(answer) == (429, "BILLING_LIMIT_EXCEEDED")
    assert (body(answer)["details"]["reason"], int(answer["retry-after"]) > 0) == ("quota_exceeded", True)
    assert uses() == (2, ["counted"] * 2)


def test_t170_the_same_operation_counts_once_however_often_it_is_submitted(world):
    operation = world.enqueued("party1")
    assert submit(operation).applied
    for _ in range(3):
        again = submit(operation)
        assert (again.applied, again.reason) == (False, "already_submitted")
    assert uses() == (1, ["counted"])


def test_t170_a_refused_submit_gives_its_use_back(world):
    operation = world.enqueued("party1")
    world.told(operation, "cancelled")
    with pytest.raises(Refusal):
        submit(operation)
    with pytest.raises(Refusal):
        submission.submit(
            tenant_id=TENANT, provider_id="stub_default", operation_id="unknown", actor=ACTOR, now=NOW
        )
    assert uses() == (0, [])


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        ("ProviderRejected", (0, [])),
        ("ProviderNotExecuted", (0, [])),
        ("ProviderInDoubt", (1, ["reserved"])),
        ("ProviderAnswerUnusable", (1, ["reserved"])),
    ],
)
def test_t170_only_a_clear_no_gives_the_use_back(world, kind, left):
    operation, rail = world.real_payout(), world.RecordingRail()
    rail.before = [failure(kind)]
    with pytest.raises(Refusal):
        submit(operation, rail=rail)
    assert uses() == left


@pytest.mark.parametrize("is_stale", [False, True])
def test_t170_a_payout_whose_doubt_ends_in_its_transfer_is_counted(world, is_stale):
    operation, rail = world.real_payout(), world.RecordingRail()
    rail.after = [failure("ProviderInDoubt")]
    with pytest.raises(Refusal):
        submit(operation, rail=rail)
    later = NOW + dt.timedelta(hours=1)
    if is_stale:
        assert limits.release_stale(now=later) == 1
        assert uses() == (0, [])
    assert doubt.recover_due(now=later, rail=rail) == {"adopted": 1}
    assert uses() == (1, ["counted"])


def test_t170_a_no_after_a_doubt_gives_nothing_back(world):
    operation, rail = world.real_payout(), world.RecordingRail()
    rail.before = [failure("ProviderInDoubt"), failure("ProviderRejected")]
    for _ in range(2):
        with pytest.raises(Refusal):
            submit(operation, rail=rail)
    assert uses() == (1, ["reserved"])


def test_t170_a_limit_that_cannot_be_settled_never_undoes_a_payout(world, monkeypatch):
    from django.db import OperationalError

    from billing.services import reservations

    def broken(*_args, **_more):
        raise OperationalError("gone")

    monkeypatch.setattr(reservations, "confirm", broken)
    operation = world.enqueued("party1")
    assert submit(operation).applied
    operation.refresh_from_db()
    assert operation.state == "submitted"


def test_t170_without_a_subscription_a_submit_costs_one_read_and_with_billing_off_none(world, settings):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    other = "tenant_b"
    make.tenant(other)

    def reads():
        with CaptureQueriesContext(connection) as counted:
            with payout_limit.counted(tenant_id=other, operation_id="mop_1", now=NOW) as use:
                use.ended(was_recorded=True)
        return [query["sql"] for query in counted if "set_config" not in query["sql"]]

    assert len(reads()) == 1
    settings.BILLING = dataclasses.replace(settings.BILLING, enabled=False)
    with CaptureQueriesContext(connection) as counted:
        with payout_limit.counted(tenant_id=TENANT, operation_id="mop_1", now=NOW):
            pass
    assert len(counted) == 0


def test_t170_the_rails_alone_limit_nothing():
    alone = payout_limit.Unlimited()
    assert alone.reserve(tenant_id="t", operation_id="o", now=NOW) is None
    assert alone.count(tenant_id="t", operation_id="o", now=NOW) is None


# --- T-174 ----------------------------------------------------------------------------------------
def test_t174_every_capability_has_a_call_site_or_is_external():
    assert checks.capabilities_have_call_sites() == []
    assert capabilities.call_sites["payouts.submit"] == {"moneyrails.services.submission.submit"}
    assert capabilities.call_sites["payment_links.create"] == {"billing.services.payment_links.create"}


def test_t174_a_capability_that_nobody_carries_out_fails_the_check(settings):
    settings.BILLING = dataclasses.replace(
        settings.BILLING, capabilities=settings.BILLING.capabilities | {"reports.export": "reports_monthly"}
    )
    (error,) = checks.capabilities_have_call_sites()
    assert (error.id, error.msg) == ("billing.E020", "no function carries out the capability reports.export")
    settings.BILLING = dataclasses.replace(
        settings.BILLING,
        external_capabilities=settings.BILLING.external_capabilities | {"reports.export"},
    )
    assert checks.capabilities_have_call_sites() == []


def test_t174_a_call_site_that_limits_nothing_fails_the_check(settings, monkeypatch):
    monkeypatch.setattr(checks, "call_sites", capabilities.call_sites | {"typo.submit": {"somewhere"}})
    (error,) = checks.capabilities_have_call_sites()
    assert (error.id, "typo.submit" in error.msg) == ("billing.E021", True)


def test_t174_a_marked_function_runs_as_before():
    from settld.core.capabilities import call_sites, capability

    def double(number):
        return number * 2

    try:
        assert capability("tests.double")(double) is double
        assert double(2) == 4
        assert call_sites["tests.double"] == {f"{__name__}.{double.__qualname__}"}
    finally:
        call_sites.pop("tests.double", None)
