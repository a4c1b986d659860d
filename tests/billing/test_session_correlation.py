"""Whose a checkout session is, clause by clause (6.4; T-087): one that does not match writes nothing."""

import dataclasses
import threading

import pytest
from django.db import connections

from billing.models import BillingOutboxJob, Customer
from billing.services import checkout_session, correlation, locks, refs, transactions
from billing.services.correlation import SessionCorrelationMismatch
from billing.states import Flow, RefKind
from settld.core import tenancy
from tests.billing import factories, session_facts
from tests.billing.checkouts import guardrails
from tests.billing.factories import NOW
from tests.billing.session_facts import KEY, OTHER_KEY, facts, merge, rows, session

__all__ = ["guardrails"]
MISMATCH = "BILLING_CHECKOUT_CORRELATION_MISMATCH"


@pytest.fixture
def entity(db):
    return factories.workspace_entity()


@pytest.fixture
def stranger(db):
    return factories.workspace_entity("tenant_b")


def refused(entity, told, **more) -> str:
    """Merge what must not be merged; the reason that is given, when nothing was written."""
    before = [(row.pk, row.updated_at, row.status) for row in rows(entity)]
    with session_facts.undone():
        with pytest.raises(SessionCorrelationMismatch) as caught:
            merge(entity, told, **more)
    with tenancy.tenant_scope(entity.tenant_id):
        assert not BillingOutboxJob.objects.exists()
    assert [(row.pk, row.updated_at, row.status) for row in rows(entity)] == before
    assert (caught.value.status, caught.value.code) == (409, "CHECKOUT_SESSION_CORRELATION_MISMATCH")
    return caught.value.details["reason"]


def test_t087_the_session_id_must_be_there(entity, guardrails):
    session_facts.request(entity)
    told = dataclasses.replace(facts(entity), id="")
    assert refused(entity, told) == "no session id"
    assert guardrails == [MISMATCH]


def test_t087_the_operation_key_must_be_there(entity, guardrails):
    session_facts.request(entity)
    assert refused(entity, facts(entity, key=None)) == "no operation key"
    assert guardrails == [MISMATCH]


@pytest.mark.parametrize("known", [None, "portal"])
def test_t087_the_operation_key_must_be_known_of_a_checkout_or_link(entity, known):
    if known is not None:
        session_facts.request(entity, action=known)
    assert refused(entity, facts(entity)) == "its operation key is unknown"


@pytest.mark.parametrize("known", ["request", "session", "payment link"])
def test_t087_a_request_a_session_or_a_link_makes_an_operation_key_known(entity, known):
    if known == "request":
        session_facts.request(entity)
        assert merge(entity, facts(entity)).status == "open"
    elif known == "session":  # the request was purged
        session(entity, "open")
        assert merge(entity, facts(entity, "complete")).status == "completed_pending_subscription"
    else:
        link = session_facts.payment_link(entity)
        told = facts(entity, "complete", flow="payment_link", payment_link="plink_1", key=None)
        assert merge(entity, told, flow="payment_link", payment_link=link).payment_link_id == link.pk


def test_t087_another_operation_key_is_another_operation(entity):
    session_facts.request(entity)
    assert refused(entity, facts(entity, key=OTHER_KEY)) == "another operation key"


@pytest.mark.parametrize("named", ["999999", "tenant_a", ""])
def test_t087_the_entity_of_the_metadata_must_be_the_operations(entity, named):
    session_facts.request(entity)
    told = dataclasses.replace(facts(entity), metadata={"operation_key": KEY, "billable_entity_id": named})
    if named == "":  # it does not say
        assert merge(entity, told).status == "open"
    else:
        assert refused(entity, told) == "another entity in its metadata"


@pytest.mark.parametrize("what", ["request", "session"])
def test_t087_the_rows_of_the_operation_must_be_the_entitys(entity, stranger, what):
    theirs = session_facts.request(stranger) if what == "request" else session(stranger, "open")
    reason = correlation_of(
        entity,
        facts(entity, metadata={"operation_key": KEY}),
        request=theirs if what == "request" else None,
        session=theirs if what == "session" else None,
    )
    assert reason == "another entity's operation"


def correlation_of(entity, told, *, request=None, session=None, payment_link=None) -> str:
    with pytest.raises(SessionCorrelationMismatch) as caught:
        correlation.require(
            entity=entity,
            facts=told,
            operation_key=KEY,
            flow=Flow.SUBSCRIPTION,
            session=session,
            request=request,
            payment_link=payment_link,
        )
    return caught.value.details["reason"]


@pytest.mark.parametrize(
    ("stored", "told", "reason"),
    [
        ({"provider_checkout_session_id": "cs_0"}, {}, "another session of the operation"),
        ({"provider_customer_id": "cus_0"}, {}, "another customer"),
    ],
)
@pytest.mark.parametrize("status", ["open", "completed_pending_subscription", "abandoned"])
def test_t087_what_is_stored_must_be_what_is_told(entity, stored, told, reason, status):
    session(entity, status, **stored)
    assert refused(entity, facts(entity, "complete", **told)) == reason


