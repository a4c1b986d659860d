"""Naming what a consumer raised, for the row that keeps it and for the answer that Stripe gets."""

from django.db import OperationalError

from settld.core.errors import Refusal
from settld.stripe_gateway.outcomes import ProviderTrouble

CODE_MAX = 64
PROVIDER_UNAVAILABLE = "BILLING_PROVIDER_UNAVAILABLE"
DATABASE_BUSY = "DATABASE_BUSY"
INTERNAL_ERROR = "INTERNAL_ERROR"


def code_of(error: BaseException) -> str:
    """Give the code under which a failure is kept: a refusal's own, or the kind of trouble."""
    if isinstance(error, Refusal):
        return error.code[:CODE_MAX]
    if isinstance(error, ProviderTrouble):
        return PROVIDER_UNAVAILABLE
    if isinstance(error, OperationalError):
        return DATABASE_BUSY
    return INTERNAL_ERROR
