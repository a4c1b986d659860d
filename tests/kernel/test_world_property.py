"""Any history of two months: nobody is paid twice, nothing is lost, every cent is explained (5 and 13).

`WORLDS=200` tries that many seeds instead of the few of every run.
"""

import os
from collections import Counter

import pytest
from django.db import transaction

SEEDS = range(1, 1 + int(os.environ.get("WORLDS", "3")))
STEPS = 80


@pytest.fixture
def worlds(db, settings, monkeypatch):
    """Make the world of a seed and undo it; deals are runs whose agreement leaves doubts to a person."""
    from settld.kernel import agreements
    from settld.policies import normalization
    from tests.kernel import made
    from tests.kernel.world import World
    from tests.support import factories

    settings.MONEY_RAILS = factories.rails()
    agreement = made.agreement(policy=normalization.policy_of(None))
    monkeypatch.setattr(
        agreements, "_registered",
        lambda *, tenant_id, run_id: agreement if run_id.startswith("deal_") else None,
    )  # fmt: skip

    def lived(seed, steps=STEPS, **how):
        with transaction.atomic():
            world = World(seed, **how)
            try:
                world.run(steps)
            finally:
                transaction.set_rollback(True)
        return world

    return lived


def test_every_cent_is_explained_whatever_happens_in_whatever_order(worlds):
    seen = Counter()
    for seed in SEEDS:
        seen += worlds(seed).done
    print(sorted(seen.items()))
    assert min(seen[step] for step in ("reopen", "reversed", "dispute", "resolve", "by hand", "sweep")) >= 2


def test_what_is_carried_into_the_next_month_still_waits_for_its_dispute_and_window(worlds, monkeypatch):
    """A month that was paid and opened again cannot pay what came late; who pays it asks the kernel, too."""
    from tests.kernel import world as own

    payee, march, april = own.PAYEES[0], *own.MONTHS[:2]

    def story(world, books):
        for cents, days in ((400, 0), (300, 6)):
            world.open(books, own.PAYERS[0], payee, cents, days)
            world.end(books, books.jobs[-1], None)
            world.close(books, march)
            if not days:
                world.pay(books, payee, march)
                world.reopen(books, march)
        late = books.jobs[-1]
        world.dispute(books, late)
        world.wait(books, 24 * 5)
        world.close(books, april)
        world.pay(books, payee, april)
        world.settle_dispute(books, late)
        world.pay(books, payee, april)
        world.wait(books, 24 * 2)
        assert not late.is_given
        world.pay(books, payee, april)
        assert late.is_given
        assert world.done["pay"] == 4

    monkeypatch.setattr(own.World, "tell_story", story)
    worlds(1, 0, tenants=1)
