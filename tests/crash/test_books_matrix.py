"""At every commit boundary of kernel, journal and close a process dies: one effect, and the books hold.

A story is set up once and dies at each of its points in turn, in the order in which it passes them; the
caller with the same key, or the next tick, comes after each death.
"""

import pytest

from tests.crash import stories_kernel, stories_months
from tests.crash.forked import dies_at
from tests.crash.matrix import BOOKS

STORIES = {**vars(stories_kernel), **vars(stories_months)}


@pytest.fixture
def office(live_db, api, settings, monkeypatch):
    from settld.core import clock
    from tests.crash.office import Office
    from tests.support import factories

    settings.MONEY_RAILS = factories.rails()
    with clock.freeze(factories.NOW) as move:
        yield Office(api, None, move, patch=monkeypatch)


@pytest.mark.parametrize("story", BOOKS)
def test_deaths_leave_one_effect_and_whole_books(office, story):
    told = STORIES[story](office)
    assert told.effects() == 0
    is_done = False

    for point, does_it in BOOKS[story].items():
        dies_at(point, told.act)
        is_done = is_done or does_it
        assert told.effects() == int(is_done), point
        if told.is_sound:
            assert office.breaches() == {}, point
        office.waits(told.lease)

    told.again()
    assert told.effects() == 1
    told.is_whole()
    if told.is_sound:
        office.keeps_its_sums()


def test_every_story_is_told():
    assert [story for story in BOOKS if not isinstance(STORIES.get(story), type)] == []
