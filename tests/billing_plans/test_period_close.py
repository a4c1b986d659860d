"""POST, GET /ops/finance/billing/period-close and its invoice drafts (settld-billing-and-finance 7)."""

import datetime as dt
import json
import threading

import pytest
from django.db import connection

from billing.plans.services import period_close
from settld.artifacts.models import Artifact
from settld.audit.models import OpsAudit
from settld.core import clock, tenancy
from settld.core.hashing import artifact_hash, canonical_hash
from tests.billing_plans import usage_world
from tests.billing_plans.usage_world import NOW
from tests.support.api import body, refusal

PATH = "/ops/finance/billing/period-close"
PLAN = "/ops/finance/billing/plan"
LATER = NOW + dt.timedelta(hours=1)


def close(api, **sent):
    answer = api.post(PATH, {"period": "2026-03"} | sent)
    assert answer.status_code == 200, answer.content
    return body(answer)


def kept():
    with tenancy.tenant_scope("tenant_a"):
        return list(Artifact.objects.filter(artifact_type="BillingPeriodClose.v1").order_by("created_at"))


@pytest.fixture
def month(db, api):
    """Growth with a small allowance; three runs, three settlements (one in yen), two cases."""
    api.put(PLAN, {"plan": "growth", "planOverrides": {"includedVerifiedRunsPerMonth": 1}})
    usage_world.runs(3)
    usage_world.volume("setl_2", 12_299)
    usage_world.volume("setl_1", 10_000)
    usage_world.volume("setl_yen", 777, "JPY")
    usage_world.case("case_1")
    usage_world.case("case_2", now=LATER)


def listed(api):
    events = body(api.get("/ops/finance/billable-events?period=2026-03"))["events"]
    return sorted(events, key=lambda event: event["eventKey"])


def sources(api, event_type):
    """What a line must rest on, from what the API tells about events."""
    rows = [
        {key: event[key] for key in ("eventKey", "eventType", "quantity", "occurredAt", "eventHash")}
        | {"amountCents": event["amountCents"] or 0}
        for event in listed(api)
        if event["eventType"] == event_type and event["currency"] in (None, "USD")
    ]
    return {
        "sourceEventCount": len(rows),
        "sourceEventDigest": canonical_hash(rows),
        "sourceEventKeys": [row["eventKey"] for row in rows],
    }


def test_the_invoice_has_its_lines_by_code_each_with_its_sources(month, api):
    answer = close(api)

    digest = canonical_hash(
        [
            {key: event[key] for key in ("eventKey", "eventType", "quantity", "currency", "occurredAt",
                                         "sourceType", "sourceId", "eventHash")}
            | {"amountCents": event["amountCents"] or 0}
            for event in listed(api)
        ]
    )  # fmt: skip
    assert answer["eventsDigest"] == digest
    assert answer["invoice"] == {
        "schemaVersion": "BillingInvoiceDraft.v1", "period": "2026-03",
        "generatedAt": "2026-03-10T13:00:00.000Z", "currency": "USD", "eventCount": 8,
        "eventsDigest": digest,
        "lineItems": [
            {"code": "ARBITRATION_USAGE_FEE", "description": "Arbitration case fee (2 cases)", "quantity": 2,
             "unitAmountCents": 100, "amountCents": 200, "currency": "USD",
             **sources(api, "arbitration_usage")},
            {"code": "SETTLED_VOLUME_FEE", "description": "Settlement volume fee (45 bps)",
             "quantity": 22_299, "unitAmountBps": 45, "amountCents": 100, "currency": "USD",
             **sources(api, "settled_volume")},
            {"code": "SUBSCRIPTION_BASE", "description": "Subscription base fee for 2026-03", "quantity": 1,
             "unitAmountCents": 59_900, "amountCents": 59_900, "currency": "USD", "sourceEventCount": 0,
             "sourceEventDigest": None, "sourceEventKeys": []},
            {"code": "VERIFIED_RUN_OVERAGE", "description": "Verified run overage (2 units)", "quantity": 2,
             "unitAmountCents": 0.7, "amountCents": 1, "currency": "USD", **sources(api, "verified_run")},
        ],
        "subtotalCents": 60_201, "totalEstimatedCents": 60_201,
    }  # fmt: skip
    assert sources(api, "settled_volume")["sourceEventKeys"] == [
        "settled_volume:setl_1:ev", "settled_volume:setl_2:ev",
    ]  # fmt: skip


