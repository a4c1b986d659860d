"""Signed verdicts of arbiters: reading them, and checking the signature (kernel spec 8, 9.2).

A verdict is read in the context of the dispute it judges: ids it names must be that context's, ids it
leaves out are taken from it. Reading proves nothing yet; `require_signature` with the PEM of the agent it
names does. How the open spots are read here:

- `outcome` of a DisputeVerdict is any outcome of a dispute's resolution; of an ArbitrationVerdict it is
  accepted, rejected or partial.
- `issuedAt` must name its offset; it is hashed as given. `rationale` and `evidenceRefs` too.
- `releaseRatePct` is a JSON integer from 0 to 100; null is for DisputeVerdict only.
- A `verdictHash` that comes along must agree; it need not come. An envelope that comes along is ignored.
- The signer's key is the arbiter's own: `signerKeyId` is the id of the PEM as the agent registered it.
"""

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from settld.core import clock, signatures
from settld.core.canonical_json import CanonicalJsonError
from settld.core.errors import Invalid
from settld.core.hashing import canonical_hash
from settld.kernel import documents
from settld.kernel.identifiers import AGENT_ID, COMMON_ID

DISPUTE_OUTCOMES: Final = ("accepted", "rejected", "partial", "withdrawn", "unresolved")
ARBITRATION_OUTCOMES: Final = ("accepted", "rejected", "partial")
ALGORITHM: Final = "ed25519"
MOST_TEXT_CHARACTERS: Final = 4000
MOST_REFS: Final = 1000
MOST_REF_CHARACTERS: Final = 512


class InvalidDisputeVerdict(Invalid):
    """The signed dispute verdict has a fault; details.message says which."""

    message = "invalid dispute verdict"


class InvalidArbitrationVerdict(Invalid):
    """The signed arbitration verdict has a fault; details.message says which."""

    message = "invalid arbitration verdict"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a verdict is about; `case_id` is None where the verdict names its case itself."""

    tenant_id: str
    run_id: str
    settlement_id: str
    dispute_id: str
    case_id: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict as read; its signature is not checked yet. `core` is what is hashed and signed."""

    core: dict[str, Any]
    verdict_hash: str
    signer_key_id: str
    signature: str
    issued_at: dt.datetime
    refusal: type[Invalid]

    @property
    def verdict_id(self) -> str:
        """Name the verdict."""
        return str(self.core["verdictId"])

    @property
    def arbiter_agent_id(self) -> str:
        """Name the agent whose key must have signed."""
        return str(self.core["arbiterAgentId"])

    def as_json(self) -> dict[str, Any]:
        """Shape it for the wire and for artifacts: core, hash, signature and its envelope."""
        return {
            **self.core,
            "signerKeyId": self.signer_key_id,
            "signature": self.signature,
            "verdictHash": self.verdict_hash,
            "signatureEnvelope": {
                "algorithm": ALGORITHM,
                "signerKeyId": self.signer_key_id,
                "verdictHash": self.verdict_hash,
                "signature": self.signature,
            },
        }


def dispute_verdict_of(given: Any, *, subject: Subject) -> Verdict:
    """Read a signed DisputeVerdict.v1. Raises InvalidDisputeVerdict."""
    read = _Reader(given, subject=subject, refusal=InvalidDisputeVerdict)
    core = documents.dispute_verdict_core(
        verdict_id=read.matching("verdictId", COMMON_ID),
        tenant_id=read.context("tenantId", subject.tenant_id),
        run_id=read.context("runId", subject.run_id),
        settlement_id=read.context("settlementId", subject.settlement_id),
        dispute_id=read.context("disputeId", subject.dispute_id),
        arbiter_agent_id=read.matching("arbiterAgentId", AGENT_ID),
        outcome=read.word("outcome", DISPUTE_OUTCOMES),
        release_rate_pct=None if read.value("releaseRatePct") is None else read.rate(),
        rationale=None if read.value("rationale") is None else read.text("rationale"),
        issued_at=read.text("issuedAt"),
    )
    return read.verdict(core)


def arbitration_verdict_of(
    given: Any, *, subject: Subject, evidence_refs: Collection[str] | None = None
) -> Verdict:
    """Read a signed ArbitrationVerdict.v1. Raises InvalidArbitrationVerdict.

    `evidence_refs` are those that the case and the dispute know; the verdict may name no others. None
    leaves that to the caller.
    """
    read = _Reader(given, subject=subject, refusal=InvalidArbitrationVerdict)
    case_id = read.matching("caseId", COMMON_ID)
    if subject.case_id is not None and case_id != subject.case_id:
        read.fail("caseId is another case")
    refs = read.refs()
    if evidence_refs is not None and not set(refs) <= set(evidence_refs):
        read.fail("evidenceRefs name evidence that the case does not know")
    core = documents.arbitration_verdict_core(
        verdict_id=read.matching("verdictId", COMMON_ID),
        case_id=case_id,
        tenant_id=read.context("tenantId", subject.tenant_id),
        run_id=read.context("runId", subject.run_id),
        settlement_id=read.context("settlementId", subject.settlement_id),
        dispute_id=read.context("disputeId", subject.dispute_id),
        arbiter_agent_id=read.matching("arbiterAgentId", AGENT_ID),
        outcome=read.word("outcome", ARBITRATION_OUTCOMES),
        release_rate_pct=read.rate(),
        rationale=read.text("rationale"),
        evidence_refs=refs,
        issued_at=read.text("issuedAt"),
        appeal_ref=read.appeal_ref(),
    )
    return read.verdict(core)


