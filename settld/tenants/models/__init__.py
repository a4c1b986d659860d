"""Tenants, people, keys, tokens and signer keys."""

from settld.tenants.models.credentials import AuthKey, OpsToken
from settld.tenants.models.people import Membership, User
from settld.tenants.models.signer_keys import SignerKey
from settld.tenants.models.tenant import Tenant

__all__ = ["AuthKey", "Membership", "OpsToken", "SignerKey", "Tenant", "User"]
