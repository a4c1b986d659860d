"""Webhook endpoints as the deliveries see them: who listens to what, and with which secret."""

from dataclasses import dataclass

from settld.stripe_simulator.store import Selection
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import World

AUDIENCES = ("all", "platform", "connect")
MAX_ENDPOINTS = 100


@dataclass(frozen=True, kw_only=True)
class Listener:
    """An enabled endpoint. `audience`: events of the platform, of connected accounts, or all."""

    endpoint_id: str
    url: str
    enabled_events: list[str]
    audience: str

    def hears(self, event: Json) -> bool:
        if self.audience == ("platform" if event.get("account") else "connect"):
            return False
        return "*" in self.enabled_events or event["type"] in self.enabled_events


def listeners(world: World) -> list[Listener]:
    """Enabled endpoints, oldest first."""
    return [
        Listener(
            endpoint_id=body["id"],
            url=body["url"],
            enabled_events=body["enabled_events"],
            audience=_secret_row(world, body["id"])[1],
        )
        for body in all_endpoints(world)
        if body["status"] == "enabled"
    ]


def all_endpoints(world: World) -> list[Json]:
    """Oldest first."""
    return world.store.select(Selection(kind="webhook_endpoint"), limit=MAX_ENDPOINTS)[::-1]


def keep_secret(world: World, *, endpoint_id: str, secret: str, audience: str) -> None:
    world.store.execute("INSERT OR REPLACE INTO secrets VALUES (?, ?, ?)", (endpoint_id, secret, audience))


def secret_of(world: World, endpoint_id: str) -> str:
    return _secret_row(world, endpoint_id)[0]


def _secret_row(world: World, endpoint_id: str) -> tuple[str, str]:
    sql = "SELECT secret, audience FROM secrets WHERE endpoint_id = ?"
    row = world.store.execute(sql, (endpoint_id,)).fetchone()
    return str(row[0]), str(row[1])
