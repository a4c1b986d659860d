"""money-rails 2.6: what the triage queue calls a difference."""

from hashlib import sha256

from reconciliation.services import rows
from settld.core.hashing import canonical_hash


def test_the_triage_key_hashes_the_five_parts_of_the_identity():
    identity = "money_rails_reconcile\n2026-02\nstub_default\nmissing_operation\nmop_1"

    key = rows.triage_key(
        source_type="money_rails_reconcile",
        period="2026-02",
        provider_id="stub_default",
        mismatch_type="missing_operation",
        mismatch_key="mop_1",
    )

    assert key == f"frt_202602_{sha256(identity.encode()).hexdigest()[:24]}"


def test_no_provider_is_spelled_none_in_the_identity():
    identity = "finance_reconcile\n2026-02\nnone\ngl_batch\nx"

    key = rows.triage_key(
        source_type="finance_reconcile", period="2026-02", provider_id="", mismatch_type="gl_batch",
        mismatch_key="x",
    )  # fmt: skip

    assert key.endswith(sha256(identity.encode()).hexdigest()[:24])


def test_a_row_is_keyed_by_operation_then_payout_then_content():
    nameless = {"amountCents": 5}
    mismatches = {
        "amountMismatches": [{"operationId": "mop_1", "payoutKey": "k1"}, {"payoutKey": "k2"}, nameless]
    }

    queue = rows.queue(period="2026-02", provider_id="stub_default", mismatches=mismatches)

    assert [row.mismatch_key for row in queue] == [
        "mop_1",
        "k2",
        f"amount_mismatch_{canonical_hash(nameless)[:24]}",
    ]
    assert queue[0].as_json() == {
        "sourceType": "money_rails_reconcile",
        "period": "2026-02",
        "providerId": "stub_default",
        "mismatchType": "amount_mismatch",
        "mismatchKey": "mop_1",
        "mismatchCode": "MONEY_RAIL_AMOUNT_MISMATCH",
        "severity": "high",
        "title": "amount_mismatch:mop_1",
        "details": {"operationId": "mop_1", "payoutKey": "k1"},
        "mismatchHash": canonical_hash({"operationId": "mop_1", "payoutKey": "k1"}),
        "triageKey": queue[0].triage_key,
        "triage": None,
    }
    assert rows.triage_summary([None] * 3) == {
        "total": 3,
        "byStatus": {"open": 3, "acknowledged": 0, "in_progress": 0, "resolved": 0, "dismissed": 0},
        "unresolved": 3,
        "resolved": 0,
    }
