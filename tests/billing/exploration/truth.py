"""What must hold after every move, and what a story has come to."""

import datetime as dt
from typing import Any, Final

from billing.states import BLOCKING, CURRENT_SUBSCRIPTION, SESSION_MOVES
from tests.billing.exploration import snapshot
from tests.billing.exploration.snapshot import Row, Snapshot
from tests.billing.exploration.stage import Stage

UNSTEADY: Final = ("status", "providerStatus")  # inside a stored answer: what was true when it was given
WATERMARKS: Final = ("last_provider_event_created_at", "last_provider_snapshot_at")
WATERMARKED: Final = (
    snapshot.SESSIONS, snapshot.SUBSCRIPTIONS, snapshot.CUSTOMERS, snapshot.ITEMS, snapshot.INVOICES,
    snapshot.PAYMENTS, snapshot.METHODS,
)  # fmt: skip
PAID: Final = ("active", "trialing", "past_due")
OWED: Final = ("pending", "failed", "in_progress", "leased", "succeeded", "dead_letter")


def require(stage: Stage, before: Snapshot | None = None) -> Snapshot:
    """INV-8, 16, 17, 21, 22, 31 hold, nothing waits without a way forward, nothing is paid for twice unseen.

    `before` is what was known one move ago. Gives what is known now.
    """
    known = Snapshot(stage)
    pending = [row for row in known.rows(snapshot.REQUESTS) if row["status"] == "pending"]
    assert sum(row["action"] == "checkout" for row in pending) <= 1, "INV-8: two pending checkouts"
    _sessions_hold(known)
    _subscriptions_hold(known)
    _everything_has_a_way_forward(pending, known)
    _watermarks_are_the_providers(stage, known)
    _every_open_session_is_watched(stage, known)
    if before is not None:
        _moves_are_legal(before, known)
    return known


def _sessions_hold(known: Snapshot) -> None:
    blocking = [row for row in known.rows(snapshot.SESSIONS) if _blocks(row)]
    assert len(blocking) <= 1, "INV-16: two blocking sessions"
    for row in known.rows(snapshot.REQUESTS):
        if row["action"] == "checkout" and row["status"] == "succeeded":
            keys = [session["operation_key"] for session in known.rows(snapshot.SESSIONS)]
            assert row["operation_key"] in keys, "INV-15: a success without a session"


def _subscriptions_hold(known: Snapshot) -> None:
    rows = known.rows(snapshot.SUBSCRIPTIONS)
    current = [row for row in rows if row["is_current"]]
    assert len(current) <= 1, "INV-21: two current subscriptions"
    assert all(row["status"] in CURRENT_SUBSCRIPTION for row in current), "INV-22: an ended one is current"
    live = [row for row in rows if row["status"] in CURRENT_SUBSCRIPTION]
    assert not live or current, "live subscriptions, and none is current"
    owed = {row["duplicate_provider_subscription_id"]: row for row in known.rows(snapshot.REMEDIATIONS)}
    for row in live:
        if row["is_current"]:
            continue
        cure = owed.get(row["provider_subscription_id"])
        assert cure is not None, "a second subscription that nobody will remedy"
        is_idle = cure["status"] == "succeeded" and cure["metadata_json"].get("outcome") == "not_needed"
        assert not is_idle, "a second subscription whose remedy was called off"
    paid = [row for row in live if row["status"] in PAID]
    assert not paid or current[0] in paid, "INV-25: an unpaid subscription is current beside a paid one"


def _everything_has_a_way_forward(pending: list[Row], known: Snapshot) -> None:
    for row in pending:
        assert row["pending_lease_expires_at"] is not None, "a pending request that nobody can take over"
    for row in known.rows(snapshot.EVENTS):
        assert row["status"] in ("done", "failed", "leased"), "an event that nobody will apply"
        assert row["status"] != "leased" or row["lease_expires_at"], "a lease without an end"
    for table, due in ((snapshot.JOBS, "available_at"), (snapshot.REMEDIATIONS, "next_attempt_at")):
        for row in known.rows(table):
            assert row["status"] in OWED, table
            is_waiting = row["status"] in ("pending", "failed")
            assert row[due] is not None or not is_waiting, f"{table}: waits, and is never due"


def _watermarks_are_the_providers(stage: Stage, known: Snapshot) -> None:
    """INV-31: the provider's clock knows whole seconds and ours stands between two."""
    latest = dt.datetime.fromtimestamp(stage.world.clock.now(), dt.UTC)
    for table in WATERMARKED:
        for row in known.rows(table):
            for name in WATERMARKS:
                if row.get(name) is None:
                    continue
                at = dt.datetime.fromisoformat(row[name])
                assert at.microsecond == 0, f"INV-31: {table}.{name} is a time of ours"
                assert at <= latest, f"INV-31: {table}.{name} is in the provider's future"


