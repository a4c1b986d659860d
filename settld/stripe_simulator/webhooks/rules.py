"""Webhooks that go astray on purpose."""

import fnmatch
from dataclasses import asdict, dataclass

from settld.stripe_simulator.checks import require_not_negative, require_types
from settld.stripe_simulator.ids import fraction
from settld.stripe_simulator.wire import Json

MODES = ("duplicate", "delay", "reorder", "drop", "hold")


@dataclass(kw_only=True)
class DeliveryRule:
    """What happens to the deliveries of matching events; `type` and `url` are globs.

    `duplicate` sends `copies` more; `delay` waits `delay_ms`; `reorder` gathers `window` deliveries and sends
    them in reverse (or as they are after `delay_ms`); `drop` never sends; `hold` waits for a flush.
    """

    mode: str
    type: str = "*"
    url: str = "*"
    times: int | None = None
    probability: float = 1.0
    delay_ms: int = 2_000
    copies: int = 1
    window: int = 2

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"unknown webhook mode {self.mode!r}; one of {', '.join(MODES)}")
        require_types(self)
        require_not_negative(self, "times", "delay_ms")
        if self.window < 2 or self.copies < 1:
            raise ValueError("window is at least 2, copies at least 1")


class DeliveryRules:
    """The active rules; the first that matches and draws wins. Callers hold the world's lock."""

    def __init__(self, *, seed: int) -> None:
        self.seed = seed
        self.rules: list[DeliveryRule] = []

    def pick(self, *, event_id: str, event_type: str, url: str) -> DeliveryRule | None:
        for number, rule in enumerate(self.rules):
            if rule.times == 0 or not fnmatch.fnmatchcase(event_type, rule.type):
                continue
            if not fnmatch.fnmatchcase(url, rule.url):
                continue
            if rule.probability < 1 and fraction(self.seed, "webhook", number, event_id) >= rule.probability:
                continue
            if rule.times is not None:
                rule.times -= 1
            return rule
        return None

    def describe(self) -> Json:
        return {"rules": [asdict(rule) for rule in self.rules]}
