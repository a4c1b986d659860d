"""Where this room hands a fact that fits nothing it knows; reconciliation registers the receiver."""

import datetime as dt
from typing import Any, Protocol


class MismatchSink(Protocol):
    """Files one mismatch inside the caller's transaction; the same key again is one case."""

    def __call__(
        self,
        *,
        tenant_id: str,
        period: str,
        provider_id: str,
        mismatch_type: str,
        mismatch_key: str,
        mismatch_code: str,
        severity: str,
        details: dict[str, Any],
        now: dt.datetime,
    ) -> Any: ...


_sinks: list[MismatchSink] = []


def register(sink: MismatchSink) -> None:
    """Name the receiver; the latest registration counts."""
    _sinks[:] = [sink]


def note(
    *,
    tenant_id: str,
    period: str,
    provider_id: str,
    mismatch_type: str,
    mismatch_key: str,
    mismatch_code: str,
    severity: str,
    details: dict[str, Any],
    now: dt.datetime,
) -> None:
    """File a mismatch; with no receiver it raises, so that the fact is delivered again, never lost."""
    if not _sinks:
        raise RuntimeError("no mismatch sink is registered")
    _sinks[0](
        tenant_id=tenant_id,
        period=period,
        provider_id=provider_id,
        mismatch_type=mismatch_type,
        mismatch_key=mismatch_key,
        mismatch_code=mismatch_code,
        severity=severity,
        details=details,
        now=now,
    )