def _every_open_session_is_watched(stage: Stage, known: Snapshot) -> None:
    """A page on which somebody may pay is blocked for here, asked after, or owed its end."""
    keys = {row["operation_key"] for row in known.rows(snapshot.REQUESTS) if row["status"] == "pending"}
    sessions = {row["operation_key"]: row for row in known.rows(snapshot.SESSIONS)}
    jobs = {row["payload_json"].get("providerCheckoutSessionId") for row in known.rows(snapshot.JOBS)}
    for theirs in stage.objects("checkout.session"):
        key = theirs["metadata"].get("operation_key")
        if theirs["status"] != "open" or theirs["mode"] != "subscription" or key is None:
            continue
        row = sessions.get(key)
        is_watched = key in keys or theirs["id"] in jobs or (row is not None and _blocks(row))
        assert is_watched, "an open page that nobody watches"


def _moves_are_legal(before: Snapshot, known: Snapshot) -> None:
    """INV-17 and INV-11: sessions move along 6.1; what has an end keeps it."""
    were = {row["operation_key"]: row["status"] for row in before.rows(snapshot.SESSIONS)}
    for row in known.rows(snapshot.SESSIONS):
        old = were.get(row["operation_key"])
        # One move may hold several steps; a state that has no way out is kept for ever.
        assert old in (None, row["status"]) or SESSION_MOVES[old], f"INV-17: {old} became {row['status']}"
    _the_current_one_stays(before, known)
    ended = {
        row["operation_key"]: row for row in before.rows(snapshot.REQUESTS) if row["status"] != "pending"
    }
    for row in known.rows(snapshot.REQUESTS):
        old_row = ended.get(row["operation_key"])
        is_kept = old_row is None or (old_row["status"], old_row["failure_code"]) == (
            row["status"], row["failure_code"],
        )  # fmt: skip
        assert is_kept, "INV-11: an ended request has another end"


def _the_current_one_stays(before: Snapshot, known: Snapshot) -> None:
    """8.6: among equals the one that is current is kept, whatever comes after it."""
    now = {row["provider_subscription_id"]: row for row in known.rows(snapshot.SUBSCRIPTIONS)}
    for old in before.rows(snapshot.SUBSCRIPTIONS):
        row = now[old["provider_subscription_id"]]
        is_kept = row["is_current"] or row["status"] not in PAID
        assert is_kept or not old["is_current"], "INV-25: a paid current subscription was replaced"


def _blocks(row: Row) -> bool:
    return row["flow"] == "subscription" and row["status"] in BLOCKING


# --- Endings -----------------------------------------------------------------------------------------
def outcome(stage: Stage) -> dict[str, Any]:
    """What a story has come to, without times, watermarks, events' outcomes, and states in an answer."""
    known = Snapshot(stage)
    payers = {row["id"]: row["is_primary"] for row in known.rows(snapshot.CUSTOMERS)}
    return {
        "requests": sorted(_request(row) for row in known.rows(snapshot.REQUESTS)),
        "sessions": _listed(
            known.rows(snapshot.SESSIONS),
            "flow", "status", "provider_checkout_session_id", "provider_subscription_id",
        ),
        "subscriptions": sorted(
            (
                row["provider_subscription_id"], row["status"], row["is_current"], row["plan_id"],
                str(row["current_period_end"]), row["cancel_at_period_end"],
                payers[row["billing_customer_id"]],
            )
            for row in known.rows(snapshot.SUBSCRIPTIONS)
        ),
        "items": _listed(
            known.rows(snapshot.ITEMS), "provider_subscription_item_id", "is_active", "quantity"
        ),
        "invoices": sorted(
            (
                row["provider_invoice_id"], row["status"], row["amount_paid_minor"],
                row["amount_remaining_minor"], row["subscription_id"] is not None,
            )
            for row in known.rows(snapshot.INVOICES)
        ),
        "payments": _listed(
            known.rows(snapshot.PAYMENTS), "status", "amount_minor", "provider_payment_id"
        ),
        "remediations": _listed(
            known.rows(snapshot.REMEDIATIONS), "duplicate_provider_subscription_id", "status"
        ),
        "jobs": _listed(known.rows(snapshot.JOBS), "job_type", "status"),
        "events": sorted({(row["type"], row["status"]) for row in known.rows(snapshot.EVENTS)}),
    }  # fmt: skip


