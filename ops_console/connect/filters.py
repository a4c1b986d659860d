"""The filters of the account list: the address is the state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from django.db.models import Q, QuerySet

from moneyrails.models import ConnectAccount
from ops_console.addresses import Address
from ops_console.payouts.filters import Choice

STATUSES: Final[dict[str, str]] = {
    "active": "Active",
    "operator": "Disabled by an operator",
    "provider": "Disabled by Stripe",
}
KYB: Final[dict[str, str]] = {
    "verified": "Verified",
    "pending": "Pending",
    "restricted": "Restricted",
    "rejected": "Rejected",
    "unknown": "Unknown",
    "none": "Not looked at yet",
}
DUE: Final[dict[str, str]] = {
    "due": "Something is due",
    "pending": "Something is being checked",
    "nothing": "Nothing",
}


@dataclass(frozen=True)
class Filters:
    """What the operator looks for; an empty text is any. `faults` says what could not be read."""

    q: str = ""
    status: str = ""
    kyb: str = ""
    party: str = ""
    due: str = ""
    faults: tuple[str, ...] = field(default=())

    def parameters(self, **changes: str) -> dict[str, str]:
        """Spell the filters for an address, leaving out what is not set."""
        values = {"q": self.q, "status": self.status, "kyb": self.kyb, "party": self.party, "due": self.due}
        return {name: value for name, value in (values | changes).items() if value}

    @property
    def is_set(self) -> bool:
        """Tell whether anything narrows the list."""
        return bool(self.parameters())

    @property
    def status_choices(self) -> list[Choice]:
        """List the statuses."""
        return [Choice(value, label, value == self.status) for value, label in STATUSES.items()]

    @property
    def kyb_choices(self) -> list[Choice]:
        """List what Stripe's checks may have come to."""
        return [Choice(value, label, value == self.kyb) for value, label in KYB.items()]

    @property
    def due_choices(self) -> list[Choice]:
        """List what Stripe may ask for."""
        return [Choice(value, label, value == self.due) for value, label in DUE.items()]


def read(parameters: Mapping[str, str]) -> Filters:
    """Read the filters from an address; what cannot be understood is left out and said."""
    address = Address(parameters, most=200)
    return Filters(
        q=address.text("q"),
        status=address.one_of("status", STATUSES, "status"),
        kyb=address.one_of("kyb", KYB, "result of a check"),
        party=address.text("party"),
        due=address.one_of("due", DUE, "choice"),
        faults=tuple(address.faults),
    )


def accounts(*, tenant_id: str, filters: Filters) -> QuerySet[ConnectAccount]:
    """Select the tenant's accounts that the filters let through."""
    rows = ConnectAccount.objects.filter(tenant_id=tenant_id)
    if filters.status == "active":
        rows = rows.filter(status="active")
    elif filters.status:
        rows = rows.filter(status="disabled", disabled_by=filters.status)
    if filters.kyb:
        rows = rows.filter(kyb_status="" if filters.kyb == "none" else filters.kyb)
    if filters.party:
        rows = rows.filter(party_id=filters.party)
    if filters.due == "due":
        rows = rows.exclude(kyb_currently_due=[])
    elif filters.due == "pending":
        rows = rows.exclude(kyb_pending_verification=[])
    elif filters.due:
        rows = rows.filter(kyb_currently_due=[], kyb_pending_verification=[])
    if filters.q:
        rows = rows.filter(Q(account_id__startswith=filters.q) | Q(party_id__icontains=filters.q))
    return rows
