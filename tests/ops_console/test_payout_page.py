"""GET /console/payouts/{providerId}/{operationId}"""

import pytest

from tests.ops_console.world import page_of, queries_of


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("initiated", ["Enqueued", "Payout enqueued", "Passed 1"]),
        ("submitted", ["Attempt 1 opened", "Attempt 1: succeeded", "Money left: 100.00 USD"]),
        ("confirmed", ["Confirmed: applied", "evt_confirmed"]),
        ("failed", ["Failed: applied", "Money came back: 100.00 USD"]),
        ("reversed", ["Reversed: applied", "Money was taken back: 100.00 USD", "Reversal: 100.00 USD"]),
        ("cancelled", ["Money rail operation cancelled"]),
    ],
)
def test_the_timeline_tells_what_happened(world, approver, state, told):
    operation = world.payout("p1", state=state)

    page = approver.get(page_of(operation)).content.decode()

    for text in told:
        assert text in page, text


def test_every_gate_shows_its_verdict(world, approver):
    operation = world.payout("p1")

    page = approver.get(page_of(operation)).content.decode()

    for name in ("8. Real money allowed", "9. Kill switch off", "14. Within the daily cap"):
        assert name in page
    assert page.count('class="gate--pass"') >= 12
    assert 'class="gate--stop"' not in page


def test_a_gate_that_would_stop_the_submit_now_says_so(world, approver):
    operation = world.payout("p1")
    world.controls(payoutKillSwitch=True)

    page = approver.get(page_of(operation)).content.decode()

    assert page.count('class="gate--stop"') == 1
    assert "PAYOUT_KILL_SWITCH_ACTIVE" in page


def test_the_idempotency_key_of_the_attempt_is_shown(world, approver):
    from moneyrails.models import DispatchAttempt
    from settld.core import tenancy

    operation = world.payout("p1", state="submitted")
    with tenancy.tenant_scope("tenant_a"):
        key = DispatchAttempt.objects.get().idempotency_key

    assert key in approver.get(page_of(operation)).content.decode()


@pytest.mark.parametrize(
    ("state", "seconds"),
    [("initiated", "3"), ("submitted", "3"), ("confirmed", "30"), ("failed", None), ("cancelled", None)],
)
def test_the_page_asks_again_until_the_state_is_final(world, approver, state, seconds):
    operation = world.payout("p1", state=state)

    page = approver.get(page_of(operation)).content.decode()

    assert (f'hx-trigger="every {seconds}s"' in page) if seconds else ("hx-trigger" not in page)


def test_the_live_part_brings_other_acts_when_the_state_has_moved(world, finance):
    operation = world.payout("p1")

    same = finance.get(f"{page_of(operation)}/live", {"version": "initiated-none"}).content.decode()
    moved = finance.get(f"{page_of(operation)}/live", {"version": "other"}).content.decode()

    assert 'id="live"' in same
    assert "hx-swap-oob" not in same
    assert '<div id="act" hx-swap-oob="outerHTML">' in moved
    assert "Now: Initiated" in moved


def test_somebody_who_only_reads_is_offered_no_act(world, approver, finance):
    operation = world.payout("p1")

    assert b"Submit payout" not in approver.get(page_of(operation)).content
    assert b"Submit payout" in finance.get(page_of(operation)).content


def test_queries_do_not_grow_with_the_story(world, approver):
    short, long = world.payout("p1", state="submitted"), world.payout("p2", state="reversed")

    assert queries_of(approver, page_of(long)) == queries_of(approver, page_of(short)) <= 22


def test_an_operation_id_may_hold_any_character(world, finance):
    operation = world.payout("team ä:1")

    answer = finance.get(page_of(operation))

    assert answer.status_code == 200
    assert "team ä:1" in answer.content.decode()