def test_the_artifact_says_all_and_its_id_follows_from_what_went_in(month, api):
    answer = close(api)

    document = body(api.get(f"/artifacts/{answer['artifact']['artifactId']}"))["artifact"]
    resolved = body(api.get(PLAN))["resolvedPlan"]
    identity = {
        "tenantId": "tenant_a", "period": "2026-03", "cutoffAt": answer["cutoffAt"],
        "eventsDigest": answer["eventsDigest"], "plan": resolved,
    }  # fmt: skip
    assert document == {
        "schemaVersion": "BillingPeriodClose.v1", "artifactType": "BillingPeriodClose.v1",
        "artifactId": f"billing_close_2026-03_{canonical_hash(identity)[:24]}",
        "tenantId": "tenant_a", "period": "2026-03", "cutoffAt": "2026-03-10T13:00:00.000Z",
        "generatedAt": "2026-03-10T13:00:00.000Z",
        "inputs": {
            "eventCount": 8, "firstOccurredAt": "2026-03-10T12:00:00.000Z",
            "lastOccurredAt": "2026-03-10T13:00:00.000Z", "eventsDigest": answer["eventsDigest"],
        },
        "plan": resolved, "usage": answer["usage"], "estimate": answer["estimate"],
        "enforcement": answer["enforcement"], "invoice": answer["invoice"],
        "artifactHash": answer["artifact"]["artifactHash"],
    }  # fmt: skip
    assert artifact_hash(document) == document["artifactHash"]
    assert answer["usage"]["unbilledVolumeByCurrency"] == {"JPY": 777}
    assert answer["usage"] == body(api.get("/ops/finance/billing/summary?period=2026-03"))["usage"]
    assert answer["artifact"]["deliveriesCreated"] == 0


def test_the_same_inputs_give_the_same_bytes_and_one_artifact(month, api):
    first, again = api.post(PATH, {"period": "2026-03"}), api.post(PATH, {"month": "2026-03"})

    assert first.content == again.content
    assert len(kept()) == 1


def test_new_figures_never_come_with_the_old_hash(month, api):
    """The peer answers new figures with the hash that is stored (0.4)."""
    first = close(api)
    usage_world.volume("late", 1, now=NOW)
    second = close(api)

    assert first["artifact"]["artifactId"] != second["artifact"]["artifactId"]
    for answer, artifact in zip((first, second), kept(), strict=True):
        assert answer["artifact"]["artifactHash"] == artifact.artifact_hash
        assert answer["invoice"] == artifact.document["invoice"]


def test_another_plan_is_another_artifact(month, api):
    """The peer's id ignores the plan (7.4)."""
    first = close(api)
    api.put(PLAN, {"plan": "builder"})
    second = close(api)

    assert first["eventsDigest"] == second["eventsDigest"]
    assert first["artifact"]["artifactId"] != second["artifact"]["artifactId"]
    assert second["invoice"]["totalEstimatedCents"] == 9_900 + 22_299 * 75 // 10_000 + 400


def test_the_cutoff_cuts_digest_use_and_invoice_alike(month, api):
    """The peer ignores it (7.1)."""
    before = close(api)
    usage_world.volume("late", 50_000, now=LATER + dt.timedelta(milliseconds=1))

    cut = close(api, cutoffAt="2026-03-10T14:00:00+01:00")
    early = close(api, cutoffAt=clock.iso(LATER - dt.timedelta(milliseconds=1)))

    assert cut == before
    assert early["usage"]["arbitrationCases"] == 1
    assert early["invoice"]["eventCount"] == 7
    assert early["cutoffAt"] == early["invoice"]["generatedAt"] == "2026-03-10T12:59:59.999Z"
    assert early["invoice"]["lineItems"][0]["sourceEventKeys"] == ["arbitration_usage:case_1:case"]
    assert close(api)["usage"]["settledVolumeCents"] == 72_299


def test_a_month_without_events_ends_with_the_period(db, api):
    answer = close(api, period="2026-12")

    assert answer["cutoffAt"] == "2027-01-01T00:00:00.000Z"
    assert answer["invoice"]["lineItems"] == []
    assert answer["invoice"]["eventsDigest"] == canonical_hash([])
    (artifact,) = kept()
    assert artifact.document["inputs"] == {
        "eventCount": 0, "firstOccurredAt": None, "lastOccurredAt": None, "eventsDigest": canonical_hash([]),
    }  # fmt: skip


def test_volume_has_its_line_even_at_no_fee(db, api):
    usage_world.volume("setl_1", 100)

    (line,) = close(api)["invoice"]["lineItems"]

    assert (line["code"], line["quantity"], line["unitAmountBps"], line["amountCents"]) == (
        "SETTLED_VOLUME_FEE", 100, 0, 0,
    )  # fmt: skip


def test_volume_in_other_currencies_alone_has_none(db, api):
    usage_world.volume("setl_1", 100, "JPY")

    assert close(api)["invoice"]["lineItems"] == []


def test_the_current_month_is_closed_when_none_is_named(db, api):
    with clock.freeze(NOW):
        assert body(api.post(PATH, {}))["period"] == "2026-03"


