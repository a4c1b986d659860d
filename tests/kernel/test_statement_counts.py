"""What the hot writes cost in statements: they are pinned, so that a change that adds one is noticed.

Counted are the statements inside the product, with an idempotency key and inside a test's own transaction;
those about who calls (one API token, no key row) are among them.
"""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from settld.metering import limit


def counted(call):
    """Count what one call sends, but not what only a test's own transaction sends: savepoints and scopes."""
    with CaptureQueriesContext(connection) as captured:
        answer = call()
    assert answer.status_code in (200, 201), answer.content
    sent = [query["sql"] for query in captured.captured_queries]
    return sum("SAVEPOINT" not in text and not text.startswith("SELECT set_config(") for text in sent)


@pytest.fixture
def warm(runs):
    """One whole run before, so that wallets, accounts, the month and caches are there."""
    runs.settled("run_0")
    return runs


def test_opening_a_run_with_settlement_is_nine(warm):
    assert counted(lambda: warm.open(key="a")) == 9


def test_an_event_in_between_is_six(warm):
    warm.open()
    assert counted(lambda: warm.append("RUN_STARTED", key="a")) == 6


@pytest.mark.parametrize("rate", [None, 50, 0])
def test_the_last_event_settles_and_bills_in_fifteen(warm, rate):
    """Three of them are the plan's hard limit: read, the counter locked, read again."""
    warm.open()
    assert counted(lambda: warm.complete(rate, key="a")) == 15


def test_without_a_hard_limit_it_is_twelve(warm, monkeypatch):
    monkeypatch.setattr(limit, "_registered", lambda **_: None)
    warm.open()
    assert counted(lambda: warm.complete(key="a")) == 12
