"""Check Settld evidence with nothing but the file and the signer's public key.

    python -m settld.evidence_verifier --file FILE [--file MORE] [--public-key-file KEYS.pem]

Takes a signed JSON artifact (bare, or as `GET /artifacts/{artifactId}` answers it), a run packet with
embedded payloads, or an evidence pack (zip). Exit 0: everything that was checked holds. Exit 2: something
does not, and the output says what. Exit 1: usage, an unreadable file or key.

One file on purpose, with no import but `cryptography`, `rfc8785` and the standard library: whoever is to
believe the evidence can read it, copy it, and run it far away from the server that made the evidence.
"""

import argparse
import base64
import hashlib
import io
import json
import math
import os
import re
import stat
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

import rfc8785
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

VALID, USAGE, INVALID = 0, 1, 2
MAX_INTEGER: Final = 2**53 - 1
MOST_FILE_BYTES: Final = 256 * 1024 * 1024
MOST_MEMBERS: Final = 5_000
MOST_MEMBER_BYTES: Final = 64 * 1024 * 1024
MOST_UNPACKED_BYTES: Final = 256 * 1024 * 1024
MEMBER_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*", re.ASCII)
PEM_BLOCK: Final = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)
PACK, PACKET = "EvidencePack.v1", "DesignPartnerMoneyRailRunPacket.v1"
MANIFEST: Final = "manifest.json"
_ALL: Final = frozenset({"type", "v", "artifactHash"})
_JUDGED: Final = _ALL | {"capturedAt", "status", "failures", "inputs"}
SHAPES: Final[dict[str, frozenset[str]]] = {
    "MoneyRailReconcileEvidence.v1": _ALL
    | {"capturedAt", "baseUrl", "tenantId", "period", "providerId", "persist", "reconcile"},
    "MoneyRailChargebackEvidence.v1": _JUDGED | {"checks", "calls"},
    PACKET: _JUDGED | {"artifacts", "runs", "payloads"},
    PACK: _ALL | {"tenantId", "subject", "asOf", "members"},
}
ANSWER: Final = {"artifact", "signature", "artifactId", "artifactHash", "verified", "verifiedAt"}
AUDIT_HASHED: Final = (
    "tenantId", "seq", "actorKeyId", "actorPrincipalId", "action", "targetType", "targetId", "requestId",
    "at", "detailsHash", "prevHash",
)  # fmt: skip
CHECKPOINT_HASHED: Final = ("schemaVersion", "tenantId", "seq", "rowHash", "at")

Keys = dict[str, Ed25519PublicKey]


class Refused(Exception):
    """The content cannot be evidence at all; the message says why."""


class Unusable(Exception):
    """What was asked for cannot be done: usage, or a file that cannot be read."""


@dataclass
class Verdict:
    """What was checked, what does not hold, and what could not be looked at."""

    name: str
    kind: str = "unknown"
    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_valid(self) -> bool:
        """Tell whether something was checked and nothing speaks against it."""
        return bool(self.passed) and not self.failed

    def check(self, holds: bool, good: str, bad: str) -> bool:
        """Write down one check."""
        (self.passed if holds else self.failed).append(good if holds else bad)
        return holds

    def lines(self) -> Iterable[str]:
        """Say it in words."""
        yield f"{'VALID' if self.is_valid else 'INVALID'}  {self.name}  ({self.kind})"
        yield from (f"  FAILED  {text}" for text in self.failed)
        yield from (f"  ok      {text}" for text in self.passed)
        yield from (f"  note    {text}" for text in self.notes)


# --- JSON and hashes -------------------------------------------------------------------------------
def strict_json(content: bytes) -> Any:
    """Read JSON that every reader understands alike; Refused for duplicate keys, NaN, -0, bad UTF-8."""
    try:
        text = content.decode("utf-8")
        return json.loads(text, object_pairs_hook=_members, parse_constant=_no_constant, parse_int=_integer)
    except UnicodeDecodeError as error:
        raise Refused("is not UTF-8") from error
    except RecursionError as error:
        raise Refused("is nested too deeply") from error
    except ValueError as error:
        raise Refused(f"is not JSON, or was cut off: {error}") from error


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        twice, _count = Counter(name for name, _ in pairs).most_common(1)[0]
        raise Refused(f"has the object key {twice[:100]!r} twice")
    return members


