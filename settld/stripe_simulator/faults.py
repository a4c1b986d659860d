"""Faults on purpose: by rule, or drawn at random from a seed."""

import fnmatch
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from settld.stripe_simulator.checks import require_not_negative, require_types
from settld.stripe_simulator.ids import fraction
from settld.stripe_simulator.wire import Json

KINDS = (
    "timeout_before",
    "timeout_after",
    "reset_before",
    "reset_after",
    "status_429",
    "status_500_before",
    "status_500_after",
    "malformed_2xx",
    "slow",
)
DEFAULT_DELAYS_MS = {"timeout_before": 30_000, "timeout_after": 30_000, "slow": 1_000}
MALFORMED_BODY = '{"id": "tr_'


@dataclass(kw_only=True)
class FaultRule:
    """Which calls go wrong, and how. `times` None: each matching call, until the rule is deleted."""

    kind: str
    method: str = "*"
    path: str = "/v1/*"
    times: int | None = None
    skip: int = 0
    probability: float = 1.0
    delay_ms: int | None = None
    match: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    saved: bool = True

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault kind {self.kind!r}; one of {', '.join(KINDS)}")
        require_types(self)
        require_not_negative(self, "times", "skip", "delay_ms")
        _check_pattern(self.path)

    def matches(self, *, method: str, path: str, params: dict[str, str]) -> bool:
        if self.method not in ("*", method) or not _path_matches(self.path, path):
            return False
        return all(params.get(name) == str(value) for name, value in self.match.items())

    def fault(self) -> "Fault":
        delay = DEFAULT_DELAYS_MS.get(self.kind, 0) if self.delay_ms is None else self.delay_ms
        body = MALFORMED_BODY if self.body is None else self.body
        return Fault(kind=self.kind, delay_seconds=delay / 1000, body=body, saved=self.saved)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What befalls one call."""

    kind: str
    delay_seconds: float
    body: str
    saved: bool


@dataclass(frozen=True, kw_only=True)
class Chaos:
    """Random faults: for each kind the share of matching calls that it hits."""

    seed: int
    rates: dict[str, float]
    method: str = "POST"
    path: str = "/v1/*"
    delay_ms: int | None = None

    def __post_init__(self) -> None:
        require_types(self)
        for kind, rate in self.rates.items():
            FaultRule(kind=kind, probability=rate, path=self.path, delay_ms=self.delay_ms)


class Faults:
    """The active rules. Callers hold the world's lock.

    A draw depends on the seed, on the call (method, path, parameters) and on how often that call was seen,
    so equal calls meet equal fates whatever else happens in between or at the same time.
    """

    def __init__(self, *, seed: int) -> None:
        self.seed = seed
        self.rules: list[FaultRule] = []
        self.chaos: Chaos | None = None
        self._seen: Counter[str] = Counter()

    def add(self, rules: list[dict[str, Any]]) -> None:
        self.rules += [FaultRule(**rule) for rule in rules]

    def clear(self) -> None:
        self.rules.clear()
        self.chaos = None

    def pick(self, *, method: str, path: str, params: dict[str, str], identity: str) -> Fault | None:
        """The fault for this call, if any; the first rule that matches and draws wins."""
        if not self.rules and self.chaos is None:
            return None
        self._seen[identity] += 1
        occurrence = self._seen[identity]
        for number, rule in enumerate(self.rules):
            if not rule.matches(method=method, path=path, params=params) or rule.times == 0:
                continue
            if rule.probability < 1 and fraction(self.seed, number, identity, occurrence) >= rule.probability:
                continue
            if rule.skip > 0:
                rule.skip -= 1
                continue
            if rule.times is not None:
                rule.times -= 1
            return rule.fault()
        return self._drawn(method=method, path=path, identity=identity, occurrence=occurrence)

    def _drawn(self, *, method: str, path: str, identity: str, occurrence: int) -> Fault | None:
        chaos = self.chaos
        if chaos is None or chaos.method not in ("*", method) or not _path_matches(chaos.path, path):
            return None
        draw = fraction(chaos.seed, "chaos", identity, occurrence)
        for kind, rate in sorted(chaos.rates.items()):
            if draw < rate:
                return FaultRule(kind=kind, delay_ms=chaos.delay_ms).fault()
            draw -= rate
        return None

    def describe(self) -> Json:
        return {
            "rules": [asdict(rule) for rule in self.rules],
            "random": asdict(self.chaos) if self.chaos else None,
        }


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern if pattern.startswith("^") else "")
    except re.error as error:
        raise ValueError(f"path is no regular expression: {error}") from error


def _path_matches(pattern: str, path: str) -> bool:
    """A pattern beginning with ^ is a regular expression, any other is a glob."""
    if pattern.startswith("^"):
        return re.search(pattern, path) is not None
    return fnmatch.fnmatchcase(path, pattern)
