"""The Stripe simulator as a process of its own, for tests that need a Stripe to talk to."""

import contextlib
import json
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
API_KEY = "sk_test_simulator"


class ControlRefused(AssertionError):
    """The control door said no; the text is its reason."""


class Simulator:
    """One simulator process. `start()` returns when it listens; it never outlives the test run."""

    def __init__(self, *, data: Path, seed: int = 1, arguments: tuple[str, ...] = ()) -> None:
        self.data, self.seed, self.arguments = data, seed, arguments
        self.url = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self, *, port: int = 0) -> "Simulator":
        command = [sys.executable, "-m", "settld.stripe_simulator", "--port", str(port)]
        command += ["--data", str(self.data), "--seed", str(self.seed), "--until-stdin-closes"]
        command += self.arguments
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=PROJECT, stdin=pipe, stdout=pipe, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("listening on "):
            raise AssertionError(f"the simulator did not start: {line!r}, exit {self._process.wait(5)}")
        self.url = line.removeprefix("listening on ").strip()
        return self

    @property
    def port(self) -> int:
        return urllib.parse.urlsplit(self.url).port or 0

    def stop(self) -> None:
        self._end("terminate")

    def kill(self) -> None:
        """As a machine would lose it: no goodbye."""
        self._end("kill")

    def _end(self, how: str) -> None:
        process, self._process = self._process, None
        if process is not None:
            getattr(process, how)()
            process.wait(10)
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    pipe.close() if pipe else None

    # The control door and a look at the API, without any SDK.
    def control(self, path: str, body: dict[str, Any] | None = None, *, method: str | None = None) -> Any:
        """`control("/_sim/clock")` reads, with a body it posts."""
        data = None if body is None else json.dumps(body).encode()
        return self._call(urllib.request.Request(self.url + path, data=data, method=method))

    def get(self, path: str, **params: Any) -> Any:
        """An API read with a test key, such as `get("/v1/transfers", limit=100)`."""
        query = f"?{urllib.parse.urlencode(params)}" if params else ""
        headers = {"Authorization": f"Bearer {API_KEY}"}
        return self._call(urllib.request.Request(self.url + path + query, headers=headers))

    def transfers(self, **filters: Any) -> list[dict[str, Any]]:
        """Every transfer, newest first, all pages."""
        found: list[dict[str, Any]] = []
        while True:
            after = {"starting_after": found[-1]["id"]} if found else {}
            page = self.get("/v1/transfers", limit=100, **filters, **after)
            found += page["data"]
            if not page["has_more"]:
                return found

    def account(self, account_id: str, **state: Any) -> dict[str, Any]:
        """Make or change a connected account; a new one is verified unless `state` says otherwise."""
        return dict(self.control(f"/_sim/accounts/{account_id}", state))

    def price(self, **terms: Any) -> dict[str, Any]:
        """A monthly price of 20 usd with a product of its own, or as `terms` say (`interval=None`: once)."""
        base = {"unit_amount": 2000, "currency": "usd", "interval": "month", "name": "Pro"}
        given = {name: value for name, value in {**base, **terms}.items() if value is not None}
        return dict(self.control("/_sim/prices", given))

    def customer(self, *, card: str | None = "4242424242424242", **more: Any) -> dict[str, Any]:
        """A customer that the product did not make, with a card as its default unless `card` is None."""
        made = dict(self.control("/_sim/customers", more))
        if card is not None:
            self.control(f"/_sim/customers/{made['id']}/card", {"number": card})
        return made

    def subscribe(self, customer: str, price: str, **more: Any) -> dict[str, Any]:
        """A subscription that no checkout made, with its first invoice paid unless told otherwise."""
        return dict(self.control("/_sim/subscriptions", {"customer": customer, "price": price, **more}))

    def provoke(self, subscription: str, verb: str, **more: Any) -> dict[str, Any]:
        """`renew`, `fail_payment`, `recover`, `pause`, `resume`, `cancel` or `status`; the subscription."""
        return dict(self.control(f"/_sim/subscriptions/{subscription}/{verb}", more))

    def event_types(self, *, after: str | None = None) -> list[str]:
        """The types of the newest hundred events, oldest first; those after the event `after` if named."""
        more = {"ending_before": after} if after else {}
        return [event["type"] for event in reversed(self.get("/v1/events", limit=100, **more)["data"])]

    def fault(self, kind: str, **rule: Any) -> None:
        """Let the next matching call (POST unless told otherwise) go wrong; `times=None`: all of them."""
        self.control("/_sim/faults", {"rules": [{"kind": kind, "method": "POST", "times": 1, **rule}]})

    def listen(self, url: str, secret: str, **more: Any) -> dict[str, Any]:
        """Have every event sent to `url`, signed with `secret`."""
        return dict(self.control("/_sim/webhook_endpoints", {"url": url, "secret": secret, **more}))

    def wait_for_webhooks(self, *, timeout_ms: int = 10_000) -> None:
        answer = self.control("/_sim/webhooks/wait", {"timeout_ms": timeout_ms})
        assert answer["idle"], self.control("/_sim/webhooks/deliveries?status=pending")

    def _call(self, request: urllib.request.Request) -> Any:
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise ControlRefused(f"{error.code} {error.read().decode()}") from error


@pytest.fixture(scope="session")
def stripe_simulator() -> Iterator[Simulator]:
    """One process for the test session. Use `stripe_sim`, which is empty for each test."""
    with tempfile.TemporaryDirectory(prefix="settld-simulator-") as folder:
        simulator = Simulator(data=Path(folder)).start()
        yield simulator
        simulator.stop()


@pytest.fixture
def stripe_sim(stripe_simulator: Simulator, request: pytest.FixtureRequest) -> Simulator:
    """The session's simulator, emptied, with ids that are this test's own and the same in every run."""
    stripe_simulator.control("/_sim/reset", {"seed": zlib.crc32(request.node.nodeid.encode())})
    return stripe_simulator
