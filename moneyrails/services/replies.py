"""How a verb of several transactions shares its caller's idempotency: recall first, keep last (P4)."""

from typing import Generic, Protocol, TypeVar

from settld.idempotency.services.records import Reply

T_contra = TypeVar("T_contra", contravariant=True)


class Replayed(Exception):
    """The caller's key has a stored reply; nothing was done now."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        super().__init__("replayed")


class Memory(Protocol[T_contra]):
    """The caller's idempotency record; both methods run inside the verb's transactions."""

    identity_hash: str

    def recall(self) -> None:
        """Raise Replayed when the key has a reply; hold the key until the transaction ends."""
        ...

    def keep(self, result: T_contra) -> None:
        """Store the reply that the result is answered with."""
        ...


class NoMemory(Generic[T_contra]):
    """For callers without a key: our own loops, the console's own forms."""

    identity_hash = ""

    def recall(self) -> None:
        """Nothing is stored."""

    def keep(self, result: T_contra) -> None:
        """Nothing is stored."""
