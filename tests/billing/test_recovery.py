"""A crash blocks an entity for minutes, and nothing is ever made twice (5.4; T-054 to T-063)."""

import datetime as dt

import pytest

from billing.models import BillingRequest
from billing.providers.errors import Category
from billing.services import checkout, idempotency_lease, recovery
from billing.services.idempotency import RequestInProgress
from settld.core import clock, hashing, tenancy
from tests.billing import checkouts, factories, payloads
from tests.billing.checkout_provider import problem, provider
from tests.billing.checkouts import guardrails

__all__ = ["guardrails", "provider"]
pytestmark = pytest.mark.django_db
NOW = factories.NOW
LATER = NOW + dt.timedelta(seconds=121)
DEADLINE = NOW + dt.timedelta(seconds=82_800)
UPPER_BOUND = NOW + dt.timedelta(seconds=86_400)
GRACE = dt.timedelta(seconds=90)
SECOND = dt.timedelta(seconds=1)


@pytest.fixture(autouse=True)
def move():
    with clock.freeze(NOW) as hands:
        yield hands


@pytest.fixture
def entity():
    factories.plan()
    return factories.workspace_entity()


@pytest.fixture
def lost(entity, provider) -> BillingRequest:
    """A request of which nothing is known: its process died before it asked."""
    with checkouts.dying_at("billing.checkout.claimed"):
        checkouts.start(entity)
    return checkouts.request(entity)


def _ends(entity) -> tuple:
    row, held = checkouts.request(entity), checkouts.sessions(entity)
    return row.status, row.failure_code, [(session.status, session.expires_at) for session in held]


def _completed(row: BillingRequest, session_id: str = "cs_1", **more) -> dict:
    thing = payloads.session(
        session_id, metadata=dict((row.provider_request_params_json or {})["metadata"]), **more
    )
    return payloads.event("checkout.session.completed", thing)


# --- Crash points ----------------------------------------------------------------------------------
CRASHES = [
    "billing.checkout.claimed",
    "billing.checkout.before_dispatch",
    "billing.checkout.dispatched",
    "billing.checkout.before_commit",
    "billing.checkout.after_commit",
]


@pytest.mark.parametrize("first", ["same_key", "beat", "webhook"])
@pytest.mark.parametrize("point", CRASHES)
def test_t_054_a_death_at_any_point_is_recovered_from(entity, provider, move, point, first):
    """T-054: whoever comes first, one session is made, and every key is told the same afterwards."""
    with checkouts.dying_at(point):
        checkouts.start(entity)
    row = checkouts.request(entity)
    assert row.status == ("succeeded" if point.endswith("after_commit") else "pending")
    if first == "webhook":
        # A session that somebody pays for was made, whether or not we lived to hear of it.
        provider.make(row.provider_request_params_json, row.provider_idempotency_key)
        provider.change("cs_1", status="complete", customer_id="cus_1", subscription_id="sub_1", url=None)
        payloads.deliver(_completed(row))
        assert checkouts.request(entity).status == "succeeded"
        assert checkouts.told(entity) == (200, "")
    move(LATER)
    if first == "beat":
        assert checkouts.again(entity) == ("nothing" if point.endswith("after_commit") else "succeeded")
    answers = [checkouts.start(entity) for _ in range(2)]
    assert answers[0].body == answers[1].body == checkouts.request(entity).response_json
    assert (len(provider.made), len(checkouts.sessions(entity))) == (1, 1)
    expected = "completed_pending_subscription" if first == "webhook" else "open"
    assert checkouts.session(entity).status == expected
    assert checkouts.again(entity) == "nothing"


def test_a_death_before_the_claim_is_committed_leaves_nothing(entity, provider):
    with checkouts.dying_at("billing.checkout.before_claim_commit"):
        checkouts.start(entity)
    assert (checkouts.requests(entity), provider.creates) == ([], [])
    assert checkouts.told(entity) == (200, "")


@pytest.mark.parametrize(
    "point",
    ["billing.recovery.before_claim_commit", "billing.recovery.claimed", "billing.checkout.dispatched",
     "billing.checkout.before_commit"],
)  # fmt: skip
def test_t_054_a_death_in_the_middle_of_recovery_is_recovered_from_as_well(
    entity, provider, lost, move, point
):
    move(LATER)
    with checkouts.dying_at(point):
        recovery.recover_pending(limit=5)
    move(LATER + dt.timedelta(seconds=241))
    assert checkouts.again(entity) == "succeeded"
    assert (len(provider.made), checkouts.session(entity).status) == (1, "open")


