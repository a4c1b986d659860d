"""Who plays in the demo: tenants, parties, months, and what becomes of each payout.

Everything follows from positions in these lists, so two runs tell the same story.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Final

SANDBOX: Final = "stub_default"
STRIPE: Final = "stripe_sim"

_NAMES: Final = """
Alder Logistics|Bayline Couriers|Cedar & Co Installations|Delta Drone Ops|Eastgate Cleaning
Fulton Field Service|Granite Robotics Care|Harbor Night Crew|Ironwood Maintenance|Juniper Inspection
Kestrel Aerial|Lakeside Depots|Meridian Mapping|Northwind Welding|Orchard Street Movers
Pinecrest Security|Quarry Lane Haulage|Ridgeway Charging|Summit Shelf Audits|Tidewater Docks
Union Square Kitting|Vale Vision Labeling|Amber Last Mile|Birchwood Routing|Copperfield Repairs
Dunmore Dispatch|Elm Street Handlers|Foxglove Sorting|Greenlight Scouts|Hollis Warehousing
Inverness Cold Chain|Jasper Lockers|Kingsley Riders|Larkspur Returns|Maple Porch Delivery
Newhall Scooters|Oakmont Parcel|Prairie Packing|Quill Document Runs|Rosewood Carts
"""


@dataclass(frozen=True)
class Party:
    """Someone a tenant owes."""

    party_id: str
    name: str
    role: str
    uses_stripe: bool

    @property
    def account_id(self) -> str:
        """Name the party's account at the provider."""
        return f"acct_demo_{self.party_id.rpartition(':')[2].removeprefix('party_')}"


@dataclass(frozen=True)
class Troupe:
    """One tenant and its parties."""

    tenant_id: str
    name: str
    email: str
    parties: tuple[Party, ...]
    most_payout_cents: int
    most_daily_cents: int


def _party(position: int, name: str) -> Party:
    words = "".join(letter if letter.isalnum() else " " for letter in name.lower()).split()
    role = {9: "customer"}.get(position % 20, "subcontractor" if position % 4 == 3 else "operator")
    return Party(
        party_id="party_" + "_".join(words[:2]),
        name=name,
        role=role,
        uses_stripe=position % 3 == 1 and role != "customer",
    )


def _parties() -> tuple[Party, ...]:
    names = [name for line in _NAMES.strip().splitlines() for name in line.split("|")]
    return tuple(_party(position, name) for position, name in enumerate(names))


_ALL: Final = _parties()
TROUPES: Final = (
    Troupe("tenant_atlas", "Atlas Field Robotics", "finance@atlas.example", _ALL[:22], 500_000, 50_000_000),
    Troupe("tenant_birch", "Birch Delivery Network", "finance@birch.example", _ALL[22:], 190_000, 40_000_000),
)


def closed_months(today: dt.date) -> tuple[str, str, str]:
    """Name the three full months before a day, oldest first."""
    first, second, third = (_month_before(today, back) for back in (3, 2, 1))
    return first, second, third


def _month_before(day: dt.date, months: int) -> str:
    index = day.year * 12 + day.month - 1 - months
    return f"{index // 12:04d}-{index % 12 + 1:02d}"


def month_of(day: dt.date) -> str:
    """Name a day's month."""
    return _month_before(day, 0)


def amount_cents(position: int, month_number: int) -> int:
    """Say what a party earned in a month; negative never, zero for those who are not paid."""
    return 38_000 + (position * 7_919 + month_number * 13_577) % 260_000


# What becomes of the payouts of one month, by the party's position; the rest are confirmed.
_FATES: Final[tuple[dict[int, str], ...]] = (
    {2: "reversed", 8: "failed"},
    {3: "cancelled", 5: "failed", 11: "reversed", 14: "unpaid"},
    {
        0: "initiated",
        2: "initiated",
        3: "submitted",
        5: "cancelled",
        6: "failed",
        8: "submitted",
        11: "unpaid",
        12: "initiated",
        14: "submitted",
        17: "unpaid",
        18: "initiated",
        20: "submitted",
    },
)
# What the provider does to those that go over Stripe, in the newest month and by order among them.
_STRIPE_FATES: Final = (
    "in_doubt",
    "confirmed",
    "indeterminate",
    "confirmed",
    "doubt_heals",
    "initiated",
    "refused_by_provider",
)


def fate(troupe: Troupe, position: int, month_number: int) -> str:
    """Say what becomes of a payout."""
    party = troupe.parties[position]
    if party.role == "customer":
        return "not_due"
    if not party.uses_stripe:
        return _FATES[month_number].get(position, "confirmed")
    order = [index for index, other in enumerate(troupe.parties) if other.uses_stripe].index(position)
    if month_number == 2:
        lead = troupe is TROUPES[0]
        fates = _STRIPE_FATES if lead else ("confirmed", "initiated")
        return fates[order % len(fates)]
    if month_number == 1 and order == 1:
        return "reversed_by_provider"
    if month_number == 1 and order == 2:
        return "partly_reversed_by_provider"
    return "confirmed"
