"""Calling the API in tests as a client would, through Django's test client."""

import json
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpResponse
from django.test import Client

OPS_TOKEN = "tok_tests"
SCOPES = frozenset({"ops_read", "ops_write", "finance_read", "finance_write", "audit_read"})


@dataclass
class Api:
    """One caller: a tenant and a credential; each call gives the answer, and `body` reads its JSON."""

    tenant_id: str = "tenant_a"
    token: str = OPS_TOKEN
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def call(
        self,
        method: str,
        path: str,
        data: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
        content_type: str = "application/json",
    ) -> HttpResponse:
        sent = {"x-proxy-tenant-id": self.tenant_id}
        if self.token:
            sent["x-proxy-ops-token"] = self.token
        if key is not None:
            sent["x-idempotency-key"] = key
        content = raw if raw is not None else (b"" if data is None else json.dumps(data).encode())
        return self.client.generic(
            method, path, content, content_type=content_type, headers=sent | (headers or {})
        )

    def get(self, path: str, **options: Any) -> HttpResponse:
        return self.call("GET", path, **options)

    def post(self, path: str, data: Any = None, **options: Any) -> HttpResponse:
        return self.call("POST", path, {} if data is None else data, **options)

    def put(self, path: str, data: Any = None, **options: Any) -> HttpResponse:
        return self.call("PUT", path, {} if data is None else data, **options)

    def as_tenant(self, tenant_id: str) -> "Api":
        return Api(tenant_id, self.token, self.client)

    def with_token(self, token: str) -> "Api":
        return Api(self.tenant_id, token, self.client)


def body(answer: HttpResponse) -> Any:
    """Read an answer's JSON."""
    return json.loads(answer.content)


def refusal(answer: HttpResponse) -> tuple[int, str]:
    """Read an answer's status and code."""
    return answer.status_code, body(answer)["code"]
