"""A design partner's run packet: both drills, bound together and signed (spec 7)."""

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ops_console.evidence.drills import chargeback, reconcile, runs, sealing
from ops_console.evidence.drills.command import Outcome
from ops_console.evidence.drills.errors import DrillStopped
from ops_console.evidence.drills.flags import Setting
from settld import evidence_verifier
from settld.core import clock
from settld.core.hashing import sha256_hex

TYPE: Final = "DesignPartnerMoneyRailRunPacket.v1"
NAMES: Final = {
    "reconcile": "money-rails-reconcile-evidence",
    "chargeback": "money-rails-chargeback-evidence",
    "packet": "design-partner-run-packet",
}
COMMANDS: Final = {
    "reconcile": "ops_money_rails_reconcile_evidence",
    "chargeback": "ops_money_rails_chargeback_evidence",
}
TYPES: Final = {"reconcile": reconcile.TYPE, "chargeback": chargeback.TYPE}


@dataclass(frozen=True)
class Part:
    """One of the two drills: where its evidence is or goes, and the flags of its run.

    `path` is None for a part that is left out on purpose.
    """

    name: str
    path: str | None
    is_skipped: bool
    flags: dict[str, str | None]


@dataclass(frozen=True)
class Wanted:
    """What the packet binds."""

    period: str
    reconcile: Part
    chargeback: Part
    reconcile_expect_status: str
    inputs: dict[str, Any]


def default_path(name: str, *, folder: str, period: str, now: dt.datetime) -> str:
    """Name a file of this run."""
    stamp = (clock.iso(now) or "").replace(":", "-").replace(".", "-")
    return str(Path(folder) / f"{NAMES[name]}-{period}-{stamp}.json")


@dataclass
class Packet:
    """One packet in the making."""

    setting: Setting
    wanted: Wanted
    failures: list[str] = field(default_factory=list)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    artifacts: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    payloads: dict[str, dict[str, Any] | None] = field(default_factory=dict)

    def perform(self) -> Outcome:
        """Run both, bind what they left, and seal it; written whatever the verdict."""
        parts = (self.wanted.reconcile, self.wanted.chargeback)
        if all(part.is_skipped and part.path is None for part in parts):
            raise DrillStopped(
                "both runs are skipped and no artifact path is given: there is nothing to bind"
            )
        for part in parts:
            self._take(part)
        self._judge()
        return Outcome(sealing.seal(self._document(), self.setting.signer), self.failures, self.setting.out)

    def _take(self, part: Part) -> None:
        """Run a part unless it is skipped, then read what it left."""
        if part.is_skipped:
            self.runs[part.name] = runs.skipped(part.name)
        else:
            self._run(part)
        self.artifacts[part.name], self.payloads[part.name] = None, None
        if part.path is not None:
            self._read(part, part.path)

    def _run(self, part: Part) -> None:
        if part.path is None:
            raise DrillStopped(f"the {part.name} run has no artifact path")
        done = runs.run(
            COMMANDS[part.name],
            {name: value for name, value in part.flags.items() if value is not None},
            token=self.setting.caller.ops_token,
            out=part.path,
            has_fixed_clock=self.setting.has_fixed_clock,
        )
        self.runs[part.name] = done.record
        if not done.is_ok:
            ended = done.record["signal"] or f"status {done.record['status']}"
            self.failures.append(f"the {part.name} run ended with {ended}")
        if not done.has_written:
            self.failures.append(f"the {part.name} artifact was not written by this run")

    def _read(self, part: Part, path: str) -> None:
        try:
            content = Path(path).read_bytes()
            payload = evidence_verifier.strict_json(content)
            if not isinstance(payload, dict):
                raise evidence_verifier.Refused("is not a JSON object")
            digest = evidence_verifier.artifact_hash(payload)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a file name"
            self.failures.append(f"the {part.name} artifact cannot be read: {reason}")
            return
        except evidence_verifier.Refused as refusal:
            self.failures.append(f"the {part.name} artifact {refusal}")
            return
        status = payload.get("status")
        if part.name == "reconcile":
            answer = payload.get("reconcile")
            status = answer.get("status") if isinstance(answer, dict) else None
        self.payloads[part.name] = payload
        self.artifacts[part.name] = {
            "path": path,
            "fileHash": sha256_hex(content),
            "artifactHash": payload.get("artifactHash"),
            "status": status,
        }
        if payload.get("artifactHash") != digest:
            self.failures.append(f"the {part.name} artifact's hash does not recompute")
        if payload.get("type") != TYPES[part.name]:
            self.failures.append(f"the {part.name} artifact is no {TYPES[part.name]}")

    def _judge(self) -> None:
        """Compare the verdicts, and whether the evidence is about what the packet is about."""
        ours = {
            "tenantId": self.setting.caller.tenant_id,
            "providerId": self.setting.provider_id,
            "period": self.wanted.period,
        }
        report, drill = self.payloads["reconcile"], self.payloads["chargeback"]
        if report is not None:
            status = (self.artifacts["reconcile"] or {})["status"]
            if status != self.wanted.reconcile_expect_status:
                self.failures.append(
                    f"reconcile status is {status}, expected {self.wanted.reconcile_expect_status}"
                )
            self._require_about("reconcile", report, ours)
        if drill is not None:
            if drill.get("status") != "pass":
                self.failures.append(f"chargeback status is {drill.get('status')}, expected pass")
            about = drill.get("inputs")
            ours["operationId"] = self.wanted.inputs["chargebackOperationId"]
            self._require_about("chargeback", about if isinstance(about, dict) else {}, ours)

    def _require_about(self, name: str, stated: dict[str, Any], ours: dict[str, Any]) -> None:
        for member, value in ours.items():
            if value is not None and stated.get(member) not in (value, None):
                self.failures.append(f"the {name} artifact is about another {member}")

    def _document(self) -> dict[str, Any]:
        return {
            "type": TYPE,
            "v": 1,
            "capturedAt": self.setting.captured_at,
            "status": "fail" if self.failures else "pass",
            "failures": self.failures,
            "inputs": self.wanted.inputs,
            "artifacts": self.artifacts,
            "runs": self.runs,
            "payloads": self.payloads,
        }
