"""The question that the kernel asks of arbitration: does a case that is not closed stand in the way?"""

from collections.abc import Collection
from typing import Protocol


class OpenCases(Protocol):
    """Finds cases that are not closed. Called inside the transaction that is about to move the money.

    Whoever opens a case locks the run's settlement or the hold first, so the answer stays true until the
    transaction ends.
    """

    def of_runs(self, *, tenant_id: str, run_ids: Collection[str]) -> frozenset[str]:
        """Give those of the runs that have such a case."""

    def of_hold(self, *, tenant_id: str, hold_hash: str, receipt_hash: str) -> str | None:
        """Give the id of such a case with this hold or this receipt, the oldest first, or None."""


class _None:
    """There is no arbitration."""

    def of_runs(self, *, tenant_id: str, run_ids: Collection[str]) -> frozenset[str]:
        return frozenset()

    def of_hold(self, *, tenant_id: str, hold_hash: str, receipt_hash: str) -> str | None:
        return None


_registered: OpenCases = _None()


def register(cases: OpenCases) -> None:
    """Take the answers from a room above, when the apps are ready."""
    global _registered
    _registered = cases


def registered() -> OpenCases:
    """Give whoever answers now."""
    return _registered


def has_open(*, tenant_id: str, run_id: str) -> bool:
    """Tell whether a run has a case that is not closed."""
    return bool(_registered.of_runs(tenant_id=tenant_id, run_ids=[run_id]))


def of_runs(*, tenant_id: str, run_ids: Collection[str]) -> frozenset[str]:
    """Give those of the runs that have a case that is not closed."""
    return _registered.of_runs(tenant_id=tenant_id, run_ids=run_ids)


def of_hold(*, tenant_id: str, hold_hash: str, receipt_hash: str) -> str | None:
    """Give the case that is not closed and speaks of a hold or its receipt, or None."""
    return _registered.of_hold(tenant_id=tenant_id, hold_hash=hold_hash, receipt_hash=receipt_hash)