def test_t087_another_subscription_that_came_first_with_our_label_refuses_nothing(entity, guardrails):
    """Made by hand with the labels of ours and told of first, it stays; the session learns all the rest."""
    session(
        entity, "completed_reconciled", provider_checkout_session_id=None, provider_subscription_id="sub_2"
    )
    merged = merge(entity, facts(entity, "complete", subscription="sub_1"))
    assert (merged.status, merged.provider_subscription_id) == ("completed_reconciled", "sub_2")
    assert merged.provider_checkout_session_id == "cs_1"
    assert guardrails == ["BILLING_CHECKOUT_STATE_CONTRADICTION"]


@pytest.mark.parametrize(
    ("kind", "ref", "told"),
    [
        (RefKind.CUSTOMER, "cus_1", {}),
        (RefKind.CHECKOUT_SESSION, "cs_1", {}),
        (RefKind.SUBSCRIPTION, "sub_1", {"subscription": "sub_1"}),
    ],
)
def test_t087_nothing_that_it_names_may_be_another_entitys(entity, stranger, kind, ref, told):
    with tenancy.tenant_scope(stranger.tenant_id):
        refs.claim(kind=kind, ref=ref, entity=stranger)
    session_facts.request(entity)
    kinds = {"customer": "customer", "checkout_session": "session", "subscription": "subscription"}
    assert refused(entity, facts(entity, "complete", **told)) == f"another entity's {kinds[kind]}"


def test_t087_a_subscription_belongs_to_one_session(entity):
    session(entity, "abandoned", operation_key=OTHER_KEY, provider_subscription_id="sub_1")
    session_facts.request(entity)
    told = facts(entity, "complete", subscription="sub_1")
    assert refused(entity, told) == "another session's subscription"


@pytest.mark.parametrize(
    ("flow", "payment_link"), [("subscription", "plink_1"), ("one_off", "plink_1"), ("payment_link", None)]
)
def test_t087_only_sessions_of_a_link_correlate_by_a_link(entity, flow, payment_link):
    action = "payment_link" if flow == "payment_link" else "checkout"
    session_facts.request(entity, flow=flow, action=action)
    told = facts(entity, "complete", flow=flow, payment_link=payment_link)
    assert refused(entity, told, flow=flow) == "of a payment link, or not of one"


def test_t087_a_session_of_another_link_does_not_match(entity):
    link = session_facts.payment_link(entity)
    told = facts(entity, "complete", flow="payment_link", payment_link="plink_2")
    assert refused(entity, told, flow="payment_link", payment_link=link) == "another payment link"


def test_t087_two_entities_that_claim_one_customer_at_once(live_db):
    """Neither knows of the other when it asks; the directory's unique index decides, and one is refused."""
    entities = [factories.workspace_entity("tenant_a"), factories.workspace_entity("tenant_b")]
    keys = ["a" * 64, "b" * 64]
    requests = [
        factories.request(entity, operation_key=key) for entity, key in zip(entities, keys, strict=True)
    ]
    start, ends = threading.Barrier(2), []

    def claim(number: int) -> None:
        entity, key = entities[number], keys[number]
        told = facts(entity, "complete", key=key, session_id=f"cs_{number}", customer="cus_shared")

        def work() -> str:
            locked = locks.lock_entity(entity_id=entity.pk)
            request = locks.lock_request(locked, requests[number].pk)
            return checkout_session.merge(
                entity=locked,
                operation_key=key,
                flow=Flow.SUBSCRIPTION,
                facts=told,
                request=request,
                now=NOW,
            ).status

        start.wait(10)
        try:
            ends.append(transactions.retried(tenant_id=entity.tenant_id, work=work))
        except SessionCorrelationMismatch:
            ends.append("refused")
        connections.close_all()

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(ends) == ["completed_pending_subscription", "refused"]
    with tenancy.platform_scope(reason="test"):
        assert Customer.objects.filter(provider_customer_id="cus_shared").count() == 1


# --- Finding the operation -------------------------------------------------------------------------------
def test_a_session_leads_to_its_owner_by_its_link_or_its_key(entity, stranger):
    session_facts.payment_link(entity)
    ours = refs.Owner(entity.tenant_id, entity.pk)
    assert correlation.owner_of(facts(entity, flow="payment_link", payment_link="plink_1", key=None)) == ours
    assert correlation.owner_of(facts(stranger)) == ours  # the key is what counts, not what is told beside
    with pytest.raises(SessionCorrelationMismatch):
        correlation.owner_of(facts(entity, key=OTHER_KEY))


@pytest.mark.parametrize(
    ("made", "flow"),
    [
        ("request", Flow.SUBSCRIPTION),
        ("one-off request", Flow.ONE_OFF),
        ("link request", Flow.PAYMENT_LINK),
        ("session", Flow.ONE_OFF),
        ("link", Flow.PAYMENT_LINK),
        (None, None),
    ],
)
def test_an_operation_key_tells_its_flow(entity, made, flow):
    match made:
        case "request":
            session_facts.request(entity)
        case "one-off request":
            session_facts.request(entity, flow="one_off")
        case "link request":
            session_facts.request(entity, action="payment_link")
        case "session":
            session(entity, "expired", flow="one_off")
        case "link":
            session_facts.payment_link(entity)
    with factories.locked(entity):
        if flow is None:
            with pytest.raises(SessionCorrelationMismatch):
                correlation.locate(entity=entity, facts=facts(entity))
        else:
            found = correlation.locate(entity=entity, facts=facts(entity))
            assert (found.operation_key, found.flow) == (KEY, flow)