def _no_constant(text: str) -> NoReturn:
    raise Refused(f"holds {text}, which is not JSON")


def _integer(text: str) -> int:
    if text == "-0":
        raise Refused("holds the number -0, which has no canonical form")
    return int(text)


def canonical(value: Any) -> bytes:
    """Write a value as RFC 8785 asks; Refused when it has no canonical form."""
    try:
        _require_hashable(value)
        return rfc8785.dumps(value)
    except RecursionError as error:
        raise Refused("is nested too deeply") from error
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, ValueError, OverflowError) as error:
        raise Refused(f"has no canonical form: {error}") from error


def _require_hashable(value: Any) -> None:
    if isinstance(value, str):
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise Refused("holds a lone surrogate, which has no canonical form")
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise Refused("holds an integer beyond 2^53-1, which has no canonical form")
    elif isinstance(value, float):
        if not math.isfinite(value) or (value == 0 and math.copysign(1, value) < 0):
            raise Refused("holds an infinite number or -0, which has no canonical form")
    elif isinstance(value, dict):
        for name, member in value.items():
            _require_hashable(name)
            _require_hashable(member)
    elif isinstance(value, list):
        for member in value:
            _require_hashable(member)
    else:
        raise Refused(f"holds a {type(value).__name__}, which is not JSON")


def sha256(content: bytes) -> str:
    """Hash bytes, as lowercase hex."""
    return hashlib.sha256(content).hexdigest()


def artifact_hash(document: Mapping[str, Any]) -> str:
    """Hash an artifact without the two members that cannot cover themselves."""
    return sha256(canonical({k: v for k, v in document.items() if k not in ("artifactHash", "signature")}))


# --- Keys and signatures ---------------------------------------------------------------------------
def load_keys(content: bytes) -> Keys:
    """Read one or several Ed25519 public keys in PEM, by key id; Unusable for anything else."""
    if b"PRIVATE KEY" in content:
        raise Unusable("the public key file holds a private key; give only its public half")
    keys: Keys = {}
    for block in PEM_BLOCK.findall(content):
        try:
            key = serialization.load_pem_public_key(block)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise Unusable("the public key file holds a key that cannot be read") from error
        if not isinstance(key, Ed25519PublicKey):
            raise Unusable("the public key file holds a key that is not an Ed25519 key")
        keys[key_id(key)] = key
    if not keys:
        raise Unusable("the public key file holds no public key in PEM")
    return keys


def key_id(key: Ed25519PublicKey) -> str:
    """Name a public key: `key_` and 24 hex digits of the SHA-256 of its PEM text."""
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"key_{sha256(pem)[:24]}"


def signer_of(digest: str, signature: Any, keys: Keys) -> str | None:
    """Name the key that made a signature over a hash; None when none of the keys did."""
    text = signature.get("signatureBase64") if isinstance(signature, dict) else None
    if not isinstance(text, str) or signature.get("algorithm") != "Ed25519":
        return None
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    for name, key in keys.items():
        try:
            key.verify(raw, bytes.fromhex(digest))
        except InvalidSignature:
            continue
        return name
    return None