def require_signature(verdict: Verdict, *, public_key_pem: str | None) -> None:
    """Require that the named arbiter's registered key has signed the verdict.

    `public_key_pem` is the PEM as registered for `verdict.arbiter_agent_id`, None where there is no such
    agent. Raises the verdict's refusal.
    """
    if public_key_pem is None:
        raise verdict.refusal(details={"message": "arbiterAgentId is no registered agent"})
    if verdict.signer_key_id != signatures.key_id(public_key_pem):
        raise verdict.refusal(details={"message": "signerKeyId is not the arbiter's key"})
    if not signatures.is_valid(
        hash_hex=verdict.verdict_hash,
        signature_base64=verdict.signature,
        public_key_pem=public_key_pem,
    ):
        raise verdict.refusal(details={"message": "signature does not fit"})


class _Reader:
    """A given verdict read member by member; every fault is its refusal."""

    def __init__(self, given: Any, *, subject: Subject, refusal: type[Invalid]) -> None:
        self.refusal = refusal
        if not isinstance(given, Mapping):
            self.fail("must be an object")
        self.given = given
        self.subject = subject

    def fail(self, problem: str) -> NoReturn:
        raise self.refusal(details={"message": problem})

    def value(self, key: str) -> Any:
        return self.given.get(key)

    def text(self, key: str, *, most: int = MOST_TEXT_CHARACTERS) -> str:
        value = self.value(key)
        if not isinstance(value, str) or not value.strip() or len(value) > most or "\x00" in value:
            self.fail(f"{key} must be a text of 1 to {most} characters")
        return value

    def matching(self, key: str, pattern: Any) -> str:
        value = self.value(key)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            self.fail(f"{key} is missing or malformed")
        return value

    def context(self, key: str, expected: str) -> str:
        value = self.value(key)
        if value is not None and value != expected:
            self.fail(f"{key} is another one")
        return expected

    def word(self, key: str, words: tuple[str, ...]) -> str:
        value = self.value(key)
        if not isinstance(value, str) or value not in words:
            self.fail(f"{key} must be one of {', '.join(words)}")
        return value

    def rate(self) -> int:
        value = self.value("releaseRatePct")
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
            self.fail("releaseRatePct must be an integer from 0 to 100")
        return value

    def refs(self) -> list[str]:
        value = self.value("evidenceRefs")
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > MOST_REFS:
            self.fail(f"evidenceRefs must be an array of at most {MOST_REFS}")
        for ref in value:
            if not isinstance(ref, str) or not 1 <= len(ref) <= MOST_REF_CHARACTERS:
                self.fail(f"evidenceRefs must hold texts of 1 to {MOST_REF_CHARACTERS} characters")
        return value

    def appeal_ref(self) -> dict[str, Any] | None:
        value = self.value("appealRef")
        if value is None:
            return None
        members = ("appealCaseId", "parentVerdictId", "reason")
        if not isinstance(value, Mapping) or set(value) - set(members):
            self.fail("appealRef must be {appealCaseId, parentVerdictId, reason}")
        inner = _Reader(value, subject=self.subject, refusal=self.refusal)
        return {
            "appealCaseId": inner.matching("appealCaseId", COMMON_ID),
            "parentVerdictId": inner.matching("parentVerdictId", COMMON_ID),
            "reason": None if inner.value("reason") is None else inner.text("reason"),
        }

    def verdict(self, core: dict[str, Any]) -> Verdict:
        """Finish: the hash, the signature's parts and the instant."""
        if self.value("schemaVersion") not in (None, core["schemaVersion"]):
            self.fail(f"schemaVersion must be {core['schemaVersion']}")
        try:
            issued_at = clock.parse_iso(core["issuedAt"])
        except ValueError:
            self.fail("issuedAt must be an ISO 8601 date-time with an offset")
        try:
            verdict_hash = canonical_hash(core)
        except CanonicalJsonError as error:
            self.fail(str(error))
        if self.value("verdictHash") not in (None, verdict_hash):
            self.fail("verdictHash differs from the hash of the verdict")
        return Verdict(
            core=core,
            verdict_hash=verdict_hash,
            signer_key_id=self.text("signerKeyId", most=64),
            signature=self.text("signature", most=200),
            issued_at=issued_at,
            refusal=self.refusal,
        )
