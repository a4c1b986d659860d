"""Invoice drafts over any month (settld-billing-and-finance 7.2, 7.3)."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.plans import estimate, invoice
from billing.plans.catalog import Plan
from settld.core.hashing import canonical_hash
from settld.metering import queries
from settld.metering.models import UsageEvent

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
FEES = {
    "ARBITRATION_USAGE_FEE": "arbitration_usage",
    "SETTLED_VOLUME_FEE": "settled_volume",
    "VERIFIED_RUN_OVERAGE": "verified_run",
}
plans = st.builds(
    Plan, st.just("x"), st.just("X"), st.integers(0, 99_999), st.integers(0, 8), st.integers(0, 5000),
    st.integers(0, 10_000), st.integers(0, 500), st.just(0),
)  # fmt: skip
uses = st.tuples(
    st.sampled_from(["verified_run", "settled_volume", "arbitration_usage"]),
    st.integers(1, 5),
    st.one_of(st.none(), st.integers(0, 10**9)),
    st.sampled_from([None, "USD", "JPY", "EUR"]),
)


def month(found):
    events = [
        UsageEvent(
            tenant_id="t", event_key=f"{kind}:{number:03}", event_type=kind, period="2026-03",
            occurred_at=START + dt.timedelta(seconds=number), quantity=quantity, amount_cents=cents,
            currency=currency, source_type="agent_run_event", source_id="s", created_at=START,
        )
        for number, (kind, quantity, cents, currency) in enumerate(found)
    ]  # fmt: skip
    for event in events:
        event.event_hash = event.compute_hash()
    return sorted(events, key=lambda event: event.event_key)


@given(plans, st.lists(uses, max_size=30))
def test_lines_add_up_and_name_exactly_what_they_rest_on(plan, found):
    events = month(found)
    usage = queries.added_up(events)
    priced = estimate.price(plan, usage)

    draft = invoice.draft(
        period="2026-03", cutoff_at=START, usage=usage, estimate=priced, sources=invoice.digest(events)
    )

    lines = {line["code"]: line for line in draft["lineItems"]}
    assert list(lines) == sorted(lines)
    assert sum(line["amountCents"] for line in draft["lineItems"]) == draft["subtotalCents"]
    assert draft["subtotalCents"] == draft["totalEstimatedCents"] == priced.total_cents
    quantities = {"SUBSCRIPTION_BASE": int(plan.subscription_cents > 0)}
    for code, kind in FEES.items():
        of_kind = [use for use in found if use[0] == kind]
        quantities[code] = sum(use[1] for use in of_kind)
        if code == "SETTLED_VOLUME_FEE":
            quantities[code] = sum(use[2] or 0 for use in of_kind if use[3] in (None, "USD"))
        if code == "VERIFIED_RUN_OVERAGE":
            quantities[code] = max(0, quantities[code] - plan.included_verified_runs_per_month)
    assert {code: line["quantity"] for code, line in lines.items()} == {
        code: quantity for code, quantity in quantities.items() if quantity
    }
    for code, line in lines.items():
        rest = [
            event
            for event in events
            if event.event_type == FEES.get(code)
            and (code != "SETTLED_VOLUME_FEE" or event.currency in (None, "USD"))
        ]
        assert line["sourceEventKeys"] == [event.event_key for event in rest]
        assert line["sourceEventCount"] == len(rest)
        assert line["sourceEventDigest"] == (
            None
            if code == "SUBSCRIPTION_BASE"
            else canonical_hash(
                [
                    {
                        "eventKey": event.event_key, "eventType": event.event_type,
                        "amountCents": event.amount_cents or 0, "quantity": event.quantity,
                        "occurredAt": event.as_json()["occurredAt"], "eventHash": event.event_hash,
                    }
                    for event in rest
                ]
            )
        )  # fmt: skip


def test_lines_that_do_not_add_up_stop_the_draft():
    plan = Plan("x", "X", 100, 0, 0, 0, 0, 0)
    priced = estimate.price(plan, queries.Usage(arbitration_cases=1, settled_volume_cents=10_000))
    other = estimate.Estimate(plan, 0, 0, 0, volume_fee_cents=5, arbitration_fee_cents=0)

    assert priced.total_cents == 100
    with pytest.raises(RuntimeError, match="add up to 100, not to 105"):
        invoice.draft(
            period="2026-03", cutoff_at=START, usage=queries.Usage(), estimate=other,
            sources=invoice.digest([]),
        )  # fmt: skip
