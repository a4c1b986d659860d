"""settld.evidence_verifier: the file and the public key are all it needs"""

import base64
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from settld import evidence_verifier as verifier
from settld.core import canonical_json
from tests.evidence.conftest import members_of, rezipped

CHECKOUT = Path(verifier.__file__).parent.parent
KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
ARTIFACT = {"type": "Something.v1", "amount": 1, "text": "é\u2028"}


def pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def keys(*several):
    return verifier.load_keys(b"".join(pem(key) for key in several or (KEY,)))


def sealed(document, key=KEY):
    digest = verifier.artifact_hash(document)
    signature = base64.b64encode(key.sign(bytes.fromhex(digest))).decode()
    named = {"algorithm": "Ed25519", "keyId": verifier.key_id(key.public_key()), "signatureBase64": signature}
    return document | {"artifactHash": digest, "signature": named}


def as_file(document):
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def verdict_on(content, *, by=(KEY,), **more):
    return verifier.verify("file", content, keys=keys(*by) if by else None, **more)


def failures(content, **more):
    verdict = verdict_on(content, **more)
    assert not verdict.is_valid
    return " | ".join(verdict.failed)


# --- Plain artifacts -----------------------------------------------------------------------------------
def test_a_signed_artifact_is_valid_in_any_layout():
    document = sealed(ARTIFACT)
    compact = json.dumps(dict(reversed(document.items())), separators=(",", ":")).encode()
    for content in (as_file(document), compact):
        verdict = verdict_on(content)
        assert verdict.is_valid
        assert not verdict.notes


def test_the_check_value_of_the_spec():
    value = {"b": [1, True, None], "a": "é\u2028\n/"}
    expected = "24e8217090fbcdcbf37a472b385b6ac6388974b4dc76eee2f358950be17a6d8c"
    assert verifier.sha256(verifier.canonical(value)) == expected


def test_without_a_key_the_hash_is_checked_and_the_signature_noted_as_not():
    verdict = verdict_on(as_file(sealed(ARTIFACT)), by=())
    assert verdict.is_valid
    assert "signature not checked" in verdict.notes[0]


@pytest.mark.parametrize(
    "change", [{"amount": 2}, {"added": None}, {"artifactHash": "0" * 64}, {"text": "e"}]
)
def test_any_change_of_an_artifact_is_found(change):
    assert "artifactHash says" in failures(as_file(sealed(ARTIFACT) | change))


def test_a_changed_and_rehashed_artifact_fails_on_its_signature():
    forged = sealed(ARTIFACT) | {"amount": 2}
    forged["artifactHash"] = verifier.artifact_hash(forged)
    assert "signature was not made over this content" in failures(as_file(forged))


def test_another_signer_is_named():
    text = failures(as_file(sealed(ARTIFACT, OTHER)))
    assert verifier.key_id(OTHER.public_key()) in text
    assert verifier.key_id(KEY.public_key()) in text


def test_one_of_several_keys_suffices():
    assert verdict_on(as_file(sealed(ARTIFACT, OTHER)), by=(KEY, OTHER)).is_valid


def test_a_key_with_an_unsigned_artifact_proves_nothing():
    document = ARTIFACT | {"artifactHash": verifier.artifact_hash(ARTIFACT)}
    assert "carries no signature" in failures(as_file(document))
    assert verdict_on(as_file(document), by=()).is_valid


@pytest.mark.parametrize("signature", [
    {}, "text", [], {"algorithm": "Ed25519"}, {"algorithm": "Ed25519", "signatureBase64": "%%%"},
    {"algorithm": "Ed25519", "signatureBase64": "AAAA"}, {"algorithm": "none", "signatureBase64": "AAAA"},
])  # fmt: skip
def test_a_broken_signature_fails(signature):
    assert failures(as_file(sealed(ARTIFACT) | {"signature": signature}))


