"""At every commit boundary a process dies: one effect, nothing lost, and a way forward (A3; 3.4 step 7)."""

import dataclasses
import re
from pathlib import Path

import pytest

from tests.crash import stories_books, stories_payouts
from tests.crash.forked import dies_at
from tests.crash.matrix import BILLING, BOOKS, BOUNDARIES
from tests.support.simulator import stripe_sim, stripe_simulator

__all__ = ["stripe_sim", "stripe_simulator"]
ROOMS = ("settld", "billing", "moneyrails", "reconciliation", "ops_console")
PROJECT = Path(__file__).resolve().parents[2]
STORIES = {**vars(stories_payouts), **vars(stories_books)}
CASES = [(story, point, is_done) for story, points in BOUNDARIES.items() for point, is_done in points.items()]


@pytest.fixture
def desk(live_db, api, settings, stripe_sim, monkeypatch):
    from settld.core import clock
    from settld.stripe_gateway import calls, circuit
    from tests.crash.desk import Desk
    from tests.stripe_gateway.signing import SECRET
    from tests.support import factories
    from tests.support.simulator import API_KEY

    settings.MONEY_RAILS = factories.rails()
    settings.STRIPE = dataclasses.replace(
        settings.STRIPE, api_base_url=stripe_sim.url, secret_key=API_KEY, pinned_api_version="",
        webhook_secrets=(SECRET,),
    )  # fmt: skip
    monkeypatch.setattr(calls, "pause", lambda _seconds: None)
    circuit.for_address(stripe_sim.url).record_answer()
    stripe_sim.account("acct_party1", preset="verified")
    with clock.freeze(factories.NOW) as move:
        made = Desk(api, stripe_sim, move)
        made.waits(factories.NOW - factories.NOW)
        stripe_sim.control("/_sim/clock", {"now": int(factories.NOW.timestamp())})
        made.rules(realMoneyEnabled=True)
        yield made


@pytest.mark.parametrize(("story", "point", "is_done"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_a_death_leaves_one_effect_and_a_way_forward(desk, story, point, is_done):
    told = STORIES[story](desk)
    assert told.effects() == 0

    dies_at(point, told.act)
    assert told.effects() == int(is_done)

    desk.waits()
    told.again()
    assert told.effects() == 1
    told.is_whole()
    desk.keeps_its_sums()


def test_the_matrix_names_every_failpoint_of_the_product():
    named = {point for table in (BOUNDARIES, BOOKS, BILLING) for points in table.values() for point in points}
    passed = set()
    for room in ROOMS:
        for path in (PROJECT / room).rglob("*.py"):
            passed |= set(re.findall(r'failpoints\.hit\(\s*"([^"]+)"', path.read_text()))
    assert named == passed


def test_every_story_is_told():
    assert [story for story in BOUNDARIES if not isinstance(STORIES.get(story), type)] == []
