"""`manage.py demo`: seed a running deployment with a world to click through."""

import contextlib
import json
import os
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from ops_console.demo.agents_cast import CEDAR
from ops_console.demo.cast import TROUPES, closed_months
from ops_console.demo.http import DemoError, Server, Simulator
from ops_console.demo.people import PEOPLE
from ops_console.demo.seeding import World, seed
from settld.core import clock


class Command(BaseCommand):
    """Seed through the public API, and the agents' past by the product's verbs; again, it changes nothing."""

    help = "Seed a running deployment through its public API: three tenants, agents, parties, payouts."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take addresses and the token; the launcher gives them in the environment."""
        given = os.environ.get
        parser.add_argument("--base-url", default=given("SETTLD_DEMO_BASE_URL", "http://127.0.0.1:8000"))
        parser.add_argument("--ops-token", default=given("SETTLD_DEMO_OPS_TOKEN", ""))
        parser.add_argument("--simulator-url", default=given("SETTLD_DEMO_SIMULATOR_URL", ""))
        parser.add_argument("--lively", action="store_true", help="let the simulator go on making news")
        parser.add_argument("--no-people", action="store_true", help="make no logins")

    def handle(self, *args: Any, **options: Any) -> None:
        """Seed, make the logins when they were given a password, and write down how to get in."""
        started_at = time.monotonic()
        if not options["ops_token"]:
            raise CommandError("no ops token: give --ops-token or set SETTLD_DEMO_OPS_TOKEN")
        simulator = Simulator(Server(options["simulator_url"])) if options["simulator_url"] else None
        world = World(
            server=Server(options["base_url"].rstrip("/")),
            ops_token=options["ops_token"],
            simulator=simulator,
            today=clock.now().date(),
            say=self._say,
        )
        try:
            seed(world)
            if simulator is not None and options["lively"]:
                # Only the demo's own payouts are taken back: somebody may be trying things beside it.
                quiet = {"settld_tenant_id": TROUPES[0].tenant_id}
                # Mostly news of accounts: the one that wanders is restricted and comes back in two minutes.
                life = {"enabled": True, "interval_seconds": 20, "account_share": 0.75, "metadata": quiet}
                simulator.control("life", life)
        except DemoError as problem:
            raise CommandError(str(problem)) from problem
        has_people = bool(os.environ.get("SETTLD_DEMO_PASSWORD")) and not options["no_people"]
        if has_people:
            call_command("demo_people", stdout=self.stdout)
        _write_down(world, has_people=has_people)
        self._say(f"done in {time.monotonic() - started_at:.1f} s")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _write_down(world: World, *, has_people: bool) -> None:
    """Leave `demo.json` in SETTLD_HOME, readable by its owner only; keys shown once stay in it."""
    path: Path = settings.SETTLD_HOME / "demo.json"
    if not path.parent.is_dir():
        return
    known: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(path.read_text())
    tokens = {row.get("tenantId"): row.get("apiKey") for row in known.get("tenants", [])} | world.tokens
    password = os.environ.get("SETTLD_DEMO_PASSWORD", "")
    content = {
        "logins": [
            {"username": one.username, "password": password, "role": one.role, "tenantId": "all tenants"}
            for one in (PEOPLE if has_people else ())
        ],
        "tenants": [
            {"tenantId": troupe.tenant_id, "name": troupe.name, "apiKey": tokens.get(troupe.tenant_id)}
            for troupe in (*TROUPES, CEDAR)
        ],
        "next": _next_commands(world, tokens.get(TROUPES[0].tenant_id)),
    }
    text = json.dumps(content, indent=2) + "\n"
    if known and json.dumps(known, indent=2) + "\n" == text:
        return
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def _next_commands(world: World, api_key: str | None) -> list[str]:
    tenant_id = TROUPES[0].tenant_id
    credential = f"authorization: Bearer {api_key}" if api_key else f"x-proxy-ops-token: {world.ops_token}"
    curl = f"curl -s -H 'x-proxy-tenant-id: {tenant_id}' -H '{credential}' '{world.server.base_url}"
    period = closed_months(world.today)[-1]
    return [
        f"{curl}/ops/party-statements?period={period}'",
        f"{curl}/ops/money-rails/stub_default/operations?period={period}&state=initiated&limit=3'",
        f"{curl}/ops/finance/money-rails/reconcile?period={period}'",
    ]