def test_the_apis_answer_is_taken_and_nothing_beside_the_artifact_is():
    document = sealed(ARTIFACT)
    signature = document.pop("signature")
    answer = {"artifact": document, "signature": signature}
    assert verdict_on(as_file(answer)).is_valid
    assert verdict_on(as_file(answer | {"artifactHash": document["artifactHash"], "verified": True})).is_valid
    assert failures(as_file(answer | {"artifactHash": "0" * 64}))
    assert "among other things" in failures(as_file(answer | {"amount": 5}))


@pytest.mark.parametrize(("content", "words"), [
    (b"", "empty"),
    (b"{", "cut off"),
    (as_file(sealed(ARTIFACT))[:-40], "cut off"),
    (b'{"a": 1, "a": 2, "artifactHash": "x"}', "'a' twice"),
    (b'{"a": NaN, "artifactHash": "x"}', "NaN"),
    (b'{"a": Infinity, "artifactHash": "x"}', "Infinity"),
    (b'{"a": 1e999, "artifactHash": "x"}', "canonical form"),
    (b'{"a": -0, "artifactHash": "x"}', "-0"),
    (b'{"a": -0.0, "artifactHash": "x"}', "-0"),
    (b'{"a": 9007199254740992, "artifactHash": "x"}', "2^53"),
    (b'{"a": "\\ud800", "artifactHash": "x"}', "surrogate"),
    (b'{"a": "\xff", "artifactHash": "x"}', "UTF-8"),
    (b'\xef\xbb\xbf{}', "not JSON"),
    (b"[" * 100_000, "too deeply"),
    (b"[]", "not a JSON object"),
    (b"{}", "no artifactHash"),
    (b'{"artifactHash": 5}', "no artifactHash"),
    (b'{"a": ' + b"9" * 10_000 + b"}", "cut off"),
])  # fmt: skip
def test_what_is_no_artifact_is_refused_in_words(content, words):
    assert words in failures(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(value=JSON)
def test_it_hashes_as_the_product_does(value):
    try:
        expected = canonical_json.dumps(value)
    except canonical_json.CanonicalJsonError:
        with pytest.raises(verifier.Refused):
            verifier.canonical(value)
        return
    assert verifier.canonical(value) == expected


@given(content=st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_end_in_a_verdict(content):
    assert isinstance(verdict_on(content).is_valid, bool)


# --- Packets -------------------------------------------------------------------------------------------
def packet(**changes):
    reconcile = sealed({
        "type": "MoneyRailReconcileEvidence.v1", "v": 1, "capturedAt": "t", "baseUrl": "b", "tenantId": "t",
        "period": "2026-01", "providerId": "p", "persist": True, "reconcile": {"status": "pass"},
    })  # fmt: skip
    document = {
        "type": verifier.PACKET, "v": 1, "capturedAt": "t", "status": "pass", "failures": [],
        "inputs": {"reconcileExpectStatus": "pass"}, "runs": {},
        "artifacts": {
            "reconcile": {
                "path": "some/where/reconcile.json", "fileHash": verifier.sha256(as_file(reconcile)),
                "artifactHash": reconcile["artifactHash"], "status": "pass",
            },
            "chargeback": None,
        },
        "payloads": {"reconcile": reconcile, "chargeback": None},
    }  # fmt: skip
    return document | changes


def altered(document, path, value):
    """Change one member deep inside a copy."""
    copy = json.loads(json.dumps(document))
    target = copy
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = value
    return copy


def test_a_packet_is_checked_with_its_payloads_and_file_hashes():
    verdict = verdict_on(as_file(sealed(packet())))
    assert verdict.is_valid, verdict.failed
    assert any("fileHash holds for the embedded payload" in text for text in verdict.passed)


def test_the_file_beside_a_packet_decides_about_its_file_hash():
    content = as_file(sealed(packet()))
    written = as_file(packet()["payloads"]["reconcile"])
    assert verdict_on(content, others={"reconcile.json": written}).is_valid
    assert "fileHash of reconcile.json" in failures(content, others={"reconcile.json": written + b" "})


@pytest.mark.parametrize(("path", "value", "words"), [
    (("payloads", "reconcile", "period"), "2026-02", "reconcile: the content hashes to"),
    (("payloads", "reconcile", "artifactHash"), "0" * 64, "reconcile: the content hashes to"),
    (("artifacts", "reconcile", "artifactHash"), "0" * 64, "artifacts.artifactHash"),
    (("artifacts", "reconcile", "fileHash"), "0" * 64, "fileHash is not that"),
    (("payloads", "reconcile"), None, "payload is missing"),
    (("artifacts", "reconcile"), None, "no entry under artifacts"),
    (("inputs", "reconcileExpectStatus"), "fail", "the packet passed with"),
    (("failures",), ["something"], "does not agree with its failures"),
    (("artifacts",), [], "must be objects"),
])  # fmt: skip
def test_a_packet_resealed_by_its_signer_must_still_agree_with_itself(path, value, words):
    assert words in failures(as_file(sealed(altered(packet(), path, value))))


def test_a_packet_without_a_member_of_its_schema_is_refused():
    document = packet()
    del document["runs"]
    assert "lacks runs" in failures(as_file(sealed(document)))


def test_a_payload_of_a_foreign_signer_is_not_vouched_for():
    document = packet()
    foreign = sealed({name: value for name, value in document["payloads"]["reconcile"].items()
                      if name not in ("artifactHash", "signature")}, OTHER)  # fmt: skip
    document["payloads"]["reconcile"] = foreign
    document["artifacts"]["reconcile"]["fileHash"] = verifier.sha256(as_file(foreign))
    verdict = verdict_on(as_file(sealed(document)))
    assert verdict.is_valid
    assert "was not checked: that key is not given" in " ".join(verdict.notes)


# --- Packs ---------------------------------------------------------------------------------------------
@pytest.fixture
def pack(world, reversed_payout):
    """A pack's members, signed by the server."""
    from tests.evidence.test_packs import payout_path

    return members_of(world.api.get(payout_path(reversed_payout)).content)


def pack_failures(members, keys):
    verdict = verifier.verify("pack.zip", rezipped(members), keys=keys)
    assert not verdict.is_valid, list(verdict.lines())
    return " | ".join(verdict.failed)


def resealed(members):
    """List the members anew and sign, as a dishonest server would."""
    from settld.core.signatures import sign_hash

    manifest = json.loads(members[verifier.MANIFEST])
    manifest["members"] = [
        {"path": name, "sha256": verifier.sha256(content), "sizeBytes": len(content)}
        for name, content in sorted(members.items())
        if name != verifier.MANIFEST
    ]
    manifest["artifactHash"] = verifier.artifact_hash(manifest)
    manifest["signature"] = sign_hash(manifest["artifactHash"]).as_json()
    return members | {verifier.MANIFEST: as_file(manifest)}


def test_tampering_with_any_member_is_found(pack, keys):
    for name, content in pack.items():
        changed = content.replace(b"a", b"b", 1) if b"a" in content else content + b" "
        assert name.split("/")[-1].split(".")[0] in pack_failures(pack | {name: changed}, keys), name
        gone = {other: text for other, text in pack.items() if other != name}
        assert pack_failures(gone, keys), name
    assert "does not list it" in pack_failures(pack | {"extra.txt": b"x"}, keys)


def test_relisting_the_members_without_the_key_is_found(pack, keys):
    forged = resealed(pack | {"README.txt": b"all is well"})
    manifest = json.loads(forged[verifier.MANIFEST])
    manifest["signature"] = json.loads(pack[verifier.MANIFEST])["signature"]
    assert "signature was not made over" in pack_failures(
        forged | {verifier.MANIFEST: as_file(manifest)}, keys
    )


CONTRADICTIONS = [
    ("payouts/0001/statement.json", b"10000", b"20000", "the content hashes to"),
    ("payouts/0001/instruction.json", b"10000", b"20000", "the content hashes to"),
    ("payouts/0001/attempts.json", b'"amountCents": 10000', b'"amountCents": 1', "requestHash of attempt 1"),
    ("payouts/0001/movements.json", b'"referenceId": "', b'"otherId": "', "lacks its reference"),
    ("payouts/0001/operation.json", b'ArtifactHash": "', b'ArtifactHash": "0', "payoutArtifactHash"),
    ("reports/0001.json", b'"status": "fail"', b'"status": "pass"', "reportHash"),
    ("mismatches.json", b'"state": "reversed"', b'"state": "confirmed"', "mismatchHash"),
    ("audit/rows.json", b'"amountCents": 10000', b'"amountCents": 1', "do not have its detailsHash"),
    ("audit/rows.json", b"PAYOUT_ENQUEUED", b"PAYOUT_REFUSED", "was changed"),
    ("audit/rows.json", b'"tenantId": "tenant_a"', b'"tenantId": "tenant_b"', "another tenant"),
    ("audit/chain.json", b'"actorPrincipalId": "', b'"actorPrincipalId": "x', "was changed"),
]  # fmt: skip


def test_even_a_pack_resealed_by_the_server_must_agree_with_itself(pack, keys):
    for name, old, new, words in CONTRADICTIONS:
        assert old in pack[name], pack[name].decode()
        changed = pack | {name: pack[name].replace(old, new, 1)}
        assert words in pack_failures(resealed(changed), keys), (name, old)


def test_an_audit_row_that_was_put_elsewhere_is_found(pack, keys):
    chain = json.loads(pack["audit/chain.json"])
    chain["head"]["seq"] = 1
    assert "stands after the end of the chain" in pack_failures(
        resealed(pack | {"audit/chain.json": as_file(chain)}), keys
    )


def test_a_truncated_pack_is_refused_at_every_length(pack, keys):
    content = rezipped(pack)
    for length in [1, 2, 3, 4, 30, len(content) // 2, len(content) - 23, len(content) - 1]:
        assert not verifier.verify("pack.zip", content[:length], keys=keys).is_valid, length


def archive_of(*entries, method=zipfile.ZIP_STORED, comment=b""):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.comment = comment
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("name", [
    "../evil.txt", "/etc/passwd", "a/../../b", "a\\..\\b", "C:evil", "a//b", "folder/", ".hidden", "ü.txt",
    "a b",
])  # fmt: skip
def test_a_name_that_leaves_the_folder_is_refused(name):
    assert "name is not allowed" in failures(archive_of((name, b"x")))


def test_a_zip_bomb_is_refused_before_it_unpacks(monkeypatch):
    monkeypatch.setattr(verifier, "MOST_MEMBER_BYTES", 1_000_000)
    bomb = archive_of(("manifest.json", b"0" * 2_000_000), method=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 10_000
    assert "unpacks to more than" in failures(bomb)
    monkeypatch.setattr(verifier, "MOST_UNPACKED_BYTES", 1_500_000)
    many = archive_of(("a", b"0" * 900_000), ("b", b"0" * 900_000), method=zipfile.ZIP_DEFLATED)
    assert "unpacks to more than" in failures(many)
    monkeypatch.setattr(verifier, "MOST_MEMBERS", 2)
    assert "more than 2 members" in failures(archive_of(("a", b""), ("b", b""), ("c", b"")))


def test_a_member_that_lies_about_its_size_is_refused():
    content = bytearray(archive_of(("manifest.json", b"0" * 100_000), method=zipfile.ZIP_DEFLATED))
    place = content.rindex(b"PK\x01\x02") + 24
    content[place : place + 4] = (10).to_bytes(4, "little")
    assert "zip" in failures(bytes(content))


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_other_tricks_with_zips_are_refused():
    assert "two members of one name" in failures(archive_of(("a", b"1"), ("a", b"2")))
    assert "before or after" in failures(archive_of(("a", b"1"), comment=b"hidden"))
    assert "before or after" in failures(archive_of(("a", b"1")) + b"tail" * 10)
    assert "before or after" in failures(b"PK" + archive_of(("a", b"1")))
    assert "packed in a way" in failures(archive_of(("a", b"1" * 99), method=zipfile.ZIP_LZMA))
    assert "no manifest.json" in failures(archive_of(("a", b"1")))
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    assert "is a link" in failures(archive_of((link, b"/etc/passwd")))
    assert "its manifest says" in failures(archive_of(("manifest.json", b'{"type": "Other"}')))
    assert "not shaped as evidence" in failures(
        archive_of(("manifest.json", as_file(sealed({
            "type": verifier.PACK, "v": 1, "tenantId": "t", "subject": {}, "asOf": None, "members": 5}))))
    )  # fmt: skip


@given(place=st.integers(0, 4000), byte=st.integers(0, 255))
def test_no_changed_byte_of_a_zip_goes_unnoticed_or_crashes(place, byte):
    content = bytearray(small_pack())
    place %= len(content)
    is_same = content[place] == byte
    content[place] = byte
    verdict = verdict_on(bytes(content))
    if not is_same and verdict.is_valid:  # what no reader looks at: times, versions, attributes
        assert members_of(bytes(content)) == members_of(small_pack())


def small_pack():
    """A pack without payouts."""
    members = {"README.txt": b"read me", "audit/rows.json": b"[]"}
    listed = [
        {"path": name, "sha256": verifier.sha256(text), "sizeBytes": len(text)}
        for name, text in members.items()
    ]
    manifest = sealed({
        "type": verifier.PACK, "v": 1, "tenantId": "t", "subject": {}, "asOf": None, "members": listed,
    })  # fmt: skip
    return archive_of(*members.items(), ("manifest.json", as_file(manifest)))


def test_the_small_pack_is_valid():
    assert verdict_on(small_pack()).is_valid


# --- Command line --------------------------------------------------------------------------------------
def run(*arguments, cwd):
    """Run the module as a stranger would: another folder, no Django settings, no database, no .env."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(
        [sys.executable, "-m", "settld.evidence_verifier", *arguments],
        cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_exit_codes_and_words_of_the_module(tmp_path):
    (tmp_path / "good.json").write_bytes(as_file(sealed(ARTIFACT)))
    (tmp_path / "bad.json").write_bytes(as_file(sealed(ARTIFACT) | {"amount": 2}))
    (tmp_path / "keys.pem").write_bytes(pem(KEY))
    (tmp_path / "private.pem").write_bytes(
        KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    (tmp_path / "ec.pem").write_bytes(
        generate_private_key(SECP256R1())
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    (tmp_path / "no.pem").write_bytes(b"nothing")
    with_keys = ("--public-key-file", "keys.pem")

    good = run("--file", "good.json", *with_keys, cwd=tmp_path)
    assert (good.returncode, good.stdout.split()[0]) == (0, "VALID")
    assert run("--help", cwd=tmp_path).returncode == 0
    bad = run("--file", "bad.json", *with_keys, cwd=tmp_path)
    assert (bad.returncode, bad.stdout.split()[0]) == (2, "INVALID")
    assert "FAILED" in bad.stdout
    assert run("--file", "good.json", "--file", "bad.json", *with_keys, cwd=tmp_path).returncode == 2
    for arguments in (
        (), ("--file", "absent.json"), ("--file", "good.json", "--what"),
        ("--file", "good.json", "--public-key-file", "absent.pem"),
        ("--file", "good.json", "--public-key-file", "no.pem"),
        ("--file", "good.json", "--public-key-file", "ec.pem"),
        ("--file", "good.json", "--public-key-file", "private.pem"), ("--file", "."),
    ):  # fmt: skip
        done = run(*arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, ""), arguments
        assert "Traceback" not in done.stderr
        assert "PRIVATE" not in done.stderr


def test_it_imports_nothing_but_the_standard_library_and_two_packages():
    script = (
        "import sys, settld.evidence_verifier; "
        "print([n for n in sys.modules if n.split('.')[0] in ('django', 'psycopg', 'rest_framework') "
        "or n.startswith('settld.') and n != 'settld.evidence_verifier'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_the_module_runs_as_a_lone_file_that_somebody_copied(tmp_path):
    (tmp_path / "copied.py").write_bytes(Path(verifier.__file__).read_bytes())
    (tmp_path / "good.json").write_bytes(as_file(sealed(ARTIFACT)))
    (tmp_path / "keys.pem").write_bytes(pem(KEY))
    done = subprocess.run(
        [sys.executable, "copied.py", "--file", "good.json", "--public-key-file", "keys.pem"],
        cwd=tmp_path, env={}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout[:5]) == (0, "VALID"), done.stderr


def test_the_lines_that_check_by_hand_do(monkeypatch):
    import re

    monkeypatch.chdir(CHECKOUT / "docs" / "evidence")
    script = re.search(r"```python\n(.*?)```", (CHECKOUT / "docs" / "evidence.md").read_text(), re.DOTALL)
    exec(script.group(1), {})  # raises when the signature is not the signer's
    with pytest.raises(AssertionError):
        exec(script.group(1).replace("stated = document", "document['v'] = 2; stated = document"), {})


def test_a_packet_opens_only_files_of_its_own_folder(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "reconcile.json").write_bytes(b"not the file")
    document = altered(packet(), ("artifacts", "reconcile", "path"), "../reconcile.json")
    (tmp_path / "inner" / "packet.json").write_bytes(as_file(sealed(document)))
    (tmp_path / "keys.pem").write_bytes(pem(KEY))
    code, lines = verifier.run([str(tmp_path / "inner" / "packet.json")], str(tmp_path / "keys.pem"))
    assert code == 0, lines


def test_the_management_command_is_the_same_check(tmp_path, capsys):
    from django.core.management import CommandError, call_command

    (tmp_path / "good.json").write_bytes(as_file(sealed(ARTIFACT)))
    (tmp_path / "bad.json").write_bytes(as_file(sealed(ARTIFACT) | {"amount": 2}))
    (tmp_path / "keys.pem").write_bytes(pem(KEY))
    flag = f"--public-key-file={tmp_path / 'keys.pem'}"

    call_command("ops_evidence_verify", f"--file={tmp_path / 'good.json'}", flag)
    assert capsys.readouterr().out.startswith("VALID")
    with pytest.raises(SystemExit) as ended:
        call_command("ops_evidence_verify", f"--file={tmp_path / 'bad.json'}", flag)
    assert ended.value.code == 2
    with pytest.raises(CommandError) as refused:
        call_command("ops_evidence_verify", f"--file={tmp_path / 'absent.json'}", flag)
    assert refused.value.returncode == 1


def test_the_drills_artifact_that_the_runbook_names_verifies_a4():
    folder = CHECKOUT / "docs" / "evidence"
    code, lines = verifier.run(
        [str(folder / "chargeback-drill.json")], str(folder / "chargeback-drill.pub.pem")
    )
    assert code == 0, lines
    runbook = (CHECKOUT / "docs" / "runbooks" / "chargeback-drill.md").read_text()
    assert "docs/evidence/chargeback-drill.json" in runbook
    text = (folder / "chargeback-drill.json").read_text()
    document = json.loads(text)
    assert (document["status"], document["checks"]["reverseApplied"]) == ("pass", True)
    assert document["checks"]["payoutCode"] == "NEGATIVE_BALANCE_PAYOUT_HOLD"
    assert document["inputs"]["baseUrl"].startswith("http://127.0.0.1:")
    for secret_or_path in ("/home", "/tmp", "/root", "/work", "ops_", "sk_", "whsec", "PRIVATE"):
        assert secret_or_path not in text
