"""What the provider is asked for a payment link, built from the stored request alone (spec 7.4).

After a crash the same request gives the same parameters, so that the same keys repeat the same prices.
"""

from typing import Any, Final

from billing.models import BillingRequest
from billing.services import creations

BILLING_FLOW: Final = "payment_link_one_off"
MODE: Final = "one_off"


class Unbuildable(Exception):
    """The stored request does not hold what parameters are made of; nothing may be sent."""


def lines_of(request: BillingRequest) -> list[dict[str, Any]]:
    """Read the normalized lines of a stored request."""
    lines = request.normalized_request_json.get("lineItems")
    if not isinstance(lines, list) or not lines:
        raise Unbuildable("the stored request has no lines")
    return lines


def price_of(request: BillingRequest, *, index: int, line: dict[str, Any]) -> dict[str, Any]:
    """Give the parameters of the price that an ad-hoc line needs."""
    try:
        labels = _labels(request) | {"line_item_index": str(index), "billing_flow": BILLING_FLOW}
        return {
            "currency": str(line["currency"]).lower(),
            "unit_amount": int(line["amountMinor"]),
            "product_data": {"name": str(line["name"]), "metadata": labels},
            "metadata": labels,
        }
    except (KeyError, TypeError, ValueError) as error:
        raise Unbuildable(f"line {index} of the stored request is no line") from error


def link_of(request: BillingRequest, price_ids: list[str]) -> dict[str, Any]:
    """Give the parameters of the link, one price per line of the stored request."""
    try:
        lines = [
            {"price": price_id, "quantity": int(line["quantity"])}
            for price_id, line in zip(price_ids, lines_of(request), strict=True)
        ]
        success_path = str(request.normalized_request_json["successPath"])
    except (KeyError, TypeError, ValueError) as error:
        raise Unbuildable("the stored request is not whole") from error
    labels = _labels(request) | {"checkout_flow": "payment_link", "payment_link_mode": MODE}
    return {
        "line_items": lines,
        "after_completion": {
            "type": "redirect",
            "redirect": {"url": creations.absolute(success_path)},
        },
        "customer_creation": "always",
        "metadata": labels,
        "invoice_creation": {"enabled": True, "invoice_data": {"metadata": labels}},
    }


def _labels(request: BillingRequest) -> dict[str, str]:
    return {
        "operation_key": request.operation_key,
        "billable_entity_id": str(request.billable_entity_id),
        "idempotency_row_id": str(request.pk),
    }
