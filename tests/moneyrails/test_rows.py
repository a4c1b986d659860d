"""What the database itself refuses, whoever asks: append-only rows, uniqueness, states, other tenants."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.utils import DatabaseError


@pytest.mark.parametrize("model", ["ProviderEvent", "Movement", "ChargebackEntry"])
@pytest.mark.parametrize("act", ["UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}", "TRUNCATE {}"])
def test_append_only_tables_refuse_change(world, model, act):
    from moneyrails import models

    world.walked(world.enqueued(), "submitted", "confirmed", "reversed")
    table = getattr(models, model)._meta.db_table
    assert getattr(models, model).objects.exists()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(act.format(table))


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"amount_cents": 0}, "operation_amount_positive"),
        ({"state": "lost"}, "operation_(state_known|stamps_match_state)"),
        ({"state": "submitted"}, "operation_stamps_match_state"),
        ({"state": "confirmed", "confirmed_at": "2026-01-01T00:00Z"}, "operation_stamps_match_state"),
        ({"failed_at": "2026-01-01T00:00Z"}, "operation_stamps_match_state"),
        ({"provider_mode": "live"}, "operation_mode_known"),
    ],
)
def test_an_operation_cannot_hold_what_no_operation_can_be(world, change, constraint):
    from moneyrails.models import Operation

    world.enqueued()
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Operation.objects.update(**change)


def test_one_live_payout_per_party_and_period_and_one_per_key_over_all_providers(world):
    from moneyrails.models import Operation
    from settld.core import ids

    row = world.enqueued()
    for changes, constraint in [
        ({"payout_key": "other", "operation_id": "other"}, "operation_one_live_payout_per_period"),
        ({"period": "2026-02", "provider_id": "stub_other"}, "operation_once_per_payout_key"),
        ({"period": "2026-02", "payout_key": "other"}, "operation_once_per_provider"),
    ]:
        twin = Operation.objects.get(pk=row.pk)
        for name, value in changes.items():
            setattr(twin, name, value)
        twin.pk = ids.uuid7()
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            twin.save(force_insert=True)


def test_at_most_one_attempt_is_open_and_nobody_resolves_his_own(world):
    from moneyrails.models import DispatchAttempt
    from moneyrails.services import attempts

    operation = world.real_payout()
    first = attempts.open_attempt(operation, None, actor=world.ACTOR, caller_identity_hash="", now=world.NOW)
    with pytest.raises(IntegrityError, match="attempt_one_open"), transaction.atomic():
        attempts.open_attempt(operation, first, actor=world.ACTOR, caller_identity_hash="", now=world.NOW)
    with pytest.raises(IntegrityError, match="attempt_resolved_by"), transaction.atomic():
        DispatchAttempt.objects.update(resolved_by=world.ACTOR.principal_id)


def test_another_tenant_sees_nothing_even_by_raw_sql(world):
    from moneyrails import models
    from settld.core import tenancy

    world.walked(world.enqueued(), "submitted", "confirmed", "reversed")
    world.real_payout("party2")
    world.submitted(world.enqueued("party3"))
    with tenancy.tenant_scope("tenant_b"), connection.cursor() as cursor:
        for name in models.__all__:
            table = getattr(models, name)._meta.db_table
            cursor.execute(f"SELECT count(*) FROM {table}")
            assert cursor.fetchone() == (0,), table


def test_the_check_command_finds_a_counter_that_lies(world, capsys):
    from django.core.management import call_command

    from moneyrails.models import ExposureCounter

    world.enqueued()
    call_command("moneyrails_check")
    assert '"ok": true' in capsys.readouterr().out
    ExposureCounter.objects.update(amount_cents=1)
    with pytest.raises(SystemExit) as left:
        call_command("moneyrails_check")
    assert left.value.code == 2
    assert '"actual_cents": 10000' in capsys.readouterr().out
