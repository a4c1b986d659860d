"""The background thread that carries events to webhook endpoints."""

import http.client
import json
import threading
from urllib.parse import urlsplit

from settld.stripe_simulator.access import is_loopback_host
from settld.stripe_simulator.webhooks import queue
from settld.stripe_simulator.webhooks.endpoints import secret_of
from settld.stripe_simulator.webhooks.legacy import as_seen_in
from settld.stripe_simulator.webhooks.signing import signature_header
from settld.stripe_simulator.world import World


class Courier:
    """Delivers in the order of the queue; with more than one worker only roughly so."""

    def __init__(self, *, world: World, workers: int) -> None:
        self.world = world
        self.busy: set[int] = set()
        self.threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def join(self) -> None:
        for thread in self.threads:
            thread.join(timeout=2)

    def _work(self) -> None:
        world = self.world
        while not world.stopping.is_set():
            # Cleared before looking, so that what is queued after the look wakes us again.
            world.deliveries_due.clear()
            with world.lock:
                due = queue.claim(world, busy=self.busy)
                if isinstance(due, queue.Due):
                    self.busy.add(due.delivery_id)
            if isinstance(due, queue.Due):
                self._deliver(due)
            else:
                world.deliveries_due.wait(timeout=min(due, 0.5))

    def _deliver(self, due: queue.Due) -> None:
        world = self.world
        try:
            letter = self._letter(due)
            if isinstance(letter, str):
                with world.transaction():
                    queue.give_up(world, due, error=letter)
                return
            status, error = post(due.url, letter, timeout=world.settings.webhook_timeout_ms / 1000)
            with world.transaction():
                queue.report(world, due, status=status, error=error)
        finally:
            with world.lock:
                self.busy.discard(due.delivery_id)

    def _letter(self, due: queue.Due) -> tuple[bytes, dict[str, str]] | str:
        """Body and headers, or why there is nothing to send."""
        world = self.world
        with world.lock:
            event = world.store.get(kind="event", object_id=due.event_id)
            endpoint = world.store.get(kind="webhook_endpoint", object_id=due.endpoint_id)
            if event is None or endpoint is None or endpoint["status"] != "enabled":
                return "the endpoint is deleted or disabled"
            if not (
                world.settings.allow_remote_webhooks or is_loopback_host(urlsplit(due.url).hostname or "")
            ):
                return "the simulator sends webhooks to loopback addresses only (--allow-remote-webhooks)"
            secret, timestamp = secret_of(world, due.endpoint_id), world.clock.signature_now()
            # A body has the shapes of the endpoint's version, not of whoever caused the event.
            seen = as_seen_in(world, event, endpoint["api_version"] or event["api_version"])
        payload = json.dumps(seen, indent=2).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Accept": "*/*; q=0.5, application/xml",
            "Stripe-Signature": signature_header(payload=payload, secret=secret, timestamp=timestamp),
        }
        return payload, headers


def post(url: str, letter: tuple[bytes, dict[str, str]], *, timeout: float) -> tuple[int | None, str | None]:
    """One attempt, redirects not followed: the status, or what went wrong."""
    payload, headers = letter
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target, payload, headers)
        response = connection.getresponse()
        response.read(65_536)
    except (OSError, http.client.HTTPException) as error:
        return None, f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return response.status, None if 200 <= response.status < 300 else f"HTTP {response.status}"