def _listed(rows: list[Row], *names: str) -> list[tuple[Any, ...]]:
    return sorted((tuple(row[name] for name in names) for row in rows), key=repr)


def _request(row: Row) -> tuple[str, ...]:
    answer = row["response_json"] or {}
    session = {
        name: value for name, value in answer.get("checkoutSession", {}).items() if name not in UNSTEADY
    }
    return (row["action"], row["status"], str(row["failure_code"]), str(sorted(session.items())))


def is_settled(result: dict[str, Any]) -> None:
    """The ending of T-140: paid once, known once, nothing owed."""
    (request,) = result["requests"]
    assert request[1] == "succeeded", result
    (session,) = result["sessions"]
    assert session[1] == "completed_reconciled", result
    assert session[2], result
    assert session[3], result
    (subscription,) = result["subscriptions"]
    assert subscription[1:3] == ("active", True), result
    assert [item[1] for item in result["items"]] == [True], result
    (invoice,) = result["invoices"]
    assert invoice[1] == "paid", result
    assert invoice[4], result
    assert len(result["payments"]) == 1, result
    assert result["remediations"] == [], result
    assert result["jobs"] == [], result
    assert {status for _, status in result["events"]} == {"done"}, result


def is_at_rest(stage: Stage) -> None:
    """T-146: after everything was delivered and all loops ran, we know what the provider knows."""
    known = Snapshot(stage)
    theirs = {row["id"]: row for row in stage.objects("subscription") if _is_ours(row)}
    rows = known.rows(snapshot.SUBSCRIPTIONS)
    ours = {row["provider_subscription_id"]: row for row in rows}
    assert {key: row["status"] for key, row in ours.items()} == {
        key: row["status"] for key, row in theirs.items()
    }, "we and the provider differ about subscriptions"
    live = [key for key, row in theirs.items() if row["status"] in CURRENT_SUBSCRIPTION]
    assert len(live) <= 1, "a duplicate was never cancelled"
    assert [key for key, row in ours.items() if row["is_current"]] == live, "the live one is not current"
    _items_agree(known, ours, theirs)
    assert [row for row in known.rows(snapshot.REQUESTS) if row["status"] == "pending"] == [], "no end"
    _blocks_have_a_cause(stage, known, live)
    for row in known.rows(snapshot.EVENTS):
        assert row["status"] == "done", (row["type"], row["status"], row["error"])
    for table in (snapshot.JOBS, snapshot.REMEDIATIONS):
        assert {row["status"] for row in known.rows(table)} <= {"succeeded"}, (table, known.rows(table))
    _invoices_agree(stage, known, theirs)


def _is_ours(row: Row) -> bool:
    return bool(row["metadata"].get("operation_key"))


def _items_agree(known: Snapshot, ours: dict[str, Row], theirs: dict[str, Row]) -> None:
    names = {row["id"]: key for key, row in ours.items()}
    kept = {
        (names[row["subscription_id"]], row["provider_subscription_item_id"])
        for row in known.rows(snapshot.ITEMS)
        if row["is_active"]
    }
    told = {(key, item["id"]) for key, row in theirs.items() for item in row["items"]["data"]}
    assert kept == told, "we and the provider differ about what is subscribed"


def _invoices_agree(stage: Stage, known: Snapshot, theirs: dict[str, Row]) -> None:
    told = {row["id"]: row for row in stage.objects("invoice")}
    for row in known.rows(snapshot.INVOICES):
        invoice = told[row["provider_invoice_id"]]
        assert (row["status"], row["amount_paid_minor"]) == (invoice["status"], invoice["amount_paid"]), row
        assert row["subscription_id"] is not None, "an invoice that waits for its subscription"
    payments = [row["invoice_id"] for row in known.rows(snapshot.PAYMENTS)]
    assert len(payments) == len(set(payments)), "an invoice paid twice"


def _blocks_have_a_cause(stage: Stage, known: Snapshot, live: list[str]) -> None:
    """No entity waits for nothing: a page is open, or a hold has not run out."""
    blocked = [row for row in known.rows(snapshot.SESSIONS) if _blocks(row)]
    pages = {row["id"] for row in stage.objects("checkout.session") if row["status"] == "open"}
    for row in blocked:
        is_open = row["status"] == "open" and row["provider_checkout_session_id"] in pages
        until = row["expires_at"] and dt.datetime.fromisoformat(row["expires_at"])
        is_held = row["status"] == "recovery_verification_pending" and until and until > stage.now
        assert is_open or is_held, f"an entity blocked without cause: {row['status']}"
    assert not (live and blocked), "a session blocks beside a subscription"
