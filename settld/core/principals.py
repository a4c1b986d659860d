"""Who calls, whom the audit names, and what they may do."""

from dataclasses import dataclass, field

from settld.core.hashing import sha256_hex

SCOPES = frozenset(
    f"{room}_{level}"
    for room in ("ops", "finance", "governance_tenant", "governance_global")
    for level in ("read", "write")
) | {"audit_read"}


@dataclass(frozen=True)
class Actor:
    """Whom an audit row names; never a secret."""

    principal_id: str
    key_id: str | None = None
    request_id: str | None = None

    @classmethod
    def system(cls, name: str) -> "Actor":
        """Name one of our own loops."""
        return cls(principal_id=name)


@dataclass(frozen=True)
class Principal:
    """Who authenticated, for which tenant, with which scopes."""

    kind: str
    principal_id: str
    tenant_id: str
    scopes: frozenset[str] = field(default_factory=frozenset)
    key_id: str | None = None
    user_id: str | None = None
    is_platform: bool = False
    is_tenant_known: bool = True

    def has(self, scope: str) -> bool:
        """Tell whether a scope is held; X_write satisfies X_read and nothing else."""
        return scope in self.scopes or (scope.endswith("_read") and f"{scope[:-5]}_write" in self.scopes)

    def has_any(self, scopes: tuple[str, ...]) -> bool:
        """Tell whether one of several scopes is held."""
        return any(self.has(scope) for scope in scopes)


def ops_token_principal(token: str) -> str:
    """Name an ops token without revealing it (P3)."""
    return f"ops_token:{sha256_hex(token)[:12]}"
