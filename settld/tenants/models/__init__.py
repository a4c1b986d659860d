"""Tenants, people, keys and tokens."""

from settld.tenants.models.credentials import AuthKey, OpsToken
from settld.tenants.models.people import Membership, User
from settld.tenants.models.tenant import Tenant

__all__ = ["AuthKey", "Membership", "OpsToken", "Tenant", "User"]
