"""Stripe's objects as we use them: typed, and refused when they lack what we rely on."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from settld.stripe_gateway.replies import without_client_secrets

Row = TypeVar("Row")
MOST_SECONDS = 253_402_300_799  # the end of the year 9999


class Malformed(ValueError):
    """An object from Stripe that lacks what makes it usable."""


@dataclass(frozen=True)
class Transfer:
    """Money moved from our balance to a connected account; amounts in minor units of `currency`."""

    id: str
    amount: int
    currency: str
    destination: str
    metadata: dict[str, str]
    transfer_group: str | None
    created: int
    reversed: bool
    amount_reversed: int
    raw: dict[str, Any] = field(repr=False, compare=False)

    @property
    def created_at(self) -> dt.datetime:
        """Give Stripe's own time of creation."""
        return dt.datetime.fromtimestamp(self.created, dt.UTC)


@dataclass(frozen=True)
class Account:
    """A connected account as Stripe sees it; rules about it belong to the rail that asks."""

    id: str
    payouts_enabled: bool
    transfers_enabled: bool
    details_submitted: bool
    disabled_reason: str | None
    currently_due: tuple[str, ...]
    pending_verification: tuple[str, ...]
    raw: dict[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Page:
    """One page of a list."""

    rows: tuple[dict[str, Any], ...]
    has_more: bool


@dataclass(frozen=True)
class TransferPage:
    """One page of a statement; `unreadable` counts rows that lack what makes them usable.

    `last_id` is the provider's place to go on after, readable or not.
    """

    rows: tuple[Transfer, ...]
    unreadable: int
    last_id: str
    has_more: bool


@dataclass(frozen=True)
class Reversal:
    """Money of a transfer that came back; `created` is the provider's time."""

    id: str
    transfer_id: str
    created: int


@dataclass(frozen=True)
class ReversalPage:
    """One page of the reversals, as a TransferPage is of transfers; `last_id` is of the list's own rows."""

    rows: tuple[Reversal, ...]
    unreadable: int
    last_id: str
    has_more: bool


@dataclass(frozen=True)
class Charge:
    """What a buyer paid us; `transfer_id` is set where Stripe itself made a transfer along with it."""

    id: str
    amount: int
    currency: str
    metadata: dict[str, str]
    transfer_group: str | None
    transfer_id: str | None


@dataclass(frozen=True)
class Dispute:
    """A buyer's bank asks for a charge back; `charge` is there when Stripe was asked to expand it."""

    id: str
    charge_id: str
    charge: Charge | None
    amount: int
    currency: str
    status: str
    reason: str
    metadata: dict[str, str]
    respond_by: int | None


def thing(raw: Any) -> dict[str, Any]:
    """Read any object, without its client secrets; raises Malformed."""
    if not isinstance(raw, dict):
        raise Malformed("not an object")
    plain: dict[str, Any] = without_client_secrets(raw)
    return plain


def transfer(raw: Any) -> Transfer:
    """Read a transfer, from an answer or from an event's object; raises Malformed."""
    body = _object(raw, "transfer")
    return Transfer(
        id=_text(body, "id"),
        amount=_whole(body, "amount"),
        currency=_text(body, "currency"),
        destination=_reference(body, "destination"),
        metadata=_labels(body),
        transfer_group=_optional_text(body, "transfer_group"),
        created=_instant(body, "created"),
        reversed=body.get("reversed") is True,
        amount_reversed=_whole(body, "amount_reversed", default=0),
        raw=body,
    )


def account(raw: Any) -> Account:
    """Read a connected account; raises Malformed."""
    body = _object(raw, "account")
    requirements = _members(body, "requirements")
    capabilities = _members(body, "capabilities")
    return Account(
        id=_text(body, "id"),
        payouts_enabled=body.get("payouts_enabled") is True,
        transfers_enabled=body.get("transfers_enabled") is True or capabilities.get("transfers") == "active",
        details_submitted=body.get("details_submitted") is True,
        disabled_reason=_optional_text(requirements, "disabled_reason")
        or _optional_text(body, "disabled_reason"),
        currently_due=_texts(requirements.get("currently_due")),
        pending_verification=_texts(requirements.get("pending_verification")),
        raw=body,
    )


def charge(raw: Any) -> Charge:
    """Read a charge; raises Malformed."""
    body = _object(raw, "charge")
    return Charge(
        id=_text(body, "id"),
        amount=_whole(body, "amount"),
        currency=_text(body, "currency"),
        metadata=_labels(body),
        transfer_group=_optional_text(body, "transfer_group"),
        transfer_id=_reference(body, "transfer") if body.get("transfer") else None,
    )


def dispute(raw: Any) -> Dispute:
    """Read a dispute, from an answer or from an event's object; raises Malformed."""
    body = _object(raw, "dispute")
    due_by = _members(body, "evidence_details").get("due_by")
    return Dispute(
        id=_text(body, "id"),
        charge_id=_reference(body, "charge"),
        charge=charge(body["charge"]) if isinstance(body.get("charge"), dict) else None,
        amount=_whole(body, "amount"),
        currency=_text(body, "currency"),
        status=_text(body, "status"),
        reason=_optional_text(body, "reason") or "",
        metadata=_labels(body),
        respond_by=due_by if isinstance(due_by, int) and not isinstance(due_by, bool) else None,
    )


def page(raw: Any) -> Page:
    """Read one page of a list; raises Malformed."""
    body = _object(raw, "list")
    rows = body.get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Malformed("a list without rows")
    has_more = body.get("has_more") is True
    if has_more and not rows:
        raise Malformed("an empty page that promises more")
    return Page(rows=tuple(rows), has_more=has_more)


def transfer_page(raw: Any) -> TransferPage:
    """Read a page of transfers, leaving out those that cannot be read; raises Malformed without a place."""
    listed = page(raw)
    rows, unreadable = _each(listed, transfer)
    return TransferPage(tuple(rows), unreadable, _last_id(listed), listed.has_more)


def reversal_page(raw: Any) -> ReversalPage:
    """Read a page of balance transactions whose sources are expanded reversals."""
    listed = page(raw)
    rows, unreadable = _each(listed, _reversal)
    return ReversalPage(tuple(rows), unreadable, _last_id(listed), listed.has_more)


def _each(listed: Page, read: Callable[[Any], Row]) -> tuple[list[Row], int]:
    rows: list[Row] = []
    unreadable = 0
    for raw in listed.rows:
        try:
            rows.append(read(raw))
        except Malformed:
            unreadable += 1
    return rows, unreadable


def _reversal(raw: Any) -> Reversal:
    """Read the reversal that a balance transaction is about."""
    source = _object(_object(raw, "balance_transaction").get("source"), "transfer_reversal")
    return Reversal(
        id=_text(source, "id"),
        transfer_id=_reference(source, "transfer"),
        created=_instant(source, "created"),
    )


def _last_id(listed: Page) -> str:
    return _text(listed.rows[-1], "id") if listed.rows else ""


def _object(raw: Any, kind: str) -> dict[str, Any]:
    if not isinstance(raw, Mapping) or raw.get("object") != kind:
        raise Malformed(f"not a {kind}")
    return dict(raw)


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise Malformed(f"{key} is missing")
    return value


def _optional_text(body: Mapping[str, Any], key: str) -> str | None:
    value = body.get(key)
    return value if isinstance(value, str) and value else None


def _whole(body: dict[str, Any], key: str, default: int | None = None) -> int:
    value = body.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Malformed(f"{key} is not a whole number")
    return value


def _instant(body: dict[str, Any], key: str) -> int:
    """Read seconds since 1970 that a calendar has a date for."""
    value = _whole(body, key)
    if not 0 <= value <= MOST_SECONDS:
        raise Malformed(f"{key} is no instant")
    return value


def _members(body: dict[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key)
    return value if isinstance(value, dict) else {}


def _labels(body: dict[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in _members(body, "metadata").items()}


def _reference(body: dict[str, Any], key: str) -> str:
    """Read an id that Stripe may have expanded into its object."""
    value = body.get(key)
    return _text(value, "id") if isinstance(value, dict) else _text(body, key)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(sorted({item for item in value if isinstance(item, str) and item}))