def test_t_054_a_call_that_dies_while_the_failure_is_written_fails_the_same_way_later(entity, provider, move):
    provider.will(*[problem(Category.INVALID_REQUEST, 402)] * 2)
    with checkouts.dying_at("billing.terminate.before_commit"):
        checkouts.start(entity)
    move(LATER)
    assert checkouts.told(entity) == (502, "checkout_provider_error")


def test_t_054_a_death_while_a_doubt_is_noted_leaves_the_request_pending(entity, provider, move):
    provider.will(problem(Category.TRANSIENT_NETWORK))
    with checkouts.dying_at("billing.remember.before_commit"):
        checkouts.start(entity)
    assert _ends(entity) == ("pending", None, [])
    move(LATER)
    assert checkouts.again(entity) == "succeeded"


# --- Leases and fencing ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (None, (200, "")),
        (problem(Category.INVALID_REQUEST, 400), (502, "checkout_provider_error")),
        (problem(Category.TRANSIENT_NETWORK), (409, "request_in_progress")),
    ],
    ids=["succeeded", "failed", "pending"],
)
@pytest.mark.parametrize("late", ["yes", "no", "doubt"])
def test_t_055_who_was_overtaken_answers_from_the_row(
    entity, provider, guardrails, move, outcome, expected, late
):
    """T-055: while the first one waits for the provider its lease ends, and a worker is through before it."""

    def slow():
        provider.will(*[outcome] if outcome else [])
        move(LATER)
        recovery.recover_pending(limit=5)
        if late == "no":
            raise problem(Category.INVALID_REQUEST, 422)
        if late == "doubt":
            raise problem(Category.TRANSIENT_PROVIDER, 500)
        row = checkouts.request(entity)
        told = provider.make(row.provider_request_params_json, row.provider_idempotency_key)
        return provider.answer(told)

    provider.will(slow)
    assert checkouts.told(entity) == expected
    row = checkouts.request(entity)
    assert row.recovery_attempt_count == 1
    assert row.lease_version == (2 if row.is_pending else 3)
    assert not row.had_indeterminate_attempt or expected[1] == "request_in_progress"
    assert ("BILLING_IDEMPOTENCY_LEASE_FENCED" in guardrails) == row.is_pending
    assert "BILLING_LEASE_FENCED" not in str(expected)


def test_t_056_of_two_recoverers_one_works_and_the_other_is_told_so(entity, provider, lost, move):
    move(LATER)

    def rival():
        assert checkouts.told(entity) == (409, "request_in_progress")
        assert recovery.recover_pending(limit=5) == {}
        with pytest.raises(RequestInProgress):
            idempotency_lease.take_over(
                tenant_id=entity.tenant_id, entity_id=entity.pk, request_id=lost.pk, is_same_key_retry=True
            )
        return provider.answer(provider.make(*provider.creates[-1]))

    provider.will(rival)
    assert recovery.recover_pending(limit=5) == {"succeeded": 1}
    assert (len(provider.creates), checkouts.request(entity).recovery_attempt_count) == (1, 1)


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(0, 0), (1, 60), (2, 120), (3, 240), (4, 480), (5, 900), (6, 900), (60, 900)],
)
def test_the_backoff_doubles_up_to_a_quarter_of_an_hour(entity, lost, move, attempts, seconds):
    """5.4: min(60 x 2^(n-1), 900) seconds; the query and the check under the lock agree."""
    assert idempotency_lease.backoff(attempts) == dt.timedelta(seconds=seconds)
    if not attempts:
        return
    checkouts.change(lost, recovery_attempt_count=attempts, last_recovery_attempt_at=LATER)
    for moment, is_due in ((seconds - 0.001, False), (seconds, True)):
        move(LATER + dt.timedelta(seconds=moment))
        found = recovery.find_due(limit=5)
        assert bool(found) == is_due
        assert idempotency_lease.is_due(checkouts.request(entity), now=clock.now()) == is_due


def test_a_retry_by_the_client_ignores_the_backoff(entity, provider, lost, move):
    checkouts.change(lost, recovery_attempt_count=6, last_recovery_attempt_at=LATER)
    move(LATER)
    assert checkouts.again(entity) == "nothing"
    assert checkouts.told(entity) == (200, "")


