"""A client that knows the product only by its HTTP."""

import dataclasses
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests.support import deployment
from tests.support.http import Answer, Server

PATIENCE_SECONDS = 30


@dataclasses.dataclass
class Client:
    """One tenant's caller."""

    server: Server
    ops_token: str
    tenant_id: str

    def __call__(
        self, method: str, path: str, body: Any = None, *, key: str = "", expect: int = 200, **headers: str
    ) -> Answer:
        """Call and require a status."""
        sent = {"x-proxy-ops-token": self.ops_token, "x-proxy-tenant-id": self.tenant_id}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            sent["content-type"] = "application/json"
        if key:
            sent["x-idempotency-key"] = key
        content = b"" if body is None else json.dumps(body).encode()
        answer = self.server.send(method, path, content=content, headers=sent)
        assert answer.status == expect, (method, path, answer.status, answer.raw[:2000])
        return answer

    def refused(self, method: str, path: str, body: Any, *, code: str, status: int = 409) -> None:
        """Call and require a refusal."""
        answer = self(method, path, body, expect=status)
        assert answer.json["code"] == code, answer.json

    def operation(self, operation: dict[str, Any]) -> dict[str, Any]:
        """Read an operation afresh."""
        fresh: dict[str, Any] = self("GET", operation_path(operation)).json["operation"]
        return fresh

    def await_state(self, operation: dict[str, Any], state: str) -> dict[str, Any]:
        """Wait for the world outside to bring an operation into a state."""
        return eventually(lambda: self.operation(operation), lambda fresh: fresh["state"] == state)

    def reconcile(self, period: str, provider: str, *, persist: bool = False) -> dict[str, Any]:
        """Compare a month at a provider."""
        query = f"period={period}&providerId={provider}" + ("&persist=true" if persist else "")
        answer: dict[str, Any] = self("GET", f"/ops/finance/money-rails/reconcile?{query}").json
        return answer


def operation_path(operation: dict[str, Any]) -> str:
    return f"/ops/money-rails/{operation['providerId']}/operations/{quote(operation['operationId'], safe='')}"


def eventually(read: Callable[[], Any], is_there: Callable[[Any], bool]) -> Any:
    """Read until it is there."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_there(value := read()):
        assert time.monotonic() < deadline, f"never came: {value}"
        time.sleep(0.05)
    return value


@pytest.fixture
def running(live_db):
    """The whole product as processes: web, worker, beat, simulator."""
    with deployment.running("simulator", "web", "worker", "beat") as started:
        yield started
        for name in ("web", "worker"):  # pytest shows them where a test failed
            print(f"--- {name}\n{started.log(name)[-8000:]}")


@pytest.fixture
def caller(running):
    """Give a client for a tenant."""
    return lambda tenant_id: Client(Server(running.base_url), running.ops_token, tenant_id)
