"""A tenant's months and statements, through the API, with the worker run by hand."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.api import Api, body

MONTH = "2026-01"


@dataclass
class Books:
    """One caller's months."""

    api: Api

    def put(self, party_id: str = "pty_1", *, period: str = MONTH, **content: Any) -> Any:
        sent = {"partyRole": "operator", "payoutCents": 12_345, **content}
        return self.api.put(f"/ops/party-statements/{party_id}/{period}", sent)

    def close(self, month: str = MONTH) -> Any:
        answer = self.api.post("/ops/month-close", {"month": month})
        from settld.closing.services import worker  # settings are not read yet when this file is

        worker.close_requested(tenant_id=self.api.tenant_id)
        return answer

    def reopen(self, month: str = MONTH) -> Any:
        return self.api.post("/ops/month-close/reopen", {"month": month, "reason": "late invoice"})

    def month(self, month: str = MONTH) -> dict[str, Any]:
        return body(self.api.get(f"/ops/month-close?month={month}"))["monthClose"]

    def statement(self, party_id: str = "pty_1", month: str = MONTH) -> dict[str, Any]:
        return body(self.api.get(f"/ops/party-statements/{party_id}/{month}"))["statement"]

    def audits(self, action: str) -> list[dict[str, Any]]:
        return body(self.api.get(f"/ops/audit?action={action}"))["audit"]


@pytest.fixture
def books(db, api) -> Books:
    return Books(api)