def test_a_worker_that_saw_it_due_still_asks_under_the_lock(entity, lost, move):
    move(LATER)
    checkouts.change(lost, recovery_attempt_count=3, last_recovery_attempt_at=LATER)
    with pytest.raises(idempotency_lease.NotDue):
        recovery.recover(tenant_id=entity.tenant_id, request_id=lost.pk, is_same_key_retry=False)


def test_no_tenant_waits_for_the_many_requests_of_another(provider, move):
    factories.plan()
    owned = []
    for tenant_id, count in (("tenant_a", 4), ("tenant_b", 1), ("tenant_c", 2)):
        home = factories.workspace_entity(tenant_id)
        for _ in range(count):
            lease = NOW + SECOND * len(owned)
            owned.append(factories.request(home, action="portal", pending_lease_expires_at=lease).pk)
    move(LATER)
    found = recovery.find_due(limit=10)
    assert [due.tenant_id for due in found][:5] == [
        "tenant_a", "tenant_b", "tenant_c", "tenant_a", "tenant_c",
    ]  # fmt: skip
    assert [due.request_id for due in found if due.tenant_id == "tenant_a"] == owned[:4]
    assert len(recovery.find_due(limit=3)) == 3


def test_one_request_that_cannot_be_looked_at_keeps_no_other_waiting(provider, move, monkeypatch):
    factories.plan()
    homes = [factories.workspace_entity(name) for name in ("tenant_a", "tenant_b")]
    for home in homes:
        with checkouts.dying_at("billing.checkout.claimed"):
            checkouts.start(home)
    look = recovery.recovery_steps.resolve

    def resolve(request, *, profile):
        if request.tenant_id == "tenant_a":
            raise ZeroDivisionError
        assert profile == "worker"
        return look(request, profile=profile)

    monkeypatch.setattr(recovery.recovery_steps, "resolve", resolve)
    move(LATER)
    assert recovery.recover_pending(limit=5) == {"error": 1, "succeeded": 1}


# --- The six steps ---------------------------------------------------------------------------------
def test_step_1_a_known_session_is_read(entity, provider, lost, move):
    provider.make(lost.provider_request_params_json, lost.provider_idempotency_key)
    checkouts.change(lost, provider_session_id="cs_1")
    move(LATER)
    assert checkouts.again(entity) == "succeeded"
    assert (provider.retrieved, provider.creates) == (["cs_1"], [])


@pytest.mark.parametrize(
    ("trouble", "end"),
    [
        (problem(Category.NOT_FOUND, 404, provider_code="resource_missing"), "failed"),
        (problem(Category.NOT_FOUND, 404), "pending"),
        (problem(Category.AUTH, 401), "pending"),
        (problem(Category.TRANSIENT_NETWORK), "pending"),
        (ZeroDivisionError(), "pending"),
    ],
    ids=["missing", "no_such_path", "401", "no_answer", "unknown"],
)
def test_step_1_a_known_session_that_cannot_be_read(entity, provider, lost, move, trouble, end):
    checkouts.change(lost, provider_session_id="cs_1")
    provider.retrieve_script.append(trouble)
    move(LATER)
    assert checkouts.again(entity) == end
    code = "checkout_provider_error" if end == "failed" else None
    assert (checkouts.request(entity).failure_code, provider.creates) == (code, [])


@pytest.mark.parametrize(("offset", "is_sent"), [(-SECOND, True), (0 * SECOND, False), (SECOND, False)])
@pytest.mark.parametrize("by_client", [True, False], ids=["same_key", "beat"])
def test_t_057_from_the_deadline_on_nothing_is_sent(
    entity, provider, lost, move, guardrails, offset, is_sent, by_client
):
    move(DEADLINE + offset)
    if by_client:
        expected = (200, "") if is_sent else (409, "checkout_recovery_window_elapsed")
        assert checkouts.told(entity) == expected
    else:
        assert checkouts.again(entity) == ("succeeded" if is_sent else "expired")
    assert (len(provider.creates), len(provider.looked_up)) == ((1, 0) if is_sent else (0, 1))
    if not is_sent:
        held = [("recovery_verification_pending", UPPER_BOUND + GRACE)]
        assert _ends(entity) == ("expired", "checkout_recovery_window_elapsed", held)
        assert "BILLING_RECOVERY_FAILURE" in guardrails
        assert checkouts.told(entity, "key-2") == (409, "checkout_recovery_verification_pending")


