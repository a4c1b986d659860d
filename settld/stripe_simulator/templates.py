"""Our own samples of Stripe's objects, one JSON file each: every field an object must carry."""

import json
from functools import cache
from importlib import resources

from settld.stripe_simulator.wire import Json


@cache
def _text(name: str) -> str:
    folder = resources.files("settld.stripe_simulator").joinpath("templates")
    return folder.joinpath(f"{name}.json").read_text("utf-8")


def sample(name: str) -> Json:
    """A fresh copy to fill in."""
    return dict(json.loads(_text(name)))
