"""Agents, a rail and a browser under a clock that moves: what the journey from run to bank is played with.

The product runs in this process, because its clock must stand in months that are over; the provider is a
real simulator process, which is told the same time, and its signed letters are carried to our door.
"""

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import quote

from django.http import HttpResponse
from django.test import Client

from settld.closing.services import worker
from settld.core import clock
from settld.stripe_gateway.services import consumption
from tests.ops_console import work
from tests.support.api import Api, body
from tests.support.simulator import Simulator
from tests.support.webhook_receiver import Receiver

SECRET = "whsec_run_to_bank"
RAIL = "stripe_sim"
INTAKE = "/api/billing/webhooks/stripe"
_HREF = re.compile(r'href="([^"]+)"')


def party_of(agent_id: str) -> str:
    """Name the party that an agent is paid as."""
    return f"pty_operator:{agent_id}"


@dataclass
class Books:
    """One tenant's caller; every answer is read, every unexpected status fails."""

    api: Api
    stripe: Simulator
    post_office: Receiver
    _set_clock: Callable[[dt.datetime], None]
    heads: dict[str, str] = field(default_factory=dict)
    _delivered: int = 0

    # --- Time -----------------------------------------------------------------------------------
    def at(self, day: str) -> None:
        """Go to noon of a day, or to an instant; the provider's clock goes along."""
        instant = clock.parse_iso(day if "T" in day else f"{day}T12:00:00Z")
        self._set_clock(instant)
        self.stripe.control("/_sim/clock", {"now": clock.iso(instant)})

    # --- Calls ----------------------------------------------------------------------------------
    def get(self, path: str) -> Any:
        return self._read(self.api.get(path), 200, path)

    def post(self, path: str, data: Any = None, *, expect: int = 200, **options: Any) -> Any:
        return self._read(self.api.post(path, data, **options), expect, path)

    def put(self, path: str, data: Any) -> Any:
        return self._read(self.api.put(path, data), 200, path)

    @staticmethod
    def _read(answer: HttpResponse, expected: int, path: str) -> Any:
        assert answer.status_code == expected, (path, answer.status_code, answer.content[:2000])
        return body(answer)

    # --- Work -----------------------------------------------------------------------------------
    def fund(self, agent_id: str, cents: int, external_ref: str) -> dict[str, Any]:
        sent = {"amountCents": cents, "externalRef": external_ref, "sourceType": "money_rail"}
        receipt: dict[str, Any] = self.post(f"/agents/{agent_id}/wallet/credit", sent, expect=201)
        return dict(receipt["fundingReceipt"])

    def open(self, run_id: str, *, agent: str, payer: str, cents: int, days: int = 0) -> None:
        opened = work.open_run(self.api, run_id, agent=agent, payer=payer, cents=cents, days=days)
        self.heads[run_id] = opened["run"]["lastChainHash"]

    def tell(self, run_id: str, agent: str, event: str, **payload: Any) -> dict[str, Any]:
        """Append the run's next event to its chain."""
        answer = work.append(self.api, run_id, agent=agent, head=self.heads[run_id], event=event, **payload)
        self.heads[run_id] = answer["event"]["chainHash"]
        return answer

    def work(
        self, run_id: str, *, agent: str, payer: str, cents: int, days: int = 0, rate: int | None = None
    ) -> dict[str, Any]:
        """Open a run and bring it to its end by four events; gives the final receipt."""
        self.open(run_id, agent=agent, payer=payer, cents=cents, days=days)
        self.tell(run_id, agent, "RUN_STARTED")
        self.tell(run_id, agent, "RUN_HEARTBEAT", progressPct=50)
        self.tell(run_id, agent, "EVIDENCE_ADDED", evidenceRef=f"obj://{run_id}/photos.zip")
        metrics = {} if rate is None else {"metrics": {"settlementReleaseRatePct": rate}}
        done = self.tell(run_id, agent, "RUN_COMPLETED", **metrics)
        assert done["kernelVerification"] == {"valid": True, "errors": []}
        return dict(done["settlementReceipt"])

    # --- Months ---------------------------------------------------------------------------------
    def close(self, period: str) -> None:
        self.post("/ops/month-close", {"month": period}, expect=202)
        worker.close_requested(tenant_id=self.api.tenant_id)
        told = self.get(f"/ops/month-close?month={period}")["monthClose"]
        assert told["status"] == "CLOSED", told

    def statement(self, agent_id: str, period: str) -> dict[str, Any]:
        path = f"/ops/party-statements/{quote(party_of(agent_id), safe=':')}/{period}"
        found: dict[str, Any] = self.get(path)
        return found

    # --- Payouts --------------------------------------------------------------------------------
    def ask(self, agent_id: str, period: str, *, expect: int) -> Any:
        wish = {"moneyRailProviderId": RAIL, "counterpartyRef": f"stripe_connect:acct_{agent_id}"}
        path = f"/ops/payouts/{quote(party_of(agent_id), safe=':')}/{period}/enqueue"
        return self.post(path, wish, expect=expect)

    def pay(self, agent_id: str, period: str) -> dict[str, Any]:
        """Enqueue, submit, and let the provider's signed event confirm it."""
        operation = self.ask(agent_id, period, expect=201)["moneyRailOperation"]
        sent = self.post(f"{operation_path(operation)}/submit", {})
        assert sent["operation"]["state"] == "submitted"
        self.take_post()
        return self.require_state(operation, "confirmed")

    def take_post(self) -> None:
        """Carry the provider's letters to our door, as they were signed, and have them applied."""
        self.stripe.wait_for_webhooks()
        fresh = self.post_office.letters[self._delivered :]
        self._delivered += len(fresh)
        for payload, signature in fresh:
            answer = Client().post(
                INTAKE, payload, content_type="application/json", headers={"stripe-signature": signature}
            )
            assert answer.status_code == 200, answer.content
        while job := consumption.claim_next(owner="journey", now=clock.now()):
            assert consumption.consume(job) is None

    def require_state(self, operation: dict[str, Any], state: str) -> dict[str, Any]:
        fresh: dict[str, Any] = self.get(operation_path(operation))["operation"]
        assert fresh["state"] == state, fresh
        return fresh

    # --- The ledger -----------------------------------------------------------------------------
    def balances(self) -> dict[str, int]:
        rows = self.get("/ops/ledger/balances?limit=1000")["balances"]
        return {row["accountId"]: row["amountCents"] for row in rows}


@dataclass
class Reader:
    """Somebody who goes from page to page by the links that are on them."""

    browser: Client
    seen: set[str] = field(default_factory=set)

    def open(self, address: str) -> str:
        """Read a page; an address with an anchor has to have that anchor on it."""
        path, _, anchor = address.partition("#")
        answer = self.browser.get(path)
        assert answer.status_code == 200, (address, answer.status_code, answer.content[:500])
        text = answer.content.decode()
        if anchor:
            assert f'id="{anchor}"' in text, address
        self.seen.add(path)
        return text

    def link(self, text: str, start: str, *, having: str = "") -> str:
        """Find a page's one link that starts so (and has this in it)."""
        found = {unescape(href) for href in _HREF.findall(text)}
        (one,) = {href for href in found if href.startswith(start) and having in href}
        return one


def operation_path(operation: dict[str, Any]) -> str:
    """Name an operation's route."""
    return (
        f"/ops/money-rails/{operation['providerId']}/operations/{quote(operation['operationId'], safe=':')}"
    )
