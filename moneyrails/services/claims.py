"""Reading off a provider's object which payout of ours it names: by the metadata that we gave it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_PAYOUT_KEY: Final = re.compile(
    r"(?P<tenant>.+?):party:.+:period:(?P<period>\d{4}-(?:0[1-9]|1[0-2])):statement:.+"
)
_PERIOD: Final = re.compile(r":period:(\d{4}-(?:0[1-9]|1[0-2])):")
_NAMES: Final = ("tenant_id", "provider_id", "operation_id", "payout_key")


@dataclass(frozen=True)
class Claim:
    """Whose payout the provider says it is."""

    tenant_id: str
    provider_id: str
    operation_id: str
    payout_key: str

    @property
    def period(self) -> str:
        """Read the payout's month out of its key."""
        match = _PERIOD.search(self.payout_key)
        return match.group(1) if match else ""


def of_metadata(metadata: Mapping[str, str]) -> Claim | None:
    """Read our metadata; None when the object does not carry it."""
    values = {name: metadata.get(f"settld_{name}", "").strip() for name in _NAMES}
    if not values["tenant_id"] or not values["operation_id"] or not _is_name(values["tenant_id"]):
        return None
    return Claim(**values)


def of_payout_key(text: str) -> Claim | None:
    """Read a transfer group that is one of our payout keys; it names no provider."""
    match = _PAYOUT_KEY.fullmatch(text)
    if match is None or not _is_name(match["tenant"]):
        return None
    return Claim(tenant_id=match["tenant"], provider_id="", operation_id=f"mop_{text}", payout_key=text)


def _is_name(tenant_id: str) -> bool:
    return len(tenant_id) <= 200 and "\x00" not in tenant_id