@pytest.mark.parametrize(("offset", "is_held"), [(-SECOND, True), (0 * SECOND, False), (SECOND, False)])
def test_t_058_after_the_horizon_no_place_is_kept(entity, provider, lost, move, offset, is_held):
    move(UPPER_BOUND + GRACE + offset)
    assert checkouts.again(entity) == "expired"
    held = [("recovery_verification_pending", UPPER_BOUND + GRACE)] if is_held else []
    assert _ends(entity) == ("expired", "checkout_recovery_window_elapsed", held)
    expected = (409, "checkout_recovery_verification_pending") if is_held else (200, "")
    assert checkouts.told(entity, "key-2") == expected


def test_a_session_that_is_found_after_the_deadline_is_adopted(entity, provider, lost, move):
    """5.4 step 3 comes before step 4."""
    provider.make(lost.provider_request_params_json, lost.provider_idempotency_key)
    move(DEADLINE + SECOND)
    assert checkouts.again(entity) == "succeeded"
    assert (provider.creates, checkouts.session(entity).status) == ([], "open")
    began = int(NOW.timestamp())
    assert provider.looked_up == [(lost.operation_key, str(entity.pk), began - 300, began + 86_400)]


@pytest.mark.parametrize(
    ("attribute", "value", "is_other"),
    [
        ("sdk_name", "another-sdk", True),
        ("sdk_version", "16.0.0", True),
        ("sdk_version", "150.0.1", True),
        ("sdk_version", "15.9.3", False),
        ("api_version", "2027-01-31.finch", True),
    ],
)
def test_t_059_another_sdk_or_interface_does_not_repeat_the_request(
    entity, provider, guardrails, lost, move, attribute, value, is_other
):
    setattr(provider, attribute, value)
    move(LATER)
    assert checkouts.again(entity) == ("failed" if is_other else "succeeded")
    if not is_other:
        assert len(provider.creates) == 1
        return
    assert (provider.creates, len(provider.looked_up)) == ([], 1)
    held = [("recovery_verification_pending", UPPER_BOUND + GRACE)]
    assert _ends(entity) == ("failed", "checkout_replay_provenance_mismatch", held)
    assert {
        "BILLING_PROVIDER_SDK_API_BASELINE_DRIFT",
        "BILLING_CHECKOUT_REPLAY_PROVENANCE_MISMATCH",
        "BILLING_CHECKOUT_RECOVERY_VERIFICATION_PENDING",
    } <= set(guardrails)
    assert checkouts.told(entity, "key-2") == (409, "checkout_recovery_verification_pending")
    move(UPPER_BOUND + GRACE)
    assert checkouts.told(entity, "key-3") == (200, "")


def test_t_059_a_session_of_the_older_release_is_still_found(entity, provider, lost, move):
    provider.make(lost.provider_request_params_json, lost.provider_idempotency_key)
    provider.api_version = "2027-01-31.finch"
    move(LATER)
    assert checkouts.again(entity) == "succeeded"
    assert provider.creates == []


def _frozen(**changes) -> dict:
    params = {"expires_at": int(UPPER_BOUND.timestamp()), "metadata": {}, "mode": "subscription"}
    return {
        "provider_request_params_json": params,
        "provider_request_hash": hashing.canonical_hash(params),
        "provider_request_schema_version": "stripe_checkout_session_create_params_v1",
        "provider_sdk_name": "stripe-python",
        "provider_sdk_version": "15.0.1",
        "provider_api_version": "2026-10-28.endive",
        "provider_request_frozen_at": NOW,
        "provider_idempotency_replay_deadline_at": DEADLINE,
        "provider_checkout_session_expires_at_upper_bound": UPPER_BOUND,
    } | changes


@pytest.mark.parametrize(
    ("columns", "until"),
    [
        (_frozen(provider_request_hash="0" * 64), UPPER_BOUND + GRACE),
        ({}, LATER + dt.timedelta(hours=24) + GRACE),
    ],
    ids=["hash", "nothing_frozen"],
)
def test_t_060_a_request_that_is_not_what_was_frozen_is_held_and_never_sent(
    entity, provider, guardrails, move, columns, until
):
    factories.request(entity, **columns)
    move(LATER)
    assert checkouts.again(entity) == "failed"
    held = [("recovery_verification_pending", until)]
    assert _ends(entity) == ("failed", "checkout_configuration_invalid", held)
    assert (provider.creates, provider.looked_up) == ([], [])
    assert "BILLING_PROVIDER_REQUEST_HASH_MISMATCH" in guardrails


