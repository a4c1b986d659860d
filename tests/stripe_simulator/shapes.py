"""The fields that Stripe's own samples carry, to compare answers with."""

from typing import Any

FIELDS = {
    "transfer": "amount amount_reversed balance_transaction created currency description destination "
    "destination_payment id livemode metadata object reversals reversed source_transaction source_type "
    "transfer_group",
    "transfer_reversal": "amount balance_transaction created currency destination_payment_refund id metadata "
    "object source_refund transfer",
    "balance_transaction": "amount available_on balance_type created currency description exchange_rate fee "
    "fee_details id net object reporting_category source status type",
    "account": "business_profile business_type capabilities charges_enabled controller country created "
    "default_currency details_submitted email external_accounts future_requirements id metadata object "
    "payouts_enabled requirements settings tos_acceptance type",
    "balance": "available connect_reserved livemode object pending",
    "event": "api_version created data id livemode object pending_webhooks request type",
    "webhook_endpoint": "api_version application created description enabled_events id livemode metadata "
    "object status url",
}


def missing_fields(found: Any) -> list[str]:
    """The fields of its kind that an object lacks."""
    body = found if isinstance(found, dict) else found.to_dict()
    return [name for name in FIELDS[body["object"]].split() if name not in body]
