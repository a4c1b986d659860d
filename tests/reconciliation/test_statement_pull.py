"""Issue 3.3: the provider's statement is read in pages, past its faults, and never twice into the books."""

import datetime as dt

import pytest
from django.test.utils import CaptureQueriesContext

from reconciliation.models import ProviderPeriod, ProviderTransfer, StatementCursor
from reconciliation.services import statement_lines
from settld.core import clock, failpoints, tenancy, transactions
from settld.core.locks import session_advisory
from settld.stripe_gateway import client as gateway
from settld.stripe_gateway.answers import transfer_page
from settld.stripe_gateway.outcomes import ProviderAnswerUnusable
from settld.tenants.models import Tenant
from tests.reconciliation.books import NOW, TENANT
from tests.reconciliation.statement import PAID_AT, pull
from tests.support.simulator import API_KEY

MINUTE = dt.timedelta(minutes=1)
OURS = {"settld_tenant_id": TENANT}


def fill(stripe, count, **more):
    for number in range(count):
        stripe.transfer(f"tr_{number}", at=PAID_AT + number * MINUTE, metadata=OURS, **more)


def stored():
    return sorted(ProviderTransfer.objects.values_list("transfer_id", flat=True))


def test_every_page_is_read_and_a_second_pull_reads_only_what_is_new(paid, stripe):
    fill(stripe, 8)
    first = pull()
    assert (first.status, first.is_complete, first.new, first.pages) == ("ok", True, 8, 4)

    stripe.transfer("tr_new", at=PAID_AT + 600 * MINUTE, metadata=OURS)
    second = pull(NOW + MINUTE)

    assert (second.new, second.changed) == (1, 0)
    assert second.pages == 4  # the hour before the newest known line, and the reversals
    third = pull(NOW + 2 * MINUTE)
    assert (third.new, third.changed, third.pages) == (0, 0, 2)
    assert len(stored()) == 9


def test_an_unchanged_line_is_no_write(paid, stripe):
    from django.db import connection

    fill(stripe, 3)
    pull()
    with CaptureQueriesContext(connection) as captured:
        pull(NOW + MINUTE)
    written = [query["sql"] for query in captured if 'INTO "provider_transfer"' in query["sql"]]
    assert written == []
    assert ProviderPeriod.objects.get().revision == 1


def test_a_read_is_bounded_and_the_next_goes_on_where_it_was(paid, stripe):
    fill(stripe, 8)

    first = pull(max_pages=2)
    assert (first.is_complete, len(stored())) == (False, 6)
    assert (
        StatementCursor.objects.get(kind="transfers").covered_at is None
    )  # nothing may be called missing yet
    second = pull(NOW + MINUTE, max_pages=9)

    assert (second.is_complete, second.new) == (True, 2)
    # What the read covers is what lay there when it began.
    assert StatementCursor.objects.get(kind="transfers").covered_at == NOW


def test_a_provider_that_is_down_breaks_the_read_off_and_loses_nothing(paid, stripe):
    fill(stripe, 8)
    stripe.fails_at = 2

    first = pull()
    assert (first.status, first.code, first.new) == ("error", "network_error", 3)
    cursor = StatementCursor.objects.get(kind="transfers")
    assert (cursor.error_code, cursor.starting_after, cursor.covered_at) == ("network_error", "tr_5", None)
    second = pull(NOW + MINUTE)

    assert (second.status, second.new, len(stored())) == ("ok", 5, 8)
    assert StatementCursor.objects.get(kind="transfers").error_code == ""


def test_lines_that_come_in_while_it_reads_are_in_this_read_or_the_next(paid, stripe):
    fill(stripe, 8)

    def meanwhile(provider):
        if provider.calls <= 3:
            provider.transfer(f"tr_late_{provider.calls}", at=PAID_AT + 60 * MINUTE, metadata=OURS)

    stripe.before_page = meanwhile
    pull()
    pull(NOW + MINUTE)

    assert stored() == sorted(one["id"] for one in stripe.transfers)


def test_a_place_that_the_provider_forgot_sends_the_read_to_the_top(paid, stripe):
    fill(stripe, 8)
    pull(max_pages=1)
    stripe.forgets = {"tr_5"}

    assert pull(NOW + MINUTE).status == "error"
    stripe.forgets = set()
    assert pull(NOW + 2 * MINUTE).is_complete
    assert len(stored()) == 8


def test_a_doubled_id_counts_once_with_its_later_telling(paid, stripe):
    fill(stripe, 1)
    told = [transfer_page({"object": "list", "data": [
        {**stripe.transfers[0], "amount": 1}, stripe.transfers[0], stripe.transfers[0],
    ]}).rows][0]  # fmt: skip

    filed = statement_lines.file(told, now=NOW)

    assert filed.new == 1
    assert ProviderTransfer.objects.get().amount_cents == 10_000


def test_a_row_that_cannot_be_read_is_counted_and_does_not_stop_the_others(paid, stripe):
    fill(stripe, 2)
    stripe.transfer("tr_broken", at=PAID_AT + MINUTE, amount="much")
    stripe.transfer("tr_huge", at=PAID_AT + MINUTE, amount=2**60, metadata=OURS)

    assert pull().status == "ok"
    assert stored() == ["tr_0", "tr_1"]
    assert StatementCursor.objects.get(kind="transfers").unreadable == 1


def test_a_row_that_no_table_can_hold_stops_nothing_either(paid, stripe):
    fill(stripe, 2)
    stripe.transfer("tr_far", at=PAID_AT + MINUTE, metadata=OURS)["created"] = 10**15
    stripe.transfer("tr_nul", at=PAID_AT + MINUTE, metadata=OURS, transfer_group="a\x00b")

    assert pull().is_complete
    assert stored() == ["tr_0", "tr_1"]


