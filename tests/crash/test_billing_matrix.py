"""At every commit boundary of checkout billing a process dies: one effect, and a way forward (T-054)."""

import pytest

from tests.billing.conftest import billing_on
from tests.crash import stories_billing, stories_checkout
from tests.crash.forked import dies_at
from tests.crash.matrix import BILLING
from tests.support.simulator import stripe_sim, stripe_simulator

__all__ = ["billing_on", "stripe_sim", "stripe_simulator"]
STORIES = {**vars(stories_checkout), **vars(stories_billing)}
CASES = [(story, point, is_done) for story, points in BILLING.items() for point, is_done in points.items()]


@pytest.fixture
def shop(live_db, api, settings, billing_on, stripe_sim, monkeypatch):
    import dataclasses

    from settld.core import clock
    from settld.stripe_gateway import calls, circuit, client
    from tests.crash.shop import NOW, Shop
    from tests.support.simulator import API_KEY

    settings.STRIPE = dataclasses.replace(settings.STRIPE, api_base_url=stripe_sim.url, secret_key=API_KEY)
    monkeypatch.setattr(calls, "pause", lambda _seconds: None)
    client._connect.cache_clear()
    circuit.for_address(stripe_sim.url).record_answer()
    with clock.freeze(NOW) as move:
        yield Shop(api, stripe_sim, move)


@pytest.mark.parametrize(("story", "point", "is_done"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_t_054_a_death_leaves_one_effect_and_a_way_forward(shop, story, point, is_done):
    told = STORIES[story](shop)
    assert told.effects() == 0

    dies_at(point, told.act)
    assert told.effects() == int(is_done)

    shop.wait()
    told.again()
    assert told.effects() == 1
    told.is_whole()


def test_every_story_is_told():
    assert [story for story in BILLING if not isinstance(STORIES.get(story), type)] == []
