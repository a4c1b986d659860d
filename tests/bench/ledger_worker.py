"""A process that posts: takes one order per line of JSON, runs it with as many threads as told, answers."""

import json
import os
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settld.settings")
django.setup()

from settld.core import clock  # noqa: E402
from tests.bench import ledger_floor, ledger_ours  # noqa: E402

Act = Callable[[random.Random], None]
MOST_THREADS = 32


def act_of(side: str, wallets: int) -> Act:
    """Give what one turn does; a scenario more is a branch more."""
    fund = {"ours": ledger_ours.post, "floor": ledger_floor.post}[side]
    return lambda dice: fund(dice.randrange(wallets), dice.randrange(1, 10_000), clock.now())


def run(act: Act, *, start_at: float, seconds: float, seed: int) -> list[int]:
    """Repeat from a common start on, in this thread; gives each turn's nanoseconds."""
    dice, taken = random.Random(seed), []
    time.sleep(max(0.0, start_at - time.time()))
    until = start_at + seconds
    while time.time() < until:
        began = time.perf_counter_ns()
        act(dice)
        taken.append(time.perf_counter_ns() - began)
    return taken


def carry_out(order: dict[str, Any], pool: ThreadPoolExecutor) -> Any:
    """Do what a line asks for."""
    if order["do"] == "prepare":
        for tenant_id in (ledger_floor.TENANT, ledger_ours.TENANT):
            ledger_ours.prepare(tenant_id, wallets=order["wallets"], now=clock.now())
        return None
    if order["do"] == "check":
        return ledger_ours.problems()
    act = act_of(order["side"], order["wallets"])
    futures = [
        pool.submit(
            run, act, start_at=order["startAt"], seconds=order["seconds"], seed=order["seed"] + number
        )
        for number in range(order["threads"])
    ]
    return [one for future in futures for one in future.result()]


def main() -> None:
    with ThreadPoolExecutor(MOST_THREADS) as pool:
        for line in sys.stdin:
            print(json.dumps(carry_out(json.loads(line), pool)), flush=True)


if __name__ == "__main__":
    main()
