"""The normal form of settlement policies and verification methods, and the hashes made from it.

Two documents with the same meaning have the same normal form and therefore the same hash. How the open
spots of the kernel spec 6.2 are read here:

- A document that is absent or null is the default one; anything else must be a JSON object.
- A member that is absent, null or "" takes its default. Members we do not know are dropped.
- Texts are kept exactly as given; only the empty text counts as null.
- Booleans are JSON booleans, numbers JSON integers (no booleans, no 1.0, no texts of digits).
- `maxAutoReleaseAmountCents` is an amount like any other, so from 1 on (2.4).
- `schemaVersion` may be left out; another document's name is refused.
- A hash given beside or inside the document (`policyHash`, `verificationMethodHash`) must be ours.
"""

from collections.abc import Mapping
from typing import Any, Final

from settld.core.errors import Invalid
from settld.core.hashing import canonical_hash
from settld.core.money import MAX_MINOR

Document = dict[str, Any]

POLICY_SCHEMA: Final = "SettlementPolicy.v1"
METHOD_SCHEMA: Final = "VerificationMethod.v1"
NORMALIZATION_VERSION: Final = "v1"
POLICY_MODES: Final = ("automatic", "manual-review")
METHOD_MODES: Final = ("deterministic", "attested", "discretionary")
MOST_HOURS: Final = 8760
MOST_NAME_CHARACTERS: Final = 512
MOST_TEXT_CHARACTERS: Final = 4000


class InvalidPolicy(Invalid):
    """The policy has no normal form, or its given hash is another one; details.message says where."""

    message = "invalid policy"


class InvalidVerificationMethod(Invalid):
    """The same, of a verification method."""

    message = "invalid verificationMethod"


def policy_of(given: Any = None, *, given_hash: Any = None) -> Document:
    """Give the normal form of a SettlementPolicy.v1, every member there, in the spec's order.

    `given_hash` is the policyHash that came with it; null and "" are none. Raises InvalidPolicy.
    """
    members = _Members(given, schema=POLICY_SCHEMA, refusal=InvalidPolicy)
    rules = _Members(members.value("rules"), schema=None, refusal=InvalidPolicy)
    policy = {
        "schemaVersion": POLICY_SCHEMA,
        "policyVersion": members.integer("policyVersion", default=1, least=1, most=MAX_MINOR),
        "mode": members.word("mode", POLICY_MODES),
        "rules": {
            "requireDeterministicVerification": rules.boolean(
                "requireDeterministicVerification", default=False
            ),
            "autoReleaseOnGreen": rules.boolean("autoReleaseOnGreen", default=True),
            "autoReleaseOnAmber": rules.boolean("autoReleaseOnAmber", default=False),
            "autoReleaseOnRed": rules.boolean("autoReleaseOnRed", default=False),
            "greenReleaseRatePct": rules.integer("greenReleaseRatePct", default=100, least=0, most=100),
            "amberReleaseRatePct": rules.integer("amberReleaseRatePct", default=50, least=0, most=100),
            "redReleaseRatePct": rules.integer("redReleaseRatePct", default=0, least=0, most=100),
            "maxAutoReleaseAmountCents": rules.integer(
                "maxAutoReleaseAmountCents", default=None, least=1, most=MAX_MINOR
            ),
            "disputeWindowHours": rules.integer("disputeWindowHours", default=None, least=1, most=MOST_HOURS),
            "manualReason": rules.text("manualReason", most=MOST_TEXT_CHARACTERS),
        },
    }
    members.require_hash("policyHash", given_hash, policy)
    return policy


def method_of(given: Any = None, *, given_hash: Any = None) -> Document:
    """Give the normal form of a VerificationMethod.v1. Raises InvalidVerificationMethod."""
    members = _Members(given, schema=METHOD_SCHEMA, refusal=InvalidVerificationMethod)
    method = {
        "schemaVersion": METHOD_SCHEMA,
        "mode": members.word("mode", METHOD_MODES),
        "source": members.text("source", most=MOST_NAME_CHARACTERS),
        "attestor": members.text("attestor", most=MOST_NAME_CHARACTERS),
        "notes": members.text("notes", most=MOST_TEXT_CHARACTERS),
    }
    members.require_hash("verificationMethodHash", given_hash, method)
    return method


def policy_hash(policy: Document) -> str:
    """Hash a policy in its normal form."""
    return canonical_hash(policy)


def method_hash(method: Document) -> str:
    """Hash a verification method in its normal form."""
    return canonical_hash(method)


def default_policy() -> Document:
    """Give a fresh copy of the policy that holds where none was given."""
    return policy_of()


def default_method() -> Document:
    """Give a fresh copy of the verification method that holds where none was given."""
    return method_of()


class _Members:
    """A given document read member by member; every fault is its refusal."""

    def __init__(self, given: Any, *, schema: str | None, refusal: type[Invalid]) -> None:
        if given is not None and not isinstance(given, Mapping):
            raise refusal(details={"message": "must be a JSON object"})
        self.given: Mapping[str, Any] = given or {}
        self.refusal = refusal
        named = self.value("schemaVersion")
        if schema is not None and named not in (None, schema):
            raise self.fault("schemaVersion", f"must be {schema}")

    def fault(self, key: str, problem: str) -> Invalid:
        return self.refusal(details={"message": f"{key} {problem}"})

    def value(self, key: str) -> Any:
        value = self.given.get(key)
        return None if value == "" else value

    def integer(self, key: str, *, default: int | None, least: int, most: int) -> int | None:
        value = self.value(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.fault(key, f"must be an integer from {least} to {most}")
        return value

    def boolean(self, key: str, *, default: bool) -> bool:
        value = self.value(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.fault(key, "must be a boolean")
        return value

    def word(self, key: str, words: tuple[str, ...]) -> str:
        """Read one of a few words; the first is the default."""
        value = self.value(key)
        if value is None:
            return words[0]
        if not isinstance(value, str) or value not in words:
            raise self.fault(key, f"must be one of {', '.join(words)}")
        return value

    def text(self, key: str, *, most: int) -> str | None:
        value = self.value(key)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > most:
            raise self.fault(key, f"must be a string of at most {most} characters")
        if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise self.fault(key, "holds characters that cannot be kept")
        return value

    def require_hash(self, key: str, beside: Any, document: Document) -> None:
        for claimed in (None if beside == "" else beside, self.value(key)):
            if claimed is not None and claimed != canonical_hash(document):
                raise self.fault(key, "differs from the hash of the normal form")


DEFAULT_POLICY_HASH: Final = policy_hash(default_policy())
DEFAULT_METHOD_HASH: Final = method_hash(default_method())
