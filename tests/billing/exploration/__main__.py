"""Explore by hand: `python -m tests.billing.exploration --length 12 --seed 7 --histories 5000`.

Tells that many long histories drawn from the seed: the walks of every test run (`test_walks`), and more of
them. A broken one is shortened and told move by move.
"""

import argparse
import os
import sys
import time

import pytest


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m tests.billing.exploration", description=__doc__)
    arguments.add_argument("--length", type=int, default=12, help="most moves of a history")
    arguments.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000)
    arguments.add_argument("--histories", type=int, default=1_000)
    options = arguments.parse_args()
    for name, value in vars(options).items():
        os.environ[f"EXPLORATION_{name.upper()}"] = str(value)
    print(f"seed {options.seed}", flush=True)
    walks = "tests/billing/exploration/test_walks.py"
    return int(pytest.main(["-q", "-p", "no:logging", "-p", "no:cacheprovider", "-o", "timeout=0", walks]))


if __name__ == "__main__":
    sys.exit(main())
