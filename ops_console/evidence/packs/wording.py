"""The pages of a pack that people read: README.txt and summary.html."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.template.loader import render_to_string

from ops_console import words
from ops_console.evidence.packs.collecting import Collected
from settld.core import money


def pages(
    *,
    tenant_id: str,
    subject: Mapping[str, Any],
    as_of: str | None,
    found: Collected,
    documents: Mapping[str, Any],
) -> dict[str, bytes]:
    """Write both pages from the records alone."""
    context = {
        "tenant_id": tenant_id,
        "subject": dict(subject),
        "as_of": as_of or "nothing recorded",
        "payouts": [
            {
                "folder": f"payouts/{number:04d}",
                "operation": row,
                "amount": money.show(row.amount_cents, row.currency),
                "state": words.STATE_LABELS.get(row.state, row.state),
                "story": story(documents, f"payouts/{number:04d}"),
            }
            for number, row in enumerate(found.operations, 1)
        ],
        "cases": documents["mismatches.json"],
        "audit": documents["audit/rows.json"],
        "truncated": found.truncated,
        "names": sorted([*documents, "README.txt", "summary.html"]),
    }
    return {
        "README.txt": render_to_string("ops_console/evidence/readme.txt", context).encode(),
        "summary.html": render_to_string("ops_console/evidence/summary.html", context).encode(),
    }


def story(documents: Mapping[str, Any], folder: str) -> list[dict[str, str]]:
    """Tell what happened to one payout, oldest first."""
    steps = sorted(_steps(documents, folder), key=lambda step: step[0])
    return [{"at": at, "what": what, "fact": fact} for at, what, fact in steps]


def _steps(documents: Mapping[str, Any], folder: str) -> Iterator[tuple[str, str, str]]:
    operation = documents[f"{folder}/operation.json"]
    yield operation["initiatedAt"], "Enqueued", f"to {operation['counterpartyRef']}"
    for row in documents[f"{folder}/attempts.json"]:
        yield row["createdAt"], f"Attempt {row['attempt']}", f"{row['status']}, key {row['idempotencyKey']}"
    for row in documents[f"{folder}/checks.json"]:
        yield row["checkedAt"], f"Looked into: {row['kind']}", f"{row['outcome']}, by {row['checkedBy']}"
    for row in documents[f"{folder}/events.json"]:
        fact = " ".join(filter(None, (row["outcome"], row["refusalCode"], row["reasonCode"], row["eventId"])))
        yield row["receivedAt"], f"Provider said {row['eventType']}", fact
    for row in documents[f"{folder}/movements.json"]:
        amount = money.show(row["amountCents"], row["currency"])
        yield row["recordedAt"], f"Money: {row['kind']}", f"{amount}, for {row['referenceId']}"
    for row in documents[f"{folder}/chargebacks.json"]:
        amount = money.show(row["amountCents"], row["currency"])
        yield row["recordedAt"], f"Debt: {row['kind']}", f"{amount} {row['reasonCode'] or ''}".strip()