def test_a_dry_run_stores_nothing_and_is_audited_as_one(month, api):
    tried = close(api, dryRun=True)

    assert kept() == []
    done = close(api)
    with tenancy.tenant_scope("tenant_a"):
        rows = OpsAudit.objects.filter(action="BILLING_PERIOD_CLOSE").order_by("seq")
        dry, real = [row.details for row in rows]
    assert tried == done | {"dryRun": True, "artifact": None}
    facts = {
        "period": "2026-03", "eventCount": 8, "eventsDigest": done["eventsDigest"],
        "invoiceTotalEstimatedCents": 60_201,
    }  # fmt: skip
    assert dry == facts | {"dryRun": True, "artifactHash": None}
    assert real == facts | {"dryRun": False, "artifactHash": done["artifact"]["artifactHash"]}


def test_a_key_replays_the_first_answer_whatever_happened_since(month, api):
    first = api.post(PATH, {"period": "2026-03"}, key="k")
    usage_world.volume("late", 1)

    again = api.post(PATH, {"period": "2026-03"}, key="k")

    assert again.content == first.content
    assert again["x-idempotent-replay"] == "true"
    assert len(kept()) == 1
    assert refusal(api.post(PATH, {"period": "2026-04"}, key="k")) == (409, "IDEMPOTENCY_CONFLICT")


@pytest.mark.parametrize(
    "sent",
    [
        {"cutoffAt": None},
        {"cutoffAt": ""},
        {"cutoffAt": "yesterday"},
        {"cutoffAt": 5},
        {"cutoffAt": "2026-02-28T23:59:59.999Z"},
        {"dryRun": "true"},
        {"month": "2026-04"},
        {"period": 202603},
        {"period": "0000-01"},
        {"period": "9999-12"},
    ],
)
def test_a_bad_payload_is_refused(db, api, sent):
    answer = api.post(PATH, {"period": "2026-03"} | sent)

    assert refusal(answer) == (400, "SCHEMA_INVALID")
    assert body(answer)["error"] == "invalid billing period-close payload"
    assert kept() == []


@pytest.mark.parametrize("period", ["2026-13", "2026-3", "x"])
def test_a_month_that_is_none_is_refused_by_both_methods(db, api, period):
    for answer in (api.post(PATH, {"period": period}), api.get(f"{PATH}?period={period}")):
        assert refusal(answer) == (400, "SCHEMA_INVALID")
        assert body(answer)["error"] == "period must match YYYY-MM"


def test_closes_are_listed_newest_written_first_filtered_before_paging(month, api):
    first = close(api)["artifact"]["artifactId"]
    other = close(api, period="2026-04")["artifact"]["artifactId"]
    second = close(api, cutoffAt=clock.iso(NOW))["artifact"]["artifactId"]

    page = body(api.get(f"{PATH}?period=2026-03&limit=1&offset=1"))
    everything = body(api.get(PATH))

    assert [artifact["artifactId"] for artifact in page["artifacts"]] == [first]
    assert (page["tenantId"], page["period"], page["count"], page["limit"], page["offset"]) == (
        "tenant_a", "2026-03", 2, 1, 1,
    )  # fmt: skip
    assert page["latest"]["artifactId"] == second
    assert [artifact["artifactId"] for artifact in everything["artifacts"]] == [second, other, first]
    assert everything["limit"] == 50
    assert body(api.as_tenant("tenant_b").get(PATH))["latest"] is None
    assert refusal(api.get(f"{PATH}?limit=501")) == (400, "SCHEMA_INVALID")


def test_closing_wants_finance_write(db, api):
    assert refusal(api.with_token("tok_read").post(PATH, {})) == (403, "FORBIDDEN")
    assert api.with_token("tok_read").get(PATH).status_code == 200


def test_plan_and_events_are_read_as_of_one_instant(live_db, api, monkeypatch):
    """A rival changes the plan and records a use between the two reads; the close has neither."""
    api.put(PLAN, {"plan": "builder"})
    usage_world.volume("setl_1", 10_000)
    read_events = period_close.metering.up_to

    def rival():
        try:
            api.as_tenant("tenant_a").put(PLAN, {"plan": "growth"})
            usage_world.volume("setl_2", 99_999)
        finally:
            connection.close()

    def after_a_rival(**wanted):
        thread = threading.Thread(target=rival)
        thread.start()
        thread.join()
        return read_events(**wanted)

    monkeypatch.setattr(period_close.metering, "up_to", after_a_rival)
    answer = close(api)

    assert (answer["usage"]["settledVolumeCents"], answer["invoice"]["totalEstimatedCents"]) == (
        10_000, 9_900 + 75,
    )  # fmt: skip
    (artifact,) = kept()
    assert json.loads(artifact.body)["plan"]["planId"] == "builder"
