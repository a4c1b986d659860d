"""Making and changing objects: stored, logged and told in one breath."""

import json
from collections.abc import Mapping
from typing import Any

from settld.stripe_simulator.resources import events
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Origin, World

# Events that carry `previous_attributes` besides those of updates.
ALSO_SAY_BEFORE = ("charge.refunded", "payment_method.detached")


def make(
    world: World,
    *,
    body: Json,
    origin: Origin,
    labels: Mapping[str, str | None] | None = None,
    event_type: str | None = None,
) -> None:
    """Store a new object under the kind it names itself, and emit the event unless there is none."""
    kind = body["object"]
    world.store.insert(kind=kind, body=body, labels=labels)
    world.log.add("object", object=kind, id=body["id"], action="created")
    if event_type is not None:
        events.emit(world, event_type=event_type, subject=body, origin=origin)


class Change:
    """One object on its way from what it was to what it will be.

    Take it before touching the body, change the body in place, then `keep` it: nothing is stored and nothing
    is told when it stayed the same.
    """

    def __init__(self, body: Json) -> None:
        self.body = body
        self.before: Json = _copy(body)

    def keep(self, world: World, *, origin: Origin, event_type: str | None) -> bool:
        """Whether there was a change; events of updates say what was before."""
        if self.body == self.before:
            return False
        kind = self.body["object"]
        world.store.replace(kind=kind, body=self.body)
        world.log.add("object", object=kind, id=self.body["id"], action="updated")
        if event_type is not None:
            says_before = event_type.endswith("updated") or event_type in ALSO_SAY_BEFORE
            previous = events.difference(self.before, self.body) if says_before else None
            events.emit(world, event_type=event_type, subject=self.body, origin=origin, previous=previous)
        self.before = _copy(self.body)
        return True


def _copy(body: Json) -> Json:
    """By way of the text, which is several times quicker than walking the tree."""
    return dict(json.loads(json.dumps(body)))


def merged(current: Any, given: Json) -> Json:
    """A hash after a call that gave some of its fields; an empty value unsets one."""
    return {**(current or {}), **{name: value or None for name, value in given.items()}}