def check_signature(
    verdict: Verdict, label: str, digest: str, signature: Any, keys: Keys | None, *, is_inner: bool = False
) -> None:
    """Check a signature over a hash. One inside signed evidence may be absent, or of a key not at hand."""
    if signature is None and is_inner:
        return
    if keys is None:
        verdict.notes.append(f"{label}: signature not checked, because no public key was given")
        return
    if signature is None:
        verdict.failed.append(f"{label}: carries no signature, so the public key proves nothing about it")
        return
    signer = signer_of(digest, signature, keys)
    named = signature.get("keyId") if isinstance(signature, dict) else None
    if signer:
        verdict.passed.append(f"{label}: signed by {signer}")
    elif is_inner and isinstance(named, str) and named not in keys:
        verdict.notes.append(
            f"{label}: its own signature, by {named}, was not checked: that key is not given"
        )
    elif isinstance(named, str) and named.startswith("key_") and named not in keys:
        verdict.failed.append(f"{label}: signed with {named}, and the given keys are {', '.join(keys)}")
    else:
        verdict.failed.append(f"{label}: the signature was not made over this content by a given key")


def check_artifact(
    verdict: Verdict,
    label: str,
    document: Mapping[str, Any],
    keys: Keys | None,
    *,
    signature: Any = None,
    is_inner: bool = False,
) -> str:
    """Check a document's own hash and signature; gives the hash that its content has."""
    digest = artifact_hash(document)
    stated = document.get("artifactHash")
    verdict.check(
        stated == digest,
        f"{label}: artifactHash {digest} recomputes",
        f"{label}: the content hashes to {digest}, but artifactHash says {stated}",
    )
    check_signature(verdict, label, digest, signature or document.get("signature"), keys, is_inner=is_inner)
    _check_shape(verdict, label, document)
    if document.get("truncated"):
        verdict.notes.append(f"{label}: holds the first rows of a longer report, whose reportHash covers all")
    elif isinstance(document.get("report"), dict) and "reportHash" in document:
        _equal(verdict, f"{label}: reportHash", document["reportHash"], sha256(canonical(document["report"])))
    return digest


def _check_shape(verdict: Verdict, label: str, document: Mapping[str, Any]) -> None:
    expected = SHAPES.get(str(document.get("type")))
    if expected is None:
        return
    missing = sorted(expected - set(document))
    if missing:
        verdict.failed.append(f"{label}: lacks {', '.join(missing)}")
    if "failures" in expected and (document.get("status") == "pass") == bool(document.get("failures")):
        verdict.failed.append(f"{label}: its status does not agree with its failures")


def _equal(verdict: Verdict, what: str, stated: Any, found: Any) -> bool:
    return verdict.check(stated == found, f"{what} holds", f"{what} says {stated}, but it is {found}")


# --- Files -----------------------------------------------------------------------------------------
def verify(
    name: str, content: bytes, *, keys: Keys | None, others: Mapping[str, bytes] | None = None
) -> Verdict:
    """Check one file; `others` are files beside it by base name, for a packet's fileHash."""
    verdict = Verdict(name)
    try:
        if not content:
            raise Refused("is empty")
        if len(content) > MOST_FILE_BYTES:
            raise Refused(f"is larger than {MOST_FILE_BYTES} bytes")
        if content[:2] == b"PK":
            verdict.kind = PACK
            verify_pack(verdict, unpacked(content), keys)
        else:
            verify_json(verdict, strict_json(content), keys, others or {})
    except Refused as refusal:
        verdict.failed.append(f"the file {refusal}")
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError):
        verdict.failed.append("the file is not shaped as evidence is")
    return verdict


def verify_json(verdict: Verdict, document: Any, keys: Keys | None, others: Mapping[str, bytes]) -> None:
    """Check an artifact, bare or in the API's answer, and what a packet embeds."""
    if not isinstance(document, dict):
        raise Refused("is not a JSON object")
    signature = None
    if isinstance(document.get("artifact"), dict):
        document, signature = _answered(verdict, document)
    if not isinstance(document.get("artifactHash"), str):
        raise Refused("has no artifactHash, so it is no artifact")
    verdict.kind = str(document.get("type") or document.get("artifactType") or "artifact")
    check_artifact(verdict, "artifact", document, keys, signature=signature)
    if verdict.kind == PACKET:
        _check_packet(verdict, document, keys, others)
    if verdict.kind == PACK:
        verdict.notes.append("only the manifest was given; its members were not checked")


