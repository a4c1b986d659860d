"""The provider's clock, in a type of its own: it is never compared with ours (INV-31)."""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class ProviderTime:
    """An instant that the provider stamped, to its whole second."""

    seconds: int

    def __post_init__(self) -> None:
        if isinstance(self.seconds, bool) or not isinstance(self.seconds, int):
            raise TypeError("a provider's instant is a whole number of seconds")
        if not 0 <= self.seconds < 253_402_300_800:
            raise ValueError("a provider's instant lies between 1970 and 9999")

    @classmethod
    def stored(cls, column: dt.datetime) -> "ProviderTime":
        """Read a watermark column back; such columns hold nothing but provider time."""
        return cls(int(column.timestamp()))

    @property
    def at(self) -> dt.datetime:
        """Give the instant for a column or an answer, in UTC."""
        return dt.datetime.fromtimestamp(self.seconds, dt.UTC)
