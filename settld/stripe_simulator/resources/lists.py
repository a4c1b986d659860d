"""Stripe's cursor lists."""

from collections.abc import Mapping, Sequence

from settld.stripe_simulator.errors import missing
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.store import Selection
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import World

PAGING = ("limit", "starting_after", "ending_before")
MAX_LIMIT = 100


def page(
    world: World,
    params: Params,
    *,
    kind: str,
    url: str,
    labels: Mapping[str, Sequence[str]] | None = None,
    where: str = "",
) -> Json:
    """A list object, newest first. `has_more` speaks of the direction in which the cursor moves."""
    limit = params.integer("limit", minimum=1, maximum=MAX_LIMIT) or 10
    selection = Selection(
        kind=kind,
        labels=labels or {},
        created=params.created() if params.has("created") else {},
        older_than_seq=_cursor(world, params, "starting_after", kind),
        newer_than_seq=_cursor(world, params, "ending_before", kind),
        where=where,
    )
    found = world.store.select(selection, limit=limit + 1)
    has_more = len(found) > limit
    if has_more:
        found = found[1:] if selection.newer_than_seq is not None else found[:limit]
    return {"object": "list", "data": found, "has_more": has_more, "url": url}


def _cursor(world: World, params: Params, name: str, kind: str) -> int | None:
    object_id = params.text(name)
    if object_id is None:
        return None
    seq = world.store.seq(kind=kind, object_id=object_id)
    if seq is None:
        raise missing(noun=kind, object_id=object_id, param=name, status=400)
    return seq
