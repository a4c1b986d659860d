"""Both sides of a case, written out from its details."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from ops_console import words
from ops_console.errors import Fact
from ops_console.mismatches.stories import OTHER, STORIES, Story
from reconciliation.models import Mismatch
from settld.core import money

_PATTERN: Final = re.compile(r"\{([A-Za-z.]+)\}")
_IN_TABLE: Final = ("rows", "means", "hasMoreRows")  # shown in the words and the table of their case
_CODE_WORDS: Final = ("Id", "Key", "Hash", "Ref", "Group", "destination", "reasonCode")


@dataclass(frozen=True)
class Pair:
    """One figure as each side has it."""

    label: str
    expected: str
    actual: str
    differs: bool


@dataclass(frozen=True)
class Change:
    """One figure as it was when the case was closed, and as it is now."""

    label: str
    before: str
    now: str


def story_of(case: Mismatch) -> Story:
    """Give the words for a case's kind; a kind that nobody described gets plain ones."""
    return STORIES.get(case.mismatch_type) or OTHER


def title_of(mismatch_type: str) -> str:
    """Name a kind of case."""
    story = STORIES.get(mismatch_type)
    return story.title if story else words.label(mismatch_type)


def headline(case: Mismatch, *, currency: str = "") -> tuple[str, str]:
    """Write what each side says, in a few words each; blank where the details do not tell."""
    story = story_of(case)
    return _fill(story.expected, case, currency), _fill(story.actual, case, currency)


def pairs(case: Mismatch, *, currency: str = "") -> list[Pair]:
    """List the figures that both sides name."""
    details = case.details if isinstance(case.details, dict) else {}
    sides = {
        name.removeprefix("expected"): (details[name], details[other])
        for name in details
        if name.startswith("expected") and (other := name.replace("expected", "actual", 1)) in details
    }
    expected, actual = details.get("expected"), details.get("actual")
    if isinstance(expected, dict) and isinstance(actual, dict):
        sides.pop("", None)
        sides |= {name: (expected.get(name), actual.get(name)) for name in {**expected, **actual}}
    return [
        Pair(
            _label(name),
            _written(name, left, _currency_of(case, currency)),
            _written(name, right, _currency_of(case, currency)),
            differs=left != right,
        )
        for name, (left, right) in sides.items()
    ]


def facts(case: Mismatch, *, currency: str = "") -> list[Fact]:
    """List everything else that the details hold."""
    details = case.details if isinstance(case.details, dict) else {}
    return [
        Fact(_label(name), _written(name, value, _currency_of(case, currency)), is_code=_is_code(name))
        for name, value in details.items()
        if value is not None
        and not isinstance(value, dict)
        and not name.startswith(("expected", "actual"))
        and name not in _IN_TABLE
    ]


def changes(before: dict[str, Any], case: Mismatch, *, currency: str = "") -> list[Change]:
    """List what differs between the details that a decision saw and those of now."""
    now = case.details if isinstance(case.details, dict) else {}
    return [
        Change(
            _label(name),
            _written(name, before.get(name), _currency_of(case, currency)) or "none",
            _written(name, now.get(name), _currency_of(case, currency)) or "none",
        )
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    ]


def _fill(pattern: str, case: Mismatch, currency: str) -> str:
    """Write a pattern out; nothing when a name in it is missing from the details."""
    filled = []
    for name in _PATTERN.findall(pattern):
        value: Any = case.details
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is None:
            return ""
        filled.append(_written(name.rsplit(".", 1)[-1], value, _currency_of(case, currency)))
    return _PATTERN.sub(lambda _match: filled.pop(0), pattern)


def _currency_of(case: Mismatch, currency: str) -> str:
    details = case.details if isinstance(case.details, dict) else {}
    named = details.get("currency")
    return named.upper() if isinstance(named, str) else currency


def _written(name: str, value: Any, currency: str) -> str:
    if value is None:
        return ""
    if name.endswith("Cents") and isinstance(value, int) and not isinstance(value, bool):
        return money.show(value, currency).strip()
    if name.lower() == "state" and isinstance(value, str):
        return words.STATE_LABELS.get(value, value)
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _label(name: str) -> str:
    return words.label(name.removesuffix("Cents")) or "Amount"


def _is_code(name: str) -> bool:
    return name.endswith(_CODE_WORDS)
