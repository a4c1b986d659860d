"""The command: read the arguments, open the state, serve until told to stop."""

import argparse
import fcntl
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from settld.stripe_simulator import life
from settld.stripe_simulator.access import is_loopback_host
from settld.stripe_simulator.server import Server, serve_in_background
from settld.stripe_simulator.webhooks.courier import Courier
from settld.stripe_simulator.world import API_VERSION, Settings, World

CANNOT_START = 2


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(prog="python -m settld.stripe_simulator", description=__doc__)
    arguments.add_argument("--host", default="127.0.0.1", help="a loopback address (default %(default)s)")
    arguments.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    arguments.add_argument(
        "--data", "--data-dir", required=True, type=Path, help="folder of the durable state"
    )
    arguments.add_argument(
        "--seed", type=int, default=1, help="of ids and random faults; a new folder keeps it"
    )
    arguments.add_argument("--rate-limit", type=int, default=0, help="API calls per second, 0 for no limit")
    arguments.add_argument("--api-version", default=API_VERSION, help="of events (default %(default)s)")
    arguments.add_argument("--webhook-workers", type=int, default=1, help="1 keeps the order of events")
    arguments.add_argument(
        "--webhook-retry-ms", type=int, default=500, help="first wait, doubling (%(default)s)"
    )
    arguments.add_argument("--webhook-max-attempts", type=int, default=0, help="0 tries until it gets a 2xx")
    arguments.add_argument("--allow-remote-webhooks", action="store_true", help="deliver beyond loopback too")
    arguments.add_argument("--until-stdin-closes", action="store_true", help="stop when the parent is gone")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    if not is_loopback_host(options.host):
        return _refuse(f"refusing to listen on {options.host}: the simulator stays on loopback")
    options.data.mkdir(parents=True, exist_ok=True)
    with (options.data / "simulator.lock").open("w") as lock:
        if not _locked(lock):
            return _refuse(f"another simulator uses {options.data}")
        world = World(directory=options.data, seed=options.seed, settings=_settings(options))
        try:
            server = Server(host=options.host, port=options.port, world=world)
        except OSError as error:
            world.store.close()
            return _refuse(f"cannot listen on {options.host}:{options.port}: {error.strerror}")
        _serve(server, world, options)
    return 0


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        rate_limit_per_second=options.rate_limit,
        api_version=options.api_version,
        webhook_retry_initial_ms=options.webhook_retry_ms,
        webhook_max_attempts=options.webhook_max_attempts,
        allow_remote_webhooks=options.allow_remote_webhooks,
    )


def _refuse(message: str) -> int:
    sys.stderr.write(f"stripe simulator: {message}\n")
    return CANNOT_START


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _serve(server: Server, world: World, options: argparse.Namespace) -> None:
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: world.stopping.set())
    if options.until_stdin_closes:
        threading.Thread(target=_watch_stdin, args=(world,), daemon=True).start()
    courier = Courier(world=world, workers=max(1, options.webhook_workers))
    courier.start()
    living = life.live(world)
    serve_in_background(server)
    sys.stdout.write(f"listening on {server.url}\n")
    sys.stdout.flush()
    world.stopping.wait()
    world.deliveries_due.set()
    server.shutdown()
    server.server_close()
    courier.join()
    living.join(timeout=2)
    # Taken and never given back: threads still in a call must not touch the closed store.
    world.lock.acquire()
    world.store.close()


def _watch_stdin(world: World) -> None:
    # Past sys.stdin: its lock, held by a waiting thread, would spoil the interpreter's exit.
    while os.read(0, 65_536):
        pass
    world.stopping.set()
