"""What must be last in a transaction comes last, once, and not at all for what was undone."""

import pytest

from settld.audit import services as audit
from settld.audit.models import OpsAudit
from settld.core import tenancy, transactions
from settld.core.principals import Actor


def note(action):
    audit.append(tenant_id="tenant_a", actor=Actor("t"), action=action, target_type="x", target_id="1")


def actions():
    return list(OpsAudit.objects.order_by("seq").values_list("action", flat=True))


@pytest.fixture
def tenant(live_db):
    with tenancy.tenant_scope("tenant_a"):
        yield


def test_last_words_are_written_at_the_end_of_the_outermost_transaction(tenant):
    with transactions.atomic():
        note("FIRST")
        with transactions.atomic():
            note("SECOND")
        assert actions() == []
    assert actions() == ["FIRST", "SECOND"]


def test_last_words_of_an_undone_part_are_not_said(tenant):
    with transactions.atomic():
        note("KEPT")
        with pytest.raises(ZeroDivisionError), transactions.atomic():
            note("UNDONE")
            raise ZeroDivisionError
    assert actions() == ["KEPT"]


def test_a_transaction_that_fails_says_nothing(tenant):
    with pytest.raises(ZeroDivisionError), transactions.atomic():
        note("UNDONE")
        raise ZeroDivisionError
    assert actions() == []


def test_a_write_sent_with_commit_that_fails_undoes_the_whole(tenant):
    class Explained(Exception):
        pass

    with pytest.raises(Explained), transactions.atomic():
        note("UNDONE")
        transactions.send_with_commit("SELECT 1 / %s", [0], explain=lambda _error: Explained())
    assert actions() == []


def test_a_provider_is_not_called_inside_a_transaction(tenant):
    transactions.require_no_transaction()
    with pytest.raises(RuntimeError, match="inside a transaction"), transactions.atomic():
        transactions.require_no_transaction()
