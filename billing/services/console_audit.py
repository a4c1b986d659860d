"""The audit rows of what operators of the deployment do; they stand in the deployment's own tenant."""

import contextlib
from collections.abc import Iterator
from typing import Any, Final

from settld.audit import services as audit
from settld.core import clock, tenancy, transactions
from settld.core.principals import Actor

HOME: Final = "tenant_default"


@contextlib.contextmanager
def act() -> Iterator[None]:
    """Open the transaction of an act on deployment-wide rows; its audit row commits with it."""
    with tenancy.tenant_scope(HOME), transactions.atomic(durable=True):
        yield


def append(
    *,
    actor: Actor,
    action: str,
    target_type: str,
    target_id: str,
    details: dict[str, Any] | None = None,
) -> None:
    """Write the audit row of an act, inside `act`."""
    audit.append(
        tenant_id=HOME,
        actor=actor,
        action=action,
        target_type=target_type,
        target_id=target_id,
        details=details,
        at=clock.now(),
    )