def _answered(verdict: Verdict, answer: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Take the artifact out of the API's answer; what stands beside it is signed by nobody."""
    if set(answer) - ANSWER:
        raise Refused("is an artifact among other things; give the artifact alone, or the API's whole answer")
    document: dict[str, Any] = answer["artifact"]
    for name in ("artifactId", "artifactHash"):
        if name in answer:
            _equal(verdict, f"answer: {name}", answer[name], document.get(name))
    return document, answer.get("signature")


def _check_packet(
    verdict: Verdict, packet: Mapping[str, Any], keys: Keys | None, others: Mapping[str, bytes]
) -> None:
    """Check each embedded payload by itself, and against what the packet says about its file."""
    artifacts, payloads = packet.get("artifacts"), packet.get("payloads")
    if not isinstance(artifacts, dict) or not isinstance(payloads, dict):
        verdict.failed.append("packet: artifacts and payloads must be objects")
        return
    for part in ("reconcile", "chargeback"):
        stated, payload = artifacts.get(part), payloads.get(part)
        if payload is None:
            if packet.get("status") == "pass" and stated is not None:
                verdict.failed.append(f"{part}: the packet passed, yet the payload is missing")
            continue
        if not isinstance(stated, dict) or not isinstance(payload, dict):
            verdict.failed.append(f"{part}: the payload has no entry under artifacts")
            continue
        digest = check_artifact(verdict, part, payload, keys, is_inner=True)
        _equal(verdict, f"{part}: artifacts.artifactHash", stated.get("artifactHash"), digest)
        _check_file_hash(verdict, part, stated, payload, others)
        if packet.get("status") == "pass":
            _check_claim(verdict, part, packet, payload)


def _check_claim(verdict: Verdict, part: str, packet: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
    """Check that a packet which passed embeds what passed."""
    expected: Any = "pass"
    found = payload.get("status")
    if part == "reconcile":
        expected = (packet.get("inputs") or {}).get("reconcileExpectStatus")
        found = (payload.get("reconcile") or {}).get("status")
    _equal(verdict, f"{part}: the status that the packet passed with", expected, found)


def _check_file_hash(
    verdict: Verdict,
    part: str,
    stated: Mapping[str, Any],
    payload: Mapping[str, Any],
    others: Mapping[str, bytes],
) -> None:
    """Compare with the file's bytes, or, when the file is not at hand, with the bytes a command writes."""
    base = re.split(r"[/\\]", str(stated.get("path") or ""))[-1]
    file_hash = stated.get("fileHash")
    if base in others:
        _equal(verdict, f"{part}: fileHash of {base}", file_hash, sha256(others[base]))
        return
    written = (json.dumps(payload, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "replace")
    verdict.check(
        file_hash == sha256(written),
        f"{part}: fileHash holds for the embedded payload as it is written to a file",
        f"{part}: fileHash is not that of the embedded payload; give the file {base} with another --file",
    )


# --- Evidence packs --------------------------------------------------------------------------------
def unpacked(content: bytes) -> dict[str, bytes]:
    """Read a zip into memory, bounded; Refused for anything that a plain archive of ours never is."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            _require_plain(content, archive, infos)
            return {info.filename: _member(archive, info) for info in infos}
    except Refused:
        raise
    except (
        zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError,
        OSError, KeyError, OverflowError, AttributeError,
    ) as error:  # fmt: skip
        raise Refused(f"is a broken or truncated zip: {error}") from error
    except Exception as error:  # struct.error and whatever else a crafted zip makes the reader raise
        raise Refused("is a broken zip") from error


def _require_plain(content: bytes, archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo]) -> None:
    if content[:4] != b"PK\x03\x04" or archive.comment or content[-22:-18] != b"PK\x05\x06":
        raise Refused("has bytes before or after the zip")
    if len(infos) > MOST_MEMBERS:
        raise Refused(f"has more than {MOST_MEMBERS} members")
    names = [info.filename for info in infos]
    for info in infos:
        shown = repr(info.filename[:100])
        if not MEMBER_NAME.fullmatch(info.filename) or ".." in info.filename.split("/"):
            raise Refused(f"has a member whose name is not allowed: {shown}")
        if info.flag_bits & 0x1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Refused(f"has a member that is encrypted or packed in a way we do not read: {shown}")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise Refused(f"has a member that is a link: {shown}")
        if info.file_size > MOST_MEMBER_BYTES:
            raise Refused(f"has a member that unpacks to more than {MOST_MEMBER_BYTES} bytes: {shown}")
    if len(set(names)) != len(names):
        raise Refused("has two members of one name")
    if sum(info.file_size for info in infos) > MOST_UNPACKED_BYTES:
        raise Refused(f"unpacks to more than {MOST_UNPACKED_BYTES} bytes")


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as stream:
        content = stream.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise Refused(f"has a member that is not as long as it says: {info.filename!r}")
    return content


def verify_pack(verdict: Verdict, members: Mapping[str, bytes], keys: Keys | None) -> None:
    """Check the manifest, each member against it, and what the members say about each other."""
    if MANIFEST not in members:
        raise Refused("has no manifest.json, so it is no evidence pack")
    manifest = _object(MANIFEST, members[MANIFEST])
    if manifest.get("type") != PACK:
        raise Refused(f"is not an {PACK}: its manifest says {manifest.get('type')}")
    check_artifact(verdict, "manifest", manifest, keys)
    for cut in manifest.get("cutOff") or []:
        verdict.notes.append(f"the pack was cut off: it holds only the first {cut['kept']} {cut['what']}")
    _check_members(verdict, manifest, members)
    if verdict.failed:
        return  # what the members say is worth nothing now
    for name in sorted(members):
        if name.endswith("operation.json"):
            _check_payout(verdict, name.removesuffix("operation.json"), members, keys)
        if name.startswith("reports/"):
            _check_enclosed(verdict, name, members, keys)
    for case in _rows("mismatches.json", members):
        _equal(
            verdict, f"mismatch {case.get('triageKey')}: mismatchHash", case.get("mismatchHash"),
            sha256(canonical(case.get("details"))),
        )  # fmt: skip
    _check_audit(verdict, str(manifest.get("tenantId")), members, keys)


def _check_members(verdict: Verdict, manifest: Mapping[str, Any], members: Mapping[str, bytes]) -> None:
    listed = {
        entry["path"]: entry
        for entry in manifest.get("members") or []
        if isinstance(entry, dict) and isinstance(entry.get("path"), str)
    }
    for path in sorted(set(listed) - set(members)):
        verdict.failed.append(f"{path}: the manifest lists it, the zip lacks it")
    for path in sorted(set(members) - set(listed) - {MANIFEST}):
        verdict.failed.append(f"{path}: the manifest does not list it")
    for path in sorted(set(members) & set(listed)):
        digest, size = sha256(members[path]), len(members[path])
        if (listed[path].get("sha256"), listed[path].get("sizeBytes")) != (digest, size):
            verdict.failed.append(f"{path}: its bytes are not those that the manifest lists")
    if not verdict.failed:
        verdict.passed.append(f"manifest: all {len(listed)} members are there, unchanged, and no other")


def _object(name: str, content: bytes) -> dict[str, Any]:
    value = strict_json(content)
    if not isinstance(value, dict):
        raise Refused(f"has a {name} that is not a JSON object")
    return value


def _rows(name: str, members: Mapping[str, bytes]) -> list[dict[str, Any]]:
    value = strict_json(members[name]) if name in members else []
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise Refused(f"has a {name} that is not a list of objects")
    return value


def _check_enclosed(
    verdict: Verdict, name: str, members: Mapping[str, bytes], keys: Keys | None
) -> tuple[dict[str, Any], str]:
    """Check an artifact that stands in a pack as the API answers it."""
    answer = _object(name, members[name])
    document = answer.get("artifact")
    if not isinstance(document, dict):
        raise Refused(f"has a {name} without an artifact")
    signature = answer.get("signature")
    return document, check_artifact(verdict, name, document, keys, signature=signature, is_inner=True)


def _check_payout(verdict: Verdict, folder: str, members: Mapping[str, bytes], keys: Keys | None) -> None:
    """Check that statement, instruction, attempts and movements belong to the operation."""
    operation = _object(f"{folder}operation.json", members[f"{folder}operation.json"])
    key = str(operation.get("idempotencyKey"))
    if f"{folder}statement.json" in members:
        _document, digest = _check_enclosed(verdict, f"{folder}statement.json", members, keys)
        _equal(verdict, f"{folder}operation.json: statement hash", key.rpartition(":statement:")[2], digest)
    if f"{folder}instruction.json" in members:
        document, digest = _check_enclosed(verdict, f"{folder}instruction.json", members, keys)
        _equal(verdict, f"{folder}instruction.json: payoutKey", document.get("payoutKey"), key)
        stated = (operation.get("metadata") or {}).get("payoutArtifactHash")
        _equal(verdict, f"{folder}operation.json: payoutArtifactHash", stated, digest)
    for attempt in _rows(f"{folder}attempts.json", members):
        what = f"{folder}attempts.json: requestHash of attempt {attempt.get('attempt')}"
        _equal(verdict, what, attempt.get("requestHash"), sha256(canonical(attempt.get("request"))))
    for movement in _rows(f"{folder}movements.json", members):
        named = movement.get("referenceType") and movement.get("referenceId")
        verdict.check(
            bool(named) and movement.get("operationId") == operation.get("operationId"),
            f"{folder}movements.json: the {movement.get('kind')} names its reference",
            f"{folder}movements.json: a movement lacks its reference or is of another operation",
        )


def _check_audit(verdict: Verdict, tenant_id: str, members: Mapping[str, bytes], keys: Keys | None) -> None:
    """Recompute each row's hash, and check its place: the row before, the row after, and the anchors."""
    rows = _rows("audit/rows.json", members)
    chain = _object("audit/chain.json", members["audit/chain.json"]) if "audit/chain.json" in members else {}
    neighbours = [row for row in chain.get("neighbours") or [] if isinstance(row, dict)]
    by_seq: dict[int, dict[str, Any]] = {}
    broken = len(verdict.failed)
    for row in [*neighbours, *rows]:
        seq = row.get("seq")
        if not isinstance(seq, int) or isinstance(seq, bool):
            raise Refused("has an audit row without a chain position")
        by_seq[seq] = row
        if row.get("tenantId") != tenant_id:
            verdict.failed.append(f"audit row {seq}: belongs to another tenant")
        if sha256(canonical({name: row.get(name) for name in AUDIT_HASHED})) != row.get("rowHash"):
            verdict.failed.append(f"audit row {seq}: was changed, its rowHash does not recompute")
    for row in rows:
        if sha256(canonical(row.get("details"))) != row.get("detailsHash"):
            verdict.failed.append(f"audit row {row['seq']}: its details do not have its detailsHash")
    for seq, row in sorted(by_seq.items()):
        before = by_seq.get(seq - 1)
        if before is not None and row.get("prevHash") != before.get("rowHash"):
            verdict.failed.append(f"audit row {seq}: does not follow row {seq - 1}")
        if seq == 1 and row.get("prevHash") != "0" * 64:
            verdict.failed.append("audit row 1: does not begin the chain")
    last = max((row["seq"] for row in rows), default=0)
    _check_anchors(verdict, by_seq, chain, last, tenant_id, keys)
    if len(verdict.failed) == broken:
        linked = sum(1 for row in rows if row["seq"] == 1 or row["seq"] - 1 in by_seq)
        verdict.passed.append(
            f"audit: {len(rows)} rows recompute, {linked} of them linked to the row before, none out of place"
        )


def _check_anchors(
    verdict: Verdict,
    by_seq: Mapping[int, Mapping[str, Any]],
    chain: Mapping[str, Any],
    last: int,
    tenant_id: str,
    keys: Keys | None,
) -> None:
    """Check the signed checkpoint, or the head, that stands at or after the last row."""
    head, reach = chain.get("head"), 0
    for checkpoint in chain.get("checkpoints") or []:
        seq = int(checkpoint["seq"])
        digest = sha256(canonical({name: checkpoint.get(name) for name in CHECKPOINT_HASHED}))
        label = f"audit checkpoint at row {seq}"
        _equal(verdict, f"{label}: artifactHash", checkpoint.get("artifactHash"), digest)
        check_signature(verdict, label, digest, checkpoint.get("signature"), keys, is_inner=True)
        if checkpoint.get("tenantId") != tenant_id:
            verdict.failed.append(f"{label}: belongs to another tenant")
        _check_anchor(verdict, label, by_seq.get(seq), checkpoint)
        reach = max(reach, seq)
    if isinstance(head, dict):
        _check_anchor(verdict, "audit head", by_seq.get(int(head["seq"])), head)
        reach = max(reach, int(head["seq"]))
    if last > reach:
        verdict.failed.append(f"audit row {last}: stands after the end of the chain that the pack names")


def _check_anchor(
    verdict: Verdict, label: str, row: Mapping[str, Any] | None, anchor: Mapping[str, Any]
) -> None:
    if row is not None:
        _equal(verdict, f"{label}: rowHash", anchor.get("rowHash"), row.get("rowHash"))


# --- Command line ----------------------------------------------------------------------------------
class Parser(argparse.ArgumentParser):
    """Ends with 1 on wrong usage, because 2 says that evidence is invalid."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: error: {message}\n")


def run(files: Sequence[str], public_key_file: str | None) -> tuple[int, list[str]]:
    """Check files; gives the exit code and what to print."""
    contents: dict[str, bytes] = {}
    try:
        keys = load_keys(_read(public_key_file)) if public_key_file else None
        for name in files:
            contents[name] = _read(name)
    except Unusable as error:
        return USAGE, [f"error: {error}"]
    given = {Path(name).name: content for name, content in contents.items()}
    verdicts = [
        verify(name, content, keys=keys, others=_beside(name, content) | given)
        for name, content in contents.items()
    ]
    code = VALID if all(verdict.is_valid for verdict in verdicts) else INVALID
    return code, [line for verdict in verdicts for line in verdict.lines()]


def _read(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return file.read(MOST_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a file name"
        raise Unusable(f"{name}: {reason}") from error


def _beside(name: str, content: bytes) -> dict[str, bytes]:
    """Read the files in a packet's folder that it names, by base name only: a packet opens no other path."""
    try:
        document = strict_json(content) if content[:1] == b"{" else {}
    except Refused:
        return {}
    artifacts = document.get("artifacts") if document.get("type") == PACKET else None
    found = {}
    for entry in artifacts.values() if isinstance(artifacts, dict) else []:
        base = re.split(r"[/\\]", str(entry.get("path") or ""))[-1] if isinstance(entry, dict) else ""
        path = Path(name).parent / base
        if base not in ("", ".", "..") and "\x00" not in base and path.is_file():
            found[base] = _read(str(path))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit code."""
    parser = Parser(
        prog="evidence_verifier", description="Check Settld evidence offline.", allow_abbrev=False
    )
    parser.add_argument("--file", action="append", required=True, help="evidence: JSON or zip; may repeat")
    parser.add_argument("--public-key-file", help="the signer's Ed25519 public keys, PEM, one or several")
    options = parser.parse_args(arguments)
    code, lines = run(options.file, options.public_key_file)
    stream = sys.stderr if code == USAGE else sys.stdout
    try:
        stream.writelines(f"{line}\n" for line in lines)
        stream.flush()
    except BrokenPipeError:  # the reader, `head` perhaps, has seen enough; the verdict stands
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


if __name__ == "__main__":
    sys.exit(main())
