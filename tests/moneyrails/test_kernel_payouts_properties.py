"""Any history of payouts of one payee: references add up, wallet and journal agree (kernel spec 13.4).

Beside the rails lives a model that knows only what was earned, what is away over the rail and what is
withheld; after every act the wallet must be what it says, and the kernel's own checks must find nothing.
"""

import datetime as dt

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

NOW = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
PERIODS = [f"{year}-{month:02d}" for year in (2024, 2025) for month in range(1, 13)]
recent = st.integers(0, 3)
EARN = st.tuples(st.just("earn"), st.integers(1, 900))
TELL = st.tuples(st.sampled_from(["confirm", "fail", "cancel", "reverse"]), recent)
ACTS = st.lists(st.one_of(EARN, EARN, EARN, TELL, TELL, st.tuples(st.just("reverse"), recent)), max_size=12)
STORY = [
    ("earn", 500),
    ("reverse", 0),
    ("earn", 300),
    ("earn", 800),
    ("fail", 0),
    ("earn", 900),
    ("reverse", 0),
]
EVENTS = {"confirm": ["submitted", "confirmed"], "fail": ["failed"],
          "reverse": ["submitted", "confirmed", "reversed"]}  # fmt: skip


class History:
    """The rails and the kernel, and what their wallet must come to."""

    def __init__(self, runs):
        self.runs = runs
        self.periods = iter(PERIODS)
        self.operations = []
        self.earned = 0
        self.away = {}  # operation id -> gross that is out of the wallet
        self.count = 0

    def earn(self, cents):
        """Settle a run, close its month and enqueue its payout, netted against what is owed."""
        from moneyrails.services import enqueue
        from tests.kernel import paying, work
        from tests.support.factories import ACTOR

        self.count += 1
        self.earned += cents
        self.runs.settled(f"run_{self.count}", window_days=0, cents=cents)
        period = next(self.periods)
        row = paying.derived(paying.ref_to(f"run_{self.count}"), period=period)
        made = enqueue.enqueue(
            tenant_id=work.TENANT, party_id=paying.PARTY, period=period, provider_id="",
            counterparty_ref="", actor=ACTOR, now=NOW,
        )  # fmt: skip
        self.away[f"mop_{row.payout_key}"] = cents
        if made.operation is not None:
            self.operations.append(made.operation)

    def tell(self, verb, place):
        """Have one of the latest operations go on, if it can."""
        from moneyrails.services import cancellation
        from settld.core.errors import Refusal
        from tests.support import factories

        if place >= len(self.operations):
            return
        operation = self.operations[-1 - place]
        operation.refresh_from_db()
        if verb == "cancel":
            cancellation.cancel(**factories.key_of(operation), actor=factories.ACTOR, now=NOW)
        for number, event_type in enumerate(EVENTS.get(verb, [])):
            try:
                factories.told(operation, event_type, event_id=f"{event_type}_{number}")
            except Refusal:
                continue
        operation.refresh_from_db()
        if operation.state in ("failed", "cancelled", "reversed"):
            self.away.pop(operation.operation_id, None)

    def require(self):
        from tests.kernel import paying

        paying.require_whole()
        if self.earned:
            assert paying.available() == self.earned - sum(self.away.values())


@pytest.mark.usefixtures("_providers")
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(acts=ACTS)
@example(acts=STORY)
def test_any_history_adds_up(live_db, api, acts):
    from django.db import transaction

    from settld.core import clock
    from tests.kernel import paying, work
    from tests.support import factories

    class Undone(Exception):
        pass

    try:
        with transaction.atomic(), clock.freeze(NOW), paying.scope():
            work.parties()
            factories.set_controls(chargebacks={"enabled": True, "negativeBalanceMode": "net"})
            history = History(work.Runs(api))
            for act, value in acts:
                if act == "earn":
                    history.earn(value)
                else:
                    history.tell(act, value)
                history.require()
            raise Undone
    except Undone:
        pass
