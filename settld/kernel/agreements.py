"""The question that the kernel asks of the marketplace: under which agreement was this run made?

The marketplace answers it once it is there; until then no run has an agreement, and the settlement of every
run is a direct one.
"""

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class RunAgreement:
    """A run's agreement with the policy that was pinned in it; all documents in wire shape.

    `policy` and `verification_method` are in normal form, the hashes are theirs (12.5).
    """

    agreement_id: str
    rfq_id: str
    policy: dict[str, Any]
    verification_method: dict[str, Any]
    policy_hash: str
    verification_method_hash: str
    policy_ref: dict[str, Any] | None
    policy_binding: dict[str, Any] | None
    policy_binding_verification: dict[str, Any]
    acceptance_signature_verification: dict[str, Any]
    agreement: dict[str, Any]
    offer: dict[str, Any] | None
    offer_acceptance: dict[str, Any] | None


class Agreements(Protocol):
    """Gives a run's agreement, or None where the run was made without one."""

    def __call__(self, *, tenant_id: str, run_id: str) -> RunAgreement | None: ...


def _none_yet(*, tenant_id: str, run_id: str) -> RunAgreement | None:
    return None


_registered: Agreements = _none_yet


def register(agreements: Agreements) -> None:
    """Take the answer from a room above, when the apps are ready."""
    global _registered
    _registered = agreements


def of_run(*, tenant_id: str, run_id: str) -> RunAgreement | None:
    """Give a run's agreement, or None."""
    return _registered(tenant_id=tenant_id, run_id=run_id)
