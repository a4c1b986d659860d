"""The filters of the list of debts: the address is the state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.conf import settings

from moneyrails.queries.debt_accounts import AccountFilter
from ops_console.addresses import Address
from ops_console.payouts.filters import Choice

MODES: Final = ("sandbox", "production")
SHOWN: Final = {"": "Every party with a reversal", "open": "Only who owes"}


@dataclass(frozen=True)
class Filters:
    """What the operator looks for; an empty text is any. `faults` says what could not be read."""

    q: str = ""
    party: str = ""
    provider: str = ""
    mode: str = ""
    period: str = ""
    show: str = ""
    faults: tuple[str, ...] = ()

    def parameters(self, **changes: str) -> dict[str, str]:
        """Spell the filters for an address, leaving out what is not set."""
        names = ("q", "party", "provider", "mode", "period", "show")
        values = {name: str(getattr(self, name)) for name in names} | changes
        return {name: value for name, value in values.items() if value}

    @property
    def is_set(self) -> bool:
        """Tell whether anything narrows the list."""
        return bool(self.parameters())

    @property
    def narrows_reversals(self) -> bool:
        """Tell whether the sums are of some of an account's reversals only."""
        return bool(self.provider or self.period)

    @property
    def wanted(self) -> AccountFilter:
        """Give the filter as the query takes it."""
        return AccountFilter(
            text=self.q,
            party_id=self.party,
            provider_id=self.provider,
            provider_mode=self.mode,
            period=self.period,
            only_open=self.show == "open",
        )

    @property
    def provider_choices(self) -> list[Choice]:
        """List the configured providers, and one from the address that is no longer configured."""
        known = list(settings.MONEY_RAILS.providers)
        if self.provider and self.provider not in known:
            known.append(self.provider)
        return [Choice(provider, provider, provider == self.provider) for provider in known]

    @property
    def mode_choices(self) -> list[Choice]:
        """List the modes."""
        return [Choice(mode, mode.capitalize(), mode == self.mode) for mode in MODES]

    @property
    def show_choices(self) -> list[Choice]:
        """List whom to show."""
        return [Choice(value, label, value == self.show) for value, label in SHOWN.items()]


def read(parameters: Mapping[str, str]) -> Filters:
    """Read the filters from an address; what cannot be understood is left out and said."""
    address = Address(parameters)
    period = address.period("period")
    return Filters(
        q=address.text("q"),
        party=address.text("party"),
        provider=address.text("provider"),
        mode=address.one_of("mode", MODES, "mode"),
        period=period,
        show=address.one_of("show", tuple(SHOWN), "choice of parties"),
        faults=tuple(address.faults),
    )
