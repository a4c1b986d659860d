"""T-146: long histories drawn from a seed hold after every move, and at rest we agree with the provider.

`python -m tests.billing.exploration` tells more of them, and longer ones, from any seed.
"""

import os

import pytest

from tests.billing.exploration.stage import staged
from tests.billing.exploration.walks import Walker

pytestmark = [pytest.mark.slow, pytest.mark.django_db, pytest.mark.timeout(0)]
SEED = int(os.environ.get("EXPLORATION_SEED", "1"))
HISTORIES = int(os.environ.get("EXPLORATION_HISTORIES", "25"))
LENGTH = int(os.environ.get("EXPLORATION_LENGTH", "14"))
CHAPTER = 40  # histories of one seed and one stage


@pytest.mark.parametrize("seed", range(SEED, SEED + -(-HISTORIES // CHAPTER)))
def test_t_146_long_histories_hold_and_come_to_rest(db, tmp_path, settings, seed):
    with staged(folder=tmp_path, settings=settings, seed=seed) as stage:
        Walker(stage, seed, LENGTH).tell_many(min(CHAPTER, HISTORIES - (seed - SEED) * CHAPTER))