def test_t_060_the_first_dispatch_checks_the_hash_as_well(entity, provider, lost):
    lost.provider_request_params_json["line_items"][0]["quantity"] = 7
    ended = checkout.checkout_dispatch.dispatch(lost, is_replay=False, profile="request")
    assert (ended.status, ended.failure_code) == ("failed", "checkout_configuration_invalid")
    assert provider.creates == []


STATUSES = ["open", "completed_pending_subscription", "completed_reconciled", "expired", "abandoned"]


@pytest.mark.parametrize("status", STATUSES)
def test_t_061_a_hold_takes_nothing_from_a_session_that_is_there(entity, provider, lost, move, status):
    expires_at = DEADLINE + dt.timedelta(minutes=1)
    factories.session(entity, operation_key=lost.operation_key, status=status, expires_at=expires_at)
    move(DEADLINE)
    assert checkouts.again(entity) == "expired"
    assert _ends(entity)[2] == [(status, expires_at)]


@pytest.mark.parametrize("offset", [-dt.timedelta(hours=3), 0 * SECOND, dt.timedelta(hours=3)])
def test_t_061_a_hold_that_is_there_never_ends_earlier(entity, provider, lost, move, offset):
    until = UPPER_BOUND + GRACE
    factories.session(
        entity,
        operation_key=lost.operation_key,
        status="recovery_verification_pending",
        expires_at=until + offset,
    )
    move(DEADLINE)
    assert checkouts.again(entity) == "expired"
    assert _ends(entity)[2] == [("recovery_verification_pending", max(until, until + offset))]


def test_t_061_beside_another_blocking_session_the_hold_is_given_up_at_once(
    entity, provider, guardrails, lost, move
):
    factories.session(entity, status="open", expires_at=None)
    move(DEADLINE)
    assert checkouts.again(entity) == "expired"
    assert [status for status, _until in _ends(entity)[2]] == ["open", "abandoned"]
    assert "BILLING_CHECKOUT_RECOVERY_VERIFICATION_PENDING" in guardrails


def test_t_061_a_one_off_is_held_as_well_and_blocks_nobody(entity, provider, move):
    with checkouts.dying_at("billing.checkout.claimed"):
        checkouts.start(entity, what=checkouts.one_off())
    move(DEADLINE)
    assert checkouts.again(entity) == "expired"
    assert checkouts.session(entity).flow == "one_off"
    assert checkouts.told(entity, "key-2") == (200, "")


def test_t_062_hold_and_termination_are_one_transaction(entity, provider, lost, move):
    move(DEADLINE)
    with checkouts.dying_at("billing.terminate.before_commit"):
        recovery.recover_pending(limit=5)
    assert _ends(entity) == ("pending", None, [])
    move(DEADLINE + dt.timedelta(seconds=200))
    with checkouts.dying_at("billing.terminate.after_commit"):
        recovery.recover_pending(limit=5)
    assert _ends(entity) == (
        "expired",
        "checkout_recovery_window_elapsed",
        [("recovery_verification_pending", UPPER_BOUND + GRACE)],
    )


@pytest.mark.parametrize(
    ("now_is", "session_status", "end"),
    [
        ("open", "open", ("succeeded", None)),
        ("complete", "completed_pending_subscription", ("succeeded", None)),
        ("expired", "expired", ("expired", "checkout_recovery_window_elapsed")),
    ],
)
def test_t_063_a_repeated_answer_is_old_and_the_session_itself_decides(
    entity, provider, lost, move, now_is, session_status, end
):
    provider.make(lost.provider_request_params_json, lost.provider_idempotency_key)
    provider.change("cs_1", status=now_is, url="https://pay.example.com/cs_1" if now_is == "open" else None)
    move(LATER)
    assert checkouts.again(entity) == end[0]
    assert provider.retrieved == ["cs_1"]
    row, session = checkouts.request(entity), checkouts.session(entity)
    assert ((row.status, row.failure_code), session.status) == (end, session_status)
    if end[0] == "succeeded":
        assert row.response_json["checkoutSession"]["providerStatus"] == now_is


