"""Production providers without an API of ours: a person paid, and tells us the reference."""

from settld.core.errors import Conflict


class SubmitUnsupported(Conflict):
    """There is nothing we could call, and no reference to record; nothing was sent."""

    code = "MONEY_RAIL_SUBMIT_UNSUPPORTED"
    message = "money rail payout submit is not supported for this provider"


def transfer_id(*, provider_id: str, operation_id: str, provider_ref: str) -> str:
    """Give the reference of a payment made by hand."""
    if not provider_ref:
        raise SubmitUnsupported(details={"operationId": operation_id, "providerId": provider_id})
    return provider_ref
