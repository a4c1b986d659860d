"""The filters of the event explorer, by the names that the API has for them: the address is the state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from billing.queries.activity_sources import SOURCES
from billing.services.explorer import Search
from ops_console.addresses import Address
from settld.tenants.models import User

SIZES: Final = (25, 50, 100)
DEEPEST: Final = 10_000
LARGEST_ID: Final = 2**63 - 1


@dataclass(frozen=True)
class Filters:
    """What the operator looks for, as it was written; `faults` says what could not be understood.

    `user_id` is whom the text `user` names, by id or by login.
    """

    workspace: str = ""
    user: str = ""
    user_id: int | None = None
    entity: str = ""
    operation_key: str = ""
    event_id: str = ""
    source: str = ""
    size: int = SIZES[0]
    page: int = 1
    faults: tuple[str, ...] = field(default=())

    @property
    def search(self) -> Search:
        """Give it as the explorer understands it."""
        return Search(
            workspace_id=self.workspace,
            user_id=self.user_id,
            billable_entity_id=int(self.entity) if self.entity else None,
            operation_key=self.operation_key,
            provider_event_id=self.event_id,
            source=self.source,
        )

    @property
    def follows(self) -> bool:
        """Tell whether it is about one operation or one event, whose story is told in its order."""
        return bool(self.operation_key or self.event_id)

    @property
    def is_set(self) -> bool:
        """Tell whether anything narrows the list."""
        return any((self.workspace, self.user, self.entity, self.follows, self.source))

    def parameters(self, **changes: str) -> dict[str, str]:
        """Spell the filters for an address, leaving out what is not set."""
        values = {
            "workspaceId": self.workspace,
            "userId": self.user,
            "billableEntityId": self.entity,
            "operationKey": self.operation_key,
            "providerEventId": self.event_id,
            "source": self.source,
            "pageSize": str(self.size) if self.size != SIZES[0] else "",
            "page": str(self.page) if self.page > 1 else "",
        } | changes
        return {name: value for name, value in values.items() if value}


def read(parameters: Mapping[str, str]) -> Filters:
    """Read the filters from an address; what cannot be understood is left out and said."""
    address = Address(parameters, most=200)
    faults: list[str] = []
    user, user_id = _user(address.text("userId"), faults)
    entity = address.text("billableEntityId")
    if entity and _id(entity) is None:
        faults.append(f"“{entity}” is no entity id; that filter is left out.")
        entity = ""
    source = address.one_of("source", SOURCES, "source")
    size = _id(address.text("pageSize")) or SIZES[0]
    size = size if size in SIZES else SIZES[0]
    return Filters(
        workspace=address.text("workspaceId"),
        user=user,
        user_id=user_id,
        entity=entity,
        operation_key=address.text("operationKey"),
        event_id=address.text("providerEventId"),
        source=source,
        size=size,
        page=min(_id(address.text("page")) or 1, DEEPEST // size),
        faults=(*faults, *address.faults),
    )


def _user(text: str, faults: list[str]) -> tuple[str, int | None]:
    """Find whom a text names: a number is an id, anything else a login."""
    if not text:
        return "", None
    if (user_id := _id(text)) is not None:
        return text, user_id
    known = User.objects.filter(username=text).values_list("pk", flat=True).first()
    if known is None:
        faults.append(f"Nobody has the login “{text}”; that filter is left out.")
        return "", None
    return text, known


def _id(text: str) -> int | None:
    is_number = text.isascii() and text.isdigit() and len(text) <= 19
    return int(text) if is_number and 0 < int(text) <= LARGEST_ID else None