def test_a_reversed_transfer_that_cannot_be_read_stops_the_other_reversals_once_not_for_ever(
    paid, stripe, monkeypatch
):
    old = PAID_AT - dt.timedelta(days=3)  # behind what the list of transfers tells again
    well, ill = (stripe.transfer(name, at=old, metadata=OURS) for name in ("tr_well", "tr_ill"))
    fill(stripe, 1)
    pull()
    stripe.reverse(well, amount=40)
    stripe.reverse(ill, amount=50)
    plain = stripe.retrieve_transfer

    def retrieve(transfer_id):
        if transfer_id == "tr_ill":
            raise ProviderAnswerUnusable({"message": "not a transfer", "category": "invalid_response"})
        return plain(transfer_id)

    monkeypatch.setattr(stripe, "retrieve_transfer", retrieve)
    assert pull(NOW + MINUTE).status == "error"
    assert pull(NOW + 2 * MINUTE).is_complete
    assert ProviderTransfer.objects.get(transfer_id="tr_well").amount_reversed_cents == 40
    assert ProviderTransfer.objects.get(transfer_id="tr_ill").amount_reversed_cents == 0
    assert StatementCursor.objects.get(kind="reversals").unreadable == 1


def test_a_slow_provider_ends_a_pull_by_the_clock_and_the_next_goes_on(paid, stripe):
    fill(stripe, 8)
    with clock.freeze(NOW) as move:
        stripe.before_page = lambda _provider: move(clock.now() + 4 * MINUTE)
        first = pull()
        assert (first.status, first.is_complete, first.pages, len(stored())) == ("ok", False, 2, 6)
        assert pull(clock.now()).is_complete


def test_a_crash_between_the_new_owner_and_the_old_leaves_no_line_to_both(paid, stripe):
    """The line moves from the default tenant to the one that its account belongs to now."""
    Tenant.objects.create(tenant_id="tenant_a", created_at=NOW, updated_at=NOW)
    stripe.transfer("tr_moves", metadata={"settld_tenant_id": "tenant_unknown"})
    pull()
    stripe.transfers[0]["metadata"] = {"settld_tenant_id": "tenant_a"}

    def die(name):
        if name == "statement.after_commit":
            raise KeyboardInterrupt

    with failpoints.watched(die), pytest.raises(KeyboardInterrupt):
        pull(NOW + MINUTE)
    pull(NOW + 2 * MINUTE)

    with tenancy.platform_scope(reason="test: every tenant's lines"), transactions.atomic():
        lines = ProviderTransfer.objects.filter(withdrawn_at__isnull=True)
        assert list(lines.values_list("tenant_id", flat=True)) == ["tenant_a"]


def test_a_list_that_does_not_move_on_ends_as_an_error(paid, stripe, monkeypatch):
    fill(stripe, 2)
    page = {"object": "list", "data": stripe.transfers, "has_more": True}
    monkeypatch.setattr(stripe, "transfers_page", lambda **_: transfer_page(page))

    assert (pull().status, pull().code) == ("error", "invalid_response")
    assert StatementCursor.objects.get(kind="transfers").covered_at is None


def test_one_pull_at_a_time_over_all_processes(paid, stripe):
    with session_advisory("settld:maintenance:provider_statement:v1") as is_ours:
        assert is_ours
        assert pull().status == "already_running"
    assert pull().status == "ok"


def test_without_key_or_stripe_provider_nothing_is_read(paid, stripe, settings, monkeypatch):
    monkeypatch.setattr(stripe, "is_configured", lambda: False)
    assert pull().status == "not_configured"
    assert stripe.calls == 0


def test_a_pull_refuses_to_run_inside_a_transaction(paid, stripe):
    with transactions.atomic(), pytest.raises(RuntimeError):
        pull()
    assert stripe.calls == 0


# --- Against the simulator --------------------------------------------------------------------------
@pytest.fixture
def simulated(paid, settings, monkeypatch, stripe_sim):
    """The simulator behind the real client."""
    import dataclasses

    from reconciliation.services import statement_pull
    from settld.stripe_gateway import calls, circuit

    settings.STRIPE = dataclasses.replace(
        settings.STRIPE, api_base_url=stripe_sim.url, secret_key=API_KEY, retry_max_attempts=1
    )
    circuit.for_address(stripe_sim.url).record_answer()
    monkeypatch.setattr(calls, "pause", lambda _seconds: None)
    monkeypatch.setattr(statement_pull, "client", gateway)
    monkeypatch.setattr(gateway, "PAGE_SIZE", 3)
    stripe_sim.account("acct_books")
    stripe_sim.control("/_sim/clock", {"now": int(PAID_AT.timestamp())})
    return stripe_sim


def test_pages_reversals_and_faults_against_the_simulator(simulated):
    def make(number):
        return simulated.control(
            "/_sim/transfers",
            {"amount": 100 + number, "currency": "usd", "destination": "acct_books", "metadata": OURS},
        )

    made = [make(number) for number in range(7)]
    simulated.fault("status_500_before", method="GET", path="/v1/transfers", skip=1)
    assert pull().status == "error"
    assert pull().is_complete
    assert len(stored()) == 7

    simulated.control(f"/_sim/transfers/{made[0]['id']}/reverse", {"amount": 40})
    make(99)
    with transactions.atomic():
        assert ProviderTransfer.objects.get(transfer_id=made[0]["id"]).amount_reversed_cents == 0
    assert pull(NOW + MINUTE).changed == 1
    assert ProviderTransfer.objects.get(transfer_id=made[0]["id"]).amount_reversed_cents == 40
    assert len(stored()) == 8