def test_t_063_when_it_cannot_be_read_it_is_remembered_and_read_later(entity, provider, lost, move):
    provider.make(lost.provider_request_params_json, lost.provider_idempotency_key)
    provider.retrieve_script.append(problem(Category.TRANSIENT_NETWORK))
    move(LATER)
    assert checkouts.again(entity) == "pending"
    assert checkouts.request(entity).provider_session_id == "cs_1"
    move(LATER + dt.timedelta(minutes=5))
    assert checkouts.again(entity) == "succeeded"
    assert len(provider.creates) == 1


def test_t_064_a_second_attempt_looks_before_it_sends(entity, provider, lost, move):
    provider.will(problem(Category.TRANSIENT_NETWORK))
    move(LATER)
    assert checkouts.again(entity) == "pending"
    assert provider.looked_up == []
    other = dict(lost.provider_request_params_json)
    provider.make(other | {"client_reference_id": "someone else"}, "another key")
    move(LATER + dt.timedelta(minutes=5))
    assert checkouts.again(entity) == "succeeded"
    assert (len(provider.looked_up), len(provider.creates)) == (1, 2)
    assert checkouts.session(entity).provider_checkout_session_id == "cs_2"


def test_t_064_a_look_that_fails_does_not_keep_us_from_repeating_the_request(entity, provider, lost, move):
    checkouts.change(lost, recovery_attempt_count=1)
    provider.look_up_script.append(problem(Category.TRANSIENT_PROVIDER, 500))
    move(LATER)
    assert checkouts.again(entity) == "succeeded"
    assert len(provider.creates) == 1


def test_t_057_a_look_that_outlasts_the_deadline_is_not_followed_by_a_create(
    entity, provider, lost, move, monkeypatch
):
    """5.4 step 4, INV-14: the provider may have forgotten the key by now, and would make a second session."""
    checkouts.change(lost, recovery_attempt_count=1)
    look_up = provider.list_checkout_sessions_by_operation_key

    def slowly(*args, **named):
        move(DEADLINE)
        return look_up(*args, **named)

    monkeypatch.setattr(provider, "list_checkout_sessions_by_operation_key", slowly)
    move(DEADLINE - SECOND)
    assert checkouts.again(entity) == "expired"
    assert provider.creates == []
    assert checkouts.session(entity).status == "recovery_verification_pending"


def test_a_session_of_another_owner_is_never_adopted(entity, provider, guardrails, lost, move):
    """6.4: a recovered session must satisfy every clause; otherwise the request stays pending."""
    other = factories.workspace_entity("tenant_b")
    factories.customer(other, "cus_theirs")
    told = provider.make(lost.provider_request_params_json, lost.provider_idempotency_key)
    provider.change(told.id, status="complete", customer_id="cus_theirs")
    move(LATER)
    assert checkouts.again(entity) == "pending"
    assert "BILLING_CHECKOUT_CORRELATION_MISMATCH" in guardrails
    assert checkouts.sessions(entity) == []
    move(DEADLINE)
    assert checkouts.again(entity) == "expired"
    assert [status for status, _until in _ends(entity)[2]] == ["recovery_verification_pending"]


@pytest.mark.parametrize("action", ["portal", "payment_link"])
@pytest.mark.parametrize("by", ["beat", "hand"])
def test_requests_of_every_action_are_recovered(entity, provider, move, action, by):
    """9.2: the task is for all actions; here both ends are certain, as nothing was ever frozen."""
    row = factories.request(entity, action=action, provider_idempotency_replay_deadline_at=DEADLINE)
    move(DEADLINE)
    if by == "beat":
        assert checkouts.again(entity) == "failed"
    else:
        answer = recovery.recover(tenant_id=entity.tenant_id, request_id=row.pk, is_same_key_retry=False)
        assert answer.body["code"] == "checkout_recovery_window_elapsed"
    assert _ends(entity) == ("expired", "checkout_recovery_window_elapsed", [])


def test_an_unknown_request_is_not_looked_for(entity):
    with pytest.raises(LookupError):
        recovery.recover(tenant_id=entity.tenant_id, request_id=999_999, is_same_key_retry=True)


def test_a_request_of_another_tenant_is_not_found(entity, lost, move):
    move(LATER)
    other = factories.workspace_entity("tenant_b")
    with pytest.raises(LookupError):
        recovery.recover(tenant_id=other.tenant_id, request_id=lost.pk, is_same_key_retry=True)
    with tenancy.tenant_scope(entity.tenant_id):
        assert BillingRequest.objects.get(pk=lost.pk).recovery_attempt_count == 0
