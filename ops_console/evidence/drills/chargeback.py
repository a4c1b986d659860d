"""Evidence that a reversed payout leaves a debt, and that the debt meets the next payout (spec 7)."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from ops_console.evidence.drills import sealing
from ops_console.evidence.drills.caller import Answer, require_header_safe
from ops_console.evidence.drills.command import Outcome
from ops_console.evidence.drills.errors import DrillStopped
from ops_console.evidence.drills.flags import Setting
from settld.core import clock
from settld.core.hashing import canonical_hash, sha256_hex

TYPE: Final = "MoneyRailChargebackEvidence.v1"
CALLS: Final = (
    "operationBefore",
    "submitIngest",
    "confirmIngest",
    "operationConfirmed",
    "reverseIngest",
    "operationAfter",
    "exposure",
    "payoutCheck",
)
MOST_KEY: Final = 500
MOST_PREFIX: Final = 200


@dataclass(frozen=True)
class Wanted:
    """What the drill is to do, and what it is to find."""

    operation_id: str
    party_id: str | None
    period: str | None
    reason_code: str
    event_id: str
    at: dt.datetime
    payout_period: str | None
    payout_party_id: str | None
    expect_outstanding_cents: int | None
    expect_payout_code: str | None
    idempotency_prefix: str

    @property
    def at_iso(self) -> str:
        """Write the instant of the events."""
        return clock.iso(self.at) or ""


def default_event_id(operation_id: str) -> str:
    """Name the reversal so that a rerun tells the same fact again."""
    return f"evt_chargeback_{sha256_hex(operation_id)[:16]}"


def require_prefix(text: str) -> str:
    """Take the beginning of the idempotency keys; it travels in a header and leaves room for the rest."""
    prefix = require_header_safe(text, flag="--idempotency-prefix")
    if len(prefix) > MOST_PREFIX:
        raise DrillStopped(f"--idempotency-prefix must have at most {MOST_PREFIX} characters")
    return prefix


@dataclass
class Drill:
    """One run: the calls made so far and what they showed."""

    setting: Setting
    wanted: Wanted
    calls: dict[str, Answer | None] = field(default_factory=lambda: dict.fromkeys(CALLS))
    failures: list[str] = field(default_factory=list)
    reverse_applied: bool = False
    outstanding_cents: int | None = None

    def perform(self) -> Outcome:
        """Make the calls in their order and seal what they showed."""
        if self._read("operationBefore").is_ok:
            self._drive()
            self._reverse()
            self._read("operationAfter")
            self._look_at_debt()
            self._try_payout()
        return Outcome(sealing.seal(self._document(), self.setting.signer), self.failures, self.setting.out)

    # --- The steps ---------------------------------------------------------------------------------
    def _drive(self) -> None:
        """Bring a sandbox operation to `confirmed`; nobody fakes the confirmation of real money."""
        state = self._state("operationBefore")
        mode = self._metadata().get("providerMode")
        if state not in ("initiated", "submitted") or mode == "production":
            return
        if state == "initiated":
            self._ingest("submitIngest", "submitted")
        self._ingest("confirmIngest", "confirmed")
        self._read("operationConfirmed")

    def _reverse(self) -> None:
        state = self._state("operationConfirmed") or self._state("operationBefore")
        if state not in ("confirmed", "reversed"):
            self.failures.append(f"the operation is {state}, not confirmed: no reversal was sent")
            return
        answer = self._ingest("reverseIngest", "reversed")
        # A replay of an earlier run's answer says `applied` too: only a state that moved counts.
        self.reverse_applied = state == "confirmed" and answer.member("applied") is True

    def _look_at_debt(self) -> None:
        query = {
            "providerId": self.setting.provider_id,
            "partyId": self._party_id(),
            "period": self.wanted.period,
        }
        answer = self.setting.caller.get("/ops/finance/money-rails/chargebacks", query)
        self._keep("exposure", answer)
        if answer.is_ok:
            self.outstanding_cents = _outstanding(answer, party_id=self._party_id())
        expected = self.wanted.expect_outstanding_cents
        if expected is not None and self.outstanding_cents != expected:
            self.failures.append(f"outstanding is {self.outstanding_cents} cents, expected {expected}")

    def _try_payout(self) -> None:
        if self.wanted.payout_period is None:
            return
        party_id = self._payout_party_id()
        if party_id is None:
            self.failures.append("no payout was tried: the operation names no party and no flag does")
            return
        body = {"moneyRailProviderId": self.setting.provider_id}
        path = f"/ops/payouts/{quote(party_id, safe='')}/{self.wanted.payout_period}/enqueue"
        answer = self.setting.caller.post(path, body, idempotency_key=self._key("payout", body))
        self.calls["payoutCheck"] = answer
        expected = self.wanted.expect_payout_code
        if expected is not None and _code(answer) != expected:
            self.failures.append(
                f"the payout was answered {answer.status_code} {_code(answer)}, expected {expected}"
            )

    # --- The calls ---------------------------------------------------------------------------------
    def _read(self, name: str) -> Answer:
        provider_id = quote(self.setting.provider_id, safe="")
        operation_id = quote(self.wanted.operation_id, safe="")
        path = f"/ops/money-rails/{provider_id}/operations/{operation_id}"
        return self._keep(name, self.setting.caller.get(path))

    def _ingest(self, name: str, event_type: str) -> Answer:
        wanted = self.wanted
        is_reversal = event_type == "reversed"
        body = {
            "operationId": wanted.operation_id,
            "eventType": event_type,
            "eventId": wanted.event_id if is_reversal else f"{wanted.event_id}_{event_type}",
            "at": wanted.at_iso,
        }
        if is_reversal:
            body["reasonCode"] = wanted.reason_code
        path = f"/ops/money-rails/{quote(self.setting.provider_id, safe='')}/events/ingest"
        key = self._key(event_type, body)
        return self._keep(name, self.setting.caller.post(path, body, idempotency_key=key))

    def _keep(self, name: str, answer: Answer) -> Answer:
        self.calls[name] = answer
        if not answer.is_ok:
            code = _code(answer)
            self.failures.append(f"{name} was answered {answer.status_code}{f' {code}' if code else ''}")
        return answer

    def _key(self, verb: str, body: dict[str, Any]) -> str:
        """Name an effect by its content, so that a rerun replays and another body never conflicts."""
        operation_id, tail = self.wanted.operation_id, canonical_hash(body)[:12]
        key = f"{self.wanted.idempotency_prefix}_{verb}_{operation_id}_{tail}"
        if len(key) <= MOST_KEY and key.isascii() and key.isprintable():
            return key
        return f"{self.wanted.idempotency_prefix}_{verb}_{sha256_hex(operation_id)}_{tail}"

    # --- What they showed --------------------------------------------------------------------------
    def _state(self, name: str) -> str | None:
        answer = self.calls[name]
        return answer.member("operation", "state") if answer is not None and answer.is_ok else None

    def _metadata(self) -> dict[str, Any]:
        answer = self.calls["operationBefore"]
        found = answer.member("operation", "metadata") if answer is not None else None
        return found if isinstance(found, dict) else {}

    def _party_id(self) -> str | None:
        named = self._metadata().get("partyId")
        return self.wanted.party_id or (named if isinstance(named, str) else None)

    def _payout_party_id(self) -> str | None:
        return self.wanted.payout_party_id or self._party_id()

    def _document(self) -> dict[str, Any]:
        wanted, payout = self.wanted, self.calls["payoutCheck"]
        caller = self.setting.caller
        return {
            "type": TYPE,
            "v": 1,
            "capturedAt": self.setting.captured_at,
            "status": "fail" if self.failures else "pass",
            "failures": self.failures,
            "inputs": {
                "baseUrl": caller.base_url,
                "tenantId": caller.tenant_id,
                "providerId": self.setting.provider_id,
                "operationId": wanted.operation_id,
                "partyId": self._party_id(),
                "period": wanted.period,
                "reasonCode": wanted.reason_code,
                "eventId": wanted.event_id,
                "at": wanted.at_iso,
                "payoutPeriod": wanted.payout_period,
                "payoutPartyId": self._payout_party_id() if wanted.payout_period else wanted.payout_party_id,
                "expectOutstandingCents": wanted.expect_outstanding_cents,
                "expectPayoutCode": wanted.expect_payout_code,
            },
            "checks": {
                "reverseApplied": self.reverse_applied,
                "operationStateAfter": self._state("operationAfter"),
                "outstandingCents": self.outstanding_cents,
                "payoutStatusCode": payout.status_code if payout is not None else None,
                "payoutCode": _code(payout) if payout is not None else None,
            },
            "calls": {name: answer and answer.as_json() for name, answer in self.calls.items()},
        }


def _outstanding(answer: Answer, *, party_id: str | None) -> int | None:
    """Read one party's debt; a party without a reversal in the filter owes nothing."""
    total = answer.member("summary", "totalOutstandingCents")
    parties = answer.member("parties")
    if party_id is None or not isinstance(parties, list):
        return total if isinstance(total, int) else None
    found = [row for row in parties if isinstance(row, dict) and row.get("partyId") == party_id]
    owed = found[0].get("outstandingCents") if found else 0
    return owed if isinstance(owed, int) else None


def _code(answer: Answer) -> str | None:
    """Name an answer: the refusal's code, or the reason why nothing was enqueued."""
    code = answer.member("code") or answer.member("reason")
    return code if isinstance(code, str) else None
