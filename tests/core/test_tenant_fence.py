"""Row-level security is the second fence: raw SQL cannot cross tenants, a pooled connection leaks none."""

import threading

import pytest
from django.apps import apps
from django.db import ProgrammingError, connection, connections, transaction

from settld.audit import services as audit
from settld.core import tenancy, transactions
from settld.core.principals import Actor


def write(tenant_id):
    with tenancy.tenant_scope(tenant_id), transactions.atomic():
        audit.append(
            tenant_id=tenant_id, actor=Actor("t"), action="A", target_type="x", target_id="1", details=None
        )


def raw_count():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ops_audit")
        return cursor.fetchone()[0]


def test_every_table_with_a_tenant_stands_behind_the_fence(db):
    tenant_tables = {
        model._meta.db_table
        for model in apps.get_models()
        if any(field.column == "tenant_id" for field in model._meta.fields)
        and "Deployment-wide" not in (model.__doc__ or "")
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, count(p.oid) FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid"
            " WHERE c.relrowsecurity GROUP BY 1"
        )
        fenced = dict(cursor.fetchall())
    assert tenant_tables <= set(fenced)
    assert {fenced[table] for table in tenant_tables} == {4}


def test_the_role_we_run_as_owns_no_table_and_cannot_pass_the_fence(db):
    from settld.tenants.checks import application_role_is_fenced

    assert application_role_is_fenced(databases=["default"]) == []


def test_raw_sql_sees_one_tenant_only_and_none_without_a_scope(live_db):
    write("tenant_a")
    write("tenant_b")
    assert raw_count() == 0
    with tenancy.tenant_scope("tenant_a"):
        assert raw_count() == 1
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT tenant_id FROM ops_audit WHERE tenant_id = 'tenant_b' OR true")
            assert cursor.fetchall() == [("tenant_a",)]
    with tenancy.platform_scope(reason="test"):
        assert raw_count() == 2
    assert raw_count() == 0


def test_a_row_of_another_tenant_cannot_be_written(live_db):
    write("tenant_b")
    with tenancy.tenant_scope("tenant_a"), connection.cursor() as cursor:
        with pytest.raises(ProgrammingError, match="row-level security"):
            cursor.execute("INSERT INTO ops_audit_head VALUES ('tenant_c', 1, 'x')")
        cursor.execute("UPDATE ops_audit_head SET seq = 9 WHERE tenant_id = 'tenant_b'")
        assert cursor.rowcount == 0


def test_the_platform_mode_is_for_reading(live_db):
    write("tenant_a")
    with tenancy.platform_scope(reason="test"), connection.cursor() as cursor:
        cursor.execute("UPDATE ops_audit_head SET seq = 9")
        assert cursor.rowcount == 0


def test_an_append_only_table_refuses_the_application_and_its_owner(live_db):
    write("tenant_a")
    with tenancy.tenant_scope("tenant_a"), connection.cursor() as cursor:
        with pytest.raises(ProgrammingError, match="permission denied"):
            cursor.execute("UPDATE ops_audit SET action = 'x'")
    for statement in ("UPDATE ops_audit SET action = 'x'", "DELETE FROM ops_audit", "TRUNCATE ops_audit"):
        with connections["owner"].cursor() as cursor, pytest.raises(Exception, match="Cannot"):
            cursor.execute(statement)


def test_a_connection_that_served_one_tenant_carries_nothing_to_the_next(live_db):
    """The same session serves alternating tenants, in and out of transactions, failing ones included."""
    write("tenant_a")
    write("tenant_b")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        session = cursor.fetchone()
    for _ in range(3):
        with tenancy.tenant_scope("tenant_a"), transactions.atomic():
            assert raw_count() == 1
        assert raw_count() == 0
        with pytest.raises(ZeroDivisionError), tenancy.tenant_scope("tenant_b"), transactions.atomic():
            raise ZeroDivisionError
        assert raw_count() == 0
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('settld.tenant_id', true), pg_backend_pid()")
            assert cursor.fetchone() == ("", *session)


def test_threads_do_not_see_each_others_scope(live_db):
    write("tenant_a")
    seen = []

    def look():
        seen.append((tenancy.current(), raw_count()))
        connection.close()

    with tenancy.tenant_scope("tenant_a"):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen == [(tenancy.NOBODY, 0)]


def test_a_scope_entered_inside_a_transaction_is_told_to_it_and_taken_back(live_db):
    write("tenant_a")
    with transactions.atomic():
        assert raw_count() == 0
        with tenancy.tenant_scope("tenant_a"):
            assert raw_count() == 1
        assert raw_count() == 0


@pytest.mark.parametrize(
    "table",
    ["money_rail_operation", "dispatch_attempt", "payout_outcome", "exposure_counter", "party_balance",
     "money_rail_controls", "party_statement", "month_close"],
)  # fmt: skip
def test_rows_that_speak_of_money_are_never_deleted(live_db, table):
    with tenancy.tenant_scope("tenant_a"), connection.cursor() as cursor:
        with pytest.raises(ProgrammingError, match="permission denied"):
            cursor.execute(f"DELETE FROM {table}")
