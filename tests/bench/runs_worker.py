"""A process that makes runs: takes one order per line of JSON, as `ledger_worker` does."""

import json
import os
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settld.settings")
django.setup()

from settld.core import clock  # noqa: E402
from tests.bench import ledger_worker, runs_floor, runs_ours  # noqa: E402

MOST_THREADS = 32


def carry_out(order: dict[str, Any], pool: ThreadPoolExecutor) -> Any:
    """Do what a line asks for; gives the nanoseconds of each turn."""
    if order["do"] == "prepare":
        for tenant_id in (runs_floor.TENANT, runs_ours.TENANT):
            runs_ours.prepare(tenant_id, pairs=order["wallets"], now=clock.now())
        return None
    if order["do"] == "check":
        return runs_ours.problems()
    turn = {"ours": runs_ours.turn, "floor": runs_floor.turn}[order["side"]]

    def act(dice: random.Random) -> None:
        turn(dice.randrange(order["wallets"]), clock.now())

    futures = [
        pool.submit(
            ledger_worker.run, act, start_at=order["startAt"], seconds=order["seconds"],
            seed=order["seed"] + number,
        )
        for number in range(order["threads"])
    ]  # fmt: skip
    return [one for future in futures for one in future.result()]


def main() -> None:
    runs_ours.lift_limits()
    with ThreadPoolExecutor(MOST_THREADS) as pool:
        for line in sys.stdin:
            print(json.dumps(carry_out(json.loads(line), pool)), flush=True)


if __name__ == "__main__":
    main()
