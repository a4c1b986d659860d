"""Who calls checkout billing: a person who is logged in, or a credential of one tenant (section 3)."""

from dataclasses import dataclass

from billing.states import PrincipalType
from settld.core.principals import Actor, Principal


@dataclass(frozen=True)
class Caller:
    """Who authenticated. A person has memberships; an API client has one tenant, its only workspace.

    `grant_id` is how grants on external entities name the caller. `platform_permissions` are the
    `console.billing.*` rights that the caller holds over the whole deployment.
    """

    kind: PrincipalType
    actor: Actor
    grant_id: str
    user_id: int | None = None
    has_second_factor: bool = False
    client: Principal | None = None
    platform_permissions: frozenset[str] = frozenset()

    @property
    def is_person(self) -> bool:
        """Tell a person from an API client."""
        return self.kind == PrincipalType.USER

    @property
    def tenant_id(self) -> str:
        """Name the only workspace of an API client; empty for a person."""
        return self.client.tenant_id if self.client else ""

    @property
    def may_write(self) -> bool:
        """Tell whether an API client's scopes reach that far; a person's right depends on the workspace."""
        return self.client is None or self.client.has("finance_write")
